"""What each buyer bought: (x, t_x, T) over days with a purchase that stands. O(1) an order, 112 bytes a buyer.

The latest orders of a buyer are kept one by one, because they may still be refunded; older ones are settled into a
count, their first and their last day. A refund names its order by `original_order_id`, or by the order's own id, and
may arrive before it. What is refunded in part stays a purchase; a refund of a settled order changes nothing any more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from streams.operators.base import Ints, Mask, StateRows, fixed_binary, grown, rows_of

KEPT = 5
"""Orders kept one by one; a buyer seldom has more within the time in which shops take goods back."""

_ROW = np.dtype(
    [
        ("member", "<u4"),
        ("settled_days", "<u2"),
        ("first_settled", "<u2"),
        ("last_settled", "<u2"),
        ("count", "u1"),
        ("told", "u1"),
        ("told_day", "<u2"),
        ("order", "<u8", KEPT),
        ("day", "<u2", KEPT),
        ("left_minor", "<i8", KEPT),
    ]
)


def order_key(order_id: str) -> int:
    """An order's id as 64 bits; a buyer has few, so that two never meet."""
    return xxhash.xxh3_64_intdigest(order_id.encode())


class Purchases:
    """One row a buyer; found by member number."""

    name = "purchases"

    def __init__(self) -> None:
        self._rows = np.empty(0, _ROW)
        self._slot = np.empty(0, np.int32)
        self._count = 0
        self._dirty = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return self._count

    def knows(self, members: Ints) -> Mask:
        """Who has a row."""
        inside = members < len(self._slot)
        known: Mask = np.zeros(len(members), np.bool_)
        known[inside] = self._slot[members[inside]] >= 0
        return known

    def slots(self, members: Ints) -> Ints:
        """Row numbers of members; who has none gets one."""
        self._slot = grown(self._slot, int(members.max(initial=-1)) + 1, -1)
        unknown = np.unique(members[self._slot[members] < 0])
        if len(unknown):
            first, self._count = self._count, self._count + len(unknown)
            self._rows = grown(self._rows, self._count, np.zeros((), _ROW))
            self._dirty = grown(self._dirty, self._count, False)
            self._slot[unknown] = np.arange(first, self._count)
            self._rows["member"][first : self._count] = unknown
        return self._slot[members].astype(np.int64)

    def members(self, slots: Ints) -> Ints:
        """Whose rows they are."""
        return self._rows["member"][slots].astype(np.int64)

    def paid(self, slot: int, order: int, day: int, amount_minor: int) -> None:
        """A buyer paid an order."""
        at = self._find(slot, order)
        if at is None:
            self._insert(slot, order, day, amount_minor)
        elif self._rows["left_minor"][slot, at] <= 0:  # its refund came first
            self._rows["left_minor"][slot, at] += amount_minor
            self._rows["day"][slot, at] = day
        self._dirty[slot] = True

    def taken_back(self, slot: int, order: int, day: int, amount_minor: int | None) -> None:
        """An order, or an amount of it, was taken back; None: all of it."""
        at = self._find(slot, order)
        left = self._rows["left_minor"]
        if at is None:
            if amount_minor is not None:  # of a cancelled order nobody paid there is nothing to remember
                self._insert(slot, order, day, -amount_minor)
        elif amount_minor is None:
            left[slot, at] = min(int(left[slot, at]), 0)
        else:
            left[slot, at] -= amount_minor
        self._dirty[slot] = True

    def last_day(self, slots: Ints) -> Ints:
        """Day of the last purchase that stands, 0 where there is none."""
        return self.statistics(slots)[2]

    def statistics(self, slots: Ints) -> tuple[Ints, Ints, Ints]:
        """Days with a purchase, and the first and last of them (0 where there is none)."""
        rows = self._rows[slots]
        stands = rows["left_minor"] > 0
        day = np.where(stands, rows["day"].astype(np.int64), 0)
        day.sort(axis=1)
        distinct = (day > 0) & np.concatenate([np.ones((len(day), 1), np.bool_), day[:, 1:] != day[:, :-1]], axis=1)
        distinct &= day != rows["last_settled"].astype(np.int64)[:, None]
        settled = rows["settled_days"].astype(np.int64)
        days = settled + distinct.sum(axis=1)
        last = np.maximum(day[:, -1], rows["last_settled"].astype(np.int64))
        earliest = np.where(day > 0, day, np.iinfo(np.int64).max).min(axis=1)
        first = np.where(settled > 0, rows["first_settled"].astype(np.int64), np.where(days > 0, earliest, 0))
        return days, first, last

    def told(self, slots: Ints) -> npt.NDArray[np.bool_]:
        """Whose present silence has been looked at."""
        found: npt.NDArray[np.bool_] = self._rows["told"][slots] > 0
        return found

    def tell(self, slots: Ints, told: bool | Mask) -> None:
        """Mark present silences as looked at, or not."""
        self._rows["told"][slots] = told
        looked_at = slots[self.told(slots)]
        self._rows["told_day"][looked_at] = np.maximum(self._rows["told_day"][looked_at], self.last_day(looked_at))
        self._dirty[slots] = True

    def told_before(self, slots: Ints) -> Mask:
        """Whose last purchase is, since a later one was taken back, one after which the silence was looked at."""
        last = self.last_day(slots)
        before: Mask = (last > 0) & (last <= self._rows["told_day"][slots])
        return before

    def _find(self, slot: int, order: int) -> int | None:
        known = self._rows["order"][slot].tolist()[: int(self._rows["count"][slot])]
        return known.index(order) if order in known else None

    def _insert(self, slot: int, order: int, day: int, left_minor: int) -> None:
        rows = self._rows
        days, orders, left = (rows[name][slot].tolist() for name in ("day", "order", "left_minor"))
        count = int(rows["count"][slot])
        at = count
        while at and days[at - 1] > day:
            at -= 1
        for kept, new in ((days, day), (orders, order), (left, left_minor)):
            kept.insert(at, new)
        if count < KEPT:
            rows["count"][slot] = count + 1
        else:
            self._settle(slot, days[0], left[0])
        drop = int(count == KEPT)
        for name, kept in (("day", days), ("order", orders), ("left_minor", left)):
            rows[name][slot] = kept[drop : KEPT + drop]

    def _settle(self, slot: int, day: int, left_minor: int) -> None:
        """The oldest order is kept no longer; its day is, if it stands."""
        rows = self._rows
        last = int(rows["last_settled"][slot])
        if left_minor > 0 and day != last:
            rows["settled_days"][slot] += 1
            rows["first_settled"][slot] = min(int(rows["first_settled"][slot]) or day, day)
            rows["last_settled"][slot] = max(last, day)

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._dirty[: self._count]))

    def dirty(self) -> list[StateRows]:
        """State rows of buyers that changed since the last call."""
        changed = np.flatnonzero(self._dirty[: self._count])
        if len(changed) == 0:
            return []
        self._dirty[changed] = False
        keys = self._rows["member"][changed].astype(">u4")
        return [StateRows(self.name, fixed_binary(keys), fixed_binary(self._rows[changed]))]

    def restore(self, payloads: pa.Array) -> Ints:
        """Take rows back; returns their slots."""
        rows = rows_of(payloads, _ROW)
        slots = self.slots(rows["member"].astype(np.int64))
        self._rows[slots] = rows
        return slots
