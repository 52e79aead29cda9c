"""Cohorts by joining and the AARRR funnel, member by member from the raw events."""

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tests.oracle.view_events import RawEvents
from tests.oracle.views_roster import Calendar, active_dates, employed, is_in, turns

PERIODS = {f"D{n}": (n, n) for n in (1, 7, 14, 30)} | {f"W{n}": (7 * n, 7 * n + 6) for n in range(1, 13)}
MS_PER_DAY = 86_400_000


@dataclass
class Joined:
    """Somebody who joined, for the first time at `at`."""

    community: str
    member: str
    at: int
    date: dt.date
    source: str

    @property
    def week(self) -> dt.date:
        """Monday of the week of joining."""
        return self.date - dt.timedelta(days=self.date.weekday())


def first_joins(raw: RawEvents) -> list[Joined]:
    """First time each member joined, without staff and bots."""
    staff, seen, found = employed(raw), set(), []
    for community, member, at, date, source, via in raw.rows(
        """select community_id, member_id, time_ms, local_date, source, via from event
           where action = 'joined' order by time_ms, event_id"""
    ):
        if (community, member) not in seen and (community, member) not in staff:
            found.append(Joined(community, member, at, date, source or via))
        seen.add((community, member))
    return found


def retention_cohorts(raw: RawEvents) -> pd.DataFrame:
    """All periods of all cohorts."""
    calendar, active, roster = Calendar(raw), active_dates(raw), turns(raw)
    cohorts: dict[tuple[str, dt.date], list[Joined]] = defaultdict(list)
    for joined in first_joins(raw):
        cohorts[joined.community, joined.week].append(joined)
    rows = []
    for (community, week), members in cohorts.items():
        for period, (first, last) in PERIODS.items():
            row: dict[str, Any] = {
                "community_id": community,
                "join_week": week,
                "period": period,
                "first_day": first,
                "last_day": last,
                "members": len(members),
            }
            counts = dict.fromkeys(("active_bounded", "active_unbounded", "in_group"))
            if week + dt.timedelta(days=6 + last) < calendar.latest(community):
                bounded = unbounded = there = 0
                for one in members:
                    days = [(date - one.date).days for date in active.get((community, one.member), [])]
                    bounded += any(first <= day <= last for day in days)
                    unbounded += any(day >= first for day in days)
                    end = calendar.end_ms(community, one.date + dt.timedelta(days=last))
                    there += is_in(roster[community, one.member], end)
                counts = {"active_bounded": bounded, "active_unbounded": unbounded, "in_group": there}
            rates = {
                name: None if count is None else count / len(members)
                for name, count in zip(
                    ("bounded_rate", "unbounded_rate", "in_group_rate"), counts.values(), strict=True
                )
            }
            rows.append(row | counts | rates)
    return pd.DataFrame(rows)


@dataclass
class _Did:
    """When (ms) and on which local date a member did what."""

    starts: list[tuple[int, dt.date]] = field(default_factory=list)
    acts: list[tuple[int, dt.date]] = field(default_factory=list)
    orders: list[tuple[int, dt.date]] = field(default_factory=list)
    referrals: list[tuple[int, dt.date]] = field(default_factory=list)


def funnel_members(raw: RawEvents, activation_days: int = 7) -> pd.DataFrame:
    """When each member took each step (ms or None)."""
    did: dict[tuple[str, str], _Did] = defaultdict(_Did)
    for community, member, at, date, speaks, interacts, paid, referee, inviter in raw.rows(
        """select community_id, member_id, time_ms, local_date, speaks, interacts, paid, referee_id,
             case when action = 'joined' then inviter_id end
           from event order by time_ms"""
    ):
        mine = did[community, member]
        if speaks or paid:
            mine.starts.append((at, date))
        if speaks or interacts or paid:
            mine.acts.append((at, date))
        if paid:
            mine.orders.append((at, date))
        if referee and referee != member:
            mine.referrals.append((at, date))
        if inviter and inviter != member:
            did[community, inviter].referrals.append((at, date))
    rows = []
    for one in first_joins(raw):
        mine, day = did[one.community, one.member], dt.timedelta(days=1)
        activated = _first((at for at, date in mine.starts if date <= one.date + activation_days * day), one.at)
        retained = _first((at for at, date in mine.acts if one.date + 8 * day <= date <= one.date + 30 * day), one.at)
        strict_retained = retained if activated is not None else None
        strict_bought = _first((at for at, _ in mine.orders), strict_retained)
        rows.append(
            {
                "community_id": one.community,
                "member_id": one.member,
                "join_week": one.week,
                "source": one.source,
                "acquired_at": one.at,
                "activated_at": activated,
                "retained_at": retained,
                "bought_at": _first((at for at, _ in mine.orders), one.at),
                "referred_at": _first((at for at, _ in mine.referrals), one.at),
                "strict_retained_at": strict_retained,
                "strict_bought_at": strict_bought,
                "strict_referred_at": _first((at for at, _ in mine.referrals), strict_bought),
            }
        )
    return pd.DataFrame(rows)


def funnel(raw: RawEvents, *, strict: bool, activation_days: int = 7) -> pd.DataFrame:
    """Counts, step rates and median days of each cohort and source."""
    calendar = Calendar(raw)
    prefix = "strict_" if strict else ""
    steps = ["acquired_at", "activated_at", *(f"{prefix}{step}_at" for step in ("retained", "bought", "referred"))]
    names = ["acquired", "activated", "retained", "bought", "referred"]
    members = funnel_members(raw, activation_days).astype(object)
    members = members.where(members.notna(), None)
    rows = []
    for (community, week, source), cohort in members.groupby(["community_id", "join_week", "source"]):
        times = cohort[steps].to_numpy().tolist()
        counts = [sum(row[step] is not None for row in times) for step in range(5)]
        row: dict[str, Any] = {"community_id": community, "join_week": week, "source": source}
        row |= dict(zip(names, counts, strict=True))
        old = [(calendar.latest(str(community)) - week).days > 6 + days for days in (activation_days, 30)]
        known = [old[0], old[1], old[1] if strict else True, old[1] if strict else True]
        for step, rate in enumerate(("activation_rate", "retention_rate", "purchase_rate", "referral_rate"), start=1):
            of = counts[step - 1] if strict else counts[0]
            row[rate] = counts[step] / of if known[step - 1] and of else None
            before = step - 1 if strict else 0
            waits = [(one[step] - one[before]) / MS_PER_DAY for one in times if one[step] is not None]
            row[f"median_days_to_{names[step]}"] = statistics.median(waits) if waits else None
        rows.append(row)
    return pd.DataFrame(rows)


def _first(times: Iterable[int], since: int | None) -> int | None:
    return None if since is None else min((at for at in times if at >= since), default=None)
