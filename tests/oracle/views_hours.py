"""When communities are active and buy, recomputed from raw events; shares nothing with the views' SQL."""

import math
from zoneinfo import ZoneInfo

import pandas as pd

from tests.oracle.quantiles import normal
from tests.oracle.view_events import RawEvents


def _with_local_hours(raw: RawEvents, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    local = [
        pd.Timestamp(at, unit="ms", tz=ZoneInfo(raw.zones.get(community, "UTC")))
        for at, community in zip(rows["time_ms"], rows["community_id"], strict=True)
    ]
    rows["date"] = [at.date() for at in local]
    rows["hour"] = [at.hour for at in local]
    return rows


def activity_hours(raw: RawEvents) -> pd.DataFrame:
    """A row per community and hour of its week, with the mean and its interval."""
    frame = raw.frame
    counted = frame[frame["speaks"] | frame["interacts"] | frame["paid"]]
    counted = _with_local_hours(raw, counted)
    counted["act"] = (counted["speaks"] | counted["interacts"]).astype(int)
    counted["buy"] = counted["paid"].astype(int)
    sums = counted.groupby(["community_id", "date", "hour"])[["act", "buy"]].sum()
    seen = {key: (int(row.act), int(row.buy)) for key, row in zip(sums.index, sums.itertuples(), strict=True)}
    rows = []
    for community, days in raw.sql("select community_id, local_date from calendar").groupby("community_id"):
        dates = [pd.Timestamp(day).date() for day in days["local_date"]]
        found = {
            (weekday, hour): [seen.get((community, day, hour), (0, 0)) for day in dates if day.isoweekday() == weekday]
            for weekday in {day.isoweekday() for day in dates}
            for hour in range(24)
        }
        counts = {slot: [acts for acts, _ in pairs] for slot, pairs in found.items()}
        alive = [numbers for numbers in counts.values() if sum(numbers)]
        freedom = sum(len(numbers) - 1 for numbers in alive)
        common = sum(_pearson(numbers) for numbers in alive) / freedom if freedom else 0.0
        for (weekday, hour), numbers in counts.items():
            mean = sum(numbers) / len(numbers)
            own = _pearson(numbers) / (len(numbers) - 1) if len(numbers) > 1 and mean else 0.0
            dispersion = max(1.0, common, own)
            limits = _score_limits(mean, dispersion, len(numbers))
            orders = sum(buys for _, buys in found[weekday, hour])
            rows.append((community, weekday, hour, len(numbers), sum(numbers), orders, mean, *limits, dispersion))
    named = ["days", "activity", "orders", "activity_mean", "activity_low", "activity_high", "dispersion"]
    table = pd.DataFrame(rows, columns=["community_id", "weekday", "hour", *named])
    week = table.groupby("community_id")["activity"].transform("sum")
    table["activity_share"] = (table["activity"] / week.where(week > 0)).fillna(0.0)
    return table


def _pearson(counts: list[int]) -> float:
    mean = sum(counts) / len(counts)
    return sum((count - mean) ** 2 for count in counts) / mean


def _score_limits(mean: float, dispersion: float, days: int) -> tuple[float, float]:
    """Means m' that the mean of counts is not further from than 1.96 of m''s standard errors, by bisection."""
    z = normal(0.975)

    def within(other: float) -> bool:
        return abs(mean - other) <= z * math.sqrt(dispersion * other / days)

    def edge(inside: float, outside: float) -> float:
        while abs(inside - outside) > 1e-9 * (1 + inside):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if within(middle) else (inside, middle)
        return inside

    low = 0.0 if mean == 0 else edge(mean, 0.0)
    return low, edge(mean, mean + 10 + 10 * z * dispersion * (1 + math.sqrt(mean)))


def order_hours(raw: RawEvents) -> pd.DataFrame:
    """A row per community, category and local hour: orders, buyers and pieces."""
    paid = raw.frame[raw.frame["paid"]].sort_values(["time_ms", "event_id"])
    paid = _with_local_hours(raw, paid.drop_duplicates(["community_id", "order_id"]))
    lines = [
        (row.community_id, item["category"] or "", row.hour, row.order_id, row.member_id, item["quantity"])
        for row in paid.itertuples()
        for item in (row.items if len(row.items) else [{"category": "", "quantity": 0}])
    ]
    names = ["community_id", "category", "hour", "order", "buyer", "pieces"]
    grouped = pd.DataFrame(lines, columns=names).groupby(["community_id", "category", "hour"])
    table = grouped.agg(orders=("order", "nunique"), buyers=("buyer", "nunique"), quantity=("pieces", "sum"))
    table = table.reset_index()
    days = raw.sql("select community_id, count(*) as days from calendar group by 1").set_index("community_id")["days"]
    table["days"] = table["community_id"].map(days)
    table["orders_per_day"] = table["orders"] / table["days"]
    every = table.groupby(["community_id", "category"])["orders"].transform("sum")
    table["share_of_category"] = table["orders"] / every
    return table
