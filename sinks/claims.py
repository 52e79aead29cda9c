"""Who owns a Kafka partition: numbered claims, of which only the newest may write state.

A claim is a number larger than every earlier one of its partition, and a UUID of the owner's own. Two
workers may pick the same number at the same moment: then the larger UUID wins, and both see that when they
read back. Nothing here waits; how long an owner that did not release is waited out is the engine's matter.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from sinks.clickhouse import ClickHouse, Setting
from sinks.schema import CLAIMS
from streams.errors import ClaimLost

# "Newest" must mean the same to every reader: compare UUIDs by their text, not by how a server or a language
# orders 16 bytes (ClickHouse and Python differ).
_NEWEST = f"""
    SELECT claim, toString(owner) AS owner_text, max(released) AS released, max(worker) AS worker
    FROM {CLAIMS}
    WHERE partition = {{partition:UInt16}} AND (claim, toString(owner)) < ({{below:UInt64}}, {{below_owner:String}})
    GROUP BY claim, owner_text
    ORDER BY claim DESC, owner_text DESC
    LIMIT 1
"""

_NO_CLAIM = 1 << 32  # larger than any claim number

# A claim is a promise to everybody else: written when the answer comes, never merged with other inserts.
_WRITE_NOW: dict[str, Setting] = {"async_insert": 0}


@dataclass(frozen=True)
class Claim:
    """A worker's right to write the state of one Kafka partition, as long as it is the newest.

    `worker` is for people who read the table; it is no part of the claim's identity.
    """

    number: int
    owner: uuid.UUID
    worker: str = field(default="", compare=False)


@dataclass(frozen=True)
class NewestClaim:
    """The newest claim of a partition: whose it is, and whether its owner let go of it cleanly."""

    claim: Claim
    released: bool

    @property
    def worker(self) -> str:
        """Name of the worker that made it."""
        return self.claim.worker


def newest(ch: ClickHouse, partition: int, before: Claim | None = None) -> NewestClaim | None:
    """The claim that counts for `partition`, None when nobody ever claimed it.

    With `before`, the newest that is older than that claim: its predecessor. Asked after `register`, the
    answer is final: whoever claims an older number from then on loses. (Asked before, it is not: another
    worker may claim, write and pause in between.)
    """
    below = (before.number, str(before.owner)) if before else (_NO_CLAIM, "")
    found = ch.rows(_NEWEST, {"partition": partition, "below": below[0], "below_owner": below[1]})
    if not found:
        return None
    number, owner, released, worker = found[0]
    return NewestClaim(Claim(int(number), uuid.UUID(owner), str(worker)), bool(released))


def register(ch: ClickHouse, partition: int, worker: str, owner: uuid.UUID | None = None) -> Claim:
    """Claim `partition` for `worker`; from here on every older claim's inserts fail.

    Whose state it takes over, and whether that owner must be waited out, says `newest(…, before=claim)`.

    Raises ClaimLost when another worker claimed at the same time and won: ask the group who owns it now.
    Safe to repeat after an unknown outcome: a repeated call makes a newer claim.
    """
    before = newest(ch, partition)
    claim = Claim(1 + (before.claim.number if before else 0), owner or uuid.uuid4(), worker)
    _write(ch, partition, claim, released=False)
    after = newest(ch, partition)
    if after is None or after.claim != claim:
        winner = f"claim {after.claim.number} of worker {after.claim.worker}" if after else "nobody"
        raise ClaimLost(f"partition {partition}: claim {claim.number} of {worker} lost to {winner}")
    return claim


def release(ch: ClickHouse, partition: int, claim: Claim, worker: str | None = None) -> None:
    """Let go of `partition`: the next owner need not wait, and nothing more may be written under `claim`.

    `worker` names who let go where that is not who claimed.
    """
    _write(ch, partition, replace(claim, worker=worker or claim.worker), released=True)


def is_newest(partition: int, claim: Claim) -> str:
    """SQL condition for `ClickHouse.insert_select`: true, or the statement fails with code 395.

    Evaluated once, when the statement starts and before any row is written. A plain comparison would insert
    nothing and report success; throwIf makes the loss impossible to overlook.
    """
    standing = f"""(
        SELECT argMax((claim, owner_text, released), (claim, owner_text))
        FROM (
            SELECT claim, toString(owner) AS owner_text, max(released) AS released
            FROM {CLAIMS} WHERE partition = {int(partition)} GROUP BY claim, owner_text
        )
    )"""
    mine = f"(toUInt32({claim.number}), '{claim.owner}', toUInt8(0))"
    return f"throwIf({standing} != {mine}, 'claim {claim.number} of partition {partition} is lost') = 0"


def _write(ch: ClickHouse, partition: int, claim: Claim, *, released: bool) -> None:
    # released rows have the higher version, so whichever is written last, a release is never undone
    ch.command(
        f"INSERT INTO {CLAIMS} (partition, claim, owner, worker, claimed_at, released, version) SELECT "
        "{partition:UInt16}, {claim:UInt32}, {owner:UUID}, {worker:String}, now64(3, 'UTC'), "
        "{released:UInt8}, {released:UInt8} + 1",
        params={
            "partition": partition,
            "claim": claim.number,
            "owner": str(claim.owner),
            "worker": claim.worker,
            "released": int(released),
        },
        settings=_WRITE_NOW,
    )
