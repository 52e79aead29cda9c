"""Orders once each, refunds when they happen, and what follows per period."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tests.oracle.view_events import RawEvents
from tests.oracle.views_roster import active_dates


@dataclass(frozen=True)
class Order:
    """An order as a community was first told of it."""

    community: str
    order_id: str
    member: str
    at: int
    date: dt.date
    currency: str
    amount: int
    coupons: frozenset[str]
    categories: frozenset[str]
    platform: str | None


@dataclass(frozen=True)
class Refund:
    """A refund of (a part of) an order."""

    community: str
    order_id: str
    at: int
    date: dt.date
    currency: str
    amount: int


def orders(raw: RawEvents) -> list[Order]:
    """Every order of every community, by time."""
    found: dict[tuple[str, str], Order] = {}
    for community, order_id, member, at, date, currency, amount, coupons, items, platform in raw.rows(
        """select community_id, order_id, member_id, time_ms, local_date, currency, amount_minor, coupon_codes, items,
             platform
           from event where paid order by time_ms, event_id"""
    ):
        categories = frozenset(item["category"] or "" for item in items)
        told = Order(community, order_id, member, at, date, currency, amount, frozenset(coupons), categories, platform)
        found.setdefault((community, order_id), told)
    return list(found.values())


def refunds(raw: RawEvents) -> list[Refund]:
    """Every refund event."""
    return [
        Refund(community, original or order_id, at, date, currency, amount)
        for community, original, order_id, at, date, currency, amount in raw.rows(
            """select community_id, original_order_id, order_id, time_ms, local_date, currency, amount_minor
               from event where refunded"""
        )
    ]


def order_table(raw: RawEvents) -> pd.DataFrame:
    """Orders as a table, numbered by buyer, with what was refunded of each in its currency."""
    back: dict[tuple[str, str, str], int] = defaultdict(int)
    for refund in refunds(raw):
        back[refund.community, refund.order_id, refund.currency] += refund.amount
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    rows = []
    for one in sorted(orders(raw), key=lambda one: (one.at, one.order_id)):
        numbers[one.community, one.member] += 1
        rows.append(
            {
                "community_id": one.community,
                "order_id": one.order_id,
                "member_id": one.member,
                "ordered_at": pd.Timestamp(one.at, unit="ms", tz="UTC"),
                "local_date": one.date,
                "order_number": numbers[one.community, one.member],
                "currency": one.currency,
                "amount_minor": one.amount,
                "refunded_minor": back[one.community, one.order_id, one.currency],
            }
        )
    return pd.DataFrame(rows)


def refund_table(raw: RawEvents) -> pd.DataFrame:
    """Refunds as a table."""
    return raw.sql(
        """select community_id, event_id, coalesce(original_order_id, order_id) as order_id, member_id,
             make_timestamptz(time_ms * 1000) as refunded_at, local_date, currency, amount_minor as refunded_minor
           from event where refunded"""
    )


PERIODS: dict[str, tuple[str, Callable[[dt.date], dt.date]]] = {
    "revenue_daily": ("local_date", lambda date: date),
    "revenue_weekly": ("week", lambda date: date - dt.timedelta(days=date.weekday())),
    "revenue_monthly": ("month", lambda date: date.replace(day=1)),
}


def revenue(raw: RawEvents, view: str) -> pd.DataFrame:
    """One of the views of PERIODS."""
    column, period = PERIODS[view]
    active: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    for (community, member), dates in active_dates(raw).items():
        for date in dates:
            active[community, period(date)].add(member)
    paid: dict[tuple[str, dt.date, str], list[Order]] = defaultdict(list)
    back: dict[tuple[str, dt.date, str], int] = defaultdict(int)
    first_by: dict[tuple[str, str], Order] = {}
    for order in sorted(orders(raw), key=lambda one: (one.at, one.order_id)):
        paid[order.community, period(order.date), order.currency].append(order)
        first_by.setdefault((order.community, order.member), order)
    for refund in refunds(raw):
        back[refund.community, period(refund.date), refund.currency] += refund.amount
    rows = []
    for community, start, currency in sorted(paid.keys() | back.keys()):
        mine = paid.get((community, start, currency), [])
        gmv = sum(order.amount for order in mine)
        net = gmv - back[community, start, currency]
        buyers = len({order.member for order in mine})
        users = len(active[community, start])
        rows.append(
            {
                "community_id": community,
                column: start,
                "currency": currency,
                "orders": len(mine),
                "buyers": buyers,
                "new_buyers": sum(first_by[community, order.member] is order for order in mine),
                "gmv_minor": gmv,
                "refunded_minor": gmv - net,
                "net_gmv_minor": net,
                "active_members": users,
                "arpu_minor": net / users if users else None,
                "arppu_minor": net / buyers if buyers else None,
                "average_order_minor": gmv / len(mine) if mine else None,
            }
        )
    return pd.DataFrame(rows)


def revenue_total(raw: RawEvents, *, monthly: bool) -> pd.DataFrame:
    """All communities together, each order in the community that was told of it first."""
    every, back = orders(raw), refunds(raw)
    home: dict[str, str] = {}
    for order in sorted(every, key=lambda one: (one.at, one.community)):
        home.setdefault(order.order_id, order.community)
    for refund in sorted(back, key=lambda one: (one.at, one.community)):
        home.setdefault(refund.order_id, refund.community)
    rows: dict[tuple[dt.date, str], dict[str, Any]] = {}

    def row_of(one: Order | Refund) -> dict[str, Any]:
        date = one.date.replace(day=1) if monthly else one.date
        empty: dict[str, Any] = {
            "communities": set(),
            "buyers": set(),
            "orders": 0,
            "gmv_minor": 0,
            "refunded_minor": 0,
        }
        row = rows.setdefault((date, one.currency), empty)
        row["communities"].add(one.community)
        return row

    for order in every:
        if home[order.order_id] == order.community:
            row = row_of(order)
            row["orders"] += 1
            row["buyers"].add((order.platform, order.member))
            row["gmv_minor"] += order.amount
    for refund in back:
        if home[refund.order_id] == refund.community:
            row_of(refund)["refunded_minor"] += refund.amount
    return pd.DataFrame(
        [
            {"month" if monthly else "local_date": date, "currency": currency}
            | {name: len(value) if isinstance(value, set) else value for name, value in row.items()}
            | {"net_gmv_minor": row["gmv_minor"] - row["refunded_minor"]}
            for (date, currency), row in rows.items()
        ]
    )
