"""Who holds which partition, and whether whoever holds it still works on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.topics import READ_TOPICS
from sinks.clickhouse import ClickHouse
from sinks.schema import CLAIMS
from streams.accounts import Books, backlog
from streams.doctor.findings import Finding, ok, warning, wrong
from streams.kafka_cluster import Span
from streams.settings import Settings

STUCK_AFTER = timedelta(minutes=5)
"""With a backlog, a partition that was not checkpointed for so long is not worked on."""

_CHECK = "claims"
_NEWEST = f"""
SELECT partition, argMax(worker, (claim, owner_text)), argMax(released, (claim, owner_text))
FROM (
    SELECT partition, claim, toString(owner) AS owner_text, max(released) AS released, max(worker) AS worker
    FROM {CLAIMS} GROUP BY partition, claim, owner_text
)
GROUP BY partition ORDER BY partition
"""


@dataclass(frozen=True)
class Held:
    """The newest claim of a partition."""

    worker: str
    released: bool


def read_claims(clickhouse: ClickHouse) -> dict[int, Held]:
    """The newest claim of each partition that was ever claimed."""
    return {partition: Held(worker, bool(released)) for partition, worker, released in clickhouse.rows(_NEWEST)}


def look_at_claims(
    claims: Mapping[int, Held],
    books: Books,
    spans: Mapping[tuple[str, int], Span],
    members: int,
    now: datetime,
    settings: Settings,
) -> Iterable[Finding]:
    """Who holds what; claims of workers that are gone; partitions that nobody holds; partitions that stand still."""
    held = {partition: claim for partition, claim in claims.items() if not claim.released}
    free = [partition for partition in range(settings.partitions) if partition not in held]
    if held and not members:
        wait = settings.insert_timeout_seconds + 1
        yield wrong(
            _CHECK,
            f"{_by_worker(held)}, but no worker is in the group: it was not stopped cleanly",
            f"start a worker; it waits {wait} s for the last insert of the old one and takes over",
        )
    elif free and members:
        yield warning(
            _CHECK,
            f"nobody holds partitions {_listed(free)}",
            "a worker is still taking them over, or failed to: look again in a minute, then at the workers' logs",
        )
    elif held:
        yield ok(_CHECK, _by_worker(held))
    else:
        yield ok(_CHECK, "no partition is held; none is held by a worker that is gone")
    yield from _standing_still(held, books, spans, members, now)


def _standing_still(
    held: Mapping[int, Held], books: Books, spans: Mapping[tuple[str, int], Span], members: int, now: datetime
) -> Iterable[Finding]:
    behind: dict[int, int] = {}
    for (topic, partition), count in backlog(books, spans).items():
        if topic in READ_TOPICS:
            behind[partition] = behind.get(partition, 0) + count
    last = {
        partition: max(part.checkpoint_at for (_, number), part in books.items() if number == partition)
        for _, partition in books
    }
    for partition, count in sorted(behind.items()):
        if not members or not count or partition not in held or partition not in last:
            continue
        age = now - last[partition]
        if age > STUCK_AFTER:
            yield wrong(
                f"partition {partition}",
                f"{count:,} records wait and {held[partition].worker} has checkpointed nothing for "
                f"{age.total_seconds() / 60:.0f} minutes",
                "look at that worker's log and at /readyz, then restart it: nothing is lost by that",
            )


def _by_worker(held: Mapping[int, Held]) -> str:
    partitions: dict[str, list[int]] = {}
    for partition, claim in sorted(held.items()):
        partitions.setdefault(claim.worker, []).append(partition)
    return "; ".join(f"{worker} holds {_listed(numbers)}" for worker, numbers in sorted(partitions.items()))


def _listed(partitions: Sequence[int]) -> str:
    return ", ".join(map(str, partitions))
