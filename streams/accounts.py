"""The books: per topic what was consumed and what became of it, and whether everything has landed.

`consumed = applied + duplicate + late + dead_lettered + misrouted` is the promise (nothing is lost, nothing
counted twice); it is checked here on the numbers that workers checkpointed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.topics import EVENT_TOPICS

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from streams.kafka_cluster import Span

OUTCOMES = ("applied", "duplicate", "late", "dead_lettered", "misrouted")


@dataclass(frozen=True)
class Account:
    """Cumulative counters of a topic, or of one partition of it."""

    consumed: int = 0
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    dead_lettered: int = 0
    misrouted: int = 0

    def __add__(self, other: Account) -> Account:
        return Account(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Account)))

    @property
    def balanced(self) -> bool:
        """Whether every consumed record has exactly one outcome."""
        counters = self.counters()
        return counters.pop("consumed") == sum(counters.values())

    def counters(self) -> dict[str, int]:
        """The six counters by name."""
        return {f.name: getattr(self, f.name) for f in fields(Account)}

    def equation(self) -> str:
        """The promise with its numbers, and OK or BROKEN."""
        parts = " + ".join(f"{getattr(self, name):,} {name.replace('_', '-')}" for name in OUTCOMES)
        return f"{self.consumed:,} consumed = {parts}  {'OK' if self.balanced else 'BROKEN'}"


@dataclass(frozen=True)
class PartitionAccount:
    """One partition's counters and how far it was landed."""

    account: Account
    next_offset: int
    event_clock: datetime | None
    checkpoint_at: datetime


Books = Mapping[tuple[str, int], PartitionAccount]

_QUERY = """
SELECT topic, partition, consumed, applied, duplicate, late, dead_lettered, misrouted,
       next_offset, event_clock, checkpoint_at
FROM qunpulse.accounting
"""


def read_books(clickhouse: ClickHouse) -> Books:
    """The books as of each partition's last checkpoint."""
    return {
        (topic, partition): PartitionAccount(Account(*counters), next_offset, event_clock, checkpoint_at)
        for topic, partition, *counters, next_offset, event_clock, checkpoint_at in clickhouse.rows(_QUERY)
    }


def by_topic(books: Books, topics: Iterable[str] = EVENT_TOPICS) -> dict[str, Account]:
    """Each topic's sum over its partitions; a topic nobody has read from has zeros."""
    totals = dict.fromkeys(topics, Account())
    for (topic, _), part in books.items():
        if topic in totals:
            totals[topic] += part.account
    return totals


def backlog(books: Books, spans: Mapping[tuple[str, int], Span]) -> dict[tuple[str, int], int]:
    """Records of each partition that are in Kafka and not yet landed."""
    return {
        where: max(0, span.end - max(books[where].next_offset if where in books else 0, span.begin))
        for where, span in spans.items()
    }
