"""How the group is: the diagnosis in words, the figures behind it, newcomers, and what follows messages."""

from __future__ import annotations

from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import between, count, percent, points, ratio, words

_DIAGNOSIS = "SELECT * FROM qunpulse.diagnosis WHERE community_id = {c:String}"
_HEALTH = "SELECT * FROM qunpulse.group_health WHERE community_id = {c:String}"
_NEWCOMERS = "SELECT * FROM qunpulse.newcomers_answered WHERE community_id = {c:String}"
_CONDUCT = """
SELECT member_id, messages, share_of_talk, links, promotions, flood_minutes, most_in_a_minute
FROM qunpulse.member_conduct
WHERE community_id = {c:String} AND (promotions > 0 OR flood_minutes > 0 OR links > 0)
ORDER BY promotions + flood_minutes + links DESC, member_id LIMIT 8
"""
_CONTENT = """
SELECT kind, label, by_staff, posts, replies_per_post, reactions_per_post, orders_per_post, quits_per_post
FROM qunpulse.content_effect WHERE community_id = {c:String} ORDER BY posts DESC, kind, label, by_staff LIMIT 10
"""


def health(source: Source) -> Section:
    """Diagnosis, group health, newcomers, conduct, content."""
    section = Section(
        "health",
        "Group health",
        "The 30 days that end with the community's last day with a figure. Zombie score: 100 when nobody but promoters "
        "talks, 0 when everybody talks and nobody promotes.",
        "Nothing is known of the group's last 30 days.",
    )
    found, figures = source.row(_DIAGNOSIS), source.row(_HEALTH)
    if not found or not figures:
        return section
    section.notes.append(found["diagnosis"])
    section.fact("zombie_score", "Zombie score, 0 to 100", figures["zombie_score"], count)
    section.fact("members", "Members now", figures["members"], count)
    section.fact("growth", "Joins − leaves", figures["growth"], count)
    section.fact("speaker_share", "Members who spoke", figures["speaker_share"], percent)
    section.fact("promotion_share", "Promotions among messages", figures["promotion_share"], percent)
    section.fact("link_share", "Links among messages", figures["link_share"], percent)
    section.fact("unanswered_share", "Questions without an answer", figures["unanswered_share"], percent)
    section.fact("flood_minutes", "Minutes with flooding", figures["flood_minutes"], count)
    newcomers = source.row(_NEWCOMERS)
    if newcomers and newcomers["difference"] is not None:
        interval = between(points(newcomers["difference_low"]), points(newcomers["difference_high"]))
        section.notes.append(
            f"Newcomers whose first message was answered within a day: {percent(newcomers['answered_share'])} of "
            f"{count(newcomers['answered'])} were still here 30 days later; of those not answered "
            f"{percent(newcomers['unanswered_share'])} of {count(newcomers['unanswered'])}. Difference "
            f"{points(newcomers['difference'])} ({interval}, 95 % interval)."
        )
    section.table(
        "content",
        "What follows messages (all time): replies, reactions, and orders and quits within 24 hours",
        (
            Column("kind", "Kind", words),
            Column("label_shown", "Label"),
            Column("who", "Posted by"),
            Column("posts", "Posts", count),
            Column("replies_per_post", "Replies a post", ratio),
            Column("reactions_per_post", "Reactions a post", ratio),
            Column("orders_per_post", "Orders a post", ratio),
            Column("quits_per_post", "Quits a post", ratio),
        ),
        [row | {"who": "staff" if row["by_staff"] else "members", "label_shown": row["label"] or "(all)"}
         for row in source.rows(_CONTENT)],
    )  # fmt: skip
    section.table(
        "conduct",
        "Members with the most promotions, links and flooding",
        (
            Column("member_id", "Member"),
            Column("messages", "Messages", count),
            Column("share_of_talk", "Share of all talk", percent),
            Column("promotions", "Promotions", count),
            Column("links", "Links", count),
            Column("flood_minutes", "Minutes with 6 messages or more", count),
        ),
        source.rows(_CONDUCT),
    )
    return section
