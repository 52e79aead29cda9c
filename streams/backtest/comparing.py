"""Figures of a rule and of the baseline beside it, with bootstrap intervals over members.

Members are drawn again, not alerts: one member's alerts share its habits. Differences are taken within each draw, so
that what rule and baseline have in common drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.backtest.silences import Calls, Judged, Silences, Span, fixed_days, judge
from streams.operators.base import Ints, Mask

Floats = npt.NDArray[np.float64]

DRAWS = 1000
_SEED = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where there is nothing to count."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one rule. Precision and recall are shares, lead is the mean in days."""

    alerts: int
    per_1000_a_week: float
    precision_30: Estimate
    precision_90: Estimate
    recall: Estimate
    lead_days: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rule, "no activity for N days" at the nearest number of alerts, and how they differ."""

    rule: Score
    fixed: Score
    fixed_days: int
    precision_30_points: Estimate
    precision_90_points: Estimate
    lead_percent: Estimate


def nearest_fixed(silences: Silences, span: Span, alerts: int, longest: int = 400) -> int:
    """The N of "no activity for N days" with the number of alerts nearest to the given one (the smaller N on a tie)."""
    best, found = None, 3
    for days in range(3, longest + 1):
        off = abs(len(span.of(fixed_days(silences, days), silences)) - alerts)
        if best is None or off < best:
            best, found = off, days
    return found


def compare(calls: Calls, silences: Silences, span: Span, members: int) -> Comparison:
    """Score a rule's calls in a span against fixed days at equal volume; ``members``: who could be spoken of."""
    rule = judge(calls, silences, span)
    days = nearest_fixed(silences, span, len(rule.member))
    fixed = judge(fixed_days(silences, days), silences, span)
    draws = _Draws(np.concatenate([rule.member, fixed.member, rule.churner_member]))
    mine, other = _Figures(rule, draws), _Figures(fixed, draws)
    lead = 100 * (mine.lead / other.lead - 1)
    return Comparison(
        _score(mine, rule, span, members),
        _score(other, fixed, span, members),
        days,
        _estimate(100 * (mine.precision_30 - other.precision_30)),
        _estimate(100 * (mine.precision_90 - other.precision_90)),
        _estimate(lead),
    )


class _Draws:
    """How often each member is drawn: the first row is everybody once, the others are draws with replacement."""

    def __init__(self, members: Ints) -> None:
        self._members = np.unique(members)
        size = max(len(self._members), 1)
        chance = np.random.default_rng(_SEED)
        self._weights = np.ones((DRAWS + 1, size), np.float32)
        for row in range(1, DRAWS + 1):
            self._weights[row] = np.bincount(chance.integers(0, size, size), minlength=size)

    def total(self, member: Ints, value: Mask | Floats) -> Floats:
        """The sum of a value over each draw's members; shape (DRAWS + 1,)."""
        at = np.searchsorted(self._members, member)
        sums = np.bincount(at, weights=np.asarray(value, np.float64), minlength=self._weights.shape[1])
        return np.asarray(self._weights @ sums, np.float64)


class _Figures:
    """The figures of one rule in every draw."""

    def __init__(self, judged: Judged, draws: _Draws) -> None:
        def share(member: Ints, among: Mask, right: Mask) -> Floats:
            whole = draws.total(member, among)
            return np.where(whole > 0, draws.total(member, among & right) / np.maximum(whole, 1e-9), np.nan)

        everybody = np.ones(len(judged.churner_member), np.bool_)
        caught = draws.total(judged.churner_member, judged.caught)
        lead = draws.total(judged.churner_member, np.nan_to_num(judged.lead_days))
        self.precision_30 = share(judged.member, judged.known_30, judged.right_30)
        self.precision_90 = share(judged.member, judged.known_90, judged.right_90)
        self.recall = share(judged.churner_member, everybody, judged.caught)
        self.lead = np.where(caught > 0, lead / np.maximum(caught, 1e-9), np.nan)


def _score(figures: _Figures, judged: Judged, span: Span, members: int) -> Score:
    alerts = len(judged.member)
    return Score(
        alerts,
        1000 * alerts / max(members, 1) / span.weeks,
        _estimate(figures.precision_30),
        _estimate(figures.precision_90),
        _estimate(figures.recall),
        _estimate(figures.lead),
    )


def _estimate(values: Floats) -> Estimate:
    if np.isnan(values[0]) or np.isnan(values).all():
        return Estimate(float("nan"), float("nan"), float("nan"))
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high))


def auc(score: Floats | Ints, positive: Mask) -> float:
    """Chance that a positive has a higher score than a negative (ties count half); NaN without both."""
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    ends = np.append(starts[1:], len(ranked))
    ranks = np.empty(len(score))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return float("nan")
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def auc_difference(first: Floats | Ints, second: Floats | Ints, positive: Mask) -> tuple[Estimate, Estimate, Estimate]:
    """AUC of two scores of the same members, and the first less the second, with bootstrap intervals over members."""
    chance = np.random.default_rng(_SEED)
    rows = [(auc(first, positive), auc(second, positive))]
    for _ in range(DRAWS // 5):
        drawn = chance.integers(0, len(positive), len(positive))
        rows.append((auc(first[drawn], positive[drawn]), auc(second[drawn], positive[drawn])))
    values = np.array(rows)
    return _estimate(values[:, 0]), _estimate(values[:, 1]), _estimate(values[:, 0] - values[:, 1])
