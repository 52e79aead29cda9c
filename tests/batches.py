"""Contract events driven through a partition without broker or store: fetched, flushed, lost and restored."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from schemas.codec import Decoder
from schemas.topics import READ_TOPICS, TOPIC_OF
from sinks.claims import Claim
from streams.engine.checkpoint import FlushPlan, Landing
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.partition_state import no_programs
from streams.metrics import WorkerMetrics
from streams.operators.outbox import OutboxRecord
from streams.operators.program import ProgramsOf

Event = dict[str, Any]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEYS = {
    "activity_1m": ("community_id", "window_start"),
    "activity_1h": ("community_id", "window_start"),
    "activity_1d": ("community_id", "window_start"),
    "activity_now": ("community_id", "window"),
    "community_days": ("community_id", "local_date"),
    "member_days": ("community_id", "day", "member_id"),
    "revenue_1d": ("community_id", "window_start", "currency"),
    "members": ("community_id", "member_id"),
    "communities": ("community_id",),
    "accounting": ("topic",),
    "dead_letters": ("topic", "offset"),
}
"""What one row of a derived table is about; a later version replaces an earlier one."""


def rfc3339(time_ms: int) -> str:
    """The time as the contract writes it."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=time_ms)).isoformat()


def event(event_type: str, event_id: str, time_ms: int, community: str = "c", **fields: Any) -> Event:
    """A valid event; fields that its type requires have plain values unless given."""
    required: dict[str, Event] = {
        "message": {"member_id": "m", "kind": "text"},
        "join": {"member_id": "m", "action": "joined"},
        "order": {"member_id": "m", "order_id": event_id, "status": "paid", "amount_minor": 100, "currency": "CNY"},
        "referral": {"campaign_id": "spring", "referrer_id": "m", "referee_id": "n"},
    }
    return {
        "event_id": event_id,
        "event_type": event_type,
        "schema_version": 1,
        "occurred_at": rfc3339(time_ms),
        "community_id": community,
        **required[event_type],
        **fields,
    }


@dataclass(slots=True)
class FakeRecord:
    """A Kafka record; appended long after every event time, so that no time lies in the future."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 4_000_000_000_000


class Replay:
    """All topics that are read, one partition of them, and what it has written so far."""

    def __init__(
        self,
        zones: Mapping[str, str] | None = None,
        lateness_ms: int = DAY_MS,
        partitions: int = 1,
        number: int = 0,
        batch_max_records: int = 1000,
        programs_of: ProgramsOf = no_programs,
        keys: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """``keys`` names the key columns of further base tables, which programs fill."""
        self._zones = zones or {}
        self._settings = PartitionSettings(partitions, 1, lateness_ms, batch_max_records, "test")
        self._number = number
        self._programs_of = programs_of
        self._metrics = WorkerMetrics()
        self.topics: dict[str, list[FakeRecord]] = {topic: [] for topic in READ_TOPICS}
        self.keys = KEYS | dict(keys or {})
        self.landed: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in self.keys}
        self.events: list[dict[str, Any]] = []
        self.outbox: list[OutboxRecord] = []
        """All that was sent, in its order; after a crash some of it stands here twice."""
        self._state: dict[tuple[str, bytes], dict[str, Any]] = {}
        self._claims = 0
        self.restart()

    # -- what is sent and fetched -------------------------------------------------------------------------------------

    def send(self, *events: Event) -> None:
        """Append events to their topics."""
        for one in events:
            value = json.dumps(one, ensure_ascii=False).encode()
            self.send_record(TOPIC_OF[one["event_type"]], one["community_id"].encode(), value)

    def send_record(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Append a record as it is."""
        self.topics[topic].append(FakeRecord(len(self.topics[topic]), key, value))

    def fetch(self, topic: str, most: int) -> bool:
        """Fetch records that were not fetched yet; whether there were any."""
        start = self.partition.next_offset[topic]
        records: Sequence[FakeRecord] = self.topics[topic][start : start + most]
        self.partition.take(topic, records)
        return bool(records)

    def at_end(self) -> dict[str, int]:
        """The topics that were read to their end."""
        return {
            topic: self.partition.arrivals
            for topic, records in self.topics.items()
            if self.partition.next_offset[topic] == len(records)
        }

    def apply(self) -> int:
        """Merge and apply what can be."""
        return self.partition.apply(self.at_end(), ingested_at_ms=0)

    def drain(self) -> None:
        """Fetch and apply all there is."""
        for topic in READ_TOPICS:
            self.fetch(topic, len(self.topics[topic]) + 1)
        while self.partition.waiting:
            assert self.apply(), "records wait though every topic was read to its end"

    # -- what is written ----------------------------------------------------------------------------------------------

    def collect(self, reference_ms: int | None = None) -> FlushPlan:
        """The plan of a flush, of which nothing is written yet."""
        reference_ms = self.partition.reference_ms if reference_ms is None else reference_ms
        return self.partition.collect(self._claim, reference_ms, checkpoint_at_ms=0)

    def checkpoint(self, plan: FlushPlan) -> None:
        """Steps 1 and 2 of a flush."""
        for table in plan.events:
            self.events += table.to_pylist()
        written = set()
        for row in plan.state.to_pylist():
            place = (row["operator"], row["key"])
            assert place not in written, f"{place} stands twice in one flush"
            written.add(place)
            assert row["version"] == plan.version
            self._state[place] = row

    def land(self, landing: Landing) -> None:
        """Step 3 of a flush."""
        self.outbox += landing.outbox
        for name, table in landing.derived.items():
            rows = table.to_pylist()
            places = [tuple(row[column] for column in self.keys[name]) for row in rows]
            assert len(set(places)) == len(places), f"{name}: a row stands twice in one flush"
            for place, row in zip(places, rows, strict=True):
                before = self.landed[name].get(place)
                assert before is None or before["version"] <= row["version"]
                self.landed[name][place] = row

    def flush(self, reference_ms: int | None = None) -> FlushPlan:
        """A whole flush."""
        plan = self.collect(reference_ms)
        self.checkpoint(plan)
        self.land(plan.landing)
        return plan

    def restart(self, lateness_ms: int | None = None) -> None:
        """A worker takes the partition over, maybe with another lateness: what was not checkpointed is lost."""
        if lateness_ms is not None:
            self._settings = replace(self._settings, lateness_ms=lateness_ms)
        self._claims += 1
        self._claim = Claim(self._claims, uuid.UUID(int=self._claims))
        zone_of: Callable[[str, str | None], str] = lambda community, _: self._zones.get(community, "UTC")  # noqa: E731
        self.partition = Partition(
            self._number, self._settings, Decoder(262_144), zone_of, self._metrics, self._programs_of
        )
        alive = [row for row in self._state.values() if not row["deleted"]]
        alive.sort(key=lambda row: row["key"][::-1])  # no order is promised
        if alive:
            schema = pa.schema(
                [
                    ("operator", pa.dictionary(pa.int32(), pa.string())),
                    ("key", pa.binary()),
                    ("payload", pa.binary()),
                    ("expires_at", pa.int64()),
                    ("version", pa.uint64()),
                ]
            )
            columns = [[row[name] for row in alive] for name in schema.names]
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            self.land(self.partition.restore(pa.table(arrays, schema=schema)))

    def spoil(self, operator: str) -> None:
        """All rows of an operator are as another version might have written them."""
        for row in self._state.values():
            if row["operator"] == operator:
                row["payload"] = b"odd"

    def state_rows(self, operator: str) -> int:
        """How many rows of an operator the store holds."""
        return sum(row["operator"] == operator and not row["deleted"] for row in self._state.values())

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Landed rows by their key, without version."""
        found = [self.landed[table][place] for place in sorted(self.landed[table])]
        return [{name: value for name, value in row.items() if name != "version"} for row in found]
