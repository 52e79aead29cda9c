"""The views of campaigns counted again, over forests and ledgers worked out by the referral oracle."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tests.oracle.local_days import local_date
from tests.oracle.reading import milliseconds
from tests.oracle.referrals import ReferralOracle
from tests.oracle.targets import Asked, Standing, Subject
from tests.oracle.views_referrals import GRACE_MS, Recount, Row, share

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def leaderboard(recount: Recount, oracle: ReferralOracle) -> pd.DataFrame:
    """A row per campaign and member with a linked edge; revenue as sorted (currency, minor units)."""
    brought: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (campaign, _), edge in oracle.edges.items():
        if edge["state"] == "linked":
            brought[campaign, edge["referrer_id"]].append(edge)
    rows = []
    for (campaign, member), edges in brought.items():
        node = oracle.nodes[campaign, member]
        people = [recount.members.get((edge["community_id"], edge["referee_id"])) for edge in edges]
        seen = [person for person in people if person is not None]
        stays = [_stay_ms(person, recount.as_of) for person in seen if not pd.isna(person["joined_at"])]
        own: dict[str, int] = defaultdict(int)
        below: dict[str, int] = defaultdict(int)
        for (of, one, currency), money in oracle.revenue.items():
            if of == campaign and one in {edge["referee_id"] for edge in edges}:
                own[currency] += money["own_paid_minor"] - money["own_refunded_minor"]
            if of == campaign and one == member:
                below[currency] += money["subtree_paid_minor"] - money["subtree_refunded_minor"]
        rows.append(
            {
                "campaign_id": campaign,
                "member_id": member,
                "is_staff": node["staff"],
                "direct": len(edges),
                "matured": node["matured_direct"],
                "reversed": node["reversed_direct"],
                "still_here": sum(person["status"] != "left" for person in seen),
                "average_stay_days": sum(stays) / len(stays) / DAY_MS if stays else None,
                "revenue_minor": sorted(one for one in own.items() if one[1]),
                "subtree_revenue_minor": sorted(one for one in below.items() if one[1]),
                "as_of": pd.Timestamp(recount.as_of, unit="ms", tz="UTC"),
            }
        )
    for row in rows:
        rivals = [one for one in rows if (one["campaign_id"], one["is_staff"]) == (row["campaign_id"], row["is_staff"])]
        mine = (row["matured"], row["direct"])
        row["rank"] = 1 + sum((one["matured"], one["direct"]) > mine for one in rivals)
    return pd.DataFrame(rows)


def _stay_ms(person: Row, as_of: int) -> int:
    left = person["status"] == "left"
    end = milliseconds(person["left_at"].isoformat()) if left else as_of
    return end - milliseconds(person["joined_at"].isoformat())


def funnel(recount: Recount, oracle: ReferralOracle) -> pd.DataFrame:
    """A row per campaign with a linked edge."""
    people: dict[str, list[tuple[int, int | None, int | None, int | None]]] = defaultdict(list)
    for (campaign, _), edge in oracle.edges.items():
        if edge["state"] == "linked":
            people[campaign].append(_steps(recount, edge))
    rows = []
    for campaign, steps in people.items():
        joined = [one for one in steps if one[1] is not None]
        active = [one for one in joined if one[2] is not None]
        bought = [one for one in active if one[3] is not None]
        rows.append(
            {
                "campaign_id": campaign,
                "invited": len(steps),
                "joined": len(joined),
                "active": len(active),
                "bought": len(bought),
                "joined_rate": share(len(joined), len(steps)),
                "active_rate": share(len(active), len(joined)),
                "bought_rate": share(len(bought), len(active)),
                "bought_of_invited_rate": share(len(bought), len(steps)),
                "median_hours_to_join": _median(max(one[1] - one[0], 0) for one in joined),  # type: ignore[operator]
                "median_hours_to_active": _median(one[2] - one[1] for one in active),  # type: ignore[operator]
                "median_hours_to_buy": _median(one[3] - one[2] for one in bought),  # type: ignore[operator]
            }
        )
    return pd.DataFrame(rows)


def _steps(recount: Recount, edge: Row) -> tuple[int, int | None, int | None, int | None]:
    """When a referee was invited, joined, was active and bought."""
    invited = edge["occurred_at"]
    life = recount.lives.get((edge["community_id"], edge["referee_id"]))
    joins = [at for at in life.joins() if at >= invited - GRACE_MS] if life else []
    if life is None or not joins:
        return invited, None, None, None
    joined = min(joins)
    days: dict[Any, list[int]] = defaultdict(list)
    for at in life.active + [at for at, order in life.orders if order["status"] == "refunded"]:
        days[local_date(at, recount.zones.get(edge["community_id"], "UTC"))].append(at)
    really = {local_date(at, recount.zones.get(edge["community_id"], "UTC")) for at in life.active}
    starts = [max(min(times), joined) for date, times in days.items() if date in really and max(times) >= joined]
    orders = [at for at, order in life.orders if order["status"] == "paid" and at >= joined]
    return invited, joined, min(starts, default=None), min(orders, default=None)


def _median(spans_ms: Iterable[int]) -> float | None:
    listed = list(spans_ms)
    return statistics.median(listed) / HOUR_MS if listed else None


def target_rate(
    recount: Recount, oracle: ReferralOracle, asked: Mapping[str, Asked], standing: Mapping[Subject, Standing]
) -> pd.DataFrame:
    """A row per campaign with a target that opened for somebody who is no staff."""
    by_campaign: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for (campaign, kind, name), one in standing.items():
        if kind == "group" or not oracle.nodes.get((campaign, name), {}).get("staff"):
            by_campaign[campaign, kind].append(one)
    rows = []
    for (campaign, kind), people in by_campaign.items():
        reached = [one for one in people if one.reached is not None and one.taken_back is None]
        running = [
            one for one in people if one not in reached and (one.deadline is None or one.deadline > recount.as_of)
        ]
        target = asked[campaign]
        within = "" if target.within_days is None else f" within {target.within_days} days"
        rows.append(
            {
                "campaign_id": campaign,
                "subject_kind": kind,
                "target": f"{target.count} {target.kind}{within}",
                "opened": len(people),
                "reached": len(reached),
                "taken_back": sum(one.taken_back is not None for one in people),
                "running": len(running),
                "reached_share": share(len(reached), len(people)),
                "reached_share_of_ended": share(len(reached), len(people) - len(running)),
                "median_hours_to_reach": _median((one.reached or 0) - one.opened for one in reached),
                "as_of": pd.Timestamp(recount.as_of, unit="ms", tz="UTC"),
            }
        )
    return pd.DataFrame(rows)
