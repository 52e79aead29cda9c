"""How long members stay silent between active days, as curves by kind of member: counted, smoothed, shrunk.

Discrete-time survival: of the gaps that lasted at least t days, which share ended on day t? (Kaplan & Meier 1958.) Gaps
that still run are counted as long as they have lasted. Rows with few gaps lean on rows above them: a kind of member on
all kinds together, a community on that kind everywhere, each counting like so many gaps more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints, Mask
from streams.operators.churn_model import KINDS, LONGEST_DAYS, Curves, kind_of_member
from streams.operators.rhythm import GAPS

KIND_LEANS_ON = 20.0
COMMUNITY_LEANS_ON = 50.0
"""So many gaps of the row above each day of a row is mixed with."""

MIN_COMMUNITY_GAPS = 500
"""A community has curves of its own from so many gaps on."""

MIN_ACTIVE_DAYS = 4
"""Before a member's fourth active day nothing is learned from its gaps, since nothing is said about them either."""

_SPAN = 1 << 20


@dataclass(frozen=True, slots=True)
class ActiveDays:
    """Distinct (member, local day) pairs, ascending: one row an active day; member numbers are dense.

    ``gap`` is the number of days to the member's next active day; where there is none, to the end of the data, and
    ``ended`` is false. ``count`` is how many active days it had by then, ``recent`` those in the last 30 of them,
    ``own`` its latest gaps before (newest first), of which ``kept`` count.
    """

    member: Ints
    day: Ints
    gap: Ints
    ended: Mask
    count: Ints
    recent: Ints
    own: npt.NDArray[np.uint8]
    kept: Ints

    def __len__(self) -> int:
        return len(self.member)

    @property
    def kind(self) -> Ints:
        """Which curve speaks for the member on each day."""
        return kind_of_member(self.recent, self.count)


def active_days(member: Ints, day: Ints, last_day: int) -> ActiveDays:
    """Gaps and habits of members, from the days on which they were active; those after ``last_day`` are left out."""
    key = np.unique((member * _SPAN + day)[day <= last_day])
    member, day = key // _SPAN, key % _SPAN
    same = np.concatenate((member[1:] == member[:-1], [False]))
    gap = np.where(same, np.append(day[1:], 0) - day, last_day - day)
    first = np.flatnonzero(np.concatenate(([True], ~same[:-1]))) if len(key) else np.empty(0, np.int64)
    sizes = np.diff(np.append(first, len(key)))
    count = np.arange(len(key)) - np.repeat(first, sizes) + 1
    recent = np.arange(len(key)) - np.searchsorted(key, key - 29) + 1
    recent = np.minimum(recent, count)  # the search may reach into the member before
    own = np.zeros((len(key), GAPS), np.uint8)
    for back in range(1, GAPS + 1):
        has = count > back
        own[has, back - 1] = np.minimum(gap[np.flatnonzero(has) - back], 255)
    return ActiveDays(member, day, gap, same, count, recent, own, np.clip(count - 1, 0, GAPS))


def fit_curves(days: ActiveDays, community: Ints | None = None, own_for: list[int] | None = None) -> list[Curves]:
    """Curves of all together, and then of each community in ``own_for``; shape (KINDS, LONGEST_DAYS + 1) each.

    ``community`` gives the community of each row of ``days``.
    """
    learned = days.count >= MIN_ACTIVE_DAYS
    kind, gap, ended = days.kind[learned], days.gap[learned], days.ended[learned]
    everything = _hazard(*_counts(np.zeros(len(gap), np.int64), gap, ended, 1), np.full((1, LONGEST_DAYS), 0.02), 1.0)
    pooled = _hazard(*_counts(kind, gap, ended, KINDS), everything, KIND_LEANS_ON)
    found = [_survival(pooled)]
    for number in own_for or []:
        mine = (community[learned] if community is not None else np.zeros(len(gap), np.int64)) == number
        own = _hazard(*_counts(kind[mine], gap[mine], ended[mine], KINDS), pooled, COMMUNITY_LEANS_ON)
        found.append(_survival(own))
    return found


def _counts(kind: Ints, gap: Ints, ended: Mask, kinds: int) -> tuple[Ints, Ints]:
    """Gaps that ended on day 1, 2, …, and those that lasted at least as long; shape (kinds, LONGEST_DAYS)."""
    width = LONGEST_DAYS + 2
    place = kind * width + np.minimum(gap, LONGEST_DAYS + 1)
    ends = np.bincount(place[ended], minlength=kinds * width).reshape(kinds, width)
    # A gap that still runs has seen day t only if it has lasted longer than t.
    running = np.bincount(place[~ended], minlength=kinds * width).reshape(kinds, width)
    lasted = (ends + running)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return ends[:, 1 : LONGEST_DAYS + 1], lasted[:, 1 : LONGEST_DAYS + 1]


def _hazard(ends: Ints, lasted: Ints, above: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    hazard: npt.NDArray[np.float64] = (ends + weight * above) / (lasted + weight)
    return np.clip(hazard, 1e-5, 0.95)


def _survival(hazard: npt.NDArray[np.float64]) -> Curves:
    survival = np.cumprod(1 - hazard, axis=1)
    return np.concatenate((np.ones((len(hazard), 1)), survival), axis=1)
