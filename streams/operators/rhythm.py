"""The rhythm of each member: its last active day, its latest gaps, how active it has been lately. 27 bytes a member.

Kept apart from the ring of days in `members`, because alerts look at members as they were when they fell silent, also
inside a batch that spans months; days are in, one turn after the other, in the order in which they arrived.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import Ints, Mask, StateRows, fixed_binary, grown, rows_of
from streams.operators.member_rows import MemberRows

GAPS = 16
"""Gaps kept of a member: half a year of a weekly visitor. Older habits are no habits."""

_LONGEST_GAP = 255
_BITS = 32
_ROW = np.dtype(
    [
        ("number", "<u4"),
        ("last_day", "<u2"),
        ("active_days", "<u4"),
        ("gaps", "u1", GAPS),
        ("recent", "<u4"),
        ("told", "u1"),
    ]
)
_ONE = np.uint64(1)
_LAST_30 = (1 << 30) - 1


class Rhythms:
    """One row a member, by member number. Days are counted from 1970-01-01; day 0 stands for none."""

    name = "rhythms"

    def __init__(self) -> None:
        self._rows = MemberRows(np.zeros((), _ROW))
        self._dirty = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self._dirty)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(self._rows[name].nbytes for name in _ROW.names or ())

    def room(self, size: int) -> None:
        """Make room for so many members."""
        if size > len(self._dirty):
            self._rows.grow(size)
            self._dirty = grown(self._dirty, size, False)

    def last_day(self, members: Ints) -> Ints:
        """Each member's last active day, 0 where there is none."""
        found: Ints = self._rows["last_day"][members].astype(np.int64)
        return found

    def active_days(self, members: Ints) -> Ints:
        """On how many days each member was active so far."""
        found: Ints = self._rows["active_days"][members].astype(np.int64)
        return found

    def gaps(self, members: Ints) -> npt.NDArray[np.uint8]:
        """Each member's latest gaps in days, newest first; shape (members, GAPS)."""
        found: npt.NDArray[np.uint8] = self._rows["gaps"][members]
        return found

    def kept(self, members: Ints) -> Ints:
        """How many of the gaps count."""
        return np.clip(self.active_days(members) - 1, 0, GAPS)

    def active_days_30(self, members: Ints) -> Ints:
        """Active days in the 30 that end with the last one."""
        found: Ints = np.bitwise_count(self.recent(members) & _LAST_30).astype(np.int64)
        return found

    def recent(self, members: Ints) -> Ints:
        """Each member's active days among the 32 that end with its last one, as bits; that one is bit 0."""
        found: Ints = self._rows["recent"][members].astype(np.int64)
        return found

    def told(self, members: Ints) -> Mask:
        """Whose present silence has been looked at, with whatever outcome."""
        found: Mask = self._rows["told"][members] > 0
        return found

    def tell(self, members: Ints) -> None:
        """Mark the present silence as looked at."""
        self._rows["told"][members] = 1
        self._dirty[members] = True

    def note(self, members: Ints, day: Ints, gap: Ints) -> Mask:
        """Take one active day of each (distinct) member in; ``gap`` is its distance from the last one without holidays.

        Returns:
            Whose day was new.
        """
        last = self.last_day(members)
        later = day > last
        self._append(members[later], day[later], last[later], gap[later])
        new = later.copy()
        for at in np.flatnonzero(~later).tolist():
            new[at] = self._insert(int(members[at]), int(day[at]), int(last[at]))
        self._dirty[members[new]] = True
        return new

    def note_run(self, members: Ints, count: Ints, days: Ints, gaps: Ints) -> None:
        """Take several days of each (distinct) member in, all later than its last one.

        ``days`` rise within a member; they and their ``gaps`` stand one member after the other, ``count`` of each.
        """
        rows, end = self._rows, np.cumsum(count)
        last = days[end - 1]
        back = np.arange(GAPS) - count[:, None]  # of the old gaps, which one each place gets
        newer = np.clip(gaps, 1, _LONGEST_GAP)[np.maximum(end[:, None] - 1 - np.arange(GAPS), 0)]
        old = np.take_along_axis(rows["gaps"][members], np.maximum(back, 0), axis=1)
        rows["gaps"][members] = np.where(back < 0, newer, old)
        age = (np.repeat(last, count) - days).astype(np.uint64)
        bits = np.where(age < _BITS, _ONE << np.minimum(age, _BITS - 1), 0).astype(np.uint64)
        shift = np.minimum(last - self.last_day(members), _BITS).astype(np.uint64)
        recent = (rows["recent"][members].astype(np.uint64) << shift) | np.add.reduceat(bits, end - count)
        rows["recent"][members] = (recent & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        rows["last_day"][members] = last
        rows["active_days"][members] += count.astype(np.uint32)
        rows["told"][members] = 0
        self._dirty[members] = True

    def _append(self, members: Ints, day: Ints, last: Ints, gap: Ints) -> None:
        rows = self._rows
        first = last == 0
        gaps = rows["gaps"][members]
        gaps[:, 1:] = gaps[:, :-1]
        gaps[:, 0] = np.clip(gap, 1, _LONGEST_GAP)
        gaps[first] = 0
        rows["gaps"][members] = gaps
        shift = np.minimum(day - last, _BITS).astype(np.uint64)
        recent = (rows["recent"][members].astype(np.uint64) << shift) | _ONE
        rows["recent"][members] = (recent & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        rows["last_day"][members] = day
        rows["active_days"][members] += 1
        rows["told"][members] = 0

    def _insert(self, member: int, day: int, last: int) -> bool:
        """Put a day between others; they come late by less than the lateness, so it lies among the latest 32 days."""
        rows = self._rows
        behind = last - day
        recent = int(rows["recent"][member])
        if behind >= _BITS or recent >> behind & 1:
            return False
        # The gap that the day falls into is as far back as active days are newer than it.
        at = (recent & ((1 << behind) - 1)).bit_count() - 1
        newer = max(step for step in range(behind) if recent >> step & 1)
        gaps = rows["gaps"][member].tolist()
        kept = min(int(rows["active_days"][member]) - 1, GAPS)
        parts = [max(behind - newer, 1)]
        if at < kept:
            parts.append(max(gaps[at] - parts[0], 1))
        gaps[at : at + 1] = parts
        rows["gaps"][member] = (gaps + [0] * GAPS)[:GAPS]
        rows["recent"][member] = recent | 1 << behind
        rows["active_days"][member] += 1
        return True

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._dirty))

    def dirty(self) -> list[StateRows]:
        """State rows of members that changed since the last call."""
        changed = np.flatnonzero(self._dirty)
        if len(changed) == 0:
            return []
        self._dirty[changed] = False
        self._rows["number"][changed] = changed
        return [StateRows(self.name, fixed_binary(changed.astype(">u4")), fixed_binary(self._rows.packed(changed)))]

    def restore(self, payloads: pa.Array) -> Ints:
        """Take rows back; returns whose they are."""
        rows = rows_of(payloads, _ROW)
        members = rows["number"].astype(np.int64)
        self.room(int(members.max(initial=-1)) + 1)
        self._rows.unpack(members, rows)
        return members


def recent_days(last: int, recent: int, days: list[int]) -> int:
    """Active days in the 30 that end with the last one, of a member that was active on ``days``, too.

    ``last`` and ``recent`` as `Rhythms.last_day` and `Rhythms.recent` give them.
    """
    for day in days:
        if day > last:
            recent, last = recent << min(day - last, _BITS) & ((1 << _BITS) - 1) | 1, day
        elif last - day < _BITS:
            recent |= 1 << (last - day)
    return (recent & _LAST_30).bit_count()
