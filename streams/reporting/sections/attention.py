"""What asks for attention: alerts of the month, and what to say to whom next."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import between, count, percent, points, words

_KINDS = """
SELECT kind, count() AS alerts, countIf(state = 'opened') AS opened, countIf(state = 'acknowledged') AS acknowledged,
    countIf(state = 'resolved') AS resolved, countIf(state = 'expired') AS expired
FROM qunpulse.alerts
WHERE community_id = {c:String} AND opened_at >= {from:DateTime64(3)} AND opened_at < {to:DateTime64(3)}
GROUP BY kind ORDER BY alerts DESC, kind
"""
_OPEN = """
SELECT formatDateTime(opened_at, '%F %R', {zone:String}) AS since, kind, severity, member_id, reason, suggested_action
FROM qunpulse.alerts
WHERE community_id = {c:String} AND state IN ('opened', 'acknowledged') AND opened_at >= {from:DateTime64(3)}
    AND opened_at < {to:DateTime64(3)}
ORDER BY indexOf(['critical', 'high', 'medium', 'low'], severity), value_at_risk DESC, opened_at DESC, alert_id LIMIT 12
"""


def alerts(source: Source) -> Section:
    """Alerts that opened in the month."""
    section = Section(
        "alerts",
        "Alerts",
        "Alerts that opened in the month and where they stand now. Expired: it was long past when it was first looked "
        "at, as in a replay of history, and nobody was told.",
        "No alert opened in this month.",
    )
    kinds = source.rows(_KINDS)
    if not kinds:
        return section
    section.fact("opened_in_month", "Alerts of the month", sum(row["alerts"] for row in kinds), count)
    waiting = sum(row["opened"] + row["acknowledged"] for row in kinds)
    section.fact("still_open", "Alerts of the month not over yet", waiting, count)
    section.table(
        "kinds",
        "By kind",
        (
            Column("kind", "Kind", words),
            Column("alerts", "Alerts", count),
            Column("opened", "Open", count),
            Column("acknowledged", "Acknowledged", count),
            Column("resolved", "Resolved", count),
            Column("expired", "Expired", count),
        ),
        kinds,
    )
    section.table(
        "open",
        "Not over yet, the most severe first",
        (
            Column("since", "Since"),
            Column("kind", "Kind", words),
            Column("severity", "Severity"),
            Column("member_id", "Member"),
            Column("reason", "Why"),
            Column("suggested_action", "What to do"),
        ),
        source.rows(_OPEN),
    )
    return section


_TOUCHES = """
SELECT kind, count() AS decided, countIf(held_out = 0 AND replay = 0) AS sent, countIf(held_out = 1) AS left_alone,
    countIf(replay = 1) AS replayed, uniqExact(member_id) AS members
FROM qunpulse.touches
WHERE community_id = {c:String} AND decided_at >= {from:DateTime64(3)} AND decided_at < {to:DateTime64(3)}
GROUP BY kind ORDER BY decided DESC, kind
"""
_EFFECT = """
SELECT kind, touched, touched_share, held_out, held_out_share, effect, effect_low, effect_high
FROM qunpulse.touch_effect WHERE community_id = {c:String} ORDER BY kind
"""


def touches(source: Source) -> Section:
    """Touches of the month and what touches change."""
    section = Section(
        "touches",
        "Touches: what to say to whom next",
        "Decided once per occasion: thanks after an order, a reminder at the member's own cycle, welcome, win-back, a "
        "streak about to break. Some members are held out, so that the effect can be told: the difference between who "
        "did what was hoped for with the touch and without.",
        "No touches were decided in this month (the rules file switches them on: section touches).",
    )
    decided, effects = source.rows(_TOUCHES), source.rows(_EFFECT)
    if decided:
        section.fact("decided", "Decided in the month", sum(row["decided"] for row in decided), count)
    section.table(
        "kinds",
        "Decided in the month",
        (
            Column("kind", "Kind", words),
            Column("decided", "Decided", count),
            Column("members", "Members", count),
            Column("sent", "Sent", count),
            Column("left_alone", "Held out", count),
            Column("replayed", "In a replay, sent to nobody", count),
        ),
        decided,
    )
    known = [row for row in effects if row["effect"] is not None]
    if known:
        section.plot(
            "What touches change, all time, with 95 % intervals; grey where the interval spans 0.",
            drawing.intervals(
                "Effect of touches",
                [words(row["kind"]) for row in known],
                [row["effect"] for row in known],
                [row["effect_low"] for row in known],
                [row["effect_high"] for row in known],
                "difference of shares, touched − held out",
                share=True,
            ),
        )
    section.table(
        "effect",
        "What touches change (all time)",
        (
            Column("kind", "Kind", words),
            Column("touched", "Touched", count),
            Column("touched_share", "Did it", percent),
            Column("held_out", "Held out", count),
            Column("held_out_share", "Did it all the same", percent),
            Column("effect", "Effect", points),
            Column("interval", "95 % interval", str),
        ),
        [row | {"interval": between(points(row["effect_low"]), points(row["effect_high"]))} for row in effects],
    )
    return section
