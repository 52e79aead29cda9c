"""The backtest as a whole: what was tuned on the first part of history, and how it did on the second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from schemas.alerts import AlertRecord
from streams.backtest.comparing import Comparison, Estimate, auc_difference, compare
from streams.backtest.events import Feed
from streams.backtest.replay import BuyersThen, Replayed, history_in, replay
from streams.backtest.silences import Calls, Silences, Span, calls_in, fixed_days, judge, silences_of
from streams.backtest.tuning import CHANCES, Pace, Tried, calls_by_rule, tune
from streams.model_fit import History, fit_model
from streams.operators.base import Ints
from streams.operators.churn_model import ChurnModel, Curves
from streams.operators.local_days import DAY_MS, LocalDays
from streams.operators.silence import SilenceLimits
from streams.operators.silent_alerts import limits_of
from streams.return_curves import active_days
from streams.rules_model import Rules

BUYER_DAYS = 90
"""How far ahead is looked for the next purchase."""

_ASK_EVERY = 28

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold on the curve of a rule: recall, precision over the next 30 days, mean lead in days."""

    threshold: float
    alerts: int
    recall: float
    precision_30: float
    lead_days: float


@dataclass(frozen=True, slots=True)
class SilentReport:
    """`silent` on the second part, as tuned on the first and as it ships."""

    tuned: SilenceLimits
    on_first_part: list[Tried]
    """What was tried there, the chosen one first; nothing where nothing was to be chosen."""
    replayed: Comparison
    shipped: Comparison
    curve: list[Point]
    fixed_curve: list[Point]
    lead_by_rule: npt.NDArray[np.float64]
    lead_by_fixed: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LapsedReport:
    """`lapsed_buyer` on the second part: alerts against fixed days, and P(alive) against recency."""

    alerts: Comparison
    days_asked: int
    buyers_asked: int
    share_gone: float
    alive_auc: Estimate
    recency_auc: Estimate
    difference: Estimate
    note: str


@dataclass(frozen=True, slots=True)
class LeftReport:
    """`left` on the second part: how many, and how many of them were not seen again."""

    alerts: int
    per_1000_a_week: float
    at_once: int
    stayed_away_30: float


@dataclass(slots=True)
class Report:
    """What a backtest found."""

    events: int
    communities: int
    members: int
    first_day: int
    split_day: int
    last_day: int
    silent: SilentReport | None = None
    lapsed: LapsedReport | None = None
    left: LeftReport | None = None
    remarks: list[str] = field(default_factory=list)


def backtest(feed: Feed, rules: Rules, split_share: float, tune_settings: bool, say: Say) -> Report:
    """Learn and tune on the first share of the events, replay all of them, and score the alerts of the rest.

    Args:
        feed: the events.
        rules: thresholds that are not tuned; what differs by community stays as it says.
        split_share: share of the events of active members that is learned from, the earliest ones.
        tune_settings: whether chance, latest day and strength of `silent` are chosen on the first part.
        say: told what is being done.
    """
    whole = history_in(feed, rules)
    days = np.sort(np.concatenate([whole.day, whole.purchase_day]))
    first_day, last_day = int(days[0]), whole.last_day
    # By events and not by time: a community is small at first, and its first half year says little.
    split_day = int(days[min(round(len(days) * split_share), len(days) - 1)])
    report = Report(len(feed), len(whole.communities), len(whole.community_of), first_day, split_day, last_day)
    span = Span(split_day, last_day + 1)
    say("learning from the first part")
    before = history_in(feed, rules, split_day - 1)
    model, report.remarks = fit_model(before, "the first part of the files")
    limits = limits_of(rules.alerts.silent)
    pace = Pace(rules.alerts.silent.cool_down_days, rules.alerts.silent.expire_days)
    tried: list[Tried] = []
    if tune_settings and len(before.day):
        say("tuning on the first part")
        tried = _tune(before, model, Span(first_day, split_day), limits, pace)
        if tried:
            limits = tried[0].limits
    say("replaying")
    asked = set(range(split_day, last_day + 2 - BUYER_DAYS, _ASK_EVERY)) if len(whole.buyer) else set()
    chosen = _with(rules, limits)

    def progress(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            say(f"replaying day {done:,} of {total:,}")

    played = replay(feed, chosen, model, asked, progress)
    scorer = _Scorer(feed, rules, whole, span)
    if len(before.day):
        say("scoring")
        report.silent = scorer.silent(played, model, limits, limits_of(rules.alerts.silent), tried)
    if len(whole.buyer):
        report.lapsed = scorer.lapsed(played, model)
    report.left = scorer.left(played)
    return report


def _with(rules: Rules, limits: SilenceLimits) -> Rules:
    tuned = rules.alerts.silent.model_copy(
        update={
            "stay_away_chance": limits.stay_away_chance,
            "latest_days": limits.latest_days,
            "strength": limits.strength,
        }
    )
    return rules.model_copy(update={"alerts": rules.alerts.model_copy(update={"silent": tuned})})


def _tune(before: History, model: ChurnModel, span: Span, limits: SilenceLimits, pace: Pace) -> list[Tried]:
    days = active_days(before.member, before.day, before.last_day)
    curves, number = curves_of(model, before)
    return tune(days, curves, number[before.community_of[days.member]], span, limits, pace)


def curves_of(model: ChurnModel, history: History) -> tuple[list[Curves], Ints]:
    """The curves of a model, and which of them speaks for each community of a history."""
    own = list(model.silence.communities)
    number = np.array([own.index(name) + 1 if name in own else 0 for name in history.communities], np.int64)
    return [model.curves(), *(model.curves(name) for name in own)], number


class _Scorer:
    """Scores replayed alerts on one span of one history."""

    def __init__(self, feed: Feed, rules: Rules, history: History, span: Span) -> None:
        self._feed = feed
        self._history = history
        self._span = span
        self._zones = LocalDays()
        names = feed.directory.community_names
        self._zone = np.array([self._zones.index(rules.timezone_of(name)) for name in names])
        self._min_active_days = rules.alerts.silent.min_active_days
        self._pace = Pace(rules.alerts.silent.cool_down_days, rules.alerts.silent.expire_days)
        numbers = np.full(len(feed.directory.member_ids), -1)
        known = {pair: number for number, pair in enumerate(history.members)}
        for number, name in enumerate(names):
            for member in np.flatnonzero(feed.directory.community_of == number).tolist():
                numbers[member] = known.get((name, feed.directory.member_ids[member]), -1)
        self._number_of = numbers

    def silent(
        self, played: Replayed, model: ChurnModel, limits: SilenceLimits, shipped: SilenceLimits, tried: list[Tried]
    ) -> SilentReport:
        """Score `silent`."""
        history = self._history
        days = active_days(history.member, history.day, history.last_day)
        silences = silences_of(days, self._min_active_days, history.last_day)
        members = len(np.unique(silences.member))
        curves, number = curves_of(model, history)
        of = number[history.community_of[days.member]]
        calls = self._calls(played, "silent", silences)
        comparison = compare(calls, silences, self._span, members)
        as_shipped = compare(calls_by_rule(days, curves, of, shipped, self._pace), silences, self._span, members)
        curve = []
        for chance in (0.2, 0.3, *CHANCES, 0.9):
            settings = replace(limits, stay_away_chance=chance)
            curve.append(_point(chance, calls_by_rule(days, curves, of, settings, self._pace), silences, self._span))
        fixed = [
            _point(n, fixed_days(silences, n), silences, self._span)
            for n in (3, 4, 5, 6, 7, 8, 10, 12, 14, 18, 21, 26, 30, 38, 45, 60, 90)
        ]
        mine = judge(calls, silences, self._span)
        other = judge(fixed_days(silences, comparison.fixed_days), silences, self._span)
        return SilentReport(
            limits,
            tried,
            comparison,
            as_shipped,
            curve,
            fixed,
            mine.lead_days[mine.caught],
            other.lead_days[other.caught],
        )

    def lapsed(self, played: Replayed, model: ChurnModel) -> LapsedReport:
        """Score `lapsed_buyer`."""
        history = self._history
        days = active_days(history.buyer, history.purchase_day, history.last_day)
        silences = silences_of(days, 1, history.last_day)
        calls = self._calls(played, "lapsed_buyer", silences)
        comparison = compare(calls, silences, self._span, len(np.unique(silences.member)))
        rows = [self._gone(then) for then in played.buyers]
        if not rows:
            nothing = Estimate(float("nan"), float("nan"), float("nan"))
            return LapsedReport(comparison, 0, 0, float("nan"), nothing, nothing, nothing, model.buyers.note)
        alive, since, gone = (np.concatenate(part) for part in zip(*rows, strict=True))
        mine, recency, difference = auc_difference(1 - alive, since, gone)
        return LapsedReport(
            comparison, len(rows), len(gone), float(gone.mean()), mine, recency, difference, model.buyers.note
        )

    def _gone(self, then: BuyersThen) -> tuple[npt.NDArray[np.float64], Ints, npt.NDArray[np.bool_]]:
        history = self._history
        soon = (history.purchase_day >= then.day) & (history.purchase_day < then.day + BUYER_DAYS)
        back = np.unique(history.buyer[soon])
        return then.alive, then.since_days, ~np.isin(self._number_of[then.member], back)

    def left(self, played: Replayed) -> LeftReport | None:
        """Count `left`."""
        start_ms, end_ms = self._span.start * DAY_MS, self._span.end * DAY_MS
        found = [one for one in played.alerts.values() if one.kind == "left" and start_ms <= one.opened_at < end_ms]
        if not found:
            return None
        known = [one for one in found if one.opened_at + 30 * DAY_MS <= end_ms]
        away = [one for one in known if not self._seen_between(one, 30)]
        members = len(self._feed.directory.member_ids)
        return LeftReport(
            len(found),
            1000 * len(found) / members / self._span.weeks,
            sum(one.urgency == "now" for one in found),
            len(away) / len(known) if known else float("nan"),
        )

    def _seen_between(self, alert: AlertRecord, days: int) -> bool:
        member = self._feed.directory.number_of(alert.community_id, alert.member_id)
        start, end = alert.opened_at + 1, alert.opened_at + days * DAY_MS
        for events in self._feed.by_type.values():
            first, last = np.searchsorted(events.occurred_at_ms, (start, end)).tolist()
            if (events.member[first:last] == member).any():
                return True
        return False

    def _calls(self, played: Replayed, kind: str, silences: Silences) -> Calls:
        wanted = [one for one in played.alerts.values() if one.kind == kind]
        return calls_in(wanted, silences, self._feed.directory, self._zones, self._zone, self._number_of)


def _point(threshold: float, calls: Calls, silences: Silences, span: Span) -> Point:
    judged = judge(calls, silences, span)
    known = int(judged.known_30.sum())
    return Point(
        threshold,
        len(judged.member),
        float(judged.caught.mean()) if len(judged.caught) else float("nan"),
        float((judged.known_30 & judged.right_30).sum() / known) if known else float("nan"),
        float(np.nanmean(judged.lead_days)) if judged.caught.any() else float("nan"),
    )
