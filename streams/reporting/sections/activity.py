"""Who is active, who speaks, how unevenly, and how long members wait for an answer."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import count, percent, ratio, span, words

_MONTHS = """
SELECT toStartOfMonth(local_date) AS month, avg(dau) AS mean_dau, argMax(wau, local_date) AS last_wau,
    argMax(mau, local_date) AS last_mau, avg(dau_mau) AS mean_dau_mau, avg(wau_mau) AS mean_wau_mau
FROM qunpulse.active_members_daily
WHERE community_id = {c:String} AND local_date >= {since:Date} AND local_date < {end:Date}
GROUP BY month ORDER BY month
"""
_TALK = """
SELECT toStartOfMonth(toDate(window_start, {zone:String})) AS month, sum(messages) AS messages,
    sum(interactions) AS interactions, sum(staff_messages) AS staff_messages
FROM qunpulse.activity_1d
WHERE community_id = {c:String} AND toDate(window_start, {zone:String}) >= {since:Date}
    AND toDate(window_start, {zone:String}) < {end:Date}
GROUP BY month
"""
_DAYS = """
SELECT local_date, dau, wau, mau, dau_mau
FROM qunpulse.active_members_daily
WHERE community_id = {c:String} AND local_date >= {since:Date} AND local_date < {end:Date} ORDER BY local_date
"""


def activity(source: Source) -> Section:
    """DAU, WAU, MAU and stickiness."""
    section = Section(
        "activity",
        "Activity",
        "Active members: distinct members with a message, an interaction or a paid order in the day (DAU) or in the 7 "
        "(WAU) or 30 days (MAU) that end with it; staff and bots are not counted. Stickiness: DAU ÷ MAU.",
        "Nobody has been active yet.",
    )
    months = source.rows(_MONTHS, since=source.months_before(5))
    talk = {row["month"]: row for row in source.rows(_TALK, since=source.months_before(5))}
    silent = {"messages": 0, "interactions": 0, "staff_messages": 0}
    for row in months:
        row |= {"month_name": f"{row['month']:%Y-%m}", **(talk.get(row["month"]) or silent | {"month": row["month"]})}
    by_month = {row["month"]: row for row in months}
    now, before = by_month.get(source.scope.start), by_month.get(source.parameters["before"], {})
    if now is None:
        return section
    section.fact("mean_dau", "DAU, mean of the month", now["mean_dau"], count, before.get("mean_dau"))
    section.fact("last_wau", "WAU on its last day", now["last_wau"], count, before.get("last_wau"))
    section.fact("last_mau", "MAU on its last day", now["last_mau"], count, before.get("last_mau"))
    section.fact("mean_dau_mau", "Stickiness, mean", now["mean_dau_mau"], percent, before.get("mean_dau_mau"))
    section.fact("messages", "Messages of members", now["messages"], count, before.get("messages"))
    section.fact("interactions", "Interactions", now["interactions"], count, before.get("interactions"))
    days = source.rows(_DAYS, since=source.months_before(2))
    dates = [row["local_date"] for row in days]
    month = (source.scope.start, source.scope.end)
    section.plot(
        "Active members of each day, and of the 7 and 30 days that end with it; the month is shaded.",
        drawing.lines(
            "Active members a day",
            dates,
            {name.upper(): [row[name] for row in days] for name in ("dau", "wau", "mau")},
            "members",
            band=month,
        ),
    )
    section.plot(
        "Stickiness: what share of the month's active members comes on a day.",
        drawing.lines("Stickiness", dates, {"DAU ÷ MAU": [row["dau_mau"] for row in days]}, "share", share=True,
                      band=month),
    )  # fmt: skip
    section.table(
        "months",
        "The last months",
        (
            Column("month_name", "Month"),
            Column("mean_dau", "DAU, mean", count),
            Column("last_wau", "WAU, last day", count),
            Column("last_mau", "MAU, last day", count),
            Column("mean_dau_mau", "DAU ÷ MAU, mean", percent),
            Column("mean_wau_mau", "WAU ÷ MAU, mean", percent),
            Column("messages", "Messages", count),
            Column("interactions", "Interactions", count),
            Column("staff_messages", "By staff and bots", count),
        ),
        months,
    )
    return section


_SPEAKING = """
SELECT local_date, speakers, roster, participation_rate
FROM qunpulse.participation_daily
WHERE community_id = {c:String} AND local_date >= {since:Date} AND local_date < {end:Date} ORDER BY local_date
"""
_RATES = """
SELECT toStartOfMonth(local_date) AS month, avg(participation_rate) AS rate
FROM qunpulse.participation_daily
WHERE community_id = {c:String} AND local_date >= {before:Date} AND local_date < {end:Date} GROUP BY month
"""
_UNEVEN = """
SELECT month, roster, speakers, messages, gini, top_1_percent_share, next_9_percent_share, other_90_percent_share
FROM qunpulse.participation_inequality
WHERE community_id = {c:String} AND month >= {since:Date} AND month < {end:Date} ORDER BY month
"""
_ANSWERS = """
SELECT responder, method, messages, answered, median_seconds, p90_seconds, median_service_seconds,
    p90_service_seconds, unanswered_share
FROM qunpulse.response_times_monthly
WHERE community_id = {c:String} AND month = {start:Date} ORDER BY responder DESC
"""


def participation(source: Source) -> Section:
    """Speakers, inequality, time to first response."""
    section = Section(
        "participation",
        "Participation and inequality",
        "Participation rate: speakers of a day ÷ members on the roster. Gini: 0 when all write alike, 1 when one "
        "writes all; it is taken over the whole roster, silent members included.",
        "Nobody has been on the roster yet.",
    )
    rates = {row["month"]: row["rate"] for row in source.rows(_RATES)}
    uneven = source.rows(_UNEVEN, since=source.months_before(5))
    by_month = {row["month"]: row for row in uneven}
    now, before = by_month.get(source.scope.start), by_month.get(source.parameters["before"], {})
    if now is None:
        return section
    rate, rate_before = rates.get(source.scope.start), rates.get(source.parameters["before"])
    section.fact("participation_rate", "Participation rate of a day, mean", rate, percent, rate_before)
    section.fact("speakers", "Speakers in the month", now["speakers"], count, before.get("speakers"))
    section.fact("roster", "Roster at its end", now["roster"], count, before.get("roster"))
    section.fact("gini", "Gini of messages", now["gini"], ratio, before.get("gini"))
    top = "top_1_percent_share"
    section.fact(top, "Written by the busiest 1 %", now[top], percent, before.get(top))
    days = source.rows(_SPEAKING, since=source.months_before(2))
    if any(row["speakers"] for row in days):
        section.plot(
            "Speakers of each day as a share of the roster; the month is shaded.",
            drawing.lines(
                "Participation rate",
                [row["local_date"] for row in days],
                {"speakers ÷ roster": [row["participation_rate"] for row in days]},
                "share of the roster",
                share=True,
                band=(source.scope.start, source.scope.end),
            ),
        )
    shares = {
        "busiest 1 %": [row[top] for row in uneven],
        "next 9 %": [row["next_9_percent_share"] for row in uneven],
        "other 90 %": [row["other_90_percent_share"] for row in uneven],
    }
    if any(row["gini"] is not None for row in uneven):
        section.plot(
            "Who writes the messages of a month: the busiest hundredth of the roster, the next nine, everybody else.",
            drawing.bars("Shares of messages", [f"{row['month']:%Y-%m}" for row in uneven], shares, "share of messages",
                         share=True, stacked=True),
        )  # fmt: skip
    answers = source.rows(_ANSWERS)
    section.table(
        "responses",
        "Time to the first response to a member's message",
        (
            Column("responder", "Answered by"),
            Column("messages", "Messages", count),
            Column("answered", "Answered", count),
            Column("median_seconds", "Median", span),
            Column("p90_seconds", "90th percentile", span),
            Column("median_service_seconds", "Median in service hours", span),
            Column("p90_service_seconds", "90th perc. in service hours", span),
            Column("unanswered_share", "Unanswered after 24 h", percent),
            Column("method", "How it is known", words),
        ),
        answers,
    )
    if any(row["method"] == "next_message" for row in answers):
        section.notes.append(
            "The events of this community never say what is answered: the next message of somebody else is taken for "
            "the answer, so these times are estimates."
        )
    return section
