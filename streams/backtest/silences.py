"""Silences of members and the alerts on them: what happened next, and what a fixed number of days would have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.alerts import AlertRecord
from streams.operators.base import Ints, Mask
from streams.operators.directory import Directory
from streams.operators.local_days import LocalDays
from streams.return_curves import ActiveDays

CHURNED_DAYS = 90
"""Who stays silent so long has churned, as far as anybody can tell from outside."""

NEVER_BACK = np.int64(10**6)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Silences:
    """One row for each time a member fell silent: after every active day, as long as it lasted.

    ``gap`` is the days to the next active day, NEVER_BACK where none came in the data. ``observed`` is how many days of
    data follow ``day``. Only silences of members that may be spoken of (enough active days) are here.
    """

    member: Ints
    day: Ints
    gap: Ints
    observed: Ints

    def __len__(self) -> int:
        return len(self.member)


@dataclass(frozen=True, slots=True)
class Calls:
    """Alerts of one rule: on which silence, after how many silent days (the alert's local day less the last active)."""

    silence: Ints
    after_days: Ints

    def __len__(self) -> int:
        return len(self.silence)


def silences_of(days: ActiveDays, min_active_days: int, last_day: int) -> Silences:
    """The silences of members with at least so many active days."""
    rows = days.count >= min_active_days
    gap = np.where(days.ended, days.gap, NEVER_BACK)[rows]
    return Silences(days.member[rows], days.day[rows], gap, last_day - days.day[rows])


def calls_in(
    alerts: list[AlertRecord], silences: Silences, directory: Directory, zones: LocalDays, zone: Ints, member_of: Ints
) -> Calls:
    """Replayed alerts as calls; ``zone`` by community, ``member_of`` maps directory numbers to silences' ones."""
    members = np.array([directory.number_of(one.community_id, one.member_id) for one in alerts], np.int64)
    opened = np.array([one.opened_at for one in alerts], np.int64)
    day = zones.days(zone[directory.community_of[members]], opened) if len(alerts) else opened
    return _placed(member_of[members] if len(alerts) else members, day, silences)


def _placed(member: Ints, day: Ints, silences: Silences) -> Calls:
    span = 1 << 20
    key = silences.member * span + silences.day
    at = np.searchsorted(key, member * span + day, "left") - 1  # the last active day before the day of the alert
    good = at >= 0
    good[good] &= silences.member[at[good]] == member[good]
    return Calls(at[good], (day[good] - silences.day[at[good]]))


def fixed_days(silences: Silences, silent_days: int) -> Calls:
    """ "No activity for N days": an alert on the day after N full silent days, on everybody alike."""
    at = np.flatnonzero(silences.gap > silent_days)
    return Calls(at, np.full(len(at), silent_days + 1))


def thresholds(silences: Silences, silent_days: Ints, none: int) -> Calls:
    """An alert after each silence's own number of full silent days; ``none`` stands for never."""
    at = np.flatnonzero((silent_days != none) & (silences.gap > silent_days))
    return Calls(at, silent_days[at].astype(np.int64) + 1)


@dataclass(frozen=True, slots=True)
class Span:
    """Days [start, end) in which alerts are counted."""

    start: int
    end: int

    def of(self, calls: Calls, silences: Silences) -> Calls:
        """The calls made in it."""
        day = silences.day[calls.silence] + calls.after_days
        # Whatever lies beyond the data was never said.
        inside = (day >= self.start) & (day < self.end) & (calls.after_days <= silences.observed[calls.silence])
        return Calls(calls.silence[inside], calls.after_days[inside])

    @property
    def weeks(self) -> float:
        """Its length."""
        return (self.end - self.start) / 7


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of calls, one entry a call; of churners, one entry a silence of :attr:`CHURNED_DAYS` and more.

    ``right_30`` and ``right_90`` say whether the member stayed silent for as many days more, where that many days of
    data follow (``known_…``). ``lead_days`` is how long after the last active day each caught churner was called.
    """

    member: Ints
    known_30: Mask
    right_30: Mask
    known_90: Mask
    right_90: Mask
    churner_member: Ints
    caught: Mask
    lead_days: Floats


def judge(calls: Calls, silences: Silences, span: Span) -> Judged:
    """Judge the calls of a span by what happened next."""
    calls = span.of(calls, silences)
    gap, observed = silences.gap[calls.silence], silences.observed[calls.silence]

    def right(days: int) -> tuple[Mask, Mask]:
        return observed >= calls.after_days + days, gap >= calls.after_days + days

    known_30, right_30 = right(30)
    known_90, right_90 = right(90)
    fell = (silences.day >= span.start) & (silences.day < span.end)
    churners = np.flatnonzero(fell & (silences.gap > CHURNED_DAYS) & (silences.observed > CHURNED_DAYS))
    after = np.full(len(silences), np.nan)
    after[calls.silence] = calls.after_days
    lead = after[churners]
    return Judged(
        silences.member[calls.silence],
        known_30,
        right_30,
        known_90,
        right_90,
        silences.member[churners],
        ~np.isnan(lead),
        lead,
    )
