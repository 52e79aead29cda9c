"""Batch transport: Faust moves one message per fetched topic-partition chunk instead of one per record.

Handing every record through Faust's queues costs more than all our work on it. So the consumer folds the records that
one fetch brought for a topic-partition into one message whose value is a :class:`FoldedBatch`. Three methods of the
consumer, and what aiokafka's fetcher reads batches with, are the whole seam.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.record_batches import BlockRecords
from streams.engine.record_block import RecordBlock

__all__ = ["TP", "BatchConsumer", "BatchTransport", "FoldedBatch", "PartitionOwner"]

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 50
"""How long a broker may hold a fetch back when there is nothing new."""


@dataclass(frozen=True, slots=True)
class FoldedBatch:
    """Records of one topic-partition from one fetch.

    ``epoch`` is the partition's epoch read before the fetch; a batch of an older epoch than the partition's is dropped:
    it was fetched before the last seek. (Offsets alone cannot tell: transactions and compaction leave legal gaps.)
    """

    topic: str
    partition: int
    epoch: int
    records: RecordBlock


class PartitionOwner(Protocol):
    """Who decides where reading starts, what may be fetched and what may be committed: the worker."""

    def expect(self, assigned: set[TP]) -> None:
        """What the group has given to us, perhaps nothing; claimed a moment later."""

    async def take_over(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Claim and restore newly assigned partitions; the offset to go on from of every assigned one."""

    async def hand_back(self, revoked: set[TP]) -> None:
        """Flush and release partitions before they are given to others."""

    def epoch(self, partition: int) -> int:
        """The partition's epoch; raised by every seek."""

    def wants(self, tp: TP) -> bool:
        """Whether more records of a topic-partition may be fetched now."""

    def forbidden(self, error: KafkaError) -> bool:
        """Whether a fetch failed because we may not read any more; the owner ends then, in its own words."""

    def committable(self) -> Mapping[TP, int]:
        """Offsets that the last completed flushes made committable."""


class BatchConsumer(driver.Consumer):
    """Faust's aiokafka consumer with folded fetches, our offsets, and nothing committed but checkpoints."""

    owner: PartitionOwner

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turn = asyncio.Lock()
        self._assigned = False

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109  # Faust's signature
    ) -> dict[TP, list[Any]]:
        owner = self.owner
        wanted = {tp for tp in active_partitions or () if owner.wants(tp)}
        if not wanted:
            await asyncio.sleep(0.01)  # every buffer is full: come back when something was applied
            return {}
        epochs = {tp.partition: owner.epoch(tp.partition) for tp in wanted}
        try:
            fetched = await super()._getmany(wanted, min(timeout, 0.2))
        except KafkaError as error:
            if not owner.forbidden(error):
                raise
            await asyncio.sleep(0.2)  # the worker is on its way out
            return {}
        folded: dict[TP, list[Any]] = {}
        for tp, records in fetched.items():
            if records:
                batch = FoldedBatch(tp.topic, tp.partition, epochs[tp.partition], RecordBlock.chained(records))
                folded[TP(tp.topic, tp.partition)] = [_carrier(batch)]
        return folded

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Called by Faust after every assignment, before it resumes fetching: claim, restore, seek to our offsets.

        Faust also calls it from a fetch that a rebalance has overtaken. So calls take turns (the second finds all
        claimed), and between a revocation and the next assignment none of them claims what was just handed back.
        """
        async with self._turn:
            if not self._assigned:
                return {}
            # aiokafka has one fetch a broker under way; while it waits for topics that are quiet, what was read up
            # meanwhile is not asked for. Faust fixes that wait at 1.5 s, which caps a busy topic beside a quiet one.
            self._thread._ensure_consumer()._fetcher._fetch_max_wait_ms = FETCH_WAIT_MS
            offsets = await self.owner.take_over({TP(tp.topic, tp.partition) for tp in self.assignment()})
        # Outside of the turn: when a rebalance comes now, this waits for positions that will never be known, and the
        # revocation must not wait for it.
        if offsets:
            await self.seek_wait(offsets)
        return offsets

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """From here on partitions may be claimed."""
        self._assigned = True
        self.owner.expect({TP(tp.topic, tp.partition) for tp in assigned})
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Flush and release first: once Faust has answered the group, others may claim."""
        self._assigned = False
        async with self._turn:
            await self.owner.hand_back(revoked)
        await super().on_partitions_revoked(revoked)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        # Faust would commit only over gapless acked offsets and so never advance with folded messages; and what it
        # counts as processed is only buffered. The offsets in our checkpoints are the truth, Kafka's are a hint.
        return {tp: offset for tp, offset in self.owner.committable().items() if offset > 0}

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        return ()

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        # Faust's own version notes offsets as committed even when the commit failed (its issue 316) and flushes its
        # producer first. Ours are a hint for lag monitors: a failed commit is tried again with the next checkpoint.
        held = self.assignment()
        mine = {TopicPartition(*tp): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in held}
        if not mine:
            return False
        try:
            await self._in_thread(self._thread._ensure_consumer().commit(mine))
        except KafkaError as error:
            log.info(
                "offsets not committed, the next checkpoint tries again: %r", error, extra={"event": "commit_postponed"}
            )
            return False
        return True

    async def end_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """End offsets as the brokers have them now."""
        return await self._offsets_of(self._thread._ensure_consumer().end_offsets, tps)

    async def first_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """The oldest offsets the brokers still have."""
        return await self._offsets_of(self._thread._ensure_consumer().beginning_offsets, tps)

    async def _offsets_of(self, ask: Callable[..., Awaitable[Any]], tps: Iterable[TP]) -> Mapping[TP, int]:
        found = await self._in_thread(ask([TopicPartition(*tp) for tp in tps]))
        return {TP(*tp): offset for tp, offset in found.items()}

    async def _in_thread(self, call: Awaitable[Any]) -> Any:
        # Not through Faust's queue of calls to that thread: there it would stand behind a fetch that waits for records.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._thread.thread_loop))  # type: ignore[arg-type]


def _carrier(batch: FoldedBatch) -> ConsumerRecord:
    return ConsumerRecord(
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.records.offset,
        timestamp=int(batch.records.timestamps_ms[-1]),
        timestamp_type=1,
        key=None,
        value=batch,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )


class _Blocks(PartitionRecords):
    """Hands blocks on as they are; single records of old formats become blocks of one."""

    def _consumer_record(self, tp: TopicPartition, record: Any) -> RecordBlock:
        return RecordBlock.of(record if isinstance(record, RecordBlock) else [record])


fetcher.MemoryRecords = BlockRecords
fetcher.PartitionRecords = _Blocks


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
