"""Batch transport: Faust moves one message per fetched topic-partition chunk instead of one per record.

Handing every record through Faust's queues costs more than all our work on it. So the consumer folds the records that one fetch
brought for a topic-partition into one message whose value is a :class:`FoldedBatch`. Three methods of the consumer are the whole seam.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

__all__ = ["TP", "BatchConsumer", "BatchTransport", "FoldedBatch", "PartitionOwner"]


@dataclass(frozen=True, slots=True)
class FoldedBatch:
    """Records of one topic-partition from one fetch.

    ``epoch`` is the partition's epoch read before the fetch; a batch of an older epoch than the partition's is dropped:
    it was fetched before the last seek. (Offsets alone cannot tell: transactions and compaction leave legal gaps.)
    """

    topic: str
    partition: int
    epoch: int
    records: list[ConsumerRecord]

    @property
    def next_offset(self) -> int:
        """The offset behind the last record."""
        return int(self.records[-1].offset) + 1


class PartitionOwner(Protocol):
    """Who decides where reading starts, what may be fetched and what may be committed: the worker."""

    async def take_over(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Claim and restore newly assigned partitions; the offset to go on from of every assigned one."""

    async def hand_back(self, revoked: set[TP]) -> None:
        """Flush and release partitions before they are given to others."""

    def epoch(self, partition: int) -> int:
        """The partition's epoch; raised by every seek."""

    def wants(self, tp: TP) -> bool:
        """Whether more records of a topic-partition may be fetched now."""

    def committable(self) -> Mapping[TP, int]:
        """Offsets that the last completed flushes made committable."""


class BatchConsumer(driver.Consumer):
    """Faust's aiokafka consumer with folded fetches, our offsets, and nothing committed but checkpoints."""

    owner: PartitionOwner

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Any]]:
        owner = self.owner
        wanted = {tp for tp in active_partitions or () if owner.wants(tp)}
        if not wanted:
            await asyncio.sleep(0.01)  # every buffer is full: come back when something was applied
            return {}
        epochs = {tp.partition: owner.epoch(tp.partition) for tp in wanted}
        fetched = await super()._getmany(wanted, min(timeout, 0.2))
        folded: dict[TP, list[Any]] = {}
        for tp, records in fetched.items():
            if records:
                batch = FoldedBatch(tp.topic, tp.partition, epochs[tp.partition], records)
                folded[TP(tp.topic, tp.partition)] = [_carrier(batch)]
        return folded

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Called by Faust after every assignment, before it resumes fetching: claim, restore, seek to our offsets."""
        offsets = await self.owner.take_over({TP(tp.topic, tp.partition) for tp in self.assignment()})
        if offsets:
            await self.seek_wait(offsets)
        return offsets

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Flush and release first: once Faust has answered the group, others may claim."""
        await self.owner.hand_back(revoked)
        await super().on_partitions_revoked(revoked)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        # Faust would commit only over gapless acked offsets and so never advance with folded messages; and what it
        # counts as processed is only buffered. The offsets in our checkpoints are the truth, Kafka's are a hint.
        return {tp: offset for tp, offset in self.owner.committable().items() if offset > 0}

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        return ()

    async def end_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """End offsets as the brokers have them now."""
        found = await self.highwaters(*(TopicPartition(tp.topic, tp.partition) for tp in tps))
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def first_offsets(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """The oldest offsets the brokers still have."""
        found = await self.earliest_offsets(*(TopicPartition(tp.topic, tp.partition) for tp in tps))
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}


def _carrier(batch: FoldedBatch) -> ConsumerRecord:
    last = batch.records[-1]
    return ConsumerRecord(
        topic=batch.topic,
        partition=batch.partition,
        offset=last.offset,
        timestamp=last.timestamp,
        timestamp_type=last.timestamp_type,
        key=None,
        value=batch,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=(),
    )


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
