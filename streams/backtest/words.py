"""A backtest report as text: tables in Markdown, which read well in a terminal too, and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from streams.backtest.comparing import Comparison, Estimate
from streams.backtest.report import LapsedReport, Report, SilentReport
from streams.backtest.tuning import Tried
from streams.operators.alert_words import day_text
from streams.operators.silence import SilenceLimits

_HEAD = "| rule | alerts | a week per 1,000 members | precision 30 d | precision 90 d | recall | mean lead, days |"
_RULE = "|---|---:|---:|---:|---:|---:|---:|"

_NOT_FOR_MACHINES = ("lead_by_", "on_first_part")


def markdown(report: Report) -> str:
    """The report as Markdown."""
    first, split, last = day_text(report.first_day), day_text(report.split_day), day_text(report.last_day)
    who = f"{report.events:,} events of {report.members:,} members in {report.communities:,} communities"
    lines = [f"{who}. Learned and tuned on {first} up to {split}, scored from then on up to {last}.", ""]
    for remark in report.remarks:
        lines += [f"Note: {remark}.", ""]
    if report.silent is not None:
        lines += _silent(report.silent)
    if report.lapsed is not None:
        lines += _lapsed(report.lapsed)
    if (left := report.left) is not None:
        stayed = "nobody knows how many" if math.isnan(left.stayed_away_30) else f"{left.stayed_away_30:.0%}"
        rate = f"{left.per_1000_a_week:.1f} a week per 1,000 members"
        lines += [f"`left`: {left.alerts:,} ({rate}), {left.at_once:,} told at once; {stayed} stayed away 30 days.", ""]
    return "\n".join(lines)


def _silent(silent: SilentReport) -> list[str]:
    chosen = f"Settings: {settings_text(silent.tuned)}"
    if silent.on_first_part:
        chosen += f", chosen on the first part (there: {difference_text(silent.on_first_part[0])})"
    return [
        *_table("silent", silent.replayed),
        _verdict(silent.replayed),
        "",
        f"{chosen}. With the settings of the rules, by the formula alone:",
        "",
        *_table("silent, untuned", silent.shipped),
        _verdict(silent.shipped),
        "",
    ]


def settings_text(limits: SilenceLimits) -> str:
    """The settings that are tuned, in words."""
    return (
        f"stay_away_chance {limits.stay_away_chance:g}, latest_days {limits.latest_days}, strength {limits.strength:g}"
    )


def difference_text(tried: Tried) -> str:
    """How a setting differed from fixed days on the first part, in words."""
    return f"precision {tried.precision_points:+.1f} points, lead {tried.lead_percent:+.0f} %".replace("-", "−")


def _lapsed(lapsed: LapsedReport) -> list[str]:
    asked = (
        f'AUC for "buys nothing in the next 90 days", {lapsed.buyers_asked:,} answers on {lapsed.days_asked} days '
        f"({lapsed.share_gone:.0%} bought nothing): P(alive) {_number(lapsed.alive_auc, 3)}, recency alone "
        f"{_number(lapsed.recency_auc, 3)}, difference {_number(lapsed.difference, 3, sign=True)}."
    )
    return [*_table("lapsed_buyer", lapsed.alerts), _verdict(lapsed.alerts), "", asked, ""]


def as_json(report: Report) -> dict[str, Any]:
    """The report for machines; what is not a number is null."""

    def plain(found: Any) -> Any:
        if isinstance(found, dict):
            return {name: plain(value) for name, value in found.items() if not name.startswith(_NOT_FOR_MACHINES)}
        if isinstance(found, list | tuple):
            return [plain(value) for value in found]
        return None if isinstance(found, float) and math.isnan(found) else found

    found: dict[str, Any] = plain(asdict(report))
    for name in ("first_day", "split_day", "last_day"):
        found[name] = day_text(found[name])
    return found


def _table(name: str, compared: Comparison) -> list[str]:
    rows = [_HEAD, _RULE]
    fixed = f"no activity for {compared.fixed_days} days"
    for title, score in ((f"`{name}`", compared.rule), (fixed, compared.fixed)):
        rows.append(
            f"| {title} | {score.alerts:,} | {score.per_1000_a_week:.1f} | {_percent(score.precision_30)} | "
            f"{_percent(score.precision_90)} | {_percent(score.recall)} | {_number(score.lead_days, 1)} |"
        )
    return [*rows, ""]


def _verdict(compared: Comparison) -> str:
    return (
        f"At equal volume: precision over 30 days {_number(compared.precision_30_points, 1, sign=True)} points, over "
        f"90 days {_number(compared.precision_90_points, 1, sign=True)} points, lead "
        f"{_number(compared.lead_percent, 0, sign=True)} %."
    )


def _percent(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "–"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"


def _number(estimate: Estimate, digits: int, sign: bool = False) -> str:
    if math.isnan(estimate.value):
        return "–"
    kind = f"{'+' if sign else ''}.{digits}f"
    return f"{estimate.value:{kind}} ({estimate.low:{kind}} to {estimate.high:{kind}})".replace("-", "−")
