"""Tiers, stages and moves recomputed event by event; shares nothing with the views' SQL."""

import datetime as dt
from collections import defaultdict
from typing import Any

import pandas as pd

from tests.oracle.local_days import local_date
from tests.oracle.view_events import RawEvents

OFFERS = {"coupon_claim", "coupon_use", "live_view", "click"}
RANK = {"member": 0, "expert": 1, "owner": 2, "admin": 3, "staff": 4, "bot": 5}
STAFF = {"staff", "bot"}


def _tier(role: str, days: int, orders: int, referrals: int) -> str:
    if days >= 15 and orders >= 2:
        return "core"
    if role in ("expert", "owner", "admin") or days >= 15 or referrals >= 5:
        return "key_opinion"
    return "active" if days >= 4 else "ordinary"


def _value_tier(orders: int, paid: int, offers: int) -> str:
    if orders >= 5 or paid >= 200_000:
        return "high_value"
    return "high_intent" if orders or offers >= 3 else "low_intent"


def tier_days(raw: RawEvents) -> pd.DataFrame:
    """A row per community, member and local day on which the member did or was told something."""
    rows: list[dict[str, Any]] = []
    counting = raw.frame[(raw.frame["event_type"] != "order") | raw.frame["paid"]]
    for (community, member), events in counting.groupby(["community_id", "member_id"]):
        told = [(e.time_ms, RANK[e.role], e.role) for e in events.itertuples() if e.event_type in ("message", "join")]
        if told and max(told)[2] in STAFF:
            continue
        days: dict[dt.date, list[Any]] = defaultdict(list)
        for event in events.itertuples():
            days[event.local_date].append(event)
        seen: list[Any] = []
        active: list[dt.date] = []
        for day in sorted(days):
            seen += days[day]
            if any(e.speaks or e.interacts or e.paid for e in days[day]):
                active.append(day)
            month = active[-1] - dt.timedelta(days=29) if active else day
            roles = [(e.time_ms, RANK[e.role], e.role) for e in seen if e.event_type in ("message", "join")]
            row = {
                "community_id": community,
                "member_id": member,
                "local_date": day,
                "role": max(roles)[2] if roles else "member",
                "active_days_30": sum(date >= month for date in active),
                "orders": sum(e.paid for e in seen),
                "paid_minor": sum(int(e.amount_minor) for e in seen if e.paid),
                "referrals": sum(e.event_type == "referral" for e in seen),
                "offer_actions_30": sum(
                    e.interacts and e.kind in OFFERS and month <= e.local_date <= active[-1] for e in seen
                ),
            }
            row["tier"] = _tier(row["role"], row["active_days_30"], row["orders"], row["referrals"])
            row["value_tier"] = _value_tier(row["orders"], row["paid_minor"], row["offer_actions_30"])
            rows.append(row)
    return pd.DataFrame(rows)


def tier_changes(days: pd.DataFrame) -> pd.DataFrame:
    """A row per day on which a tier is another than before."""
    rows = []
    for _, history in days.sort_values("local_date").groupby(["community_id", "member_id"]):
        before, value_before = "ordinary", "low_intent"
        for row in history.to_dict("records"):
            if (row["tier"], row["value_tier"]) != (before, value_before):
                rows.append(row | {"tier_before": before, "value_tier_before": value_before})
            before, value_before = row["tier"], row["value_tier"]
    return pd.DataFrame(rows)


def lifecycle(raw: RawEvents, days: pd.DataFrame) -> pd.DataFrame:
    """A row per community and member."""
    last = days.sort_values("local_date").groupby(["community_id", "member_id"])[["tier", "value_tier"]].last()
    as_of = {community: max(dates) for community, dates in _calendar(raw).items()}
    frame = raw.frame[raw.frame["speaks"] | raw.frame["interacts"] | raw.frame["paid"]]
    active = {key: sorted(set(dates)) for key, dates in frame.groupby(["community_id", "member_id"])["local_date"]}
    bought = raw.frame[raw.frame["paid"]].groupby(["community_id", "member_id"])["order_id"].nunique().to_dict()
    rows = []
    for member in raw.sql(
        "select *, epoch_ms(coalesce(joined_at, first_seen_at)) as begins_ms from member "
        "where role not in ('staff', 'bot')"
    ).itertuples():
        key = (member.community_id, member.member_id)
        if member.community_id not in as_of:
            continue
        since = local_date(int(member.begins_ms), raw.zones.get(member.community_id, "UTC"))
        dates = active.get(key, [])
        later = [date for date in dates if date >= since]
        silent = (as_of[member.community_id] - max([since, *dates[-1:]])).days
        gap = None if pd.isna(member.typical_gap_days) else member.typical_gap_days
        orders = bought.get(key, 0)
        tier, value_tier = last.loc[key] if key in last.index else ("ordinary", "low_intent")
        rows.append(
            {
                "community_id": key[0],
                "member_id": key[1],
                "stage": _stage(member.status, silent, later, gap, as_of[member.community_id]),
                "buyer_stage": ("potential", "first_time", "repeat")[min(orders, 2)],
                "tier": tier,
                "value_tier": value_tier,
                "since": since,
                "last_active_date": dates[-1] if dates else None,
                "silent_days": silent,
                "orders": orders,
            }
        )
    return pd.DataFrame(rows)


def _stage(status: str, silent: int, later: list[dt.date], gap: float | None, as_of: dt.date) -> str:
    if status == "left" or silent > 90:
        return "lost"
    if silent > 30:
        return "dormant"
    if not later:
        return "new" if silent < 7 else "at_risk"
    if silent > max(7, 3 * (gap or 0)):
        return "at_risk"
    return "activated" if (as_of - later[0]).days < 30 else "active"


def _calendar(raw: RawEvents) -> dict[str, list[dt.date]]:
    found: dict[str, list[dt.date]] = defaultdict(list)
    for community, day in raw.rows("select community_id, local_date from calendar"):
        found[community].append(day)
    return found
