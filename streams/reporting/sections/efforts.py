"""Campaigns and events with what they changed, and how many promotions members bear."""

from __future__ import annotations

from typing import Any

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import NOTHING, between, count, money, percent, ratio, signed, words

_RESULTS = """
SELECT effort_id, name, kind, formatDateTime(starts_at, '%F', {zone:String}) AS first_day,
    formatDateTime(ends_at - toIntervalMillisecond(1), '%F', {zone:String}) AS last_day, participants, new_members,
    retained_30d, judged_30d, orders, buyers, coupon_orders, currency, net_gmv_minor, quits_24h, activity,
    activity_expected, activity_uplift, activity_uplift_low, activity_uplift_high, orders_uplift, orders_uplift_low,
    orders_uplift_high
FROM qunpulse.effort_results
WHERE community_id = {c:String} AND starts_at < {to:DateTime64(3)} AND ends_at > {from:DateTime64(3)}
ORDER BY participants DESC, effort_id
"""
_TOTALS = """
SELECT effort_id, name, communities, currency, net_gmv_minor, cost_minor, return_on_cost, cost_per_retained_minor,
    goal_figure, goal, goal_share
FROM qunpulse.effort_totals
WHERE effort_id IN {efforts:Array(String)} AND (cost_minor IS NOT NULL OR goal IS NOT NULL) ORDER BY effort_id
"""
_SHOWN = 15


def campaigns(source: Source) -> Section:
    """Efforts that ran in the month: people, orders, uplift with interval, cost and goal."""
    section = Section(
        "campaigns",
        "Campaigns and events",
        "Whatever ran in the month, with its figures from beginning to end. Uplift: activity in the community against "
        "the same weekdays and hours of the four weeks before, with its 95 % interval; where that spans 0 the change "
        "may be chance. Orders of participants count within the attribution window.",
        "No campaign or event ran in this month.",
    )
    rows = source.rows(_RESULTS)
    if not rows:
        return section
    section.fact("efforts", "Campaigns and events", len(rows), count)
    shown = [_told(row) for row in rows[:_SHOWN]]
    judged = [row for row in rows[:_SHOWN] if row["activity_uplift"] is not None and row["activity_expected"]]
    if judged:
        middle, low, high = (
            [row[column] / row["activity_expected"] for row in judged]
            for column in ("activity_uplift", "activity_uplift_low", "activity_uplift_high")
        )
        section.plot(
            "Activity during each effort against what was to be expected; grey where the interval spans 0.",
            drawing.intervals(
                "Uplift of activity",
                [row["name"] for row in judged],
                middle,
                low,
                high,
                "change of messages and interactions, 95 % interval",
                share=True,
            ),
        )
    section.table(
        "results",
        "Who took part and what they bought, in this community",
        (
            Column("name", "Name"),
            Column("participants", "Participants", count),
            Column("new_members", "New members", count),
            Column("retained", "Of these 30 days later", str),
            Column("quits_24h", "Quits in 24 h", count),
            Column("orders", "Orders", count),
            Column("coupon_orders", "With coupon", count),
            Column("net", "Net GMV", str),
        ),
        shown,
    )
    section.table(
        "uplift",
        "Against the four weeks before, with 95 % intervals",
        (
            Column("name", "Name"),
            Column("kind", "Kind", words),
            Column("first_day", "First day", str),
            Column("last_day", "Last day", str),
            Column("activity", "Messages and interactions", count),
            Column("uplift", "Uplift of them", str),
            Column("orders_change", "Uplift of orders", str),
        ),
        shown,
    )
    if len(rows) > _SHOWN:
        section.notes.append(f"{len(rows) - _SHOWN} more are not shown; view effort_results has them.")
    totals = [_of_cost(row) for row in source.rows(_TOTALS, efforts=[row["effort_id"] for row in rows])]
    section.table(
        "totals",
        "Cost and goal, over all communities they took place in",
        (
            Column("name", "Name"),
            Column("communities", "Communities", count),
            Column("cost", "Cost", str),
            Column("return_on_cost", "Return on cost", percent),
            Column("per_retained", "Cost per member retained", str),
            Column("goal_shown", "Goal", str),
            Column("goal_share", "Reached", percent),
        ),
        totals,
    )
    return section


def _told(row: dict[str, Any]) -> dict[str, Any]:
    def change(name: str) -> str:
        low, high = signed(row[f"{name}_low"]), signed(row[f"{name}_high"])
        return NOTHING if row[name] is None else f"{signed(row[name])} ({between(low, high)})"

    return row | {
        "retained": f"{row['retained_30d']} of {row['judged_30d']}" if row["judged_30d"] else NOTHING,
        "net": money(row["net_gmv_minor"], row["currency"]) if row["currency"] else NOTHING,
        "uplift": change("activity_uplift"),
        "orders_change": change("orders_uplift"),
    }


def _of_cost(row: dict[str, Any]) -> dict[str, Any]:
    currency, goal = row["currency"], row["goal"]
    return row | {
        "cost": money(row["cost_minor"], currency),
        "per_retained": money(row["cost_per_retained_minor"], currency),
        "goal_shown": NOTHING if goal is None else f"{count(goal)} {words(row['goal_figure'])}",
    }


_DOSES = """
SELECT dose, member_days, quits, quit_share, quit_low, quit_high, silent_share
FROM qunpulse.promotion_fatigue WHERE community_id = {c:String} ORDER BY dose
"""
_STEP = "SELECT * FROM qunpulse.promotion_fatigue_dose WHERE community_id = {c:String}"
_LEAST_SHARE = 0.002
"""Doses with fewer of all member days are left out of the plot: their intervals would hide all others."""


def fatigue(source: Source) -> Section:
    """Promotions of 7 days against quits."""
    section = Section(
        "fatigue",
        "Promotion fatigue",
        "How many of those on the roster quit within a day, by the number of promotions posted in the 7 days before, "
        "over all days of the community. It compares; what else differed on those days is not told apart.",
        "Nobody has been on the roster for a whole day yet.",
    )
    rows, step = source.rows(_DOSES), source.row(_STEP)
    if not rows or not step:
        return section
    total = sum(row["member_days"] for row in rows)
    shown = [row for row in rows if row["member_days"] >= _LEAST_SHARE * total]
    section.fact("member_days", "Days of members looked at", step["member_days"], count)
    section.fact("quits", "Quits on them", step["quits"], count)
    if step["rises"]:
        section.fact("dose", "Quits rise from (promotions in 7 days)", step["dose"], count)
        section.fact("times", "Times as many quits from there on", step["times"], ratio)
        section.notes.append(
            f"From {step['dose']} promotions in 7 days on (95 % interval {step['dose_low']} to {step['dose_high']}), "
            f"{percent(step['quit_share_from'])} quit a day instead of {percent(step['quit_share_below'])}: "
            f"{ratio(step['times'])} times as many ({between(ratio(step['times_low']), ratio(step['times_high']))})."
        )
    else:
        section.notes.append("Quits do not rise with the number of promotions more than chance explains.")
    if len(shown) > 1:
        section.plot(
            "Share of the roster that quits within a day, by promotions of the 7 days before, with 95 % intervals"
            + ("; the line marks where quits rise." if step["rises"] else "."),
            drawing.points(
                "Quits by promotions",
                [row["dose"] for row in shown],
                [row["quit_share"] for row in shown],
                [row["quit_low"] for row in shown],
                [row["quit_high"] for row in shown],
                "quit within a day",
                share=True,
                x_label="promotions in the 7 days before",
                mark=step["dose"] if step["rises"] else None,
            ),
        )
    return section
