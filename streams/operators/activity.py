"""Tumbling activity: the figures of each community by minute, hour and local day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.figures import FIGURES
from streams.operators.base import Ints, Keys, StateRows
from streams.operators.directory import Directory
from streams.operators.panes import DISTINCT, PaneTable, pane_keys, split_keys, summed
from streams.operators.presence import (
    FLAGS,
    Presence,
    merged,
    packed,
    pane_and_member,
    presence_keys,
    unpacked,
)
from streams.operators.segments import Segments
from streams.operators.tallies import Tallies

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

_PRESENCE = "presence"

Changed = list[tuple[PaneTable, Ints]]
_TABLE_OF = {"pane_1m": "activity_1m", "pane_1h": "activity_1h", "pane_1d": "activity_1d"}


class Activity:
    """Sums by pane and, for distinct figures, the sets of members already counted in a pane.

    Minute sets are checkpointed; hour sets follow from them, and day sets from the members' days.
    """

    names = (*_TABLE_OF, _PRESENCE)

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.minutes = PaneTable("pane_1m", MINUTE_MS)
        self.hours = PaneTable("pane_1h", HOUR_MS)
        self.days = PaneTable("pane_1d", DAY_MS)
        self._in_minute = Presence(MINUTE_MS)
        self._in_hour = Presence(HOUR_MS)
        self._segments = Segments(_PRESENCE, "<u8")
        self._oldest_ms = np.empty(0, np.int64)

    def apply(self, tallies: Tallies, local_day: Ints) -> tuple[Keys, Ints]:
        """Count a batch; ``local_day`` is the calendar day of each of its events.

        Returns:
            The (minute, member) pairs that are new to at least one set, and their new flags.
        """
        minute = tallies.occurred_at_ms // MINUTE_MS
        self._add_sums(tallies, minute, local_day)
        where = tallies.present
        pairs, flags = merged(presence_keys(minute[where], tallies.member[where]), tallies.presence)
        pairs, flags = self._in_minute.add(pairs, flags)
        self._segments.append(packed(pairs, flags))
        self._count_distinct(self.minutes, pairs, flags)
        in_minute, member = pane_and_member(pairs)
        hour_pairs, hour_flags = self._in_hour.add(*merged(presence_keys(in_minute // 60, member), flags))
        self._count_distinct(self.hours, hour_pairs, hour_flags)
        return pairs, flags

    def add_present_days(self, pairs: Keys, flags: Ints) -> None:
        """Count members in their local day: the (day, member) pairs with the flags that are new to it."""
        self._count_distinct(self.days, pairs, flags)

    def _add_sums(self, tallies: Tallies, minute: Ints, local_day: Ints) -> None:
        keys, inverse = np.unique(pane_keys(tallies.community, minute), return_inverse=True)
        sums = np.zeros((len(keys), len(FIGURES)), np.int64)
        for figure, positions in tallies.figures.items():
            if len(positions):
                sums[:, figure] = np.bincount(inverse[positions], minlength=len(keys))
        # An event that counts in no figure (a cancelled order, a snapshot line) makes no pane.
        counts = sums.any(axis=1)
        day_of_minute = np.empty(len(keys), np.int64)
        day_of_minute[inverse] = local_day
        keys, sums, day_of_minute = keys[counts], sums[counts], day_of_minute[counts]
        community, pane = split_keys(keys)
        self._add(self.minutes, keys, sums)
        self._add(self.hours, *summed(pane_keys(community, pane // 60), sums))
        self._add(self.days, *summed(pane_keys(community, day_of_minute), sums))

    @staticmethod
    def _add(table: PaneTable, keys: Keys, sums: npt.NDArray[np.int64]) -> None:
        rows = table.find(keys)
        table.figures[rows] += sums.astype(np.uint32)
        table.touch(rows)

    def _count_distinct(self, table: PaneTable, pairs: Keys, flags: Ints) -> None:
        pane, member = pane_and_member(pairs)
        keys, inverse = np.unique(pane_keys(self._directory.community_of[member], pane), return_inverse=True)
        rows = table.find(keys)
        for flag, figure in zip(FLAGS, DISTINCT, strict=True):
            new = np.bincount(inverse[(flags & flag) != 0], minlength=len(keys))
            table.figures[rows, figure] += new.astype(np.uint32)
        table.touch(rows)

    def settle(self, clock_ms: Ints, lateness_ms: int, sums_ms: tuple[int, int]) -> None:
        """Let go of what no event may change and no window reaches.

        Args:
            clock_ms: event clock by community number.
            lateness_ms: allowed lateness.
            sums_ms: how long minute and hour sums are needed by rolling windows.
        """
        self._oldest_ms = oldest = clock_ms - lateness_ms
        self.minutes.settle(np.minimum(oldest, clock_ms - sums_ms[0]))
        self.hours.settle(np.minimum(oldest, clock_ms - sums_ms[1]))
        # A day pane is numbered by calendar date; in no zone does it end more than a day after that number's UTC day.
        self.days.settle(oldest - DAY_MS)
        community_of = self._directory.community_of
        self._in_minute.forget(community_of, oldest - HOUR_MS)  # an hour's set is rebuilt from its minutes
        self._in_hour.forget(community_of, oldest)

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return self.minutes.dirty_count() + self.hours.dirty_count() + self.days.dirty_count()

    def take_changed(self) -> Changed:
        """Changed rows of each table; calling it makes them clean."""
        return [(table, table.take_changed()) for table in (self.minutes, self.hours, self.days)]

    def state(self, changed: Changed) -> list[StateRows]:
        """State rows for what :meth:`take_changed` gave, and for the presence sets."""
        found = [rows for table, changed_rows in changed for rows in table.state(changed_rows)]
        return found + self._segments.dirty(self._alive_presence, len(self._in_minute))

    def _alive_presence(self) -> Keys:
        return packed(*self._in_minute.alive(self._directory.community_of, self._oldest_ms - HOUR_MS))

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back; members must be known to the directory before the presence sets come."""
        for table in (self.minutes, self.hours, self.days):
            if name == table.name:
                table.restore(keys, payloads)
                return
        pairs, flags = merged(*unpacked(self._segments.restore(keys, payloads)))
        self._in_minute.add(pairs, flags)
        minute, member = pane_and_member(pairs)
        self._in_hour.add(*merged(presence_keys(minute // 60, member), flags))


def activity_rows(changed: Changed, names: pa.Array, day_starts_ms: Ints) -> dict[str, pa.Table]:
    """Derived rows of the tumbling tables.

    Args:
        changed: what :meth:`Activity.take_changed` gave.
        names: community names by number.
        day_starts_ms: the start in UTC of each changed day pane, in its order.
    """
    found = {}
    for table, rows in changed:
        if len(rows) == 0:
            continue
        community, pane = split_keys(table.keys[rows])
        daily = table.name == "pane_1d"
        start_ms = day_starts_ms if daily else pane * table.pane_ms
        columns: dict[str, pa.Array] = {
            "community_id": names.take(pa.array(community)),
            "window_start": pa.array(start_ms // 1000).cast(pa.timestamp("s", "UTC")),
        }
        figures = table.figures[rows]
        for position, figure in enumerate(FIGURES):
            columns[figure] = pa.array(np.ascontiguousarray(figures[:, position]))
        if daily:
            columns["local_date"] = pa.array(pane.astype(np.int32)).cast(pa.date32())
        found[_TABLE_OF[table.name]] = pa.table(columns)
    return found
