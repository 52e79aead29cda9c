"""The worker: owns partitions, feeds them what was fetched, applies, flushes, and gives them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

from schemas.codec import Decoder
from schemas.topics import READ_TOPICS
from sinks.claims import Claim
from sinks.retry import RetryStopped
from streams.engine.checkpoint import FlushPlan
from streams.engine.dead_letters import BrokenFeedGuard
from streams.engine.flush import Flush
from streams.engine.flushing import Flushing
from streams.engine.owned import Owned
from streams.engine.ownership import Ownership, TakenOver
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.partition_state import no_programs
from streams.engine.transport import TP, FoldedBatch
from streams.errors import ClaimLost, KafkaUnavailable, QunpulseError
from streams.metrics import WorkerMetrics
from streams.operators.communities import ZoneOf
from streams.operators.program import ProgramsOf
from streams.settings import Settings
from streams.wall_clock import WallClock

log = logging.getLogger(__name__)

EndOffsets = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]

_IDLE_SECONDS = 0.05
_LOOK_SECONDS = 2.0
"""How often a partition without waiting records asks where its topics end: for lag, and for what is caught up."""
_CLAIM_WAITS_SECONDS = (0.2, 0.5, 1.0)
STALL_SECONDS = 60.0
"""Lag without any fetch for this long means that the consumer hangs (aiokafka 1154, 847): only a restart helps."""


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
        programs_of: ProgramsOf = no_programs,
    ) -> None:
        self._settings = settings
        self._partition_settings = partition_settings
        self._decoder = decoder
        self._zone_of = zone_of
        self._flush = flush
        self._ownership = ownership
        self._metrics = metrics
        self._clock = clock
        self._programs_of = programs_of
        metrics.configured_partitions.set(settings.partitions)
        self._guard = BrokenFeedGuard(settings.dead_letter_stop_share, settings.dead_letter_stop_window)
        self._epochs: dict[int, int] = {}
        self._owned: dict[int, Owned] = {}
        self._released: dict[int, tuple[Partition, Claim]] = {}
        self._committable: dict[TP, int] = {}
        self._expected: set[int] | None = None
        self._flushing = Flushing(
            settings, flush, metrics, clock, self._owned, self._look, self._note_checkpoint, self._fail
        )
        self._sized: Collection[str] = ()
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
        ours = {tp for tp in assigned if tp.topic in READ_TOPICS}
        numbers = {tp.partition for tp in ours}
        new = sorted(number for number in numbers if number not in self._owned or self._owned[number].lost)
        try:
            await asyncio.gather(*(self._take_over_one(number) for number in new))
        except (QunpulseError, RetryStopped) as error:
            self._fail(error)
            return {}
        oldest = await self.first_offsets(ours) if new else {}
        offsets = {}
        for tp in ours:
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
                        extra={"event": "records_lost_to_retention", "topic": tp.topic, "partition": number},
                    )
                partition.next_offset[tp.topic] = first
            offsets[tp] = partition.next_offset[tp.topic]
            if number in new:
                partition.fetched.start(tp.topic, partition.accounts[tp.topic].consumed, offsets[tp])
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
                    landing = await asyncio.to_thread(partition.restore, taken.state)
                    await asyncio.to_thread(self._flush.land, [landing])
        self._owned[number] = owned = Owned(partition, taken.claim)
        self._metrics.claim_epoch(number).set(taken.claim.number)
        # Asked at every scrape: while nothing can be written, nothing else would move them.
        self._metrics.lag_seconds(number).set_function(lambda: self._lag_seconds(owned))
        self._metrics.freshness_seconds(number).set_function(lambda: self._seconds_since(partition.fetched.oldest_ms))
        log.info(
            "partition %d: ours under claim %d, offsets %s", number, taken.claim.number, partition.next_offset,
            extra={"event": "partition_taken_over", "partition": number, "claim": taken.claim.number},
        )  # fmt: skip

    async def _claim(self, number: int, released: Claim | None) -> TakenOver:
        """Claim a partition; one that another worker claimed at the same moment is claimed again.

        The group has given it to us: the other one acted on an assignment that is over, and its next insert will fail.
        """
        for wait_seconds in _CLAIM_WAITS_SECONDS:
            try:
                return await asyncio.to_thread(self._ownership.take_over, number, released)
            except ClaimLost as error:
                log.warning("%s; claiming again", error, extra={"event": "claim_lost", "partition": number})
                await asyncio.sleep(wait_seconds)
        return await asyncio.to_thread(self._ownership.take_over, number, released)

    def _new_partition(self, number: int) -> Partition:
        return Partition(
            number, self._partition_settings, self._decoder, self._zone_of, self._metrics, self._programs_of
        )

    async def hand_back(self, revoked: set[TP]) -> None:
        """Flush and release; the state stays in memory in case the partition comes straight back."""
        self._expected = None
        await asyncio.gather(*(self._hand_back_one(number) for number in sorted({tp.partition for tp in revoked})))
        self._metrics.partitions_assigned.set(len(self._owned))
        self._note_sizes()

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
            owned.partition.drop_waiting()
            lost = await self._flushing.last(owned)
            if lost is not None:
                log.warning(
                    "partition %d: taken over before the last flush; the new owner reads on: %s", number, lost,
                    extra={"event": "partition_lost", "partition": number},
                )  # fmt: skip
            elif not owned.lost:
                await asyncio.to_thread(self._ownership.release, number, owned.claim)
                self._released[number] = (owned.partition, owned.claim)
        except (QunpulseError, RetryStopped) as error:
            log.warning(
                "partition %d: not released cleanly, its next owner will wait: %s", number, error,
                extra={"event": "partition_not_released", "partition": number},
            )  # fmt: skip
        except Exception as error:
            self._fail(error)

    # -- what the agent brings ----------------------------------------------------------------------------------------

    def receive(self, batch: FoldedBatch) -> None:
        """Decode and buffer a fetched batch; never raises, since Faust would then count it as done."""
        owned = self._owned.get(batch.partition)
        if owned is None or owned.lost or batch.epoch != self.epoch(batch.partition):
            self._metrics.stale_batches.inc()
            return
        owned.fetched_at = owned.arrived_at = asyncio.get_running_loop().time()
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
                await self._flushing.flush_if_due(owned)
                if applied:
                    await asyncio.sleep(0)  # let fetches and flushes in between two batches
                    continue
                owned.wake.clear()
                # Not `wait_for`: until Python 3.12 it swallows a cancellation that comes while the event is set: the
                # partition was then never handed back.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await owned.wake.wait()
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
        owned.note_applied()
        owned.caught_up = len(at_end) == len(READ_TOPICS) and not partition.waiting
        if owned.caught_up:
            owned.level_at = now
        if len(at_end) == len(READ_TOPICS) or applied:
            owned.fetched_at = max(owned.fetched_at, now)
        self._look_for_stall(owned, now)
        return applied

    def _look_for_stall(self, owned: Owned, now: float) -> None:
        """Stop the process when a partition has lag, room for more, and nothing was fetched for a long time."""
        number = owned.partition.number
        room = any(self.wants(TP(topic, number)) for topic in READ_TOPICS)
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
        asked_at = asyncio.get_running_loop().time()
        ends = await self.end_offsets({TP(topic, number) for topic in READ_TOPICS})
        owned.note_ends({tp.topic: end for tp, end in ends.items()}, asked_at)
        for tp, end in ends.items():
            self._metrics.lag_records(tp.topic, number).set(max(end - partition.accounts[tp.topic].next_offset, 0))
            partition.fetched.note_end(tp.topic, end, self._clock.now_ms())
        return {tp.topic: arrivals for tp, end in ends.items() if partition.next_offset[tp.topic] >= end}

    async def _look(self, owned: Owned) -> None:
        """Look where the topics of a partition that must hold on end: its lag is to be seen meanwhile."""
        at_end = await self._topics_at_end(owned)
        owned.caught_up = owned.caught_up and len(at_end) == len(READ_TOPICS)

    def _note_checkpoint(self, owned: Owned, plan: FlushPlan) -> None:
        number, partition = owned.partition.number, owned.partition
        if self._owned.get(number) is not owned:
            return  # handed back meanwhile: its gauges are gone, its next owner reports
        for topic, offset in plan.offsets.items():
            self._committable[TP(topic, number)] = offset
            self._metrics.imbalance_records(topic, number).set(partition.imbalance(topic))
        partition.fetched.note_landed(plan.offsets)
        self._metrics.checkpointed(number)
        if partition.reference_ms > 0:
            self._metrics.event_clock(number).set_function(lambda: partition.reference_ms / 1000)
        self._note_sizes()

    def _note_sizes(self) -> None:
        totals = dict.fromkeys(self._sized, 0)  # an operator of partitions that are all given away has no entries left
        for one in self._owned.values():
            for name, entries in one.partition.sizes().items():
                totals[name] = totals.get(name, 0) + entries
        self._sized = totals.keys()
        for name, entries in totals.items():
            self._metrics.state_entries(name).set(entries)

    def _lag_seconds(self, owned: Owned) -> float:
        known = owned.partition.reference_ms > 0
        return self._seconds_since(owned.partition.reference_ms) if known and not owned.caught_up else 0.0

    def _seconds_since(self, at_ms: int | None) -> float:
        return 0.0 if at_ms is None else max(self._clock.now_ms() - at_ms, 0) / 1000

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the group has assigned us our share (an empty one where there are more workers than partitions)
        and all of it is restored."""
        return self._expected is not None and self._expected <= self._owned.keys()

    def expect(self, assigned: set[TP]) -> None:
        """What the group has given to us, perhaps nothing; claimed a moment later."""
        self._expected = {tp.partition for tp in assigned if tp.topic in READ_TOPICS}

    async def close(self) -> None:
        """Flush and release everything."""
        await self.hand_back({TP(topic, number) for number in self._owned for topic in READ_TOPICS})

    def forbidden(self, error: BaseException) -> bool:
        """Whether a fetch failed because we may not read any more; the worker stops then."""
        refused = self._settings.kafka().refusal(error, "to read events")
        if refused is not None:
            self._fail(refused)
        return refused is not None

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            log.error("stopping: %s", error, extra={"event": "worker_failed"})
            self.failed.set_result(error)
