"""What every view that stands on events must say, recomputed from the raw events: one list for whatever feed landed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.oracle import KEYS as KEYS_OF_TABLES
from tests.oracle import (
    TABLES,
    milliseconds,
    views_boards,
    views_buyers,
    views_campaigns,
    views_efforts,
    views_fatigue,
    views_health,
    views_hours,
    views_lifecycle,
    views_persons,
    views_responses,
    views_retention,
    views_revenue,
    views_roster,
)
from tests.views.recounts import Recounts


def instants(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with columns of milliseconds as instants."""
    return frame.assign(**{name: pd.to_datetime(frame[name], unit="ms", utc=True) for name in columns})


def first_joins(known: Recounts) -> pd.DataFrame:
    """First joins as rows."""
    rows = [
        (one.community, one.member, one.at, one.date, one.week, one.source)
        for one in views_retention.first_joins(known.raw)
    ]
    columns = ["community_id", "member_id", "joined_at", "join_date", "join_week", "source"]
    return instants(pd.DataFrame(rows, columns=columns), "joined_at")


def funnel_members(known: Recounts) -> pd.DataFrame:
    """Steps of each member."""
    expected = views_retention.funnel_members(known.raw)
    return instants(expected, *(name for name in expected.columns if name.endswith("_at")))


def first_responses(known: Recounts) -> pd.DataFrame:
    """First answers, with instants."""
    seconds = ("staff_seconds", "staff_service_seconds", "peer_seconds", "peer_service_seconds")
    expected = known.responses.astype(dict.fromkeys(seconds, float))
    return instants(expected, "asked_at", "staff_at", "peer_at")


def local_days(known: Recounts) -> pd.DataFrame:
    """The calendar of each community."""
    days = known.raw.sql(
        """select community_id, local_date, day_ms as day,
             lead(day_ms) over (partition by community_id order by local_date) as ends_at from calendar"""
    )
    days["hours"] = (days["ends_at"] - days["day"]) / 3_600_000
    return instants(days, "day", "ends_at")


def active_dates(known: Recounts) -> pd.DataFrame:
    """Active days of each member."""
    rows = [(*member, dates) for member, dates in views_roster.active_dates(known.raw).items()]
    return pd.DataFrame(rows, columns=[*MEMBER, "active_dates"])


def memberships(known: Recounts) -> pd.DataFrame:
    """Stays of members."""
    columns = [*MEMBER, "starts_at", "role", "started_by", "ends_at", "ended_by", "quit"]
    return views_fatigue.memberships(known.raw)[columns]


def doses(known: Recounts) -> pd.DataFrame:
    """Exposure summed by dose."""
    names = {"members": "member_days", "recently_active": "active_member_days", "fell_silent": "silent_member_days"}
    cells = known.exposure.drop(columns="local_date").groupby(["community_id", "dose"])
    table = cells.sum().reset_index().rename(columns=names)
    table["quit_share"] = table["quits"] / table["member_days"]
    return table


def rising_doses(known: Recounts) -> pd.DataFrame:
    """The dose from which on quits rise, by community."""
    by_community = known.exposure.groupby("community_id")
    return pd.DataFrame([{"community_id": name} | views_fatigue.rising_dose(cells) for name, cells in by_community])


def streak_days(known: Recounts) -> pd.DataFrame:
    """Days with a check-in."""
    found = views_boards.check_ins(known.raw)
    rows = [(*member, day, length) for member, days in found.items() for day, length in days.items()]
    return pd.DataFrame(rows, columns=[*MEMBER, "local_date", "streak_days"])


def month_winners(known: Recounts) -> pd.DataFrame:
    """The three best of months that are over."""
    boards = views_boards.leaderboards(known.raw)
    winners = boards[(boards["period"] == "month") & (boards["is_final"] == 1) & (boards["rank"] <= 3)]
    return winners.rename(columns={"period_start": "month"}).drop(columns=["period", "is_final"])


def best_hours(known: Recounts) -> pd.DataFrame:
    """The ten largest means."""
    hours = views_hours.activity_hours(known.raw)
    means = hours.groupby("community_id")["activity_mean"]
    hours["rank"] = means.rank(method="min", ascending=False).astype(int)
    hours["times_average"] = hours["activity_mean"] / means.transform("mean")
    best = hours[(hours["rank"] <= 10) & (hours["activity"] > 0)]
    return best[[*HOUR, "rank", "days", "activity_mean", "times_average"]]


def stages(known: Recounts) -> pd.DataFrame:
    """Members by stage."""
    members = views_lifecycle.lifecycle(known.raw, known.tier_days)
    counts = members.groupby(["community_id", "stage", "buyer_stage"]).size().rename("members").reset_index()
    counts["share"] = counts["members"] / counts.groupby("community_id")["members"].transform("sum")
    return counts


def efforts(known: Recounts) -> pd.DataFrame:
    """What took place where."""
    rows = [(one.community, one.name, one.kind, one.start, one.end) for one in known.efforts.efforts]
    return instants(pd.DataFrame(rows, columns=[*EFFORT, "starts_at", "ends_at"]), "starts_at", "ends_at")


def accounts(known: Recounts) -> pd.DataFrame:
    """Points by member."""
    entries, soon = known.ledger
    sums = entries.groupby(MEMBER)
    found = pd.DataFrame(
        {
            "balance": sums["points"].sum(),
            "earned": sums["points"].agg(lambda points: points[points > 0].sum()),
            **{
                name: -entries[entries["kind"] == kind].groupby(MEMBER)["points"].sum()
                for name, kind in (("redeemed", "redemption"), ("reversed", "reversal"), ("expired", "expiry"))
            },
        }
    ).fillna(0)
    found["expiring_30"] = pd.Series(soon)
    found.index.names = MEMBER
    return found.reset_index()


def thirty_days(known: Recounts) -> pd.DataFrame:
    """The thirtieth day of cohorts, in both readings."""
    cohorts = views_retention.retention_cohorts(known.raw)
    names = {"in_group": "still_in_group", "active_bounded": "active_on_day_30"}
    names |= {"active_unbounded": "active_on_day_30_or_later", "bounded_rate": "active_on_day_30_rate"}
    columns = ["community_id", "join_week", "members", *names.values()]
    return cohorts[cohorts["period"] == "D30"].rename(columns=names)[columns]


def events(known: Recounts) -> pd.DataFrame:
    """Each event once, late ones included."""
    told = {(one["community_id"], one["event_type"], one["event_id"]): (one, 1) for one in known.feed.late}
    told |= {(one["community_id"], one["event_type"], one["event_id"]): (one, 0) for one in known.feed.events}
    rows = [
        {
            **dict(zip(("community_id", "event_type", "event_id"), key, strict=True)),
            "occurred_at": milliseconds(one["occurred_at"]),
            "late": late,
            **{name: one.get(name, "") for name in ("reply_to", "action", "order_id", "status", "currency", "source")},
            **{name: one.get(name, 0) for name in ("amount_minor", "char_count")},
        }
        for key, (one, late) in told.items()
    ]
    return instants(pd.DataFrame(rows), "occurred_at")


def communities(known: Recounts) -> pd.DataFrame:
    """Communities of the rules, with who is on the roster or was seen."""
    members = known.batch.table("members")
    there = members[members["status"] != "left"].groupby("community_id").size()
    rows = [
        (name, said.get("name", ""), said.get("type", ""), said.get("timezone", "UTC"), int(there.get(name, 0)))
        for name, said in known.feed.communities.items()
    ]
    return pd.DataFrame(rows, columns=["community_id", "name", "type", "timezone", "members"])


def diagnosis(known: Recounts) -> pd.DataFrame:
    """Findings of each community; the words are made of them."""
    rows = []
    for row in views_health.group_health(known.raw).replace({np.nan: None}).to_dict("records"):
        before = max(1, row["members"] - row["growth"])
        share = row["growth"] / before if row["members"] else None
        grows = not row["members"] or row["growth"] > max(0, 0.02 * (row["members"] - row["growth"]))
        coupons = row["coupon_orders"] / row["coupon_claims"] if row["coupon_claims"] else None
        found = {
            "shrinking": not grows and row["growth"] < 0,
            "stalled": not grows and row["growth"] >= 0,
            "few_speakers": row["speaker_share"] is not None and row["speaker_share"] < 0.05,
            "promotions_dominate": row["promotion_share"] is not None and row["promotion_share"] >= 0.3,
            "questions_unanswered": row["questions"] >= 5 and (row["unanswered_share"] or 0) >= 0.5,
            "flooded": row["flood_minutes"] >= 10,
            "full_of_links": row["link_share"] is not None and row["link_share"] >= 0.3,
            "coupons_idle": row["coupon_claims"] >= 10 and (coupons or 0) < 0.1,
        }
        findings = [word for word, holds in found.items() if holds]
        names = ("community_id", "members", "zombie_score", "speaker_share", "promotion_share", "link_share")
        figures = {name: row[name] for name in names}
        rows.append(figures | {"findings": findings, "growth_share": share, "coupon_share": coupons})
    return pd.DataFrame(rows)


def routing(known: Recounts) -> pd.DataFrame:
    """Who should move by the moves that hold without a rules file; whoever is in such a group already need not."""
    members = known.batch.table("members")
    here = members[members["status"] != "left"]
    types = here.assign(type=here["community_id"].map(lambda home: known.feed.communities[home].get("type", "")))
    inside = types.groupby("member_id")["type"].agg(set).to_dict()
    rows = []
    standing = views_lifecycle.lifecycle(known.raw, known.tier_days).merge(here[MEMBER], on=MEMBER)
    for row in standing.itertuples():
        awake = row.stage in ("new", "activated", "active", "at_risk")
        moves = (
            (1, "vip", awake and row.value_tier == "high_value"),
            (2, "key opinion", awake and row.tier in ("core", "key_opinion")),
            (3, "high intent", awake and row.value_tier == "high_intent"),
            (4, "win back", row.stage == "dormant"),
        )
        fitting = [(rule, to) for rule, to, fits in moves if fits and to not in inside[row.member_id]]
        if fitting:
            rows.append((row.community_id, row.member_id, *fitting[0]))
    return pd.DataFrame(rows, columns=[*MEMBER, "rule", "to_type"])


def nodes(known: Recounts) -> pd.DataFrame:
    """Members of referral forests."""
    rows = [
        {"campaign_id": campaign, "member_id": member} | row
        for (campaign, member), row in known.referrals.nodes.items()
    ]
    return pd.DataFrame(rows).drop(columns="staff")


def credits_(known: Recounts) -> pd.DataFrame:
    """Transitions of credits that hold."""
    rows = [
        {"campaign_id": campaign, "edge_id": edge, "state": state} | row
        for (campaign, edge, state), row in known.referrals.credits.items()
        if not row.get("withdrawn")
    ]
    columns = ["campaign_id", "edge_id", "state", "referee_id", "referrer_id", "changed_at", "reason"]
    return instants(pd.DataFrame(rows)[columns], "changed_at")


def subtree_revenue(known: Recounts) -> pd.DataFrame:
    """Revenue of members and of all below them."""
    rows = [
        dict(zip(("campaign_id", "member_id", "currency"), key, strict=True))
        | money
        | {
            f"{whose}_revenue_minor": money[f"{whose}_paid_minor"] - money[f"{whose}_refunded_minor"]
            for whose in ("own", "subtree")
        }
        for key, money in known.referrals.revenue.items()
    ]
    return pd.DataFrame(rows)


HOME, MEMBER, EFFORT = ["community_id"], ["community_id", "member_id"], ["community_id", "effort_id", "kind"]
HOUR, COHORT = ["community_id", "weekday", "hour"], ["community_id", "join_week", "source"]

RECOMPUTED: dict[str, tuple[Callable[[Recounts], pd.DataFrame], list[str]]] = {
    **{name: (lambda known, name=name: known.batch.table(name), KEYS_OF_TABLES[name]) for name in TABLES},
    "events": (events, [*HOME, "event_type", "event_id"]),
    "communities": (communities, HOME),
    "active_members_daily": (lambda known: views_roster.active_members_daily(known.raw), [*HOME, "local_date"]),
    "roster_spells": (lambda known: views_roster.roster_spells(known.raw), [*MEMBER, "since"]),
    "participation_daily": (lambda known: views_roster.participation_daily(known.raw), [*HOME, "local_date"]),
    "participation_inequality": (lambda known: views_roster.participation_inequality(known.raw), [*HOME, "month"]),
    "member_active_dates": (active_dates, MEMBER),
    "local_days": (local_days, [*HOME, "local_date"]),
    "first_responses": (first_responses, [*HOME, "event_id"]),
    "response_times_daily": (
        lambda known: views_responses.response_times(known.raw, known.responses, monthly=False),
        [*HOME, "local_date", "responder"],
    ),
    "response_times_monthly": (
        lambda known: views_responses.response_times(known.raw, known.responses, monthly=True),
        [*HOME, "month", "responder"],
    ),
    "first_joins": (first_joins, MEMBER),
    "retention_cohorts": (
        lambda known: views_retention.retention_cohorts(known.raw),
        [*HOME, "join_week", "period"],
    ),
    "retention_30_days": (thirty_days, [*HOME, "join_week"]),
    "funnel_members": (funnel_members, MEMBER),
    "funnel_aarrr": (lambda known: views_retention.funnel(known.raw, strict=False), COHORT),
    "funnel_aarrr_strict": (lambda known: views_retention.funnel(known.raw, strict=True), COHORT),
    **{
        view: (lambda known, view=view: views_revenue.revenue(known.raw, view), [*HOME, column, "currency"])
        for view, (column, _) in views_revenue.PERIODS.items()
    },
    "revenue_total_daily": (
        lambda known: views_revenue.revenue_total(known.raw, monthly=False),
        ["local_date", "currency"],
    ),
    "revenue_total_monthly": (
        lambda known: views_revenue.revenue_total(known.raw, monthly=True),
        ["month", "currency"],
    ),
    "orders": (lambda known: views_revenue.order_table(known.raw), [*HOME, "order_id"]),
    "refunds": (lambda known: views_revenue.refund_table(known.raw), [*HOME, "event_id"]),
    "conversion_monthly": (lambda known: views_buyers.conversion_monthly(known.raw), [*HOME, "month"]),
    "coupons": (lambda known: views_buyers.coupons(known.raw), HOME),
    "coupon_codes": (lambda known: views_buyers.coupon_codes(known.raw), [*HOME, "code", "currency"]),
    "repurchase_cohorts": (
        lambda known: views_buyers.repurchase_cohorts(known.raw),
        [*HOME, "first_order_month", "within_days"],
    ),
    "repurchase_window": (lambda known: views_buyers.repurchase_window(known.raw), [*HOME, "window"]),
    "repurchase_cycle": (lambda known: views_buyers.repurchase_cycle(known.raw, by_category=False), HOME),
    "repurchase_cycle_by_category": (
        lambda known: views_buyers.repurchase_cycle(known.raw, by_category=True),
        [*HOME, "category"],
    ),
    "rfm": (lambda known: views_buyers.rfm(known.raw), [*MEMBER, "currency"]),
    "rfm_segments": (lambda known: views_buyers.rfm_segments(known.raw), [*HOME, "currency", "segment"]),
    "member_tier_days": (lambda known: known.tier_days, [*MEMBER, "local_date"]),
    "tier_changes": (lambda known: views_lifecycle.tier_changes(known.tier_days), [*MEMBER, "local_date"]),
    "lifecycle": (lambda known: views_lifecycle.lifecycle(known.raw, known.tier_days), MEMBER),
    "lifecycle_stages": (stages, [*HOME, "stage", "buyer_stage"]),
    "routing": (routing, MEMBER),
    "check_in_days": (streak_days, [*MEMBER, "local_date"]),
    "check_in_streaks": (lambda known: views_boards.streaks(known.raw), [*MEMBER, "first_date"]),
    "leaderboards": (
        lambda known: views_boards.leaderboards(known.raw),
        [*MEMBER, "period", "period_start", "board", "currency"],
    ),
    "month_winners": (month_winners, [*MEMBER, "month", "board", "currency"]),
    "points_ledger": (lambda known: known.ledger[0], [*MEMBER, "entry_id"]),
    "member_points": (accounts, MEMBER),
    "activity_hours": (lambda known: views_hours.activity_hours(known.raw), HOUR),
    "best_hours": (best_hours, HOUR),
    "order_hours": (lambda known: views_hours.order_hours(known.raw), [*HOME, "category", "hour"]),
    "efforts": (efforts, EFFORT),
    "effort_parts": (lambda known: known.efforts.first_parts(), [*EFFORT, "member_id"]),
    "effort_participants": (lambda known: known.efforts.participants(), [*EFFORT, "member_id"]),
    "effort_orders": (lambda known: known.efforts.orders(), [*EFFORT, "order_id"]),
    "effort_quits": (lambda known: known.efforts.quitters(), [*EFFORT, "member_id"]),
    "effort_baselines": (lambda known: known.efforts.baselines(), EFFORT),
    "effort_results": (lambda known: known.efforts.results(), EFFORT),
    "effort_totals": (lambda known: known.efforts.totals(), ["effort_id", "kind"]),
    "content_effect": (
        lambda known: views_efforts.content_effect(known.raw),
        [*HOME, "kind", "label", "by_staff"],
    ),
    "newcomers_answered": (lambda known: views_efforts.newcomers_answered(known.raw), HOME),
    "memberships": (memberships, [*MEMBER, "starts_at"]),
    "promotion_exposure": (lambda known: known.exposure, [*HOME, "local_date", "dose"]),
    "promotion_fatigue": (doses, [*HOME, "dose"]),
    "promotion_fatigue_dose": (rising_doses, HOME),
    "member_conduct": (lambda known: views_health.member_conduct(known.raw), MEMBER),
    "growth_sources": (lambda known: views_health.growth_sources(known.raw), [*HOME, "week", "source"]),
    "group_health": (lambda known: views_health.group_health(known.raw), HOME),
    "diagnosis": (diagnosis, HOME),
    "person_members": (lambda known: views_persons.person_members(known.raw, {}), MEMBER),
    "persons": (lambda known: views_persons.persons(known.raw, {}), ["person_id"]),
    "community_persons": (lambda known: views_persons.community_persons(known.raw, {}), HOME),
    "persons_1d": (lambda known: views_persons.persons_1d(known.raw, {}), ["local_date"]),
    "referral_nodes": (nodes, ["campaign_id", "member_id"]),
    "referral_credits": (credits_, ["campaign_id", "edge_id", "state"]),
    "referral_leaderboard": (
        lambda known: views_campaigns.leaderboard(known.lives, known.referrals),
        ["campaign_id", "member_id"],
    ),
    "referral_revenue": (subtree_revenue, ["campaign_id", "member_id", "currency"]),
    "referral_funnel": (lambda known: views_campaigns.funnel(known.lives, known.referrals), ["campaign_id"]),
    "k_factor": (lambda known: known.lives.k_factor(), [*HOME, "week_start"]),
    "referral_source_quality": (
        lambda known: known.lives.referral_source_quality(),
        [*HOME, "brought_how", "brought_by"],
    ),
}
"""By view: the rows it must have, and the columns that name a row."""


def check(known: Recounts, view: str) -> pd.DataFrame:
    """Every row of a view equals its recomputation, which is returned."""
    expect, keys = RECOMPUTED[view]
    expected = expect(known)
    known.landed.check(view, expected, keys)
    return expected
