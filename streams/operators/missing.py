"""Whom a complete roster snapshot misses: they have left, and no event says so.

`members` knows that too, but as it is after a whole batch. Alerts need it at its place in the merge, wherever the batch
is cut: behind the line with which a snapshot is complete, and behind an event that is older than a snapshot before it.
"""

from __future__ import annotations

import numpy as np

from streams.operators.arrivals import Arrivals
from streams.operators.base import NEVER, Batch, Ints, Mask, grown
from streams.operators.program import ProgramContext

_TIME_BITS = 44
"""Above the times of a batch stands which of its members they are of."""
_HEARD = ("message", "join")
"""What a member is heard of by, as far as a snapshot is concerned."""


class Missing:
    """When each member was last heard of, and when each community was last listed completely."""

    def __init__(self, partition: ProgramContext) -> None:
        self._partition = partition
        self._heard_ms = np.empty(0, np.int64)
        self._listed_ms = np.empty(0, np.int64)
        self.before_ms: dict[int, int] = {}
        """Of communities that were listed completely in the last batch: when they had been before it (NEVER: not)."""

    def apply(self, batch: Batch, arrivals: Arrivals) -> Arrivals:
        """The arrivals with leaves of those who are missing, right behind the event that shows it."""
        self._room()
        self.before_ms = {}
        heard = np.zeros(len(arrivals), np.bool_)
        for name in _HEARD:
            if name in arrivals.of_type:
                heard[arrivals.of_type[name]] = True
        behind, gone = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        start = 0
        for row, listed_ms in self._partition.members.snapshots:
            place = int(arrivals.of_type["join"][row])
            for at, who in (self._hear(heard, start, place + 1, arrivals), self._list(place, listed_ms, arrivals)):
                behind.append(at)
                gone.append(who)
            start = place + 1
        at, who = self._hear(heard, start, len(arrivals), arrivals)
        behind, gone = [*behind, at], [*gone, who]
        if not any(map(len, gone)):
            return arrivals
        return arrivals.with_leaves(np.concatenate(behind), np.concatenate(gone))

    def _hear(self, heard: Mask, start: int, stop: int, arrivals: Arrivals) -> tuple[Ints, Ints]:
        """Take events in; those after which their member is still missing, and whom."""
        at = start + np.flatnonzero(heard[start:stop])
        member, times = arrivals.member[at], arrivals.occurred_at_ms[at]
        old = times < self._listed_ms[arrivals.community[at]]
        missing = np.empty(0, np.int64)
        if old.any():
            order = np.argsort(member, kind="stable")
            latest = np.maximum(times, self._heard_ms[member])[order]
            other = np.concatenate(([0], np.cumsum(np.diff(member[order]) != 0))) << _TIME_BITS
            latest = np.maximum.accumulate(other | latest) - other  # of each member by itself
            still = latest < self._listed_ms[arrivals.community[at[order]]]
            missing = np.sort(order[still])
        np.maximum.at(self._heard_ms, member, times)
        return at[missing], member[missing]

    def _list(self, place: int, listed_ms: int, arrivals: Arrivals) -> tuple[Ints, Ints]:
        """A snapshot is complete; whom it misses of those that no earlier one missed."""
        community = int(arrivals.community[place])
        before_ms, self._listed_ms[community] = int(self._listed_ms[community]), listed_ms
        self.before_ms.setdefault(community, before_ms)
        here = np.flatnonzero(self._partition.directory.community_of == community)
        heard_ms = self._heard_ms[here]
        who = here[(heard_ms >= max(before_ms, 0)) & (heard_ms < listed_ms)]
        return np.full(len(who), place), who

    def restored(self) -> None:
        """Work out what follows from members and rosters, which are restored already."""
        self._room()
        known = len(self._partition.directory.member_ids)
        self._heard_ms[:known] = self._partition.members.heard_ms(np.arange(known))
        self._listed_ms[:] = self._partition.members.latest_snapshots_ms(len(self._listed_ms))

    def _room(self) -> None:
        directory = self._partition.directory
        self._heard_ms = grown(self._heard_ms, len(directory.member_ids), NEVER)
        self._listed_ms = grown(self._listed_ms, len(directory.community_names), NEVER)
