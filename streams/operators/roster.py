"""Who is in a community: the latest roster event of a member decides, and a complete snapshot sets the rest right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import NEVER, Events, Ints, Mask, StateRows, binary, grown

ACTIVE, LEFT, OBSERVED = 0, 1, 2
STATUSES = ("active", "left", "observed")
ACTION_RANK = {"present": 0, "joined": 1, "left": 2, "removed": 3, "gone": 4}
ROLE_RANK = {"member": 0, "expert": 1, "owner": 2, "admin": 3, "staff": 4, "bot": 5}
ROLES = tuple(ROLE_RANK)
NOTHING = np.int64(-1)
"""A ranked time that nothing has set yet."""


def ranked(occurred_at_ms: Ints, rank: Ints) -> Ints:
    """Times that compare first by time, then by rank, so that events of the same ms decide alike in any order."""
    return occurred_at_ms * 8 + rank


def ranked_time(value: Ints) -> Ints:
    """The time of ranked times; NEVER where nothing is set."""
    return np.where(value == NOTHING, NEVER, value >> 3)


def status_of(rows: npt.NDArray[Any], snapshot_ms: Ints) -> tuple[npt.NDArray[np.int8], Ints]:
    """Status of each member row and the time it left (NEVER when it did not).

    ``snapshot_ms`` is, a row, the time of the latest complete snapshot of its community (NEVER when there is none).
    """
    roster_ms = ranked_time(rows["roster"])
    posted_ms = rows["posted_ms"]
    leaving = (rows["roster"] != NOTHING) & ((rows["roster"] & 7) >= ACTION_RANK["left"])
    left = leaving & (posted_ms <= roster_ms)
    status = np.full(len(rows), OBSERVED, np.int8)
    status[(rows["roster"] != NOTHING) & ~leaving] = ACTIVE
    status[left] = LEFT
    left_ms = rows["left_ms"].astype(np.int64)
    # Not in the snapshot (whose lines are roster events at or after its time) and not heard of since: gone.
    missing = ~left & (roster_ms < snapshot_ms) & (posted_ms < snapshot_ms)
    status[missing] = LEFT
    return status, np.where(missing, snapshot_ms, left_ms)


@dataclass
class _Snapshot:
    size: int
    earliest_ms: int
    members: set[int] = field(default_factory=set)


@dataclass
class _Chain:
    """Roster versions that are the end of one event and not yet the beginning of another, and the reverse.

    Links may come in any order; the chain is whole while at most one beginning (the very first) is open.
    """

    open_before: dict[str, int] = field(default_factory=dict)
    open_after: dict[str, int] = field(default_factory=dict)

    def link(self, before: str | None, after: str | None, occurred_at_ms: int) -> None:
        if before is not None and self.open_after.pop(before, None) is None:
            self.open_before[before] = occurred_at_ms
        if after is not None and self.open_before.pop(after, None) is None:
            self.open_after[after] = occurred_at_ms

    def forget_before(self, time_ms: int) -> None:
        self.open_before = {version: at for version, at in self.open_before.items() if at >= time_ms}
        self.open_after = {version: at for version, at in self.open_after.items() if at >= time_ms}

    @property
    def broken(self) -> bool:
        return len(self.open_before) > 1


class Roster:
    """Snapshots and roster versions of each community."""

    names = ("roster",)

    def __init__(self) -> None:
        self._snapshot_ms = np.empty(0, np.int64)
        self._open: dict[int, dict[str, _Snapshot]] = {}
        self._chains: dict[int, _Chain] = {}
        self._dirty: set[int] = set()

    def snapshot_ms(self, communities: int) -> Ints:
        """Time of the latest complete snapshot by community number."""
        self._snapshot_ms = grown(self._snapshot_ms, communities, NEVER)
        return self._snapshot_ms[:communities]

    def resync_needed(self, communities: int) -> Mask:
        """Communities whose version chain is broken since their last complete snapshot."""
        needed = np.zeros(communities, np.bool_)
        for number, chain in self._chains.items():
            needed[number] = chain.broken
        return needed

    def apply(self, joins: Events) -> list[int]:
        """Take in versions and snapshot lines; returns the communities that a snapshot has just set right."""
        columns = joins.columns
        self._link_versions(joins)
        if columns["snapshot_id"].count(None) == len(joins):
            return []
        completed = []
        rows = zip(
            joins.community.tolist(),
            joins.member.tolist(),
            joins.occurred_at_ms.tolist(),
            columns["snapshot_id"],
            columns["snapshot_size"],
            columns["action"],
            strict=True,
        )
        for community, member, time_ms, snapshot_id, size, action in rows:
            if snapshot_id is None or size is None or action != "present":
                continue
            line_of = self._open.setdefault(community, {}).setdefault(snapshot_id, _Snapshot(size, time_ms))
            line_of.members.add(member)
            line_of.earliest_ms = min(line_of.earliest_ms, time_ms)
            self._dirty.add(community)
            if len(line_of.members) >= line_of.size and self._complete(community, snapshot_id):
                completed.append(community)
        return completed

    def _complete(self, community: int, snapshot_id: str) -> bool:
        earliest_ms = self._open[community].pop(snapshot_id).earliest_ms
        # An older snapshot that never became complete has nothing to say any more.
        self._open[community] = {
            name: other for name, other in self._open[community].items() if other.earliest_ms > earliest_ms
        }
        self._snapshot_ms = grown(self._snapshot_ms, community + 1, NEVER)
        if earliest_ms <= self._snapshot_ms[community]:
            return False
        self._snapshot_ms[community] = earliest_ms
        if community in self._chains:
            self._chains[community].forget_before(earliest_ms)
        return True

    def _link_versions(self, joins: Events) -> None:
        before, after = joins.columns["roster_version_before"], joins.columns["roster_version_after"]
        if before.count(None) == len(joins) and after.count(None) == len(joins):
            return
        for community, time_ms, first, then in zip(
            joins.community.tolist(), joins.occurred_at_ms.tolist(), before, after, strict=True
        ):
            known = community < len(self._snapshot_ms)
            if (first is None and then is None) or (known and time_ms < self._snapshot_ms[community]):
                continue
            self._chains.setdefault(community, _Chain()).link(first, then, time_ms)
            self._dirty.add(community)

    def dirty(self, names: list[str]) -> list[StateRows]:
        """State rows of the communities whose roster changed; ``names`` by community number."""
        if not self._dirty:
            return []
        numbers = sorted(self._dirty)
        self._dirty = set()
        payloads = []
        for number in numbers:
            chain = self._chains.get(number, _Chain())
            snapshots = {
                name: (one.size, one.earliest_ms, sorted(one.members))
                for name, one in self._open.get(number, {}).items()
            }
            snapshot_ms = int(self._snapshot_ms[number]) if number < len(self._snapshot_ms) else NEVER
            payloads.append(
                msgspec.msgpack.encode([number, snapshot_ms, chain.open_before, chain.open_after, snapshots])
            )
        return [StateRows("roster", binary([names[n].encode() for n in numbers]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for payload in payloads.to_pylist():
            number, snapshot_ms, open_before, open_after, snapshots = msgspec.msgpack.decode(payload)
            self._snapshot_ms = grown(self._snapshot_ms, number + 1, NEVER)
            self._snapshot_ms[number] = snapshot_ms
            self._chains[number] = _Chain(open_before, open_after)
            self._open[number] = {
                name: _Snapshot(size, earliest_ms, set(members))
                for name, (size, earliest_ms, members) in snapshots.items()
            }
