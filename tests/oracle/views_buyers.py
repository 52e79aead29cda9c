"""What buyers do: coupons, conversion, coming back, recency and frequency."""

import calendar as months
import datetime as dt
import itertools
import statistics
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.view_events import RawEvents
from tests.oracle.views_revenue import Order, orders, refunds
from tests.oracle.views_roster import Calendar, active_dates, employed, participation_daily

MS_PER_DAY = 86_400_000


def _by_member(raw: RawEvents) -> dict[tuple[str, str], list[Order]]:
    """Orders of each member by time, without staff and bots."""
    staff = employed(raw)
    found: dict[tuple[str, str], list[Order]] = defaultdict(list)
    for order in sorted(orders(raw), key=lambda one: (one.at, one.order_id)):
        if (order.community, order.member) not in staff:
            found[order.community, order.member].append(order)
    return found


def _claims_and_uses(raw: RawEvents) -> tuple[set[tuple[str, str, str]], set[tuple[str, str, str]]]:
    """(community, member, code) claimed, and used."""
    claims, uses = set(), set()
    for community, member, kind, code in raw.rows(
        """select community_id, member_id, kind, coalesce(object_id, '') from event
           where kind in ('coupon_claim', 'coupon_use') and interacts"""
    ):
        (claims if kind == "coupon_claim" else uses).add((community, member, code))
    uses |= {(order.community, order.member, code) for order in orders(raw) for code in order.coupons}
    return claims, uses


def coupons(raw: RawEvents) -> pd.DataFrame:
    """Use rate of each community, and the share of orders with a coupon."""
    claims, uses = _claims_and_uses(raw)
    rows = []
    for community in {key[0] for key in claims | uses} | {order.community for order in orders(raw)}:
        claimed = {key for key in claims if key[0] == community}
        used = {key for key in uses if key[0] == community}
        bought = [order for order in orders(raw) if order.community == community]
        with_coupon = sum(bool(order.coupons) for order in bought)
        rows.append(
            {
                "community_id": community,
                "claims": len(claimed),
                "uses": len(used),
                "claims_used": len(claimed & used),
                "use_rate": len(used) / len(claimed) if claimed else None,
                "claims_used_rate": len(claimed & used) / len(claimed) if claimed else None,
                "orders": len(bought),
                "orders_with_coupon": with_coupon,
                "orders_with_coupon_share": with_coupon / len(bought) if bought else None,
            }
        )
    return pd.DataFrame(rows)


def coupon_codes(raw: RawEvents) -> pd.DataFrame:
    """Claims, uses and sales of each code."""
    claims, uses = _claims_and_uses(raw)
    back: dict[tuple[str, str, str], int] = defaultdict(int)
    for refund in refunds(raw):
        back[refund.community, refund.order_id, refund.currency] += refund.amount
    first: dict[tuple[str, str], Order] = {}
    sold: dict[tuple[str, str], dict[str, list[Order]]] = defaultdict(lambda: defaultdict(list))
    for order in sorted(orders(raw), key=lambda one: (one.at, one.order_id)):
        first.setdefault((order.community, order.member), order)
        for code in order.coupons:
            sold[order.community, code][order.currency].append(order)
    rows = []
    for community, code in {(key[0], key[2]) for key in claims | uses}:
        claimed = sum(key[0] == community and key[2] == code for key in claims)
        used = sum(key[0] == community and key[2] == code for key in uses)
        for currency, bought in (sold[community, code] or {"": []}).items():
            gmv = sum(order.amount for order in bought)
            rows.append(
                {
                    "community_id": community,
                    "code": code,
                    "currency": currency,
                    "claims": claimed,
                    "uses": used,
                    "use_rate": used / claimed if claimed else None,
                    "orders": len(bought),
                    "gmv_minor": gmv,
                    "net_gmv_minor": gmv - sum(back[one.community, one.order_id, one.currency] for one in bought),
                    "new_buyers": sum(first[one.community, one.member] is one for one in bought),
                }
            )
    return pd.DataFrame(rows)


def conversion_monthly(raw: RawEvents) -> pd.DataFrame:
    """Buyers against the active and against the roster of a month."""
    buyers, active = defaultdict(set), defaultdict(set)
    for (community, member), bought in _by_member(raw).items():
        for order in bought:
            buyers[community, order.date.replace(day=1)].add(member)
    for (community, member), dates in active_dates(raw).items():
        for date in dates:
            active[community, date.replace(day=1)].add(member)
    roster = {}
    for day in participation_daily(raw).sort_values("local_date").itertuples():
        roster[day.community_id, day.local_date.replace(day=1)] = day.roster
    return pd.DataFrame(
        [
            {
                "community_id": community,
                "month": month,
                "buyers": (bought := len(buyers[community, month])),
                "active_members": (acted := len(active[community, month])),
                "roster": there,
                "buyers_per_active": bought / acted if acted else None,
                "buyers_per_roster": bought / there if there else None,
            }
            for (community, month), there in roster.items()
        ]
    )


def repurchase_cohorts(raw: RawEvents) -> pd.DataFrame:
    """Second orders within N days of the first."""
    latest = Calendar(raw).latest
    cohorts: dict[tuple[str, dt.date], list[list[Order]]] = defaultdict(list)
    for (community, _), bought in _by_member(raw).items():
        cohorts[community, bought[0].date.replace(day=1)].append(bought)
    rows = []
    for (community, month), buyers in cohorts.items():
        last_of_month = month.replace(day=months.monthrange(month.year, month.month)[1])
        for days in (30, 60, 90, 180, 365):
            old = last_of_month + dt.timedelta(days=days) < latest(community)
            again = sum(len(one) > 1 and one[1].at - one[0].at <= days * MS_PER_DAY for one in buyers)
            rows.append(
                {
                    "community_id": community,
                    "first_order_month": month,
                    "within_days": days,
                    "new_buyers": len(buyers),
                    "repurchased": again if old else None,
                    "repurchase_rate": again / len(buyers) if old else None,
                }
            )
    return pd.DataFrame(rows)


def repurchase_window(raw: RawEvents) -> pd.DataFrame:
    """Buyers with two orders or more in the windows that end with the latest day."""
    calendar = Calendar(raw)
    bought: dict[str, list[list[Order]]] = defaultdict(list)
    for (community, _), mine in _by_member(raw).items():
        bought[community].append(mine)
    rows = []
    for community, members in bought.items():
        first, last = calendar.days(community)[0][0], calendar.latest(community)
        for window, days in {"30d": 30, "90d": 90, "180d": 180, "365d": 365, "all": 99_999}.items():
            since = max(first, last - dt.timedelta(days=days - 1)) if days < 99_999 else first
            counts = [sum(order.date >= since for order in mine) for mine in members]
            buyers, again = sum(count > 0 for count in counts), sum(count > 1 for count in counts)
            rows.append(
                {
                    "community_id": community,
                    "window": window,
                    "first_date": since,
                    "last_date": last,
                    "buyers": buyers,
                    "repeat_buyers": again,
                    "repurchase_rate": again / buyers if buyers else None,
                }
            )
    return pd.DataFrame(rows)


def repurchase_cycle(raw: RawEvents, *, by_category: bool) -> pd.DataFrame:
    """Days between consecutive orders of a member."""
    waits: dict[tuple[str, ...], list[tuple[str, float]]] = defaultdict(list)
    for (community, member), bought in _by_member(raw).items():
        for category in {name for order in bought for name in order.categories} if by_category else {None}:
            mine = [order for order in bought if category is None or category in order.categories]
            key = (community,) if category is None else (community, category)
            waits[key] += [(member, (b.at - a.at) / MS_PER_DAY) for a, b in itertools.pairwise(mine)]
    rows = []
    for key, found in waits.items():
        if not found:
            continue
        days = [wait for _, wait in found]
        rows.append(
            dict(zip(("community_id", "category"), key, strict=False))
            | {
                "intervals": len(days),
                "repeat_buyers": len({member for member, _ in found}),
                "median_days": statistics.median(days),
                "p25_days": float(np.quantile(days, 0.25)),
                "p75_days": float(np.quantile(days, 0.75)),
            }
        )
    return pd.DataFrame(rows)


# By recency and frequency score, as CRM texts print the map: rows are recency 5 to 1, columns frequency 1 to 5.
SEGMENTS = {
    5: ["new customers", "potential loyalists", "potential loyalists", "champions", "champions"],
    4: ["promising", "potential loyalists", "potential loyalists", "loyal customers", "loyal customers"],
    3: ["about to sleep", "about to sleep", "need attention", "loyal customers", "loyal customers"],
    2: ["hibernating", "hibernating", "at risk", "at risk", "cannot lose them"],
    1: ["hibernating", "hibernating", "at risk", "at risk", "cannot lose them"],
}


def rfm(raw: RawEvents) -> pd.DataFrame:
    """Scores by average ranks (pandas), segments by the printed map."""
    calendar = Calendar(raw)
    back: dict[tuple[str, str, str], int] = defaultdict(int)
    for refund in refunds(raw):
        back[refund.community, refund.order_id, refund.currency] += refund.amount
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for (community, member), bought in _by_member(raw).items():
        for order in bought:
            row = found.setdefault((community, order.currency, member), {"frequency": 0, "monetary_minor": 0})
            row["frequency"] += 1
            row["monetary_minor"] += order.amount - back[community, order.order_id, order.currency]
            row["last_order_at"] = pd.Timestamp(order.at, unit="ms", tz="UTC")
            row["recency_days"] = (calendar.latest(community) - order.date).days
    keys = ["community_id", "currency", "member_id"]
    table = pd.DataFrame([dict(zip(keys, key, strict=True)) | row for key, row in found.items()])
    groups = table.groupby(["community_id", "currency"])
    size = groups["member_id"].transform("size")
    for score, column, ascending in (
        ("recency_score", "recency_days", False),
        ("frequency_score", "frequency", True),
        ("monetary_score", "monetary_minor", True),
    ):
        rank = groups[column].rank(method="average", ascending=ascending)
        table[score] = np.ceil((10 * rank - 5) / (2 * size)).astype(int)
    table["segment"] = [
        SEGMENTS[row.recency_score][row.frequency_score - 1]
        for row in table.itertuples()  # type: ignore[index]
    ]
    return table


def rfm_segments(raw: RawEvents) -> pd.DataFrame:
    """Sizes and worth of the segments."""
    table = rfm(raw)
    keys = ["community_id", "currency"]
    found = (
        table.groupby([*keys, "segment"])
        .agg(
            buyers=("member_id", "size"),
            monetary_minor=("monetary_minor", "sum"),
            median_recency_days=("recency_days", "median"),
            mean_frequency=("frequency", "mean"),
        )
        .reset_index()
    )
    of = found.groupby(keys)
    found["buyers_share"] = found["buyers"] / of["buyers"].transform("sum")
    total = of["monetary_minor"].transform("sum")
    found["monetary_share"] = (found["monetary_minor"] / total.where(total != 0)).astype(float)
    return found
