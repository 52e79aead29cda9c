"""When to post: the community's own week, hour by hour, and how sure the best hours are."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import WEEKDAYS, between, count, percent, ratio

_HOURS = """
SELECT weekday, hour, days, activity, orders, activity_mean
FROM qunpulse.activity_hours WHERE community_id = {c:String} ORDER BY weekday, hour
"""
_BEST = """
SELECT rank, weekday, hour, days, activity_mean, activity_low, activity_high, times_average, surely_above_average
FROM qunpulse.best_hours WHERE community_id = {c:String} ORDER BY rank, weekday, hour
"""
_BUYING = """
SELECT category, hour, orders, buyers, share_of_category, orders_per_day, orders_low, orders_high
FROM qunpulse.order_hours WHERE community_id = {c:String}
ORDER BY orders DESC, category, hour LIMIT 1 BY category LIMIT 8
"""


def timing(source: Source) -> Section:
    """Heat map of the week, best hours, hours of orders."""
    zone = source.scope.community.timezone
    section = Section(
        "timing",
        "When to post",
        f"Messages and interactions of members by hour of the week, {zone}, over all weeks with figures. An hour is "
        "surely above average when its interval, widened for the choice among 168 hours, lies above the mean.",
        "There is no week of figures yet.",
    )
    hours = source.rows(_HOURS)
    if not hours:
        return section
    if any(row["activity"] for row in hours):
        section.plot(
            f"Messages and interactions an hour, mean over all weeks ({zone}).",
            drawing.heat_map(
                "Activity by hour of the week",
                {(row["weekday"], row["hour"]): row["activity_mean"] for row in hours},
                "messages and interactions",
            ),
        )
    best = [
        row | {"when": f"{WEEKDAYS[row['weekday'] - 1]} {row['hour']:02d}:00",
               "interval": between(ratio(row["activity_low"]), ratio(row["activity_high"])),
               "sure": "yes" if row["surely_above_average"] else "may be chance"}
        for row in source.rows(_BEST)
    ]  # fmt: skip
    section.table(
        "best_hours",
        "The most active hours of the week",
        (
            Column("rank", "Place", count),
            Column("when", "Hour that begins"),
            Column("activity_mean", "Messages and interactions", ratio),
            Column("interval", "95 % interval", str),
            Column("times_average", "Times the average hour", ratio),
            Column("sure", "Surely above average"),
        ),
        best,
    )
    orders = [sum(row["orders"] for row in hours if row["hour"] == hour) for hour in range(24)]
    if any(orders):
        section.plot(
            "Paid orders by hour of the day, all weeks together.",
            drawing.bars("Orders by hour", [f"{hour:02d}" for hour in range(24)], {"orders": orders}, "orders",
                         x_label="hour of the community's own day"),
        )  # fmt: skip
    buying = [
        row | {"name": row["category"] or "(no category)", "when": f"{row['hour']:02d}:00",
               "interval": between(ratio(row["orders_low"]), ratio(row["orders_high"]))}
        for row in source.rows(_BUYING)
    ]  # fmt: skip
    section.table(
        "order_hours",
        "The hour in which each category is bought most",
        (
            Column("name", "Category"),
            Column("when", "Hour that begins"),
            Column("orders", "Orders", count),
            Column("orders_per_day", "Orders a day", ratio),
            Column("interval", "95 % interval", str),
            Column("share_of_category", "Share of the category's orders", percent),
        ),
        buying,
    )
    return section
