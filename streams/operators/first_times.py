"""When each member first did what referral credits rest on: minima (and one maximum) over the events, in any order.

Referral events count for nobody here: they may come at any age, and these times must be final once the lateness is
over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import Batch, Events, Ints, Mask, StateRows, distinct, fixed_binary, grown, rows_of
from streams.operators.tallies import STAFF_ROLES

UNSEEN = np.iinfo(np.int64).max
"""A first time that has not come."""

FIRST = ("seen", "joined", "active", "paid", "left", "role", "staff")
_LATEST = "rejoined"
_ROW = np.dtype([(name, "<i8") for name in (*FIRST, _LATEST)])


class FirstTimes:
    """By member number, in ms: first ``seen`` at all, ``joined``, ``active``, ``paid``, ``left``; first message or join
    (``role``), and the first of these as ``staff`` or bot; and the latest joining (``rejoined``, −1 for none)."""

    name = "referral_firsts"

    def __init__(self) -> None:
        self._times: dict[str, Ints] = {name: np.empty(0, np.int64) for name in (*FIRST, _LATEST)}
        self._dirty = np.empty(0, np.bool_)
        self._open_until = np.empty(0, np.int64)
        """By member: a message from then on changes nothing, unless it is sent as staff."""
        self._moved: list[Ints] = []

    def __len__(self) -> int:
        return len(self._dirty)

    def of(self, name: str, members: Ints) -> Ints:
        """One of the times of members; −1 as a member stands for nobody."""
        nobody = -1 if name == _LATEST else UNSEEN
        known = (members >= 0) & (members < len(self))
        times = np.full(len(members), nobody, np.int64)
        times[known] = self._times[name][members[known]]
        return times

    def apply(self, batch: Batch, members: int) -> Ints:
        """Take a batch in, of so many members in all; returns the members whose times changed."""
        if members > len(self):
            for name in FIRST:
                self._times[name] = grown(self._times[name], members, UNSEEN)
            self._times[_LATEST] = grown(self._times[_LATEST], members, -1)
            self._dirty = grown(self._dirty, members, False)
            self._open_until = grown(self._open_until, members, UNSEEN)
        self._moved = []
        for event_type, events in batch.by_type.items():
            if event_type == "message":
                self._messages(events)
            elif event_type == "join":
                self._joins(events)
            elif event_type == "order":
                member, times_ms = events.member, events.occurred_at_ms
                self._lower("seen", member, times_ms)
                paid = events.where("status", "paid")
                self._lower("active", member, times_ms, paid)
                self._lower("paid", member, times_ms, paid)
        if not self._moved:
            return np.empty(0, np.int64)
        changed = distinct(np.concatenate(self._moved))
        self._dirty[changed] = True
        self._note_open(changed)
        return changed

    def _note_open(self, members: Ints) -> None:
        # Nobody is seen first later than this.
        self._open_until[members] = np.maximum(self._times["role"][members], self._times["active"][members])

    def _messages(self, events: Events) -> None:
        member, times_ms = events.member, events.occurred_at_ms
        staff = events.where("sender_role", *STAFF_ROLES)
        some = np.flatnonzero(staff | (times_ms < self._open_until[member]))
        if not len(some):  # as is nearly always so: all of them have spoken before
            return
        member, times_ms, staff = member[some], times_ms[some], staff[some]
        self._lower("seen", member, times_ms)
        self._lower("role", member, times_ms)
        self._lower("active", member, times_ms, ~staff)
        self._lower("staff", member, times_ms, staff)

    def _joins(self, events: Events) -> None:
        member, times_ms = events.member, events.occurred_at_ms
        self._lower("seen", member, times_ms)
        self._lower("role", member, times_ms)
        self._lower("staff", member, times_ms, events.where("role", *STAFF_ROLES))
        self._lower("left", member, times_ms, events.where("action", "left", "removed", "gone"))
        joined = events.where("action", "joined")
        self._lower("joined", member, times_ms, joined)
        member, times_ms = member[joined], times_ms[joined]
        later = times_ms > self._times[_LATEST][member]
        np.maximum.at(self._times[_LATEST], member[later], times_ms[later])
        self._moved.append(member[later])

    def _lower(self, name: str, member: Ints, times_ms: Ints, which: Mask | None = None) -> None:
        column = self._times[name]
        lower = times_ms < column[member]
        if which is not None:
            lower &= which
        if lower.any():
            np.minimum.at(column, member[lower], times_ms[lower])
            self._moved.append(member[lower])

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._dirty))

    def dirty(self) -> list[StateRows]:
        """State rows of the members changed since the last call."""
        changed = np.flatnonzero(self._dirty)
        if not len(changed):
            return []
        self._dirty[changed] = False
        rows: npt.NDArray[np.void] = np.empty(len(changed), _ROW)
        for name, times in self._times.items():
            rows[name] = times[changed]
        return [StateRows(self.name, fixed_binary(changed.astype(">u8")), fixed_binary(rows))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        members, rows = rows_of(keys, np.dtype(">u8")).astype(np.int64), rows_of(payloads, _ROW)
        size = int(members.max()) + 1 if len(members) else 0
        for name in self._times:
            self._times[name] = grown(self._times[name], size, -1 if name == _LATEST else UNSEEN)
            self._times[name][members] = rows[name]
        self._dirty = grown(self._dirty, size, False)
        self._open_until = grown(self._open_until, size, UNSEEN)
        self._note_open(members)
