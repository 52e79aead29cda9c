"""Group health recomputed member by member and message by message; shares nothing with the views' SQL."""

import datetime as dt
from collections import Counter, defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from tests.oracle.view_events import RawEvents
from tests.oracle.views_fatigue import memberships

DAY_MS = 86_400_000


def _windows(raw: RawEvents) -> dict[str, tuple[int, dt.date]]:
    """Start of the last 30 local days of each community, ms, and the last of them."""
    found = {}
    for community, days in raw.sql("select * from calendar").groupby("community_id"):
        last = max(pd.Timestamp(day).date() for day in days["local_date"])
        inside = [
            at
            for day, at in zip(days["local_date"], days["day_ms"], strict=True)
            if pd.Timestamp(day).date() > last - dt.timedelta(days=30)
        ]
        found[community] = (min(inside), last)
    return found


def _recent(raw: RawEvents) -> pd.DataFrame:
    frame = raw.frame
    starts = {community: start for community, (start, _) in _windows(raw).items()}
    frame = frame[frame["community_id"].isin(starts)]
    frame = frame[frame["time_ms"] >= frame["community_id"].map(starts)].copy()
    interaction = set(raw.sql("select distinct kind from event where interacts")["kind"])
    frame["talk"] = frame["speaks"] | (frame["of_staff"] & ~frame["kind"].isin(interaction))
    return frame


def member_conduct(raw: RawEvents) -> pd.DataFrame:
    """A row per community and member who spoke."""
    recent = _recent(raw)
    posts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for post in recent[recent["speaks"]].itertuples():
        posts[post.community_id, post.member_id].append(post)
    rows = []
    for (community, member), mine in posts.items():
        minutes = Counter(post.time_ms // 60_000 for post in mine)
        rows.append(
            {
                "community_id": community,
                "member_id": member,
                "messages": len(mine),
                "links": sum(post.kind == "link" for post in mine),
                "promotions": sum(bool(post.is_promotion) for post in mine),
                "flood_minutes": sum(count >= 6 for count in minutes.values()),
                "most_in_a_minute": max(minutes.values()),
            }
        )
    table = pd.DataFrame(rows)
    table["link_share"] = table["links"] / table["messages"]
    table["promotion_share"] = table["promotions"] / table["messages"]
    table["share_of_talk"] = table["messages"] / table.groupby("community_id")["messages"].transform("sum")
    return table


def growth_sources(raw: RawEvents) -> pd.DataFrame:
    """A row per community, local week and source."""
    counts: dict[tuple[str, dt.date, str], Counter[str]] = defaultdict(Counter)
    moves = raw.frame[raw.frame["action"].isin(["joined", "left", "removed", "gone"])]
    came_by: dict[tuple[str, str], str] = {}
    for act in moves.assign(later=moves["action"] != "joined").sort_values(["time_ms", "later"]).itertuples():
        zone = ZoneInfo(raw.zones.get(act.community_id, "UTC"))
        day = dt.datetime.fromtimestamp(act.time_ms / 1000, dt.UTC).astimezone(zone).date()
        week = day - dt.timedelta(days=day.weekday())
        member = (act.community_id, act.member_id)
        if act.action == "joined":
            came_by[member] = act.source if isinstance(act.source, str) and act.source else act.via
        cell = counts[act.community_id, week, came_by.get(member, "unknown")]
        cell["joins" if act.action == "joined" else "leaves"] += 1
        cell["quits"] += act.action in ("left", "gone")
    rows = [
        (*key, found["joins"], found["leaves"], found["quits"], found["joins"] - found["leaves"])
        for key, found in counts.items()
    ]
    return pd.DataFrame(rows, columns=["community_id", "week", "source", "joins", "leaves", "quits", "growth"])


def group_health(raw: RawEvents) -> pd.DataFrame:
    """A row per community."""
    recent, conduct = _recent(raw), member_conduct(raw)
    stays = memberships(raw)
    on_roster = stays[stays["end_ms"].isna() & ~stays["role"].isin(["staff", "bot"])]
    rows = []
    for community, (_, last_date) in _windows(raw).items():
        mine = recent[recent["community_id"] == community]
        members = set(on_roster[on_roster["community_id"] == community]["member_id"])
        spoken = mine[mine["speaks"]]
        talk = mine[mine["talk"]]
        paid = mine[mine["paid"]]
        with_coupon = paid[paid["coupon_codes"].map(len) > 0]
        speaking_members = len(set(spoken["member_id"]) & members)
        joins = int((mine["action"] == "joined").sum())
        leaves = int(mine["action"].isin(["left", "removed", "gone"]).sum())
        questions, unanswered = _questions(mine)
        share = speaking_members / len(members) if members else None
        promoted = float(talk["is_promotion"].astype(bool).mean()) if len(talk) else None
        tells = bool((mine["reply_to"].notna() & (mine["event_type"] == "message")).any())
        rows.append(
            {
                "community_id": community,
                "last_date": last_date,
                "members": len(members),
                "speakers": spoken["member_id"].nunique(),
                "speaker_share": share,
                "messages": len(spoken),
                "staff_messages": len(talk) - len(spoken),
                "promotion_share": promoted,
                "link_share": float((talk["kind"] == "link").mean()) if len(talk) else None,
                "flood_minutes": int(conduct[conduct["community_id"] == community]["flood_minutes"].sum()),
                "zombie_score": None if share is None or promoted is None else 50 * (1 - share) + 50 * promoted,
                "questions": questions,
                "unanswered_questions": unanswered,
                "unanswered_share": unanswered / questions if questions and tells else None,
                "joins": joins,
                "leaves": leaves,
                "growth": joins - leaves,
                "orders": paid["order_id"].nunique(),
                "coupon_claims": int(((mine["kind"] == "coupon_claim") & mine["interacts"]).sum()),
                "coupon_orders": with_coupon["order_id"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def _questions(mine: pd.DataFrame) -> tuple[int, int]:
    end = mine["time_ms"].max() - DAY_MS
    asked = mine[mine["speaks"] & mine["is_question"].fillna(False).astype(bool) & (mine["time_ms"] <= end)]
    answers: dict[Any, list[tuple[int, str]]] = defaultdict(list)
    messages = mine[(mine["event_type"] == "message") & mine["reply_to"].notna()]
    for reply in messages.itertuples():
        answers[reply.reply_to].append((reply.time_ms, reply.member_id))
    unanswered = sum(
        not any(
            question.time_ms <= at <= question.time_ms + DAY_MS and who != question.member_id
            for at, who in answers[question.event_id]
        )
        for question in asked.itertuples()
    )
    return len(asked), unanswered
