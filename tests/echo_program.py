"""A small program that needs everything a program is given: it sends facts about events and hears them elsewhere.

For each message it sends one fact, keyed by the community's *campaign*, which mostly lives on another partition; with
every flush the community's running total, each time under a higher revision; and once, by a timer, that an hour has
passed on its event clock. What it hears it lands in the table ``echoes``, one row a campaign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from schemas.topics import REFERRAL_FACTS
from streams.operators.base import NEVER, Batch, Ints, StateRows, binary
from streams.operators.outbox import OutboxRecord
from streams.operators.program import ProgramContext

HOUR_MS = 3_600_000
KEYS = {"echoes": ("campaign_id",)}
CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS qunpulse_store.echoes
(campaign_id String, facts UInt32, total UInt32, hours UInt32, version UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY campaign_id
"""

Event = Mapping[str, Any]


class Echo(msgspec.Struct):
    """A fact on its way; ``kind`` is fact, total or hour."""

    fact_id: str
    revision: int
    campaign_id: str
    kind: str


class EchoProgram:
    """One partition's part of it."""

    names: tuple[str, ...] = ("echo_sent", "echo_heard")

    def __init__(self, context: ProgramContext) -> None:
        self._directory = context.directory
        self._sent: dict[str, tuple[int, int, bool]] = {}
        """By community: messages, time of the first one, whether its hour has struck."""
        self._heard: dict[tuple[str, str], tuple[int, str]] = {}
        self._touched: set[str] = set()
        self._moved: set[tuple[str, str]] = set()
        self._outbox: list[OutboxRecord] = []

    def apply(self, batch: Batch) -> None:
        """Send a fact for every message."""
        messages = batch.get("message")
        if messages is None:
            return
        columns = messages.columns["community_id"], messages.columns["event_id"], messages.occurred_at_ms.tolist()
        for community, event_id, at in zip(*columns, strict=True):
            count, first_ms, struck = self._sent.get(community, (0, at, False))
            self._sent[community] = count + 1, min(first_ms, at), struck
            self._touched.add(community)
            self._send(f"{community}/{event_id}", 1, community, "fact")

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Strike the hour of communities whose event clock has come that far."""
        for number, community in enumerate(self._directory.community_names):
            if community not in self._sent:
                continue
            count, first_ms, struck = self._sent[community]
            clock = int(clock_ms[number])
            assert NEVER < clock <= int(now_ms[number])
            if not struck and clock >= first_ms + HOUR_MS:
                self._sent[community] = count, first_ms, True
                self._touched.add(community)
                self._send(f"{community}/hour", 1, community, "hour")

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Hear facts; of each id the highest revision counts."""
        if topic != REFERRAL_FACTS:
            return
        for echo in [msgspec.json.decode(value, type=Echo) for value in values]:
            place = echo.campaign_id, echo.fact_id
            if echo.revision > self._heard.get(place, (0, ""))[0]:
                self._heard[place] = echo.revision, echo.kind
                self._moved.add(place)

    def dirty(self) -> list[StateRows]:
        """What was sent, by community, and heard, by fact."""
        sent = [(name.encode(), msgspec.msgpack.encode(self._sent[name])) for name in sorted(self._touched)]
        heard = [("\0".join(place).encode(), msgspec.msgpack.encode(self._heard[place])) for place in self._moved]
        return [
            StateRows(name, binary([key for key, _ in rows]), binary([payload for _, payload in rows]))
            for name, rows in zip(self.names, (sent, heard), strict=True)
        ]

    def dirty_count(self) -> int:
        """Communities and facts that moved."""
        return len(self._touched) + len(self._moved)

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """The inverse of :meth:`dirty`."""
        for key, payload in _pairs(rows, "echo_sent"):
            count, first_ms, struck = msgspec.msgpack.decode(payload)
            self._sent[key.decode()] = count, first_ms, struck
        for key, payload in _pairs(rows, "echo_heard"):
            campaign_id, _, fact_id = key.decode().partition("\0")
            revision, kind = msgspec.msgpack.decode(payload)
            self._heard[campaign_id, fact_id] = revision, kind

    def derived(self) -> dict[str, pa.Table]:
        """The campaigns that heard something."""
        campaigns = sorted({campaign_id for campaign_id, _ in self._moved})
        self._moved = set()
        if not campaigns:
            return {}
        counts: Counter[tuple[str, str]] = Counter()
        for (campaign_id, _), (revision, kind) in self._heard.items():
            counts[campaign_id, kind] += revision if kind == "total" else 1
        columns = {
            name: pa.array([counts[campaign_id, kind] for campaign_id in campaigns], pa.uint32())
            for name, kind in (("facts", "fact"), ("total", "total"), ("hours", "hour"))
        }
        return {"echoes": pa.table({"campaign_id": pa.array(campaigns, pa.string()), **columns})}

    def outbox(self) -> list[OutboxRecord]:
        """Facts of the messages, then the totals they add up to."""
        for community in sorted(self._touched):
            self._send(f"{community}/total", self._sent[community][0], community, "total")
        self._touched = set()
        records, self._outbox = self._outbox, []
        return records

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    def settle(self, clock_ms: Ints) -> None:
        """Nothing is ever let go."""

    def sizes(self) -> dict[str, int]:
        """Entries in memory."""
        return {"echo_sent": len(self._sent), "echo_heard": len(self._heard)}

    def _send(self, fact_id: str, revision: int, community: str, kind: str) -> None:
        echo = Echo(fact_id, revision, campaign_of(community), kind)
        value = msgspec.json.encode(echo)
        self._outbox.append(OutboxRecord(REFERRAL_FACTS, echo.campaign_id, fact_id, revision, value))


def campaign_of(community: str) -> str:
    """Three communities share a campaign."""
    return f"回声-{sum(community.encode()) % 3}"


def expected_echoes(feed: Iterable[Event]) -> dict[str, tuple[int, int, int]]:
    """(facts, total, hours) by campaign, counted from the events alone, whose times stand in ``at_ms``."""
    first_ms: dict[str, int] = {}
    last_ms: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for one in feed:
        community, at_ms = one["community_id"], one["at_ms"]
        last_ms[community] = max(last_ms.get(community, at_ms), at_ms)
        if one["event_type"] == "message":
            first_ms[community] = min(first_ms.get(community, at_ms), at_ms)
            counts[community] += 1
    expected: dict[str, tuple[int, int, int]] = {}
    for community, count in counts.items():
        facts, total, hours = expected.get(campaign_of(community), (0, 0, 0))
        struck = int(last_ms[community] >= first_ms[community] + HOUR_MS)
        expected[campaign_of(community)] = facts + count, total + count, hours + struck
    return expected


def _pairs(rows: Mapping[str, tuple[pa.Array, pa.Array]], name: str) -> list[tuple[bytes, bytes]]:
    if name not in rows:
        return []
    keys, payloads = rows[name]
    return list(zip(keys.to_pylist(), payloads.to_pylist(), strict=True))
