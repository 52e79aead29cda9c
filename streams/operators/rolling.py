"""Rolling activity: the figures of the last hour, day, week and month of every community, exact for now."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from schemas.figures import FIGURES
from streams.operators.activity import HOUR_MS, MINUTE_MS, Activity
from streams.operators.base import Ints, Keys, distinct, grown
from streams.operators.directory import Directory
from streams.operators.panes import DISTINCT, pane_keys
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
_UNKNOWN = 1 << 40
"""A figure that no window ever has."""


class Rolling:
    """Window sums from panes; distinct members from where each was last: the last-seen histogram.

    A member is in a window exactly if its latest presence is. So one number a member and flag is all the state there
    is, an event moves it, and the distinct members of every window are counted when rows are asked for.
    """

    def __init__(self, activity: Activity, directory: Directory) -> None:
        self._activity = activity
        self._directory = directory
        self._landed = np.empty((0, len(WINDOWS), len(FIGURES) + 1), np.int64)

    def restore(self, communities: Ints) -> None:
        """Land all windows of the given communities anew: what stands there is not known, and may be silent by now."""
        if len(communities):
            self._landed = grown(self._landed, int(communities.max()) + 1, _NONE)
            self._landed[communities] = _UNKNOWN

    @staticmethod
    def move(last_minute: npt.NDArray[np.int32], pairs: Keys, flags: Ints) -> Ints:
        """Move members to the minutes of their new (minute, member) pairs, which ascend; changes ``last_minute``.

        Args:
            last_minute: minute of the latest presence by member number and flag, −1 where there was none.
            pairs: as :meth:`Activity.apply` gives them.
            flags: their flags.

        Returns:
            The numbers of the members that moved.
        """
        minute, member = pane_and_member(pairs)
        for column, flag in enumerate(FLAGS):
            mask = (flags & flag) != 0
            who, when = member[mask], minute[mask]
            later = when > last_minute[who, column]
            # Of several entries of a member numpy keeps the last one assigned, and that is the latest.
            last_minute[who[later], column] = when[later]
        return distinct(member)

    def rows(
        self, now_ms: Ints, members: Ints, last_minute: npt.NDArray[np.int32], touched: Ints, names: pa.Array
    ) -> pa.Table | None:
        """Derived rows of ``activity_now`` whose figures changed since the last call, or whose community had events.

        An event that comes late, but not too late, may lie in the window of a row that was landed a while ago and in
        none that ends now: the figures stay, and yet the row would be wrong for its own ``as_of``.

        Args:
            last_minute: as :meth:`move` keeps it.
            touched: numbers of the communities that had events since the last call.
            now_ms: now of each community, by number.
            members: roster size of each community, by number.
            names: community names by number.
        """
        count = len(now_ms)
        self._landed = grown(self._landed, count, _NONE)
        now = np.empty((count, len(WINDOWS), len(FIGURES) + 1), np.int64)
        as_of_ms = np.empty((count, len(WINDOWS)), np.int64)
        tables = {"minutes": self._activity.minutes, "hours": self._activity.hours}
        for position, (_, length_ms, panes) in enumerate(WINDOWS):
            pane_ms = tables[panes].pane_ms
            end = now_ms // pane_ms + 1
            as_of_ms[:, position] = end * pane_ms
            keys, rows = tables[panes].entries()
            community = np.arange(count, dtype=np.int64)
            first = np.searchsorted(keys, pane_keys(community, np.maximum(end - length_ms // pane_ms, 0)))
            last = np.searchsorted(keys, pane_keys(community, np.maximum(end, 0)))
            _sum_rows(tables[panes].figures, rows, first, last, now[:, position, :-1])
            now[:, position, DISTINCT] = self._distinct(last_minute, (end * pane_ms - length_ms) // MINUTE_MS)
            now[:, position, -1] = members
        changed = (now != self._landed[:count]).any(axis=2)
        changed[touched] = True
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

    def _distinct(self, last_minute: npt.NDArray[np.int32], first_minute: Ints) -> npt.NDArray[np.int64]:
        """Members by community and flag whose latest presence is not before the first minute of their community."""
        community_of = self._directory.community_of
        inside = last_minute[: len(community_of)] >= np.maximum(first_minute, 0)[community_of, None]
        counts = [np.bincount(community_of[column], minlength=len(first_minute)) for column in inside.T]
        return np.stack(counts, axis=1)


@njit(cache=True, nogil=True)
def _sum_rows(figures, rows, first, last, sums):  # type: ignore[no-untyped-def]
    """Sum the figures of the rows first to last of each community."""
    for community in range(len(first)):
        for figure in range(sums.shape[1]):
            sums[community, figure] = 0
        for at in range(first[community], last[community]):
            for figure in range(sums.shape[1]):
                sums[community, figure] += figures[rows[at], figure]


__all__ = ["MINUTE_MS", "SUMS_MS", "WINDOWS", "Rolling"]
