"""Where members stand: life cycle and tiers, who should move to which group; and who leads."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import count, money, percent, text, words

STAGES = ("new", "activated", "active", "at_risk", "dormant", "lost")
BUYER_STAGES = {"potential": "no order yet", "first_time": "one order", "repeat": "several orders"}

_STAGES = """
SELECT stage, buyer_stage, members, share, high_value, core, as_of
FROM qunpulse.lifecycle_stages WHERE community_id = {c:String}
"""
_TIERS = """
SELECT tier, value_tier, count() AS members
FROM qunpulse.lifecycle
WHERE community_id = {c:String} AND stage != 'lost' GROUP BY tier, value_tier ORDER BY members DESC, tier, value_tier
"""
_CHANGES = """
SELECT tier_before, tier, value_tier_before, value_tier, count() AS changes, uniqExact(member_id) AS members
FROM qunpulse.tier_changes
WHERE community_id = {c:String} AND local_date >= {start:Date} AND local_date < {end:Date}
GROUP BY ALL ORDER BY changes DESC, tier_before, tier, value_tier_before, value_tier LIMIT 10
"""
_ROUTING = """
SELECT to_type, reason, count() AS members, arrayStringConcat(arraySlice(arraySort(groupArray(member_id)), 1, 5), ', ')
    AS first_members
FROM qunpulse.routing WHERE community_id = {c:String} GROUP BY to_type, reason ORDER BY members DESC, to_type
"""


def lifecycle(source: Source) -> Section:
    """Stages, tiers, moves."""
    section = Section(
        "lifecycle",
        "Life cycle and tiers",
        "Each member on the community's last day with a figure. At risk: silent beyond the member's own rhythm; "
        "dormant and lost: silent for long, or left. Tiers are by behaviour and by value; the "
        "rules file sets the limits.",
        "There are no members yet.",
    )
    rows = source.rows(_STAGES)
    if not rows:
        return section
    members: dict[tuple[str, str], int] = {(row["stage"], row["buyer_stage"]): row["members"] for row in rows}
    total = sum(members.values())
    by_stage = {stage: sum(members.get((stage, kind), 0) for kind in BUYER_STAGES) for stage in STAGES}
    for stage in STAGES:
        section.fact(stage, words(stage).capitalize(), by_stage[stage], count)
    section.plot(
        f"Members by stage on {rows[0]['as_of']}, and how often they have bought.",
        drawing.bars(
            "Members by stage",
            [words(stage) for stage in STAGES],
            {name: [members.get((stage, kind), 0) for stage in STAGES] for kind, name in BUYER_STAGES.items()},
            "members",
            stacked=True,
        ),
    )
    section.table(
        "stages",
        "Stages",
        (
            Column("stage_words", "Stage"),
            Column("members", "Members", count),
            Column("share", "Share", percent),
            *(Column(kind, name.capitalize(), count) for kind, name in BUYER_STAGES.items()),
        ),
        [
            {"stage_words": words(stage), "members": by_stage[stage], "share": by_stage[stage] / total}
            | {kind: members.get((stage, kind), 0) for kind in BUYER_STAGES}
            for stage in STAGES
        ],
    )
    section.table(
        "tiers",
        "Tiers of those who are not lost",
        (
            Column("tier", "By behaviour", words),
            Column("value_tier", "By value", words),
            Column("members", "Members", count),
        ),
        source.rows(_TIERS),
    )
    changes = [
        row | {"before": f"{words(row['tier_before'])}, {words(row['value_tier_before'])}",
               "after": f"{words(row['tier'])}, {words(row['value_tier'])}"}
        for row in source.rows(_CHANGES)
    ]  # fmt: skip
    section.table(
        "changes",
        "Changes of tier in the month, the most frequent",
        (
            Column("before", "From"),
            Column("after", "To"),
            Column("changes", "Changes", count),
            Column("members", "Members", count),
        ),
        changes,
    )
    section.table(
        "routing",
        "Who should move to another kind of group",
        (
            Column("to_type", "Kind of group"),
            Column("reason", "Why"),
            Column("members", "Members", count),
            Column("first_members", "For instance"),
        ),
        source.rows(_ROUTING),
    )
    return section


BOARDS = {
    "most_active": "Most active (minutes with a message)",
    "most_replied_to": "Most replied to (distinct people)",
    "longest_streak": "Longest check-in streak (days)",
    "best_inviters": "Best inviters (newcomers)",
    "best_buyers": "Best buyers",
}
_LEADERS = """
SELECT board, currency, rank, member_id, score, is_final
FROM qunpulse.leaderboards
WHERE community_id = {c:String} AND period = 'month' AND period_start = {start:Date}
    AND (board != 'longest_streak' OR score > 1)
ORDER BY currency, rank, member_id
"""
_WINNERS = """
SELECT board, currency, member_id
FROM qunpulse.month_winners WHERE community_id = {c:String} AND month = {start:Date}
"""
_POINTS = """
SELECT member_id, balance, earned, redeemed, reversed, expired, expiring_30
FROM qunpulse.member_points WHERE community_id = {c:String} ORDER BY balance DESC, member_id LIMIT 10
"""
_SHOWN = 10
_BOARD = (
    Column("place", "Place", str),
    Column("member_id", "Member"),
    Column("score_shown", "Score", str),
)
_WINNER = "★"  # in nearly every font, which medals are not


def leaderboards(source: Source) -> Section:
    """The ten best of the month on five boards, and the points."""
    section = Section(
        "leaderboards",
        "Leaderboards of the month",
        "Staff and bots are left out, equals share a place. At most one message a minute counts; replies count by "
        "distinct people. The first three are final once the month and the time for late events are over.",
        "Nobody has a place on a board this month.",
    )
    rows = source.rows(_LEADERS)
    winners = {(row["board"], row["currency"], row["member_id"]) for row in source.rows(_WINNERS)}
    for board, title in BOARDS.items():
        of_board = [row for row in rows if row["board"] == board]
        for currency in dict.fromkeys(row["currency"] for row in of_board):
            own = [
                row | {"place": f"{_WINNER if (board, currency, row['member_id']) in winners else ''} {row['rank']}",
                       "score_shown": money(row["score"], currency) if currency else count(row["score"])}
                for row in of_board if row["currency"] == currency
            ]  # fmt: skip
            final = "final" if own[0]["is_final"] else "not final yet"
            name = f"{board}.{currency}" if currency else board
            section.table(name, f"{title}: {final}", _BOARD, own[:_SHOWN])
            if len(own) > _SHOWN:
                section.notes.append(f"{title}: {len(own) - _SHOWN} more share the last place and are not shown.")
    section.table(
        "points",
        "Most points now",
        (
            Column("member_id", "Member", text),
            Column("balance", "Balance", count),
            Column("earned", "Earned", count),
            Column("redeemed", "Redeemed", count),
            Column("reversed", "Taken back", count),
            Column("expired", "Expired", count),
            Column("expiring_30", "Expire within 30 days", count),
        ),
        source.rows(_POINTS),
    )
    return section
