"""Dashboard *Communities*, for those who look after them: who is active, who comes and goes, what needs care."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.fragments import BUSIEST, CHOSEN, NAMED, community_variable
from infra.grafana.panels import Shown, bars, board, lines, number, row, rows, series, table

_SEVERITIES: Final = "['critical', 'high', 'medium', 'low']"


def communities(runbooks: str) -> Dashboard:
    """The dashboard. Days are those of each community and stand at their beginning in UTC."""
    return board(
        "communities",
        "Communities",
        "How communities are doing: rolling activity, members, churn and health alerts, growth by referral. For "
        "operators.",
        "now-90d",
        [community_variable()],
        [
            row("Now"),
            *_now(),
            row("Rolling activity"),
            *_activity(),
            row("Members"),
            *_members(),
            row("Churn and health alerts"),
            *_alerts(),
            row("Referral growth"),
            *_referrals(),
        ],
        runbooks,
    )


def _now() -> list[Shown]:
    def activity(window: str) -> str:
        return f"FROM qunpulse.activity_now WHERE window = '{window}' AND {CHOSEN}"

    return [
        number(
            "Members",
            "Members on the rosters of the chosen communities, as of the last checkpoint.",
            table(f"SELECT sum(members) AS members FROM qunpulse.communities WHERE {CHOSEN}"),
            "short",
            width=4,
        ),
        number(
            "Active in 7 days",
            "Members with a message, an interaction or a paid order in the 7 days up to now, summed over communities: "
            "who is in two of them counts twice.",
            table(f"SELECT sum(active_members) AS active {activity('7d')}"),
            "short",
            width=4,
        ),
        number(
            "Messages in 24 hours",
            "Messages of members in the last 24 hours; staff and bots not counted.",
            table(f"SELECT sum(messages) AS messages {activity('24h')}"),
            "short",
            width=4,
        ),
        number(
            "Growth in 30 days",
            "Joins less leaves of the last 30 days. Below zero the communities shrink.",
            table(f"SELECT sum(toInt64(joins)) - sum(toInt64(leaves)) AS growth {activity('30d')}"),
            "short",
            width=4,
            limits=[(0, "green")],
            falling=True,
        ),
        number(
            "Open alerts",
            "Alerts that are opened or acknowledged and not over yet, of all kinds.",
            table(
                f"SELECT count() AS open FROM qunpulse.alerts WHERE state IN ('opened', 'acknowledged') AND {CHOSEN}"
            ),
            "short",
            width=4,
            limits=[(20, "orange"), (100, "red")],
        ),
        number(
            "Of them urgent",
            "Open alerts of severity high or critical: valuable members, or a whole community at risk. Begin with "
            "these.",
            table(
                f"""
                SELECT count() AS urgent FROM qunpulse.alerts
                WHERE state IN ('opened', 'acknowledged') AND severity IN ('high', 'critical') AND {CHOSEN}
                """
            ),
            "short",
            width=4,
            limits=[(1, "orange"), (20, "red")],
        ),
        rows(
            "Last 7 days",
            "Each community in the 7 days up to its own now; busiest first.",
            table(
                f"""
                SELECT
                    community, members, active_members AS active, messages, speakers, interactions, joins, leaves,
                    orders,
                    as_of AS `as of`
                FROM qunpulse.activity_now INNER JOIN {NAMED} AS names USING (community_id)
                WHERE window = '7d' AND {CHOSEN}
                ORDER BY messages DESC, community LIMIT 100
                """
            ),
            widths={"community": 170, "as of": 125},
            width=13,
            height=10,
        ),
        rows(
            "How they are, in words",
            "The last 30 days of each community in a sentence; those with most findings first. A zombie score of 100 "
            "is a "
            "group where nobody but promoters talks.",
            table(
                f"""
                SELECT if(name = '', community_id, name) AS community, zombie_score AS `zombie score`, diagnosis
                FROM qunpulse.diagnosis WHERE {CHOSEN}
                ORDER BY length(findings) DESC, `zombie score` DESC, community LIMIT 100
                """
            ),
            units={"zombie score": "short"},
            widths={"community": 170, "zombie score": 90},
            colours={"zombie score": [(50, "orange"), (70, "red")]},
            width=11,
            height=10,
        ),
    ]


def _activity() -> list[Shown]:
    return [
        lines(
            "Active members, rolling 7 days",
            "Distinct members with a message, an interaction or a paid order in the 7 local days that end with each "
            "day. The "
            "ten busiest of the chosen communities.",
            series(
                f"""
                SELECT day AS time, community AS series, active_members AS value
                FROM qunpulse.activity_rolling INNER JOIN {NAMED} AS names USING (community_id)
                WHERE window = '7d' AND $__timeFilter(day) AND {BUSIEST}
                ORDER BY time, series
                """
            ),
            unit="short",
            height=9,
        ),
        lines(
            "Messages and interactions by day",
            "What members did on each local day, and beside it what staff and bots posted, of all chosen communities.",
            series(
                f"""
                SELECT
                    toStartOfDay(window_start + INTERVAL 12 HOUR) AS time, sum(messages) AS messages,
                    sum(interactions) AS interactions, sum(staff_messages) AS `staff and bots`
                FROM qunpulse.activity_1d WHERE $__timeFilter(window_start) AND {CHOSEN}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            height=9,
            bars=True,
            stacked=True,
        ),
        lines(
            "Daily, weekly and monthly active members",
            "DAU, WAU and MAU summed over the chosen communities. WAU near MAU: those who are there come every week.",
            series(
                f"""
                SELECT toDateTime(local_date, 'UTC') AS time, sum(dau) AS DAU, sum(wau) AS WAU, sum(mau) AS MAU
                FROM qunpulse.active_members_daily WHERE $__dateFilter(local_date) AND {CHOSEN}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            width=8,
        ),
        lines(
            "Share that takes part",
            "Stickiness: daily ÷ monthly active members. Participation: speakers ÷ roster of the day. Falling lines "
            "with a "
            "growing roster: people come and stay silent.",
            series(
                f"""
                SELECT toDateTime(local_date, 'UTC') AS time, sum(dau) / sum(mau) AS `DAU / MAU`
                FROM qunpulse.active_members_daily WHERE $__dateFilter(local_date) AND {CHOSEN}
                GROUP BY time HAVING sum(mau) > 0 ORDER BY time
                """
            ),
            series(
                f"""
                SELECT toDateTime(local_date, 'UTC') AS time, sum(speakers) / sum(roster) AS `speakers / roster`
                FROM qunpulse.participation_daily WHERE $__dateFilter(local_date) AND {CHOSEN}
                GROUP BY time HAVING sum(roster) > 0 ORDER BY time
                """
            ),
            unit="percentunit",
            width=8,
        ),
        lines(
            "Time to the first response",
            "Median time until somebody responds to a member's message, by week: staff, or other members (peers). "
            "Where "
            "events never say what is answered it is estimated from the next message.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(local_date, 1), 'UTC') AS time, toString(responder) AS series,
                    quantileExactWeighted(0.5)(assumeNotNull(median_seconds), answered) AS value
                FROM qunpulse.response_times_daily
                WHERE $__dateFilter(local_date) AND median_seconds IS NOT NULL AND {CHOSEN}
                GROUP BY time, series ORDER BY time, series
                """
            ),
            unit="s",
            width=8,
        ),
    ]


def _members() -> list[Shown]:
    return [
        lines(
            "Members on the roster",
            "Members (no staff, no bots) at the end of each local day. The ten busiest of the chosen communities.",
            series(
                f"""
                SELECT toDateTime(local_date, 'UTC') AS time, community AS series, roster_at_end AS value
                FROM qunpulse.participation_daily INNER JOIN {NAMED} AS names USING (community_id)
                WHERE $__dateFilter(local_date) AND {BUSIEST}
                ORDER BY time, series
                """
            ),
            unit="short",
            width=10,
        ),
        lines(
            "Joins and leaves by week",
            "Who came and, below the line, who left, was removed or was gone.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(window_start + INTERVAL 12 HOUR, 1), 'UTC') AS time, sum(joins) AS joins,
                    -sum(toInt64(leaves)) AS leaves
                FROM qunpulse.activity_1d WHERE $__timeFilter(window_start) AND {CHOSEN}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            width=7,
            bars=True,
            stacked=True,
        ),
        bars(
            "Members by stage of life",
            "Where members stand now: new, activated, active, at risk, dormant, lost; and whether they buy. Many at "
            "risk: "
            "talk to them before they are dormant.",
            table(
                f"""
                SELECT
                    toString(stage) AS stage, sumIf(members, buyer_stage = 'potential') AS `no order`,
                    sumIf(members, buyer_stage = 'first_time') AS `one order`,
                    sumIf(members, buyer_stage = 'repeat') AS `orders again`
                FROM qunpulse.lifecycle_stages WHERE {CHOSEN}
                GROUP BY stage
                ORDER BY indexOf(['new', 'activated', 'active', 'at_risk', 'dormant', 'lost'], stage)
                """
            ),
            "short",
            width=7,
            stacked=True,
        ),
    ]


def _alerts() -> list[Shown]:
    return [
        lines(
            "Alerts raised by week",
            "Episodes by kind, those that had expired before anybody could be told left out. A jump of one kind in one "
            "week is often a feed or a campaign, not the members.",
            series(
                f"""
                SELECT toDateTime(toStartOfWeek(opened_at, 1), 'UTC') AS time, toString(kind) AS series,
                count() AS value
                FROM qunpulse.alerts WHERE state != 'expired' AND $__timeFilter(opened_at) AND {CHOSEN}
                GROUP BY time, series ORDER BY time, series
                """
            ),
            unit="short",
            width=10,
            bars=True,
            stacked=True,
        ),
        bars(
            "Open alerts by kind and severity",
            "What waits for somebody now.",
            table(
                f"""
                SELECT
                    toString(kind) AS kind, countIf(severity = 'critical') AS critical,
                    countIf(severity = 'high') AS high,
                    countIf(severity = 'medium') AS medium, countIf(severity = 'low') AS low
                FROM qunpulse.alerts WHERE state IN ('opened', 'acknowledged') AND {CHOSEN}
                GROUP BY kind ORDER BY count() DESC, kind
                """
            ),
            "short",
            width=7,
            stacked=True,
        ),
        rows(
            "How good alerts are",
            "By what operators said of them (`qunpulse alerts verdict`). A kind with a low share of useful ones needs "
            "other limits in the rules file.",
            table(
                """
                SELECT toString(kind) AS kind, alerts, judged, useful, noise, useful_share AS `useful share`
                FROM qunpulse.alert_quality ORDER BY judged DESC, alerts DESC, kind
                """
            ),
            units={"useful share": "percentunit"},
            widths={"kind": 120},
            colours={"useful share": [(0, "red"), (0.5, "orange"), (0.8, "green")]},
            width=7,
        ),
        rows(
            "Open alerts",
            "Most severe first, then by what may be lost. Each says why it was raised and what to do; `qunpulse "
            "alerts` "
            "acknowledges, resolves and mutes.",
            table(
                f"""
                SELECT
                    opened_at AS opened, toString(kind) AS kind, toString(severity) AS severity, community,
                    member_id AS member,
                    reason, suggested_action AS `suggested action`
                FROM qunpulse.alerts LEFT JOIN {NAMED} AS names USING (community_id)
                WHERE state IN ('opened', 'acknowledged') AND {CHOSEN}
                ORDER BY indexOf({_SEVERITIES}, severity), value_at_risk DESC, opened DESC LIMIT 50
                """
            ),
            widths={"opened": 140, "kind": 100, "severity": 75, "community": 150, "member": 110, "reason": 420},
            width=24,
            height=10,
        ),
    ]


def _referrals() -> list[Shown]:
    return [
        lines(
            "Invitations by week",
            "Invitations that members sent, and those whose referee joined.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(week_start + INTERVAL 12 HOUR, 1), 'UTC') AS time,
                    sum(invitations) AS sent, sum(accepted) AS accepted
                FROM qunpulse.k_factor WHERE $__timeFilter(week_start) AND {CHOSEN}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            width=8,
            bars=True,
        ),
        lines(
            "K-factor by week",
            "Joins that one member's invitations of a week bring about: invitations a member × joins an invitation.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(week_start + INTERVAL 12 HOUR, 1), 'UTC') AS time,
                    sum(accepted) / sum(members) AS `K`
                FROM qunpulse.k_factor WHERE $__timeFilter(week_start) AND {CHOSEN}
                GROUP BY time HAVING sum(members) > 0 ORDER BY time
                """
            ),
            unit="none",
            decimals=2,
            width=8,
        ),
        rows(
            "Who brings people that stay",
            "Members by those they brought: how many joined, and what share was still in, and active, 30 days later.",
            table(
                f"""
                SELECT
                    community, brought_by AS inviter, joined, d30_in_rate AS `in after 30 d`,
                    d30_active_rate AS `active after 30 d`
                FROM qunpulse.referral_source_quality INNER JOIN {NAMED} AS names USING (community_id)
                WHERE brought_how = 'inviter' AND brought_by != '' AND {CHOSEN}
                ORDER BY joined DESC, inviter, community LIMIT 50
                """
            ),
            units={"in after 30 d": "percentunit", "active after 30 d": "percentunit"},
            widths={"community": 160},
            width=8,
        ),
    ]
