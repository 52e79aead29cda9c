"""How a community grows: joins and leaves by source, the funnel of newcomers, and who of them stays."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Source
from streams.reporting.wording import count, days, percent, ratio, signed

_WEEKS = """
SELECT week, sum(joins) AS joins, sum(leaves) AS leaves
FROM qunpulse.growth_sources
WHERE community_id = {c:String} AND week >= {since:Date} AND week < {end:Date} GROUP BY week ORDER BY week
"""
_SOURCES = """
SELECT source, sum(joins) AS joins, sum(leaves) AS leaves, sum(quits) AS quits, sum(growth) AS growth
FROM qunpulse.growth_sources
WHERE community_id = {c:String} AND week >= {start:Date} AND week < {end:Date}
GROUP BY source ORDER BY joins DESC, source LIMIT 15
"""
_MONTHS = """
SELECT toStartOfMonth(toDate(window_start, {zone:String})) AS month, sum(joins) AS joins, sum(leaves) AS leaves
FROM qunpulse.activity_1d
WHERE community_id = {c:String} AND toDate(window_start, {zone:String}) >= {before:Date}
    AND toDate(window_start, {zone:String}) < {end:Date}
GROUP BY month
"""
_K = """
SELECT sum(invitations) AS invitations, sum(accepted) AS accepted, avg(k_factor) AS k
FROM qunpulse.k_factor
WHERE community_id = {c:String} AND week_start >= {from:DateTime64(3)} AND week_start < {to:DateTime64(3)}
"""


def growth(source: Source) -> Section:
    """Joins, leaves, where members come from, invitations."""
    section = Section(
        "growth",
        "Growth and sources",
        "Joins − leaves. A leave counts for the source its member came by. K-factor: joins that one member's "
        "invitations of a week brought about.",
        "Nobody joined or left in these months.",
    )
    months = {row["month"]: row for row in source.rows(_MONTHS)}
    now, before = months.get(source.scope.start, {}), months.get(source.parameters["before"], {})
    weeks = source.rows(_WEEKS, since=source.months_before(5))
    if not weeks and not now.get("joins") and not now.get("leaves"):
        return section
    section.fact("joins", "Joins", now.get("joins", 0), count, before.get("joins"))
    section.fact("leaves", "Leaves", now.get("leaves", 0), count, before.get("leaves"))
    invited = source.row(_K)
    if invited.get("invitations"):
        section.fact("invitations", "Invitations in its weeks", invited["invitations"], count)
        section.fact("accepted", "Of these, joined", invited["accepted"], count)
        section.fact("k_factor", "K-factor of a week, mean", invited["k"], ratio)
    if weeks:
        section.plot(
            "Joins and leaves of each week.",
            drawing.bars(
                "Joins and leaves a week",
                [f"{row['week']:%m-%d}" for row in weeks],
                {"joins": [row["joins"] for row in weeks], "leaves": [row["leaves"] for row in weeks]},
                "members a week",
                x_label="week that begins on Monday",
            ),
        )
    section.table(
        "sources",
        "Where members come from, weeks that begin in the month",
        (
            Column("source", "Source"),
            Column("joins", "Joins", count),
            Column("leaves", "Leaves", count),
            Column("quits", "Of these, by themselves", count),
            Column("growth", "Growth", signed),
        ),
        source.rows(_SOURCES),
    )
    return section


_STEPS = ("acquired", "activated", "retained", "bought", "referred")
_FUNNEL = """
SELECT count() AS cohorts, sum(acquired) AS acquired, sum(activated) AS activated, sum(retained) AS retained,
    sum(bought) AS bought, sum(referred) AS referred
FROM qunpulse.{view}
WHERE community_id = {{c:String}} AND join_week >= {{since:Date}} AND join_week < {{end:Date}}
"""
_BY_SOURCE = """
SELECT source, sum(acquired) AS acquired, sum(activated) AS activated, sum(retained) AS retained,
    sum(bought) AS bought, sum(referred) AS referred
FROM qunpulse.funnel_aarrr
WHERE community_id = {c:String} AND join_week >= {since:Date} AND join_week < {end:Date}
GROUP BY source ORDER BY acquired DESC, source LIMIT 15
"""
_TIMES = """
SELECT quantileExactIf(0.5)(dateDiff('second', acquired_at, activated_at), activated_at IS NOT NULL) / 86400 AS
        activated,
    quantileExactIf(0.5)(dateDiff('second', acquired_at, retained_at), retained_at IS NOT NULL) / 86400 AS retained,
    quantileExactIf(0.5)(dateDiff('second', acquired_at, bought_at), bought_at IS NOT NULL) / 86400 AS bought,
    quantileExactIf(0.5)(dateDiff('second', acquired_at, referred_at), referred_at IS NOT NULL) / 86400 AS referred
FROM qunpulse.funnel_members
WHERE community_id = {c:String} AND join_week >= {since:Date} AND join_week < {end:Date}
"""


def funnel(source: Source) -> Section:
    """Acquired, activated, retained, bought, referred: of those who joined in the quarter."""
    section = Section(
        "funnel",
        "Funnel of newcomers",
        "Members who joined in the three months up to the month's end: activated by a first message or order within 7 "
        "days, retained when active on days 8 to 30, bought, referred somebody; in any order, and as a sequence.",
        "Nobody joined in these three months.",
    )
    since = source.months_before(2)
    loose = source.row(_FUNNEL.format(view="funnel_aarrr"), since=since)
    strict = source.row(_FUNNEL.format(view="funnel_aarrr_strict"), since=since)
    if not loose.get("acquired"):
        return section
    times = source.row(_TIMES, since=since)
    for step in _STEPS:
        section.fact(step, step.capitalize(), loose[step], count)
    section.plot(
        "How many newcomers took each step; in brackets the share of all who joined. The youngest still have time.",
        drawing.steps(
            "Funnel",
            _STEPS,
            {"in any order": [loose[step] for step in _STEPS], "in sequence": [strict[step] for step in _STEPS]},
            "members",
        ),
    )
    rows = [
        {
            "step": step,
            "loose": loose[step],
            "share": loose[step] / loose["acquired"],
            "strict": strict[step],
            "of_step_before": None if number == 0 or not strict[_STEPS[number - 1]]
            else strict[step] / strict[_STEPS[number - 1]],
            "days": times[step] if step in times and loose[step] else None,
        }
        for number, step in enumerate(_STEPS)
    ]  # fmt: skip
    section.table(
        "steps",
        "The steps",
        (
            Column("step", "Step"),
            Column("loose", "In any order", count),
            Column("share", "Share of acquired", percent),
            Column("days", "Median time from joining", days),
            Column("strict", "In sequence", count),
            Column("of_step_before", "Share of the step before", percent),
        ),
        rows,
    )
    section.table(
        "sources",
        "By source, in any order",
        (Column("source", "Source"), *(Column(step, step.capitalize(), count) for step in _STEPS)),
        source.rows(_BY_SOURCE, since=since),
    )
    return section


_COHORTS = """
SELECT period, any(first_day) AS first_day, sumIf(members, active_bounded IS NOT NULL) AS old_enough,
    sum(active_bounded) / old_enough AS bounded, sum(active_unbounded) / old_enough AS unbounded,
    sum(in_group) / old_enough AS in_group
FROM qunpulse.retention_cohorts
WHERE community_id = {c:String} AND join_week >= {since:Date} AND join_week < {end:Date}
GROUP BY period HAVING old_enough > 0 ORDER BY period LIKE 'W%', first_day
"""
_THIRTY = """
SELECT join_week, members, still_in_group_rate, active_on_day_30_rate, active_on_day_30_or_later_rate
FROM qunpulse.retention_30_days
WHERE community_id = {c:String} AND join_week >= {since:Date} AND join_week < {end:Date} ORDER BY join_week
"""


def retention(source: Source) -> Section:
    """Cohorts of the half year: bounded, unbounded, still in the group."""
    section = Section(
        "retention",
        "Retention",
        "Of those who joined in the six months up to the month's end. Bounded: active in exactly that day or week. "
        "Unbounded: active in it or later. In the group: on the roster, active or not. The day of joining is day 0; "
        "only cohorts old enough count for a figure.",
        "Nobody joined in these six months, or nobody long enough ago.",
    )
    rows = source.rows(_COHORTS, since=source.months_before(5))
    if not rows:
        return section
    weeks = [row for row in rows if row["period"].startswith("W")]
    kinds = {"in the group": "in_group", "active then or later (unbounded)": "unbounded",
             "active exactly then (bounded)": "bounded"}  # fmt: skip
    if weeks:
        section.plot(
            "Share of newcomers in the weeks after joining, all cohorts together.",
            drawing.lines(
                "Retention by week",
                [row["period"] for row in weeks],
                {name: [row[column] for row in weeks] for name, column in kinds.items()},
                "share of the cohort",
                share=True,
                x_label="week after joining",
            ),
        )
    section.table(
        "periods",
        "All cohorts together",
        (
            Column("period", "Day or week"),
            Column("old_enough", "Members old enough", count),
            Column("bounded", "Active exactly then", percent),
            Column("unbounded", "Active then or later", percent),
            Column("in_group", "Still in the group", percent),
        ),
        rows,
    )
    section.table(
        "thirty_days",
        "Thirty days later, by week of joining",
        (
            Column("join_week", "Week of joining"),
            Column("members", "Joined", count),
            Column("still_in_group_rate", "Still in the group", percent),
            Column("active_on_day_30_rate", "Active on day 30", percent),
            Column("active_on_day_30_or_later_rate", "Active on day 30 or later", percent),
        ),
        source.rows(_THIRTY, since=source.months_before(2)),
    )
    return section
