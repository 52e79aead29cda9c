"""One Kafka partition number: the four event topics that share it, their merge, and the state they build.

Batches travel: take (decode) → merge → apply → collect (what a flush writes). Nothing here waits or talks to a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from schemas.codec import Decoder
from schemas.topics import EVENT_TOPICS
from sinks.claims import Claim
from streams.engine.accounts import TopicAccount, new_accounts
from streams.engine.checkpoint import (
    CHECKPOINT,
    REDO,
    Checkpoint,
    FlushPlan,
    generation_of,
    redo_rows,
    redo_table,
    state_table,
    version_of,
    with_version,
)
from streams.engine.clock import EventClocks
from streams.engine.dead_letters import dead_letter_rows
from streams.engine.dedup import DedupIndex
from streams.engine.event_rows import event_rows
from streams.engine.intake import Intake, Record, RefusedRecord
from streams.engine.merge import Merge, Slice
from streams.engine.outcomes import APPLIED, CONFLICT, DUPLICATE, LATE, Stretch, decide
from streams.errors import ConfigError
from streams.metrics import WorkerMetrics
from streams.operators.base import NEVER, Batch, Events, Ints, Mask, StateRows, binary
from streams.operators.communities import ZoneOf
from streams.operators.community import CommunityOperators
from streams.operators.directory import Directory

_CLOCKS = "clocks"
_MINUTE_MS = 60_000
_FEW = 32
_CONFLICT_DETAIL = (
    "event_id: an event with this id but another member or time was applied before; give it an id of its own"
)


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """What a partition needs to know of the settings."""

    partitions: int
    generation: int
    lateness_ms: int
    batch_max_records: int
    worker_version: str


class Partition:
    """State of one partition number under one claim."""

    def __init__(
        self,
        number: int,
        settings: PartitionSettings,
        decoder: Decoder,
        zone_of: ZoneOf,
        metrics: WorkerMetrics,
    ) -> None:
        self.number = number
        self._settings = settings
        self._metrics = metrics
        self._directory = Directory()
        self._intake = Intake(number, settings.partitions, decoder, self._directory)
        self._merge = Merge()
        self._clocks = EventClocks()
        self._index = DedupIndex()
        self._operators = CommunityOperators(self._directory, zone_of, settings.lateness_ms)
        self._checkpoint_number = 0
        self._moved_clocks: set[int] = set()
        self._events: list[pa.Table] = []
        self._refused: list[RefusedRecord] = []
        self._misrouted: list[RefusedRecord] = []
        self._collected_now_ms = NEVER
        self.accounts: dict[str, TopicAccount] = new_accounts()
        self.next_offset: dict[str, int] = dict.fromkeys(EVENT_TOPICS, 0)
        """By topic, the offset behind the last record taken in (applied or still waiting)."""
        self.reference_ms = NEVER
        """The largest event time applied."""
        self.unflushed_records = 0

    # -- take ---------------------------------------------------------------------------------------------------------

    def take(self, topic: str, records: Sequence[Record]) -> int:
        """Decode and buffer fetched records, but those below the next offset; returns how many were dead letters."""
        first_new = self.next_offset[topic]
        if records and records[0].offset < first_new:
            records = [record for record in records if record.offset >= first_new]
        if not records:
            return 0
        with self._metrics.timed("decode"):
            chunk = self._intake.take(topic, records, self._merge.latest_ms(EVENT_TOPICS.index(topic)))
        self._merge.add(chunk)
        self.next_offset[topic] = records[-1].offset + 1
        for word_field in ("kind", "via"):
            raw = chunk.columns.get(f"{word_field}_raw")
            if raw is not None and (unknown := len(raw) - raw.count(None)):
                self._metrics.unknown_words("kind" if word_field == "kind" else "via").inc(unknown)
        return len(chunk.refused)

    def buffered(self, topic: str) -> int:
        """Records of a topic that wait to be merged."""
        return self._merge.buffered(EVENT_TOPICS.index(topic))

    def drop_waiting(self) -> None:
        """Forget records that were taken in but not applied; they will be fetched again."""
        self._merge.drop_waiting()
        for topic, account in self.accounts.items():
            self.next_offset[topic] = account.next_offset

    @property
    def waiting(self) -> bool:
        """Whether any record waits to be merged."""
        return self._merge.waiting

    @property
    def arrivals(self) -> int:
        """How many chunks were taken; asked for together with a topic's end."""
        return self._merge.arrivals

    # -- apply --------------------------------------------------------------------------------------------------------

    def apply(self, at_end: Mapping[str, int], ingested_at_ms: int) -> int:
        """Merge and apply what nothing older can precede any more; returns how many records found their outcome.

        Args:
            at_end: topics known to have been read to their end, and :attr:`arrivals` when their end was asked for.
            ingested_at_ms: wall clock, for the rows of ``events``.
        """
        with self._metrics.timed("merge"):
            numbered = {EVENT_TOPICS.index(topic): arrivals for topic, arrivals in at_end.items()}
            slices = self._merge.release(numbered, self._settings.batch_max_records)
        if not slices:
            return 0
        with self._metrics.timed("apply"):
            self._apply(slices, ingested_at_ms)
        records = sum(map(len, slices))
        self.unflushed_records += records
        self._metrics.batch_records.observe(records)
        return records

    def _apply(self, slices: list[Slice], ingested_at_ms: int) -> None:
        spans = [one.events() for one in slices]
        pairs = list(zip(slices, spans, strict=True))
        key = np.concatenate([one.chunk.merge_key[one.chunk.position[span]] for one, span in pairs])
        order = np.argsort(key, kind="stable")  # slices come by topic, then offset: that settles equal keys
        stretch = Stretch(
            np.concatenate([one.chunk.community[span] for one, span in pairs])[order],
            np.concatenate([one.chunk.occurred_at_ms[span] for one, span in pairs])[order],
            np.concatenate([one.chunk.hashed[span] for one, span in pairs])[order],
            np.concatenate([one.chunk.what[span] for one, span in pairs])[order],
        )
        outcome = np.empty(len(order), np.int64)
        if len(order):
            communities = len(self._directory.community_names)
            outcome[order] = decide(stretch, self._index, self._clocks, self._settings.lateness_ms, communities)
        batch = Batch()
        parts: dict[str, list[Events]] = {}
        start = 0
        for one, span in pairs:
            count = span.stop - span.start
            events = self._settle_slice(one, span, outcome[start : start + count], ingested_at_ms)
            start += count
            if len(events):
                parts.setdefault(one.chunk.event_type, []).append(events)
        for event_type, found in parts.items():
            batch.by_type[event_type] = found[0] if len(found) == 1 else _joined(found)
            self._moved_clocks.update(np.unique(batch.by_type[event_type].community).tolist())
            self.reference_ms = max(self.reference_ms, int(batch.by_type[event_type].occurred_at_ms.max()))
        self._operators.apply(batch)

    def _settle_slice(self, one: Slice, span: slice, outcome: Ints, ingested_at_ms: int) -> Events:
        """Book the outcomes of a slice, land its rows for ``events``, and give its applied events."""
        chunk = one.chunk
        topic = EVENT_TOPICS[chunk.topic_number]
        account = self.accounts[topic]
        refused = [found for at, found in chunk.refused.items() if one.start <= at < one.stop]
        misrouted = [found for at, found in chunk.misrouted.items() if one.start <= at < one.stop]
        whole = span.stop - span.start == len(chunk.position)
        columns = chunk.columns if whole else {name: column[span] for name, column in chunk.columns.items()}
        times, community, member = (array[span] for array in (chunk.occurred_at_ms, chunk.community, chunk.member))
        applied = outcome == APPLIED
        late = outcome == LATE
        counts = np.bincount(outcome, minlength=4)
        if counts[CONFLICT]:
            positions = chunk.position[span][outcome == CONFLICT].tolist()
            refused += [chunk.refuse(at, "conflicting_duplicate", _CONFLICT_DETAIL) for at in positions]
        landed = applied | late
        if not landed.all():
            columns = _kept(columns, landed)
            times, community, member = times[landed], community[landed], member[landed]
            applied, late = applied[landed], late[landed]
        if len(times):
            self._events.append(event_rows(chunk.event_type, times, columns, late, ingested_at_ms))
        if late.any():
            columns = _kept(columns, applied)
            times, community, member = times[applied], community[applied], member[applied]
        self._book(topic, account, len(one), counts, len(misrouted), int(chunk.offsets[one.stop - 1]) + 1, times)
        self._refused += refused
        self._misrouted += misrouted
        return Events(times, community, member, columns)

    def _book(
        self,
        topic: str,
        account: TopicAccount,
        records: int,
        counts: Ints,
        misrouted: int,
        next_offset: int,
        times: Ints,
    ) -> None:
        found = {
            "applied": int(counts[APPLIED]),
            "duplicate": int(counts[DUPLICATE]),
            "late": int(counts[LATE]),
            "misrouted": misrouted,
        }
        found["dead_lettered"] = records - sum(found.values())
        for outcome, number in found.items():
            setattr(account, outcome, getattr(account, outcome) + number)
        account.consumed += records
        account.next_offset = next_offset
        if len(times):
            account.event_clock_ms = max(account.event_clock_ms, int(times.max()))
        for outcome, number in (*found.items(), ("consumed", records)):
            if number:
                self._metrics.records(topic, outcome).inc(number)  # type: ignore[arg-type]

    # -- collect ------------------------------------------------------------------------------------------------------

    def now_ms(self, reference_ms: int) -> Ints:
        """*Now* of each community: the larger of its event clock and the reference."""
        return np.maximum(self._clocks.ms(len(self._directory.community_names)), reference_ms)

    def dirty_rows(self) -> int:
        """State rows that the next flush will write."""
        return self._operators.dirty_count() + len(self._moved_clocks)

    def has_news(self, reference_ms: int) -> bool:
        """Whether a flush would change anything: records found their outcome, or a minute has passed."""
        if self.unflushed_records:
            return True
        known = len(self._directory.community_names) > 0
        return known and reference_ms // _MINUTE_MS > self._collected_now_ms // _MINUTE_MS

    def collect(self, claim: Claim, reference_ms: int, checkpoint_at_ms: int) -> FlushPlan:
        """Everything since the last flush, as one consistent cut; what it holds counts as written from here on."""
        self._checkpoint_number += 1
        version = version_of(self._settings.generation, claim.number, self._checkpoint_number)
        communities = len(self._directory.community_names)
        clock_ms = self._clocks.ms(communities)
        horizon_minute = (clock_ms - self._settings.lateness_ms) // _MINUTE_MS
        self._operators.settle(clock_ms)
        self._index.forget(horizon_minute)
        state, derived = self._operators.take(self.now_ms(reference_ms))
        state += self._index.dirty(horizon_minute)
        state += self._clock_rows()
        if self._refused:
            derived["dead_letters"] = dead_letter_rows(self._refused, self._settings.worker_version)
        derived["accounting"] = self._accounting_rows(checkpoint_at_ms)
        derived = {name: with_version(table, version) for name, table in derived.items()}
        state.append(redo_rows(derived))
        checkpoint = Checkpoint(
            self._checkpoint_number,
            {topic: account.numbers() for topic, account in self.accounts.items()},
            self._merge.released_ms(),
            self.reference_ms,
            self._settings.lateness_ms,
        )
        state.append(StateRows(CHECKPOINT, binary([b""]), binary([msgspec.msgpack.encode(checkpoint)])))
        plan = FlushPlan(
            partition=self.number,
            claim=claim,
            version=version,
            events=self._events,
            refused=self._refused,
            misrouted=self._misrouted,
            state=state_table(state, version),
            derived=derived,
            offsets={topic: account.next_offset for topic, account in self.accounts.items()},
            records=self.unflushed_records,
            left_keys=sum(len(rows) for rows in state if rows.deleted),
        )
        self._events, self._refused, self._misrouted = [], [], []
        self.unflushed_records = 0
        self._collected_now_ms = max(self._collected_now_ms, reference_ms)
        return plan

    def _clock_rows(self) -> list[StateRows]:
        if not self._moved_clocks:
            return []
        numbers = sorted(self._moved_clocks)
        self._moved_clocks = set()
        clock_ms = self._clocks.ms(len(self._directory.community_names))
        keys = [self._directory.community_names[number].encode() for number in numbers]
        payloads = [msgspec.msgpack.encode((number, int(clock_ms[number]))) for number in numbers]
        return [StateRows(_CLOCKS, binary(keys), binary(payloads))]

    def _accounting_rows(self, checkpoint_at_ms: int) -> pa.Table:
        accounts = self.accounts.values()
        columns = {
            name: pa.array([getattr(account, name) for account in accounts], pa.uint64())
            for name in ("consumed", "applied", "duplicate", "late", "dead_lettered", "misrouted")
        }
        clocks = [account.event_clock_ms if account.event_clock_ms >= 0 else None for account in accounts]
        time = pa.timestamp("ms", "UTC")
        return pa.table(
            {
                "topic": pa.array(list(self.accounts), pa.string()),
                "partition": pa.array([self.number] * len(accounts), pa.uint16()),
                **columns,
                "next_offset": pa.array([account.next_offset for account in accounts], pa.int64()),
                "event_clock": pa.array(clocks, time),
                "checkpoint_at": pa.array([checkpoint_at_ms] * len(accounts), time),
            }
        )

    # -- restore ------------------------------------------------------------------------------------------------------

    def restore(self, state: pa.Table) -> dict[str, pa.Table]:
        """Take back what ``sinks.state.read_state`` gives.

        Returns:
            The derived rows of the last checkpoint, to be landed again before anything else.
        """
        rows, versions = _by_operator(state, self._settings.generation)
        if CHECKPOINT not in rows:
            return {}
        checkpoint = msgspec.msgpack.decode(rows[CHECKPOINT][1][0].as_py(), type=Checkpoint)
        if self._settings.lateness_ms > checkpoint.lateness_ms:
            # What a larger lateness would let in again has left the state: it would be counted anew from nothing.
            raise ConfigError(
                f"allowed_lateness_seconds was raised from {checkpoint.lateness_ms // 1000} to "
                f"{self._settings.lateness_ms // 1000}, but partition {self.number} has its state for the smaller; "
                "set it back, or rebuild under a higher QUNPULSE_GENERATION"
            )
        version = int(versions[CHECKPOINT][0].as_py())
        self._checkpoint_number = checkpoint.number
        for topic, numbers in checkpoint.accounts.items():
            self.accounts[topic] = TopicAccount(*numbers)
            self.next_offset[topic] = self.accounts[topic].next_offset
        self._merge.restore(checkpoint.merged_ms)
        self.reference_ms = checkpoint.reference_ms
        if _CLOCKS in rows:
            for key, payload in zip(*(column.to_pylist() for column in rows[_CLOCKS]), strict=True):
                number, clock_ms = msgspec.msgpack.decode(payload)
                self._directory.restore_community(number, key.decode())
                self._clocks.advance(np.array([number]), np.array([clock_ms]))
        self._operators.restore(rows)
        if DedupIndex.name in rows:
            self._index.restore(*rows[DedupIndex.name])
        if REDO not in rows:
            return {}
        tables = zip(*(column.to_pylist() for column in rows[REDO]), versions[REDO].to_pylist(), strict=True)
        return {key.decode(): redo_table(payload) for key, payload, written in tables if written == version}

    def sizes(self) -> dict[str, int]:
        """Entries in memory by operator, for metrics."""
        return {**self._operators.sizes(), DedupIndex.name: len(self._index)}

    @property
    def started(self) -> bool:
        """Whether anything was ever checkpointed."""
        return self._checkpoint_number > 0


def _kept(columns: dict[str, list[Any]], keep: Mask) -> dict[str, list[Any]]:
    """The columns without the rows that are not kept."""
    dropped = np.flatnonzero(~keep)
    if len(dropped) > _FEW:
        kept = keep.tolist()
        return {name: list(compress(column, kept)) for name, column in columns.items()}
    shorter = {}
    for name, column in columns.items():
        shorter[name] = column.copy()
        for at in reversed(dropped.tolist()):
            del shorter[name][at]
    return shorter


def _joined(parts: list[Events]) -> Events:
    names = parts[0].columns
    return Events(
        np.concatenate([part.occurred_at_ms for part in parts]),
        np.concatenate([part.community for part in parts]),
        np.concatenate([part.member for part in parts]),
        {name: [value for part in parts for value in part.columns[name]] for name in names},
    )


def _by_operator(state: pa.Table, generation: int) -> tuple[dict[str, tuple[pa.Array, pa.Array]], dict[str, pa.Array]]:
    """Keys and payloads by operator, and their versions; rows of other generations are left out."""
    state = state.combine_chunks()
    operators = state["operator"].cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
    versions = state["version"].to_numpy()
    mine = np.fromiter((generation_of(int(v)) == generation for v in versions), np.bool_, len(versions))
    rows, found = {}, {}
    for name in np.unique(operators[mine]).tolist():
        part = state.filter(pa.array(mine & (operators == name))).combine_chunks()
        rows[name] = tuple(part[column].cast(pa.large_binary()).combine_chunks() for column in ("key", "payload"))
        found[name] = part["version"]
    return rows, found
