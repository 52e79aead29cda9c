"""The worker: owns partitions, feeds them what was fetched, applies, flushes, and gives them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from schemas.codec import Decoder
from schemas.topics import EVENT_TOPICS
from sinks.claims import Claim
from sinks.retry import RetryStopped
from streams.engine.checkpoint import FlushPlan
from streams.engine.clock import LIVE_DELAY_MS, WallClock
from streams.engine.dead_letters import BrokenFeedGuard
from streams.engine.flush import Flush
from streams.engine.ownership import Ownership, TakenOver
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.transport import TP, FoldedBatch
from streams.errors import ClaimLost, KafkaUnavailable, QunpulseError
from streams.metrics import WorkerMetrics
from streams.operators.communities import ZoneOf
from streams.settings import Settings

log = logging.getLogger(__name__)

EndOffsets = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]

_IDLE_SECONDS = 0.05
_LOOK_SECONDS = 2.0
"""How often a partition without waiting records asks where its topics end: for lag, and for what is caught up."""
_CLAIM_WAITS_SECONDS = (0.2, 0.5, 1.0)
_CLEAN_KEYS = 200_000
"""Keys that have left the state of a partition after which they are deleted from ClickHouse too."""
_BEHIND_FACTOR = 5
"""While a partition is behind, flushes come so much later: fewer and larger inserts, and nobody waits for freshness."""
STALL_SECONDS = 60.0
"""Lag without any fetch for this long means that the consumer hangs (aiokafka 1154, 847): only a restart helps."""


@dataclass
class Owned:
    """A partition of ours while it is assigned."""

    partition: Partition
    claim: Claim
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.Task[None] | None = None
    flush: asyncio.Task[None] | None = None
    cleaning: asyncio.Task[None] | None = None
    left_keys: int = 0
    flushed_at: float = 0.0
    looked_at: float = 0.0
    fetched_at: float = 0.0
    caught_up: bool = False
    lost: bool = False


class Worker:
    """One worker process; everything runs on its event loop but flushes and restores, which block in threads."""

    def __init__(
        self,
        settings: Settings,
        partition_settings: PartitionSettings,
        decoder: Decoder,
        zone_of: ZoneOf,
        flush: Flush,
        ownership: Ownership,
        metrics: WorkerMetrics,
        clock: WallClock,
    ) -> None:
        self._settings = settings
        self._partition_settings = partition_settings
        self._decoder = decoder
        self._zone_of = zone_of
        self._flush = flush
        self._ownership = ownership
        self._metrics = metrics
        self._clock = clock
        self._guard = BrokenFeedGuard(settings.dead_letter_stop_share, settings.dead_letter_stop_window)
        self._epochs: dict[int, int] = {}
        self._owned: dict[int, Owned] = {}
        self._released: dict[int, tuple[Partition, Claim]] = {}
        self._committable: dict[TP, int] = {}
        self._expected: set[int] | None = None
        self.end_offsets: EndOffsets
        self.first_offsets: EndOffsets
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Resolved with the error that must stop the process."""

    # -- what the transport asks --------------------------------------------------------------------------------------

    def epoch(self, partition: int) -> int:
        """The partition's epoch; raised by every seek."""
        return self._epochs.get(partition, 0)

    def wants(self, tp: TP) -> bool:
        """Whether more records of a topic-partition may be fetched now."""
        owned = self._owned.get(tp.partition)
        if owned is None or owned.lost:
            return False
        return owned.partition.buffered(tp.topic) < self._settings.buffer_max_records

    def committable(self) -> Mapping[TP, int]:
        """Offsets that completed flushes made committable."""
        return dict(self._committable)

    async def take_over(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Claim and restore what is new among the assigned partitions; where each topic-partition goes on."""
        events = {tp for tp in assigned if tp.topic in EVENT_TOPICS}
        numbers = {tp.partition for tp in events}
        new = sorted(number for number in numbers if number not in self._owned or self._owned[number].lost)
        try:
            await asyncio.gather(*(self._take_over_one(number) for number in new))
        except (QunpulseError, RetryStopped) as error:
            self._fail(error)
            return {}
        oldest = await self.first_offsets(events) if new else {}
        offsets = {}
        for tp in events:
            number = tp.partition
            self._epochs[number] = self.epoch(number) + 1
            partition = self._owned[number].partition
            wanted = partition.next_offset[tp.topic]
            first = oldest.get(tp, 0)
            if wanted < first:
                if partition.started and wanted > 0:
                    log.error(
                        "%s partition %d: records %d to %d were deleted by Kafka unread; raise its retention",
                        tp.topic,
                        number,
                        wanted,
                        first - 1,
                    )
                partition.next_offset[tp.topic] = first
            offsets[tp] = partition.next_offset[tp.topic]
        for number in new:
            owned = self._owned[number]
            owned.fetched_at = owned.flushed_at = asyncio.get_running_loop().time()
            owned.loop = asyncio.create_task(self._run(owned), name=f"partition-{number}")
        self._metrics.partitions_assigned.set(len(self._owned))
        return offsets

    async def _take_over_one(self, number: int) -> None:
        kept = self._released.pop(number, None)
        with self._metrics.restore_seconds.time():
            taken = await self._claim(number, kept[1] if kept else None)
            if taken.state is None and kept is not None:
                partition = kept[0]
            else:
                partition = self._new_partition(number)
                if taken.state is not None:
                    derived = await asyncio.to_thread(partition.restore, taken.state)
                    await asyncio.to_thread(self._flush.land, derived)
        self._owned[number] = Owned(partition, taken.claim)
        self._metrics.claim_epoch(number).set(taken.claim.number)
        log.info("partition %d: ours under claim %d, offsets %s", number, taken.claim.number, partition.next_offset)

    async def _claim(self, number: int, released: Claim | None) -> TakenOver:
        """Claim a partition; one that another worker claimed at the same moment is claimed again.

        The group has given it to us: the other one acted on an assignment that is over, and its next insert will fail.
        """
        for wait_seconds in _CLAIM_WAITS_SECONDS:
            try:
                return await asyncio.to_thread(self._ownership.take_over, number, released)
            except ClaimLost as error:
                log.warning("%s; claiming again", error)
                await asyncio.sleep(wait_seconds)
        return await asyncio.to_thread(self._ownership.take_over, number, released)

    def _new_partition(self, number: int) -> Partition:
        return Partition(number, self._partition_settings, self._decoder, self._zone_of, self._metrics)

    async def hand_back(self, revoked: set[TP]) -> None:
        """Flush and release; the state stays in memory in case the partition comes straight back."""
        self._expected = None
        await asyncio.gather(*(self._hand_back_one(number) for number in sorted({tp.partition for tp in revoked})))
        self._metrics.partitions_assigned.set(len(self._owned))

    async def _hand_back_one(self, number: int) -> None:
        owned = self._owned.pop(number, None)
        if owned is None:
            return
        self._epochs[number] = self.epoch(number) + 1
        if owned.loop is not None:
            owned.loop.cancel()
            await asyncio.gather(owned.loop, return_exceptions=True)
        for tp in [tp for tp in self._committable if tp.partition == number]:
            del self._committable[tp]
        self._metrics.forget_partition(number)
        try:
            if owned.flush is not None:
                await owned.flush
            if owned.lost:
                return
            owned.partition.drop_waiting()
            if owned.partition.unflushed_records:
                plan = owned.partition.collect(owned.claim, self._reference_ms(owned), self._clock.now_ms())
                await asyncio.to_thread(self._flush.write, plan)
            await asyncio.to_thread(self._ownership.release, number, owned.claim)
            self._released[number] = (owned.partition, owned.claim)
        except ClaimLost as error:
            log.warning("partition %d: taken over before the last flush; the new owner reads on: %s", number, error)
        except (QunpulseError, RetryStopped) as error:
            log.warning("partition %d: not released cleanly, its next owner will wait: %s", number, error)
        except Exception as error:
            self._fail(error)

    # -- what the agent brings ----------------------------------------------------------------------------------------

    def receive(self, batch: FoldedBatch) -> None:
        """Decode and buffer a fetched batch; never raises, since Faust would then count it as done."""
        owned = self._owned.get(batch.partition)
        if owned is None or owned.lost or batch.epoch != self.epoch(batch.partition):
            self._metrics.stale_batches.inc()
            return
        owned.fetched_at = asyncio.get_running_loop().time()
        try:
            dead = owned.partition.take(batch.topic, batch.records)
            self._guard.note(batch.topic, len(batch.records), dead)
            self._metrics.dead_letter_share.set(self._guard.share)
        except Exception as error:  # whatever it is, going on would lose the batch
            self._fail(error)
        owned.wake.set()

    # -- one partition's loop -----------------------------------------------------------------------------------------

    async def _run(self, owned: Owned) -> None:
        try:
            while not owned.lost and not self.failed.done():
                applied = await self._apply_waiting(owned)
                await self._flush_if_due(owned)
                if applied:
                    await asyncio.sleep(0)  # let fetches and flushes in between two batches
                    continue
                owned.wake.clear()
                try:
                    await asyncio.wait_for(owned.wake.wait(), _IDLE_SECONDS)
                except TimeoutError:
                    continue
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a partition that silently stands still is worse than a stop
            self._fail(error)

    async def _apply_waiting(self, owned: Owned) -> int:
        partition, now = owned.partition, asyncio.get_running_loop().time()
        if not partition.waiting and now - owned.looked_at < _LOOK_SECONDS:
            return 0
        owned.looked_at = now
        at_end = await self._topics_at_end(owned)
        applied = partition.apply(at_end, self._clock.now_ms()) if partition.waiting else 0
        owned.caught_up = len(at_end) == len(EVENT_TOPICS) and not partition.waiting
        if len(at_end) == len(EVENT_TOPICS) or applied:
            owned.fetched_at = max(owned.fetched_at, now)
        self._look_for_stall(owned, now)
        return applied

    def _look_for_stall(self, owned: Owned, now: float) -> None:
        """Stop the process when a partition has lag, room for more, and nothing was fetched for a long time."""
        number = owned.partition.number
        room = any(self.wants(TP(topic, number)) for topic in EVENT_TOPICS)
        if room and not owned.partition.waiting and now - owned.fetched_at > STALL_SECONDS:
            self._metrics.stalled_fetches.inc()
            self._fail(
                KafkaUnavailable(
                    f"partition {number} has records not fetched for {STALL_SECONDS:.0f} s: the consumer hangs; "
                    "stopping so that the supervisor starts the worker anew (it goes on where it was)"
                )
            )

    async def _topics_at_end(self, owned: Owned) -> dict[str, int]:
        """Topics whose end, asked for now, we have read up to; with the number of arrivals at the time of asking."""
        partition = owned.partition
        number, arrivals = partition.number, partition.arrivals
        ends = await self.end_offsets({TP(topic, number) for topic in EVENT_TOPICS})
        for tp, end in ends.items():
            self._metrics.lag_records(tp.topic, number).set(max(end - partition.accounts[tp.topic].next_offset, 0))
        return {tp.topic: arrivals for tp, end in ends.items() if partition.next_offset[tp.topic] >= end}

    async def _flush_if_due(self, owned: Owned) -> None:
        partition, settings = owned.partition, self._settings
        reference_ms = self._reference_ms(owned)
        if not partition.has_news(reference_ms):
            return
        full = (
            partition.unflushed_records >= settings.flush_max_events
            or partition.dirty_rows() >= settings.flush_max_rows
        )
        now = asyncio.get_running_loop().time()
        if owned.flush is not None and not owned.flush.done():
            if full:  # hold on: what is not flushed stays bounded, Kafka keeps the rest
                self._metrics.paused(partition.number).set(1)
                await asyncio.wait([owned.flush])
                self._metrics.paused(partition.number).set(0)
            else:
                return
        interval_seconds = settings.flush_interval_seconds * (1 if owned.caught_up else _BEHIND_FACTOR)
        if full or now - owned.flushed_at >= interval_seconds:
            owned.flushed_at = now
            plan = partition.collect(owned.claim, reference_ms, self._clock.now_ms())
            owned.flush = asyncio.create_task(self._write(owned, plan))

    async def _write(self, owned: Owned, plan: FlushPlan) -> None:
        number = owned.partition.number
        try:
            await asyncio.to_thread(self._flush.write, plan)
        except ClaimLost as error:
            log.warning("partition %d: another worker owns it now; dropping our state of it: %s", number, error)
            owned.lost = True
            return
        except RetryStopped:
            owned.lost = True
            return
        except Exception as error:
            owned.lost = True
            self._fail(error)
            return
        self._note_checkpoint(owned, plan)
        owned.left_keys += plan.left_keys
        if owned.left_keys >= _CLEAN_KEYS and (owned.cleaning is None or owned.cleaning.done()):
            owned.left_keys = 0
            owned.cleaning = asyncio.create_task(self._clean(number))

    async def _clean(self, number: int) -> None:
        try:
            await asyncio.to_thread(self._flush.clean, number)
        except QunpulseError as error:  # what stays is skipped by every restore; the next time takes it along
            log.warning("partition %d: keys that left the state were not deleted: %s", number, error)

    def _note_checkpoint(self, owned: Owned, plan: FlushPlan) -> None:
        number = owned.partition.number
        if self._owned.get(number) is owned:
            for topic, offset in plan.offsets.items():
                self._committable[TP(topic, number)] = offset
        self._metrics.checkpointed(number)
        if owned.partition.reference_ms > 0:
            self._metrics.event_clock(number).set(owned.partition.reference_ms / 1000)
            behind = 0 if owned.caught_up else max(self._clock.now_ms() - owned.partition.reference_ms, 0) / 1000
            self._metrics.lag_seconds(number).set(behind)
        totals: dict[str, int] = {}
        for one in self._owned.values():
            for name, entries in one.partition.sizes().items():
                totals[name] = totals.get(name, 0) + entries
        for name, entries in totals.items():
            self._metrics.state_entries(name).set(entries)

    def _reference_ms(self, owned: Owned) -> int:
        """What moves *now* besides a community's own events: the wall clock, or in event mode the partition's time."""
        if self._settings.clock_mode == "live" and owned.caught_up:
            return max(self._clock.now_ms() - LIVE_DELAY_MS, owned.partition.reference_ms)
        return owned.partition.reference_ms

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the group has assigned us our share (an empty one where there are more workers than partitions)
        and all of it is restored."""
        return self._expected is not None and self._expected <= self._owned.keys()

    def expect(self, assigned: set[TP]) -> None:
        """What the group has given to us, perhaps nothing; claimed a moment later."""
        self._expected = {tp.partition for tp in assigned if tp.topic in EVENT_TOPICS}

    async def close(self) -> None:
        """Flush and release everything."""
        await self.hand_back({TP(topic, number) for number in self._owned for topic in EVENT_TOPICS})

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            log.error("stopping: %s", error)
            self.failed.set_result(error)
