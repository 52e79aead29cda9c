"""A row per member and local day: the history that retention, streaks and trailing windows are computed from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.activity import DAY_MS
from streams.operators.base import Ints, Keys, Mask
from streams.operators.directory import Directory
from streams.operators.keyed_rows import KeyedRows
from streams.operators.panes import FIGURE
from streams.operators.presence import ACTIVE, BUYER, SPEAKER, pane_and_member, presence_keys
from streams.operators.tallies import Tallies

_COUNTS = ("messages", "interactions", "orders", "refunds")


def _fresh() -> npt.NDArray[Any]:
    row = np.zeros((), [("counts", "<u4", 4), ("first_ms", "<i8"), ("last_ms", "<i8")])
    row["first_ms"], row["last_ms"] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    return row


class MemberDays(KeyedRows):
    """Counts of each (local day, member) that can still change; a closed day lives on in ClickHouse only."""

    def __init__(self, directory: Directory) -> None:
        super().__init__("member_days", _fresh())
        self._directory = directory

    def apply(self, tallies: Tallies, local_day: Ints) -> tuple[Keys, Ints]:
        """Count a batch; returns the (day, member) pairs that gained a flag of presence, and the gained flags."""
        where = tallies.counted
        if len(where) == 0:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        every = presence_keys(local_day[where], tallies.member[where])
        keys, inverse = np.unique(every, return_inverse=True)
        times = tallies.occurred_at_ms[where]
        order = np.argsort(inverse, kind="stable")
        starts = np.searchsorted(inverse[order], np.arange(len(keys)))
        counts = np.zeros((len(keys), len(_COUNTS)), np.uint32)
        for column, figure in enumerate(_COUNTS):
            among = np.searchsorted(where, tallies.figures[FIGURE[figure]])
            counts[:, column] = np.bincount(inverse[among], minlength=len(keys))
        rows = self.find(keys)
        mine = self.rows
        before = _flags(mine["counts"][rows])
        mine["counts"][rows] += counts
        mine["first_ms"][rows] = np.minimum(mine["first_ms"][rows], np.minimum.reduceat(times[order], starts))
        mine["last_ms"][rows] = np.maximum(mine["last_ms"][rows], np.maximum.reduceat(times[order], starts))
        self.touch(rows)
        gained = _flags(mine["counts"][rows]) & ~before
        return keys[gained != 0], gained[gained != 0]

    def settle(self, oldest_ms: Ints) -> None:
        """Let go of days that ended before ``oldest_ms`` of their community."""

        def keep(keys: Keys) -> Mask:
            day, member = pane_and_member(keys)
            # By number, a local day is over at most a day after the UTC day of that number.
            return (day + 2) * DAY_MS > oldest_ms[self._directory.community_of[member]]

        self.forget(keep)

    def places(self, rows: Ints) -> tuple[Ints, Ints]:
        """Day and member number of the given rows."""
        return pane_and_member(self.keys[rows])

    def table(self, rows: Ints, names: pa.Array, start_ms: Ints) -> pa.Table:
        """Derived rows; ``start_ms`` is the start of each row's day in UTC, ``names`` the community names."""
        day, member = self.places(rows)
        mine = self.rows[rows]
        columns = {
            "community_id": names.take(pa.array(self._directory.community_of[member])),
            "day": pa.array(start_ms // 1000).cast(pa.timestamp("s", "UTC")),
            "local_date": pa.array(day.astype(np.int32)).cast(pa.date32()),
            "member_id": self._directory.member_ids.names(member),
        }
        for column, name in enumerate(_COUNTS):
            columns[name] = pa.array(np.ascontiguousarray(mine["counts"][:, column]))
        columns["first_at"] = pa.array(mine["first_ms"].astype(np.int64)).cast(pa.timestamp("ms", "UTC"))
        columns["last_at"] = pa.array(mine["last_ms"].astype(np.int64)).cast(pa.timestamp("ms", "UTC"))
        return pa.table(columns)


def _flags(counts: Ints) -> Ints:
    spoke, acted, bought = counts[:, 0] > 0, counts[:, 1] > 0, counts[:, 2] > 0
    return spoke * SPEAKER | (spoke | acted | bought) * ACTIVE | bought * BUYER
