"""The last 32 local days on which a member was active: what typical gaps and active days are worked out from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints
from streams.operators.member_rows import HasFields

KEPT = 32
FIELDS: list[tuple[Any, ...]] = [("days", "<u2", KEPT), ("day_count", "<u4")]
"""Fields of a member's row: a ring of days since 1970-01-01, and how many were ever written to it."""


def note_days(rows: HasFields, member: Ints, day: Ints) -> None:
    """Add active days to members' rings; pairs are distinct and new to their member's day."""
    order = np.lexsort((day, member))
    member, day = member[order], day[order]
    begins = np.concatenate(([True], member[1:] != member[:-1]))
    rank = np.arange(len(member)) - np.maximum.accumulate(np.where(begins, np.arange(len(member)), 0))
    for turn in range(int(rank.max(initial=-1)) + 1):
        mine = np.flatnonzero(rank == turn)
        who, when = member[mine], day[mine]
        count = rows["day_count"][who].astype(np.int64)
        latest = np.where(count > 0, rows["days"][who, (count - 1) % KEPT].astype(np.int64), -1)
        in_order = when > latest
        rows["days"][who[in_order], count[in_order] % KEPT] = when[in_order]
        rows["day_count"][who[in_order]] = count[in_order] + 1
        for one, late_day in zip(who[~in_order].tolist(), when[~in_order].tolist(), strict=True):
            _insert(rows, one, late_day)


def _insert(rows: HasFields, member: int, day: int) -> None:
    """Put a day between others: events may come in any order inside the allowed lateness."""
    count = int(rows["day_count"][member])
    kept = min(count, KEPT)
    ring = rows["days"][member]
    days = sorted({*(int(ring[(count - kept + step) % KEPT]) for step in range(kept)), day})[-KEPT:]
    ring[: len(days)] = days
    rows["day_count"][member] = len(days)


def rhythm(rows: HasFields) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Active days in the 30 that end with the last one, and the median gap between consecutive ones (NaN below two)."""
    count = rows["day_count"].astype(np.int64)
    kept = np.minimum(count, KEPT)
    step = np.arange(KEPT)
    place = (count[:, None] - kept[:, None] + step) % KEPT
    days = np.take_along_axis(rows["days"], place, axis=1).astype(np.int64)
    inside = step < kept[:, None]
    last = days[np.arange(len(count)), np.maximum(kept - 1, 0)]
    active_30 = (inside & (days > last[:, None] - 30)).sum(axis=1)
    gaps = np.where(inside[:, 1:], days[:, 1:] - days[:, :-1], np.iinfo(np.int64).max)
    gaps.sort(axis=1)
    number = np.maximum(kept - 1, 1)
    at = np.arange(len(count))
    median = (gaps[at, (number - 1) // 2] / 2 + gaps[at, number // 2] / 2).astype(np.float32)
    return active_30, np.where(kept >= 2, median, np.float32("nan"))
