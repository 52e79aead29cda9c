"""Who is in a community: the latest roster event of a member decides, and a complete snapshot sets the rest right."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import Columns
from streams.operators.base import NEVER, Events, Ints, Mask, StateRows, binary
from streams.operators.member_rows import Fields

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


def status_of(rows: Fields, missed_ms: Ints) -> tuple[npt.NDArray[np.int8], Ints]:
    """Status of each member row and the time it left (NEVER when it did not).

    ``missed_ms`` is, a row, the time of the first complete snapshot after :func:`heard_ms` (NEVER when there is none).
    """
    roster_ms = ranked_time(rows["roster"])
    leaving = (rows["roster"] != NOTHING) & ((rows["roster"] & 7) >= ACTION_RANK["left"])
    left = leaving & (rows["posted_ms"] <= roster_ms)
    status = np.full(len(missed_ms), OBSERVED, np.int8)
    status[(rows["roster"] != NOTHING) & ~leaving] = ACTIVE
    status[left] = LEFT
    left_ms = rows["left_ms"].astype(np.int64)
    # Whoever had left before the snapshot keeps the time of leaving.
    missing = ~left & (missed_ms != NEVER)
    status[missing] = LEFT
    return status, np.where(missing, missed_ms, left_ms)


def heard_ms(rows: Fields) -> Ints:
    """When each member was last heard of, as far as a snapshot is concerned: roster event or message."""
    heard: Ints = np.maximum(ranked_time(rows["roster"]), rows["posted_ms"])
    return heard


@dataclass
class _Snapshot:
    """Lines of one snapshot. The members are let go once it is complete; then only its time can still change."""

    size: int
    earliest_ms: int
    latest_ms: int
    complete: bool = False
    members: set[int] = field(default_factory=set)

    def add(self, member: int, time_ms: int) -> None:
        self.earliest_ms = min(self.earliest_ms, time_ms)
        self.latest_ms = max(self.latest_ms, time_ms)
        if not self.complete:
            self.members.add(member)
            if len(self.members) >= self.size:
                self.complete, self.members = True, set()


@dataclass
class _Chain:
    """Roster versions that changes began with and ended with, and the time of the change.

    Sets, not a walk along the chain: one change that moves several members comes as several events with the same two
    versions, and they may come in any order.
    """

    began: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    unmet: set[str] = field(default_factory=set)
    """Versions that changes began with and none ended with."""

    def __post_init__(self) -> None:
        self.unmet = self.began.keys() - self.ended.keys()

    def link(self, before: str | None, after: str | None, time_ms: int) -> None:
        if after is None:
            return  # says nothing that could be checked against another change
        self.ended[after] = max(time_ms, self.ended.get(after, time_ms))
        self.unmet.discard(after)
        if before is not None:
            self.began[before] = max(time_ms, self.began.get(before, time_ms))
            if before not in self.ended:
                self.unmet.add(before)

    def forget_before(self, time_ms: int) -> None:
        """Leave out what happened before a snapshot."""
        self.began = {version: at for version, at in self.began.items() if at >= time_ms}
        self.ended = {version: at for version, at in self.ended.items() if at >= time_ms}
        self.unmet = self.began.keys() - self.ended.keys()

    def settle(self, oldest_ms: int) -> None:
        """Let go of versions in the middle of the chain of which no further copy can come."""
        middle = [
            version
            for version, at in self.began.items()
            if at < oldest_ms and self.ended.get(version, oldest_ms) < oldest_ms
        ]
        for version in middle:
            del self.began[version], self.ended[version]

    @property
    def broken(self) -> bool:
        """Whether more than one change (the very first) began with a version that no change ended with."""
        return len(self.unmet) > 1


_TIME_BITS = np.uint64(44)
_TIME = np.uint64((1 << 44) - 1)


class Roster:
    """Snapshots and roster versions of each community."""

    names = ("roster",)

    def __init__(self) -> None:
        self._complete_ms: dict[int, list[int]] = {}
        self._complete_keys = np.empty(0, np.uint64)
        self._open: dict[int, dict[str, _Snapshot]] = {}
        self._chains: dict[int, _Chain] = {}
        self._resync_needed: set[int] = set()
        self._dirty: set[int] = set()
        self.breaks: list[tuple[int, bool]] = []
        """Of the last batch of joins: with which of them a chain broke (True) or was whole again, in their order."""
        self.completions: list[tuple[int, int]] = []
        """Of the last batch of joins: with which of them a snapshot was complete, and the time (ms) of the community's
        latest snapshot by then."""

    def missed_ms(self, community: Ints, heard_ms: Ints) -> Ints:
        """Time of the first complete snapshot of the community after the given time, NEVER when there is none."""
        result = np.full(len(community), NEVER, np.int64)
        if len(self._complete_keys):
            key = (community.astype(np.uint64) << _TIME_BITS) | np.maximum(heard_ms, 0).astype(np.uint64)
            at = np.searchsorted(self._complete_keys, key, "right")
            found = self._complete_keys[np.minimum(at, len(self._complete_keys) - 1)]
            same = (at < len(self._complete_keys)) & ((found >> _TIME_BITS).astype(np.int64) == community)
            result[same] = (found[same] & _TIME).astype(np.int64)
        return result

    def latest_ms(self, communities: int) -> Ints:
        """Time of each community's latest complete snapshot, NEVER when there is none."""
        latest = np.full(communities, NEVER, np.int64)
        for number, times in self._complete_ms.items():
            latest[number] = times[-1]
        return latest

    def resync_needed(self, communities: int) -> Mask:
        """Communities whose version chain is broken since their last complete snapshot."""
        needed = np.zeros(communities, np.bool_)
        needed[list(self._resync_needed)] = True
        return needed

    def apply(self, joins: Events) -> tuple[list[int], list[int]]:
        """Take in versions and snapshot lines.

        Returns:
            The communities that a snapshot has just set right, and those whose need of a resync has changed.
        """
        columns = joins.columns
        linked = columns.given("roster_version_after")
        listed = columns.given("snapshot_id") & columns.given("snapshot_size") & joins.where("action", "present")
        self.breaks, self.completions = [], []
        completed: set[int] = set()
        changed: set[int] = set()
        for at in np.flatnonzero(linked | listed).tolist():
            community, time_ms = int(joins.community[at]), int(joins.occurred_at_ms[at])
            if linked[at]:
                self._link(community, time_ms, columns, at)
            if listed[at] and self._add_line(community, int(joins.member[at]), time_ms, columns, at):
                completed.add(community)
                self.completions.append((at, self._complete_ms[community][-1]))
            chain = self._chains.get(community)
            broken = chain is not None and chain.broken
            if broken != (community in self._resync_needed):
                self._resync_needed ^= {community}
                changed ^= {community}
                self.breaks.append((at, broken))
        if completed:
            self._index_snapshots()
        return sorted(completed), sorted(changed)

    def _add_line(self, community: int, member: int, time_ms: int, columns: Columns, at: int) -> bool:
        """Take a line of a snapshot in; whether the community has just been set right."""
        mine = self._open.setdefault(community, {})
        new = _Snapshot(columns["snapshot_size"][at], time_ms, time_ms)
        snapshot = mine.setdefault(columns["snapshot_id"][at], new)
        before = snapshot.earliest_ms if snapshot.complete else None
        snapshot.add(member, time_ms)
        self._dirty.add(community)
        if not snapshot.complete or snapshot.earliest_ms == before:
            return False
        self._set_right(community, before, snapshot.earliest_ms)
        return True

    def _set_right(self, community: int, before_ms: int | None, time_ms: int) -> None:
        times = self._complete_ms.setdefault(community, [])
        if before_ms is not None:
            times.remove(before_ms)
        insort(times, time_ms)
        if community in self._chains:
            self._chains[community].forget_before(times[-1])

    def _index_snapshots(self) -> None:
        keys = [(community << 44) | at for community, times in self._complete_ms.items() for at in times]
        self._complete_keys = np.array(sorted(keys), np.uint64)

    def _link(self, community: int, time_ms: int, columns: Columns, at: int) -> None:
        if time_ms < self._complete_ms.get(community, [NEVER])[-1]:
            return
        chain = self._chains.setdefault(community, _Chain())
        chain.link(columns["roster_version_before"][at], columns["roster_version_after"][at], time_ms)
        self._dirty.add(community)

    def settle(self, oldest_ms: Ints) -> None:
        """Let go of what events before ``oldest_ms`` of their community would be needed for.

        A snapshot is given up when no line has come for that long: its lines lie close together.
        """
        for community, mine in self._open.items():
            for name in [name for name, one in mine.items() if one.latest_ms < oldest_ms[community]]:
                del mine[name]
        self._open = {community: mine for community, mine in self._open.items() if mine}
        for community, chain in self._chains.items():
            if len(chain.began) > 1:
                chain.settle(int(oldest_ms[community]))

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
                name: (one.size, one.earliest_ms, one.latest_ms, one.complete, sorted(one.members))
                for name, one in self._open.get(number, {}).items()
            }
            complete_ms = self._complete_ms.get(number, [])
            payloads.append(msgspec.msgpack.encode([number, complete_ms, chain.began, chain.ended, snapshots]))
        return [StateRows("roster", binary([names[n].encode() for n in numbers]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for payload in payloads.to_pylist():
            number, complete_ms, began, ended, snapshots = msgspec.msgpack.decode(payload)
            if complete_ms:
                self._complete_ms[number] = complete_ms
            chain = self._chains[number] = _Chain(began, ended)
            if chain.broken:
                self._resync_needed.add(number)
            self._open[number] = {
                name: _Snapshot(size, earliest_ms, latest_ms, complete, set(members))
                for name, (size, earliest_ms, latest_ms, complete, members) in snapshots.items()
            }
        self._index_snapshots()
