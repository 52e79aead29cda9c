"""The traps of Faust and aiokafka that the worker and its transport stay clear of, one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import CommitFailedError
from faust.transport.drivers import aiokafka as driver
from prometheus_client import generate_latest

from schemas.codec import Decoder
from schemas.partitioning import partition_for
from schemas.topics import EVENT_TOPICS, MESSAGES, READ_TOPICS
from sinks.claims import Claim
from streams.app import create_app
from streams.engine.owned import Owned
from streams.engine.ownership import TakenOver
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.record_block import Record
from streams.engine.transport import TP, BatchConsumer, FoldedBatch
from streams.engine.worker import STALL_SECONDS, Worker
from streams.errors import KafkaUnavailable
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.wall_clock import WallClock
from tests.broken_payloads import valid_event

COMMUNITY = "读书会🌱"
NUMBER = partition_for(COMMUNITY.encode(), 4)


def records(*offsets: int) -> list[Record]:
    """Valid messages at the given offsets."""
    return [
        Record(at, 1_790_000_000_000, b"", json.dumps(valid_event("message", at, COMMUNITY)).encode()) for at in offsets
    ]


class World:
    """A worker that owns one partition and whose servers are plain objects."""

    def __init__(self) -> None:
        self.metrics = WorkerMetrics()
        settings = PartitionSettings(4, 1, 86_400_000, 1_000, "test")
        nobody: Any = SimpleNamespace()
        self.worker = Worker(
            Settings(), settings, Decoder(262_144), lambda *_: "UTC", nobody, nobody, self.metrics, WallClock()
        )
        self.partition = Partition(NUMBER, settings, Decoder(262_144), lambda *_: "UTC", self.metrics)
        self.owned = Owned(self.partition, Claim(1, uuid4()))
        self.worker._owned[NUMBER] = self.owned
        self.worker._epochs[NUMBER] = 5

    def receive(self, *offsets: int, epoch: int = 5) -> None:
        self.worker.receive(FoldedBatch(MESSAGES, NUMBER, epoch, records(*offsets)))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_batch_fetched_before_the_last_seek_is_dropped() -> None:
    async def test() -> None:
        world = World()
        world.receive(0, 1, 2, epoch=4)
        assert world.partition.buffered(MESSAGES) == 0
        world.receive(0, 1, 2)
        assert world.partition.buffered(MESSAGES) == 3

    run(test())


def test_records_below_the_next_offset_are_skipped_and_legal_gaps_are_not_missed() -> None:
    async def test() -> None:
        world = World()
        world.receive(0, 1, 2)
        world.receive(1, 2, 3, 7)  # 4 to 6 were never visible: a transaction, or compaction
        assert world.partition.buffered(MESSAGES) == 5
        assert world.partition.next_offset[MESSAGES] == 8

    run(test())


@pytest.mark.parametrize("turns", range(4))
def test_a_partition_that_is_handed_back_while_it_wakes_up_stops(turns: int) -> None:
    async def test() -> None:
        world = World()
        world.owned.looked_at = asyncio.get_running_loop().time()
        world.owned.loop = asyncio.create_task(world.worker._run(world.owned))
        await asyncio.sleep(0.01)
        world.worker._ownership = SimpleNamespace(release=lambda *_: None)  # type: ignore[assignment]
        handing_back = asyncio.create_task(world.worker.hand_back({TP(MESSAGES, NUMBER)}))
        for _ in range(turns):
            await asyncio.sleep(0)
        world.owned.wake.set()
        await handing_back
        assert world.owned.loop.cancelled(), "it went on as if nobody had asked it to stop"

    run(test())


def test_the_agent_never_sees_an_exception_since_faust_would_ack_the_batch() -> None:
    async def test() -> None:
        world = World()
        world.partition.take = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        world.receive(0)
        assert isinstance(world.worker.failed.result(), ZeroDivisionError)

    run(test())


def test_only_checkpointed_offsets_are_committable_whatever_was_processed() -> None:
    async def test() -> None:
        world = World()
        world.receive(0, 1, 2)
        world.partition.apply(dict.fromkeys(EVENT_TOPICS, 99), 0)
        assert world.worker.committable() == {}
        plan = world.partition.collect(world.owned.claim, 0, 0)
        assert world.worker.committable() == {}, "collected is not written"
        world.worker._note_checkpoint(world.owned, plan)
        consumer: Any = SimpleNamespace(owner=world.worker)
        assert BatchConsumer._filter_committable_offsets(consumer, []) == {TP(MESSAGES, NUMBER): 3}

    run(test())


def test_nothing_is_claimed_between_a_revocation_and_the_next_assignment() -> None:
    """Faust also asks where to go on from a fetch that a rebalance has overtaken."""

    async def test() -> None:
        async def take_over(_: set[TP]) -> dict[TP, int]:
            pytest.fail("it was handed back a moment ago, and somebody else may own it by now")

        consumer: Any = SimpleNamespace(
            owner=SimpleNamespace(take_over=take_over), _turn=asyncio.Lock(), _assigned=False
        )
        assert await BatchConsumer.seek_to_committed(consumer) == {}

    run(test())


def test_a_revocation_does_not_wait_for_a_seek() -> None:
    """The positions that the seek waits for will only be known after the rebalance."""

    async def test() -> None:
        async def take_over(assigned: set[TP]) -> dict[TP, int]:
            return dict.fromkeys(assigned, 3)

        async def hand_back(revoked: set[TP]) -> None:
            handed_back.update(revoked)

        async def seek_wait(_: Any) -> None:
            await asyncio.Event().wait()

        handed_back: set[TP] = set()
        consumer = object.__new__(BatchConsumer)
        fetcher = SimpleNamespace(_fetch_max_wait_ms=500)
        vars(consumer).update(
            owner=SimpleNamespace(take_over=take_over, hand_back=hand_back),
            _turn=asyncio.Lock(),
            _assigned=True,
            _thread=SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(_fetcher=fetcher)),
            assignment=lambda: {TP(MESSAGES, NUMBER)},
            seek_wait=seek_wait,
        )
        seeking = asyncio.create_task(consumer.seek_to_committed())
        await asyncio.sleep(0.01)
        assert not seeking.done()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(driver.Consumer, "on_partitions_revoked", lambda *_: asyncio.sleep(0))
            async with asyncio.timeout(5):
                await consumer.on_partitions_revoked({TP(MESSAGES, NUMBER)})
        assert handed_back == {TP(MESSAGES, NUMBER)}
        seeking.cancel()

    run(test())


def test_a_worker_is_ready_with_its_share_even_an_empty_one() -> None:
    async def test() -> None:
        world = World()
        assert not world.worker.ready, "the group has not spoken yet"
        world.worker.expect({TP(MESSAGES, NUMBER)})
        assert world.worker.ready
        world.worker.expect({TP(MESSAGES, NUMBER), TP(MESSAGES, NUMBER + 1)})
        assert not world.worker.ready, "the other one is not restored yet"
        world.worker.expect(set())
        assert world.worker.ready, "there are more workers than partitions: it stands by"

    run(test())


def test_a_failed_commit_is_not_counted_as_done() -> None:
    async def test() -> None:
        async def refuse(_: Any) -> None:
            raise CommitFailedError("rebalanced")

        held = {TP(MESSAGES, NUMBER)}
        consumer: Any = SimpleNamespace(
            assignment=lambda: held,
            _thread=SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(commit=refuse)),
            _in_thread=lambda call: call,
        )
        assert await BatchConsumer._commit_offsets(consumer, {TP(MESSAGES, NUMBER): 3}) is False

    run(test())


def test_a_partition_with_lag_but_no_fetch_stops_the_worker() -> None:
    async def test() -> None:
        world = World()
        now = asyncio.get_running_loop().time()
        world.owned.fetched_at = now
        world.worker._look_for_stall(world.owned, now + STALL_SECONDS - 1)
        assert not world.worker.failed.done()
        world.worker._look_for_stall(world.owned, now + STALL_SECONDS + 1)
        assert isinstance(world.worker.failed.result(), KafkaUnavailable)
        assert "goes on where it was" in str(world.worker.failed.result())

    run(test())


def test_a_full_buffer_is_not_fetched_for_and_the_others_are() -> None:
    async def test() -> None:
        world = World()
        assert world.worker.wants(TP(MESSAGES, NUMBER))
        world.worker._settings = Settings(buffer_max_records=3, batch_max_records=3)
        world.receive(0, 1, 2)
        assert not world.worker.wants(TP(MESSAGES, NUMBER))
        assert world.worker.wants(TP(EVENT_TOPICS[1], NUMBER))

    run(test())


def test_lag_and_freshness_grow_while_nothing_can_be_written() -> None:
    async def test() -> None:
        world = World()
        metric, labels = world.metrics.registry.get_sample_value, {"partition": str(NUMBER)}
        world.worker._ownership = SimpleNamespace(take_over=lambda *_: TakenOver(Claim(2, uuid4()), None))  # type: ignore[assignment]
        world.worker._clock = clock = SimpleNamespace(now_ms=lambda: clock.ms, ms=1_790_000_060_000)  # type: ignore[assignment]
        await world.worker._take_over_one(NUMBER)
        owned = world.owned = world.worker._owned[NUMBER]
        world.partition = owned.partition
        assert metric("qunpulse_freshness_seconds", labels) == 0
        world.receive(0, 1, 2)
        assert metric("qunpulse_freshness_seconds", labels) == 60, "append time of what waits in the buffer"
        owned.partition.apply(dict.fromkeys(EVENT_TOPICS, 99), 0)
        owned.caught_up = True
        plan = owned.partition.collect(owned.claim, 0, 0)
        clock.ms += 30_000
        assert metric("qunpulse_freshness_seconds", labels) == 90, "applied is not landed"
        assert metric("qunpulse_lag_seconds", labels) == 0
        world.worker._note_checkpoint(owned, plan)
        assert metric("qunpulse_freshness_seconds", labels) == 0
        assert metric("qunpulse_accounting_imbalance_records", {"topic": MESSAGES, **labels}) == 0
        newest = metric("qunpulse_event_clock_seconds", labels)
        owned.caught_up = False
        assert metric("qunpulse_lag_seconds", labels) == pytest.approx(clock.ms / 1000 - newest)

    run(test())


def test_a_partition_that_is_never_level_with_its_end_is_level_with_where_that_was() -> None:
    async def test() -> None:
        world = World()
        ends = dict.fromkeys(READ_TOPICS, 0)
        world.receive(0, 1)
        world.owned.note_ends(ends | {MESSAGES: 3}, now=10.0)  # one more is there, not fetched yet
        world.partition.apply(dict.fromkeys(EVENT_TOPICS, 99), 0)
        world.owned.note_applied()
        assert world.owned.level_at < 0
        world.receive(2)
        world.owned.note_ends(ends | {MESSAGES: 4}, now=10.1)  # and another one
        world.partition.apply(dict.fromkeys(EVENT_TOPICS, 99), 0)
        world.owned.note_applied()
        assert world.owned.level_at == 10.0

    run(test())


def test_a_partition_that_has_read_to_its_end_is_level_now_whatever_was_noted_before() -> None:
    async def test() -> None:
        world = World()

        async def ends(places: set[TP]) -> dict[TP, int]:
            return {place: 3 if place.topic == MESSAGES else 0 for place in places}

        world.worker.end_offsets = ends  # type: ignore[method-assign]
        world.owned.note_ends(dict.fromkeys(READ_TOPICS, 0) | {MESSAGES: 1}, now=0.0)
        world.receive(0, 1, 2)
        begun = asyncio.get_running_loop().time()
        assert await world.worker._apply_waiting(world.owned) == 3
        assert world.owned.level_at >= begun

    run(test())


def test_what_somebody_waits_for_is_flushed_soon_unless_the_partition_is_behind() -> None:
    async def test() -> None:
        world = World()
        waited = world.worker._flushing._waited
        world.owned.flushed_at = 100.0
        world.owned.level_at = 100.0
        assert waited(world.owned, 100.25) == pytest.approx(0.25)
        world.partition.urgent = lambda: True  # type: ignore[method-assign]
        assert waited(world.owned, 100.25) > 1
        world.owned.level_at = 0.0
        assert waited(world.owned, 100.25) == pytest.approx(0.05)

    run(test())


def test_a_flush_that_ends_after_its_partition_went_leaves_no_gauge_behind() -> None:
    async def test() -> None:
        world = World()
        world.receive(0)
        world.partition.apply(dict.fromkeys(EVENT_TOPICS, 99), 0)
        plan = world.partition.collect(world.owned.claim, 0, 0)
        del world.worker._owned[NUMBER]
        world.metrics.forget_partition(NUMBER)
        world.worker._note_checkpoint(world.owned, plan)
        assert f'partition="{NUMBER}"' not in generate_latest(world.metrics.registry).decode()

    run(test())


def test_faust_keeps_no_state_and_no_guarantee_of_its_own(tmp_path: Path) -> None:
    async def test() -> None:
        app = create_app(Settings(), tmp_path)
        assert app.conf.datadir == tmp_path, "no folder of Faust's own in the working directory"
        assert app.conf.processing_guarantee.value == "at_least_once"
        assert not app.tables
        assert app.conf.topic_disable_leader
        assert not app.conf.topic_allow_declare
        assert app.conf.stream_buffer_maxsize <= 64, "it counts batches, not records"

    run(test())
