"""One Kafka partition number: the topics that share it, their merge, and the state they build.

Batches travel: take (decode) → merge → apply → cut (what a flush writes). Nothing here waits or talks to a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from schemas.codec import Decoder
from schemas.topics import EVENT_TOPICS, SIDE_TOPICS
from sinks.claims import Claim
from streams.engine.accounts import TopicAccount
from streams.engine.applying import apply_events, apply_side
from streams.engine.checkpoint import FlushPlan, Landing
from streams.engine.cut import cut
from streams.engine.dedup import DedupIndex
from streams.engine.fetched import Fetched
from streams.engine.partition_state import PartitionSettings, PartitionState, no_programs
from streams.engine.record_block import RecordBlock, RecordLike
from streams.engine.restore import restore
from streams.metrics import WorkerMetrics
from streams.operators.base import NEVER, Ints
from streams.operators.communities import ZoneOf
from streams.operators.program import ProgramsOf

__all__ = ["Partition", "PartitionSettings"]

_MINUTE_MS = 60_000


class Partition:
    """State of one partition number under one claim."""

    def __init__(
        self,
        number: int,
        settings: PartitionSettings,
        decoder: Decoder,
        zone_of: ZoneOf,
        metrics: WorkerMetrics,
        programs_of: ProgramsOf = no_programs,
    ) -> None:
        self.number = number
        self.state = PartitionState(number, settings, decoder, zone_of, metrics, programs_of)
        self._cut_now_ms = NEVER

    # -- take ---------------------------------------------------------------------------------------------------------

    def take(self, topic: str, records: Sequence[RecordLike]) -> int:
        """Decode and buffer fetched records, but those below the next offset; returns how many were dead letters.

        Records of side topics are buffered as they are: what is wrong with them shows when they are applied.
        """
        state = self.state
        block = RecordBlock.of(records).since(state.next_offset[topic])
        if not block:
            return 0
        state.fetched.note(topic, block)
        if topic in SIDE_TOPICS:
            state.side.add(topic, block)
            state.next_offset[topic] = block.offset + 1
            return 0
        with state.metrics.timed("decode"):
            chunk = state.intake.take(topic, block, state.merge.latest_ms(EVENT_TOPICS.index(topic)))
        state.merge.add(chunk)
        state.next_offset[topic] = block.offset + 1
        for word_field in ("kind", "via"):
            raw = f"{word_field}_raw"
            if raw in chunk.columns and (unknown := int(np.count_nonzero(chunk.columns.given(raw)))):
                state.metrics.unknown_words("kind" if word_field == "kind" else "via").inc(unknown)
        return len(chunk.refused)

    def buffered(self, topic: str) -> int:
        """Records of a topic that wait to be applied."""
        if topic in SIDE_TOPICS:
            return self.state.side.buffered(topic)
        return self.state.merge.buffered(EVENT_TOPICS.index(topic))

    def drop_waiting(self) -> None:
        """Forget records that were taken in but not applied; they will be fetched again."""
        self.state.merge.drop_waiting()
        self.state.side.drop_waiting()
        for topic, account in self.accounts.items():
            self.next_offset[topic] = account.next_offset
            self.state.fetched.start(topic, account.consumed, account.next_offset)

    @property
    def waiting(self) -> bool:
        """Whether any record waits to be applied."""
        return self.state.merge.waiting or self.state.side.waiting

    @property
    def arrivals(self) -> int:
        """How many chunks of events were taken; asked for together with a topic's end."""
        return self.state.merge.arrivals

    # -- apply --------------------------------------------------------------------------------------------------------

    def apply(self, at_end: Mapping[str, int], ingested_at_ms: int) -> int:
        """Apply what can be; returns how many records found their outcome.

        Args:
            at_end: topics known to have been read to their end, and :attr:`arrivals` when their end was asked for.
            ingested_at_ms: wall clock, for the rows of ``events``.
        """
        records = apply_side(self.state) if self.state.side.waiting else 0
        records += apply_events(self.state, at_end, ingested_at_ms)
        self.state.unflushed.records += records
        return records

    # -- flush --------------------------------------------------------------------------------------------------------

    def now_ms(self, reference_ms: int) -> Ints:
        """*Now* of each community: the larger of its event clock and the reference."""
        return np.maximum(self.state.clock_ms(), reference_ms)

    def dirty_rows(self) -> int:
        """State rows that the next flush will write."""
        return self.state.operators.dirty_count() + len(self.state.moved_clocks) + self._dirty_in_programs()

    def has_news(self, reference_ms: int) -> bool:
        """Whether a flush would change anything: records found their outcome, timers are due, or a minute passed."""
        if self.unflushed_records or self._dirty_in_programs():
            return True
        known = len(self.state.directory.community_names) > 0
        return known and reference_ms // _MINUTE_MS > self._cut_now_ms // _MINUTE_MS

    def urgent(self) -> bool:
        """Whether a person waits for what the next flush will send."""
        return any(program.urgent() for program in self.state.programs)

    def collect(self, claim: Claim, reference_ms: int, checkpoint_at_ms: int) -> FlushPlan:
        """Everything since the last flush, as one consistent cut; what it holds counts as written from here on."""
        plan = cut(self.state, claim, self.now_ms(reference_ms), checkpoint_at_ms)
        self._cut_now_ms = max(self._cut_now_ms, reference_ms)
        return plan

    def _dirty_in_programs(self) -> int:
        return sum(program.dirty_count() for program in self.state.programs)

    # -- restore ------------------------------------------------------------------------------------------------------

    def restore(self, rows: pa.Table) -> Landing:
        """Take back what ``sinks.state.read_state`` gives; step 3 of the last checkpoint is to be done again."""
        return restore(self.state, rows)

    # -- figures ------------------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> dict[str, TopicAccount]:
        """What became of every record, by topic."""
        return self.state.accounts

    @property
    def next_offset(self) -> dict[str, int]:
        """By topic, the offset behind the last record taken in (applied or still waiting)."""
        return self.state.next_offset

    @property
    def reference_ms(self) -> int:
        """The largest event time applied."""
        return self.state.reference_ms

    @property
    def unflushed_records(self) -> int:
        """Records that found their outcome since the last flush."""
        return self.state.unflushed.records

    @property
    def started(self) -> bool:
        """Whether anything was ever checkpointed."""
        return self.state.checkpoint_number > 0

    @property
    def fetched(self) -> Fetched:
        """What came in and has not landed."""
        return self.state.fetched

    def imbalance(self, topic: str) -> int:
        """Records that have no outcome, or more than one; 0 while promise 1 holds.

        Those that came in are counted at the door, those with an outcome where it is decided: between the two lies
        everything that could lose a record or count it twice.
        """
        account = self.accounts[topic]
        unbooked = self.fetched.records(topic) - account.consumed - self.buffered(topic)
        return abs(unbooked) + abs(account.consumed - account.outcomes())

    def sizes(self) -> dict[str, int]:
        """Entries in memory by operator, for metrics."""
        sizes = {**self.state.operators.sizes(), DedupIndex.name: len(self.state.index)}
        for program in self.state.programs:
            sizes |= program.sizes()
        return sizes
