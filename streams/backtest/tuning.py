"""Settings of `silent` chosen on the first part of history; the second, on which they are scored, is not looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from streams.backtest.silences import Calls, Silences, Span, fixed_days, judge, silences_of, thresholds
from streams.operators.base import Ints
from streams.operators.churn_model import Curves
from streams.operators.silence import NO_THRESHOLD, SilenceLimits, threshold_days
from streams.return_curves import ActiveDays

CHANCES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
LATEST = (10, 12, 14, 18, 21, 26, 30, 45, 60)
STRENGTHS = (8.0, 16.0, 64.0, 256.0)

WANTED_LEAD_PERCENT = -33.0
"""Lead wanted against fixed days on the first part: some more than the goal, since the second part is never as kind."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One setting on the first part: alerts, and how it differs from fixed days at equal volume."""

    limits: SilenceLimits
    alerts: int
    precision_points: float
    lead_percent: float

    @property
    def early(self) -> bool:
        """Whether it comes as early as wanted."""
        return self.lead_percent <= WANTED_LEAD_PERCENT


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon alerts about one member may follow each other."""

    cool_down_days: int
    expire_days: int


def calls_by_rule(days: ActiveDays, curves: list[Curves], curve_of: Ints, limits: SilenceLimits, pace: Pace) -> Calls:
    """The calls of `silent` by its formula (no holidays), on :func:`silences_of` of the same days.

    ``curve_of`` says which of the curves speaks for each row of ``days``; ``pace`` how alerts expire and members rest.
    """
    rows = np.flatnonzero(days.count >= limits.min_active_days)
    found = np.full(len(rows), NO_THRESHOLD, np.int64)
    for number, of in enumerate(curves):
        mine = curve_of[rows] == number
        at = rows[mine]
        found[mine] = threshold_days(days.own[at], days.kept[at], days.count[at], days.kind[at], of, limits)
    silences = silences_of(days, limits.min_active_days, 0)
    return _rested(thresholds(silences, found, NO_THRESHOLD), silences, limits.latest_days, pace)


def _rested(calls: Calls, silences: Silences, latest_days: int, pace: Pace) -> Calls:
    """Calls put off, or left out, while their member still rests from the one before."""
    member, day, gap = (part[calls.silence].tolist() for part in (silences.member, silences.day, silences.gap))
    after = calls.after_days.tolist()
    kept = []
    who, rests_until = -1, 0
    for at in range(len(after)):
        if member[at] != who:
            who, rests_until = member[at], -1
        after[at] = max(after[at], rests_until - day[at])
        if after[at] - 1 > latest_days or gap[at] < after[at]:
            continue
        kept.append(at)
        rests_until = day[at] + min(gap[at], after[at] + pace.expire_days) + pace.cool_down_days
    return Calls(calls.silence[kept], np.array(after, np.int64)[kept])


def tune(
    days: ActiveDays, curves: list[Curves], curve_of: Ints, span: Span, base: SilenceLimits, pace: Pace
) -> list[Tried]:
    """All settings of the grid on one span, best first: of those with the wanted lead whichever loses least precision.

    Where none has it, the one with the best lead comes first.
    """
    silences = silences_of(days, base.min_active_days, span.end - 1)
    volumes = [len(span.of(fixed_days(silences, n), silences)) for n in range(3, 120)]
    judged_fixed: dict[int, tuple[float, float]] = {}
    tried = []
    for chance, latest, strength in product(CHANCES, LATEST, STRENGTHS):
        limits = replace(base, stay_away_chance=chance, latest_days=latest, strength=strength)
        calls = calls_by_rule(days, curves, curve_of, limits, pace)
        precision, lead, alerts = _figures(calls, silences, span)
        n = 3 + int(np.abs(np.array(volumes) - alerts).argmin())
        if n >= 90 or not alerts:
            continue  # fixed days that late are no rule anybody would use
        if n not in judged_fixed:
            judged_fixed[n] = _figures(fixed_days(silences, n), silences, span)[:2]
        other_precision, other_lead = judged_fixed[n]
        tried.append(Tried(limits, alerts, 100 * (precision - other_precision), 100 * (lead / other_lead - 1)))

    def rank(one: Tried) -> tuple[bool, float]:
        return (not one.early, -one.precision_points if one.early else one.lead_percent)

    return sorted(tried, key=rank)


def best_for_all(tried: list[list[Tried]]) -> list[Tried]:
    """The setting that has the wanted lead on every one of some feeds and loses least precision where it loses most.

    Returns:
        What it did on each of them; empty when no setting has the wanted lead everywhere.
    """
    early = [{one.limits: one for one in of_feed if one.early} for of_feed in tried]
    everywhere = set.intersection(*(set(found) for found in early)) if early else set()
    ways = [[found[limits] for found in early] for limits in everywhere]
    return max(ways, key=lambda way: (min(one.precision_points for one in way), -way[0].alerts), default=[])


def _figures(calls: Calls, silences: Silences, span: Span) -> tuple[float, float, int]:
    judged = judge(calls, silences, span)
    known = judged.known_30.sum()
    precision = float((judged.known_30 & judged.right_30).sum() / known) if known else float("nan")
    lead = float(np.nanmean(judged.lead_days)) if judged.caught.any() else float("nan")
    return precision, lead, len(judged.member)
