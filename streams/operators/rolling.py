"""Rolling activity: the figures of the last hour, day, week and month of every community, exact for now."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.activity import HOUR_MS, MINUTE_MS, Activity
from streams.operators.base import Ints, Keys, Mask, grown
from streams.operators.panes import DISTINCT, FIGURES, PaneTable, pane_keys
from streams.operators.presence import FLAGS, pane_and_member

WINDOWS: tuple[tuple[str, int, str], ...] = (
    ("1h", HOUR_MS, "minutes"),
    ("24h", 24 * HOUR_MS, "minutes"),
    ("7d", 168 * HOUR_MS, "hours"),
    ("30d", 720 * HOUR_MS, "hours"),
)
"""Name, length (ms) and the panes it is summed from."""

SUMS_MS = (24 * HOUR_MS, 720 * HOUR_MS)
"""How far back minute panes and hour panes are needed."""

_NONE = -1


class Rolling:
    """Window sums from panes; distinct members from the last-seen histogram.

    ``last_minute`` has, for each member and flag, the minute of the latest presence (−1: none). A member stands in the
    pane of that minute; an event moves it, so distinct(W) is the sum of the histogram over the panes inside W.
    """

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._landed = np.empty((0, len(WINDOWS), len(FIGURES) + 1), np.int64)

    def move(self, last_minute: npt.NDArray[np.int32], community_of: Ints, pairs: Keys, flags: Ints) -> Ints:
        """Move members to the panes of their new (minute, member) pairs; changes ``last_minute`` in place.

        Returns:
            The numbers of the members that moved.
        """
        minute, member = pane_and_member(pairs)
        moved = []
        for column, flag in enumerate(FLAGS):
            mask = (flags & flag) != 0
            # Pairs are sorted by minute, so the last of a member's entries that numpy assigns is the latest.
            who, latest = member[mask], minute[mask]
            newest = last_minute[who, column].astype(np.int64)
            later = latest > newest
            who, latest = who[later], latest[later]
            distinct, first_from_end = np.unique(who[::-1], return_index=True)
            latest = latest[::-1][first_from_end]
            before: Ints = last_minute[distinct, column].astype(np.int64)
            last_minute[distinct, column] = latest
            community = community_of[distinct]
            had: Mask = before > _NONE
            for table, per_pane in ((self._activity.minutes, 1), (self._activity.hours, 60)):
                _shift(table, community, latest // per_pane, column, 1)
                _shift(table, community[had], before[had] // per_pane, column, -1)
            moved.append(distinct)
        return np.unique(np.concatenate(moved))

    def restore(self, last_minute: npt.NDArray[np.int32], community_of: Ints) -> None:
        """Work the histogram out anew from where every member was last."""
        for column in range(len(FLAGS)):
            has = np.flatnonzero(last_minute[:, column] != _NONE)
            minute = last_minute[has, column].astype(np.int64)
            for table, per_pane in ((self._activity.minutes, 1), (self._activity.hours, 60)):
                _shift(table, community_of[has], minute // per_pane, column, 1)

    def rows(self, now_ms: Ints, members: Ints, names: pa.Array) -> pa.Table | None:
        """Derived rows of ``activity_now`` whose figures changed since the last call.

        Args:
            now_ms: now of each community, by number.
            members: roster size of each community, by number.
            names: community names by number.
        """
        count = len(now_ms)
        self._landed = grown(self._landed, count, _NONE)
        now = np.empty((count, len(WINDOWS), len(FIGURES) + 1), np.int64)
        as_of_ms = np.empty((count, len(WINDOWS)), np.int64)
        tables = {"minutes": self._activity.minutes, "hours": self._activity.hours}
        totals = {name: _running_totals(table) for name, table in tables.items()}
        for position, (_, length_ms, panes) in enumerate(WINDOWS):
            pane_ms = tables[panes].pane_ms
            end = now_ms // pane_ms + 1
            as_of_ms[:, position] = end * pane_ms
            keys, running = totals[panes]
            community = np.arange(count, dtype=np.int64)
            first = np.searchsorted(keys, pane_keys(community, np.maximum(end - length_ms // pane_ms, 0)))
            last = np.searchsorted(keys, pane_keys(community, np.maximum(end, 0)))
            now[:, position, :-1] = running[last] - running[first]
            now[:, position, -1] = members
        changed = (now != self._landed[:count]).any(axis=2)
        # A community without a figure in any window and without members has nothing to say yet.
        changed &= np.any((now > 0) | (self._landed[:count] > 0), axis=(1, 2), keepdims=True)[:, :, 0]
        self._landed[:count][changed] = now[changed]
        community, window = np.nonzero(changed)
        if len(community) == 0:
            return None
        window_names = pa.array([name for name, _, _ in WINDOWS])
        columns: dict[str, pa.Array] = {
            "community_id": names.take(pa.array(community)),
            "window": window_names.take(pa.array(window)),
            "as_of": pa.array(as_of_ms[community, window] // 1000).cast(pa.timestamp("s", "UTC")),
        }
        figures = now[community, window].astype(np.uint32)
        for column, figure in enumerate((*FIGURES, "members")):
            columns[figure] = pa.array(np.ascontiguousarray(figures[:, column]))
        return pa.table(columns)


def _shift(table: PaneTable, community: Ints, pane: Ints, column: int, by: int) -> None:
    rows = table.existing(pane_keys(community, pane))  # a pane that has left is in no window any more
    np.add.at(table.rows["latest"][:, column], rows, by)


def _running_totals(table: PaneTable) -> tuple[Keys, npt.NDArray[np.int64]]:
    """Sorted keys and, before each of them, the totals so far, the distinct figures taken from the histogram."""
    size = len(table)
    order = np.argsort(table.keys[:size])
    figures = table.figures[:size][order].astype(np.int64)
    figures[:, DISTINCT] = table.latest[:size][order]
    running = np.zeros((size + 1, len(FIGURES)), np.int64)
    np.cumsum(figures, axis=0, out=running[1:])
    return table.keys[:size][order], running


__all__ = ["MINUTE_MS", "SUMS_MS", "WINDOWS", "Rolling"]
