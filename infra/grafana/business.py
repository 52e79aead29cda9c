"""Dashboard *Business*: orders and money, where members come from, what referrals and campaigns bring."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from infra.grafana.fragments import CHOSEN, MINOR, NAMED, community_variable, currency_variable
from infra.grafana.panels import Shown, bars, board, lines, number, row, rows, series, table

_ORDERS = f"""FROM qunpulse.orders
WHERE $__timeFilter(ordered_at) AND currency = ${{currency:sqlstring}} AND {CHOSEN}"""
_DAYS = f"""FROM qunpulse.revenue_daily
WHERE $__dateFilter(local_date) AND currency = ${{currency:sqlstring}} AND {CHOSEN}"""


def business(runbooks: str) -> Dashboard:
    """The dashboard. Money is of one currency, in its own units."""
    return board(
        "business",
        "Business",
        "Orders, GMV, growth by source, referral revenue and campaigns, in one currency. For those who answer for "
        "results.",
        "now-1y",
        [community_variable(), currency_variable()],
        [
            row("Orders and money in the chosen time"),
            *_figures(),
            *_money(),
            row("Growth by source"),
            *_growth(),
            row("Referral revenue (of all communities)"),
            *_referrals(),
            row("Campaigns"),
            *_campaigns(),
            row("Buyers"),
            *_buyers(),
        ],
        runbooks,
    )


def _figures() -> list[Shown]:
    return [
        number(
            "GMV (${currency})",
            "Gross merchandise value: paid amounts, refunds not taken off. An order told by several communities "
            "counts in each.",
            table(f"SELECT sum(amount_minor) / {MINOR} AS gmv {_ORDERS}"),
            "short",
            width=4,
        ),
        number(
            "Net of refunds (${currency})",
            "GMV less what has been refunded of these orders until now.",
            table(f"SELECT sum(amount_minor - refunded_minor) / {MINOR} AS net {_ORDERS}"),
            "short",
            width=4,
        ),
        number(
            "Refunded share",
            "Refunded amounts ÷ GMV of these orders. A jump is often one product or one campaign.",
            table(f"SELECT sum(refunded_minor) / sum(amount_minor) AS share {_ORDERS} HAVING sum(amount_minor) > 0"),
            "percentunit",
            width=4,
            limits=[(0.1, "orange"), (0.25, "red")],
            decimals=1,
        ),
        number("Orders", "Paid orders.", table(f"SELECT count() AS orders {_ORDERS}"), "short", width=4),
        number(
            "Buyers",
            "Distinct members with a paid order.",
            table(f"SELECT uniqExact(member_id) AS buyers {_ORDERS}"),
            "short",
            width=4,
        ),
        number(
            "Order value (${currency})",
            "GMV ÷ orders.",
            table(f"SELECT sum(amount_minor) / count() / {MINOR} AS value {_ORDERS} HAVING count() > 0"),
            "short",
            width=4,
            decimals=2,
        ),
    ]


def _money() -> list[Shown]:
    return [
        lines(
            "GMV and refunds by week (${currency})",
            "Paid amounts of each week and, below the line, refunds that happened in it, of whatever order.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(local_date, 1), 'UTC') AS time, sum(gmv_minor) / {MINOR} AS GMV,
                    -sum(refunded_minor) / {MINOR} AS refunded
                {_DAYS}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            bars=True,
            stacked=True,
        ),
        lines(
            "Orders by week: first and repeated",
            "Orders of members who had bought before in their community, and first orders. Growth from repeated "
            "orders lasts.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(local_date, 1), 'UTC') AS time, countIf(order_number > 1) AS repeated,
                    countIf(order_number = 1) AS first
                {_ORDERS}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            bars=True,
            stacked=True,
        ),
        bars(
            "GMV by community (${currency})",
            "Paid amounts in the chosen time, the fifteen largest.",
            table(
                f"""
                SELECT community, sum(amount_minor - refunded_minor) / {MINOR} AS `net`,
                sum(refunded_minor) / {MINOR} AS refunded
                FROM qunpulse.orders INNER JOIN {NAMED} AS names USING (community_id)
                WHERE $__timeFilter(ordered_at) AND currency = ${{currency:sqlstring}} AND {CHOSEN}
                GROUP BY community ORDER BY sum(amount_minor) DESC, community LIMIT 15
                """
            ),
            "short",
            stacked=True,
        ),
        lines(
            "Revenue per member by month (${currency})",
            "ARPU: net GMV ÷ members active in the month. ARPPU: net GMV ÷ buyers. Average order: GMV ÷ orders.",
            series(
                f"""
                SELECT
                    toDateTime(month, 'UTC') AS time, sum(net_gmv_minor) / sum(active_members) / {MINOR} AS ARPU,
                    sum(net_gmv_minor) / sum(buyers) / {MINOR} AS ARPPU,
                    sum(gmv_minor) / sum(orders) / {MINOR} AS `average order`
                FROM qunpulse.revenue_monthly
                WHERE $__dateFilter(month) AND currency = ${{currency:sqlstring}} AND {CHOSEN}
                GROUP BY time HAVING sum(orders) > 0 ORDER BY time
                """
            ),
            unit="short",
            width=8,
        ),
        lines(
            "All communities together by week (${currency})",
            "Every order once, whatever number of communities was told of it. Not filtered by community.",
            series(
                f"""
                SELECT
                    toDateTime(toStartOfWeek(local_date, 1), 'UTC') AS time, sum(net_gmv_minor) / {MINOR} AS `net GMV`
                FROM qunpulse.revenue_total_daily
                WHERE $__dateFilter(local_date) AND currency = ${{currency:sqlstring}}
                GROUP BY time ORDER BY time
                """
            ),
            unit="short",
            width=8,
        ),
    ]


def _growth() -> list[Shown]:
    sources = f"FROM qunpulse.growth_sources WHERE $__dateFilter(week) AND {CHOSEN}"
    return [
        lines(
            "Joins by source and week",
            "Where new members come from: channel or QR code of the joining, else its way in. The eight largest "
            "sources.",
            series(
                f"""
                SELECT toDateTime(week, 'UTC') AS time, source AS series, sum(joins) AS value
                {sources} AND source IN (
                    SELECT source {sources} GROUP BY source ORDER BY sum(joins) DESC, source LIMIT 8
                )
                GROUP BY time, series ORDER BY time, series
                """
            ),
            unit="short",
            width=9,
            height=9,
            bars=True,
            stacked=True,
        ),
        bars(
            "Growth by source",
            "Joins less leaves of members by where they had come from, in the chosen time; the twelve with most joins.",
            table(
                f"""
                SELECT source, sum(growth) AS stayed, sum(leaves) AS `left again`
                {sources}
                GROUP BY source ORDER BY sum(joins) DESC, source LIMIT 12
                """
            ),
            "short",
            width=6,
            height=9,
            stacked=True,
        ),
        rows(
            "What becomes of them (AARRR)",
            "Of the members who joined in the chosen time: who spoke or bought within 7 days, was active on days 8 "
            "to 30, "
            "bought, and brought somebody; by source. Cohorts that are too young have no share yet.",
            table(
                f"""
                SELECT
                    source, sum(acquired) AS joined, sum(activated) / sum(acquired) AS activated,
                    sum(retained) / sum(acquired) AS retained, sum(bought) / sum(acquired) AS bought,
                    sum(referred) / sum(acquired) AS referred
                FROM qunpulse.funnel_aarrr WHERE $__dateFilter(join_week) AND {CHOSEN}
                GROUP BY source ORDER BY joined DESC, source LIMIT 30
                """
            ),
            units=dict.fromkeys(("activated", "retained", "bought", "referred"), "percentunit"),
            width=9,
            height=9,
        ),
    ]


def _referrals() -> list[Shown]:
    return [
        bars(
            "Revenue of referred members (${currency})",
            "Paid less refunded by members whom each campaign brought, since its beginning; organic: invitations "
            "that name "
            "no campaign. The twelve largest.",
            table(
                f"""
                SELECT
                    if(startsWith(campaign_id, 'organic:'), concat('organic: ', coalesce(nullIf(names.community, ''),
                        substring(campaign_id, 9))), campaign_id) AS campaign,
                    sum(own_revenue_minor) / {MINOR} AS revenue
                FROM qunpulse.referral_revenue
                LEFT JOIN {NAMED} AS names ON names.community_id = substring(campaign_id, 9)
                WHERE currency = ${{currency:sqlstring}}
                GROUP BY campaign ORDER BY revenue DESC, campaign LIMIT 12
                """
            ),
            "short",
            width=8,
            height=9,
        ),
        rows(
            "From invitation to purchase",
            "Of those invited by each campaign: who joined, was active, bought; and the median time from invitation "
            "to joining.",
            table(
                """
                SELECT
                    campaign_id AS campaign, invited, joined_rate AS joined, active_rate AS active,
                    bought_rate AS bought,
                    median_hours_to_join * 3600 AS `time to join`
                FROM qunpulse.referral_funnel ORDER BY invited DESC, campaign LIMIT 50
                """
            ),
            units={"joined": "percentunit", "active": "percentunit", "bought": "percentunit", "time to join": "s"},
            widths={"campaign": 190},
            width=8,
            height=9,
        ),
        rows(
            "Who brings revenue (${currency})",
            "Members by what everybody below them in the referral tree paid, refunds taken off.",
            table(
                f"""
                SELECT
                    member_id AS member, campaign_id AS campaign, direct AS brought, still_here AS `still here`,
                    subtree_revenue_minor[${{currency:sqlstring}}] / {MINOR} AS revenue
                FROM qunpulse.referral_leaderboard
                WHERE subtree_revenue_minor[${{currency:sqlstring}}] != 0
                ORDER BY revenue DESC, member, campaign LIMIT 50
                """
            ),
            units={"revenue": "short"},
            widths={"member": 120, "campaign": 170},
            width=8,
            height=9,
        ),
    ]


def _campaigns() -> list[Shown]:
    return [
        rows(
            "Campaigns and events",
            "What each brought in each community: people, orders that count for it, GMV net of refunds in its "
            "currency, members "
            "who quit within 24 hours, and activity above what the four weeks before would have given.",
            table(
                f"""
                SELECT
                    efforts.name AS campaign, names.community AS community, participants,
                    new_members AS `new members`, orders,
                    buyers, currency, net_gmv_minor / {MINOR} AS `net GMV`, quits_24h AS quits,
                    activity_uplift AS `activity uplift`
                FROM qunpulse.effort_results AS efforts INNER JOIN {NAMED} AS names USING (community_id)
                WHERE {CHOSEN} AND starts_at <= $__toTime AND ends_at >= $__fromTime
                    AND currency IN ('', ${{currency:sqlstring}})
                ORDER BY `net GMV` DESC, participants DESC, campaign, community LIMIT 100
                """
            ),
            units={"net GMV": "short", "activity uplift": "short"},
            widths={"campaign": 200, "community": 170},
            width=16,
            height=9,
        ),
        bars(
            "Net GMV by campaign (${currency})",
            "Orders that count for each campaign over all its communities, each order once, refunds taken off.",
            table(
                f"""
                SELECT name AS campaign, net_gmv_minor / {MINOR} AS `net GMV`
                FROM qunpulse.effort_totals WHERE currency = ${{currency:sqlstring}} AND net_gmv_minor != 0
                ORDER BY net_gmv_minor DESC, campaign LIMIT 12
                """
            ),
            "short",
            width=8,
            height=9,
        ),
        rows(
            "Coupons",
            "By code, over the chosen communities: who claimed and used it, and what the orders with it brought, "
            "refunds taken "
            "off.",
            table(
                f"""
                SELECT
                    code, max(claimed) AS claimed, max(used) AS used, sum(code_orders) AS orders,
                    sum(code_net) / {MINOR} AS `net GMV`,
                    sum(firsts) AS `new buyers`
                FROM
                (
                    SELECT
                        code, sum(claims) OVER (PARTITION BY code) AS claimed,
                        sum(uses) OVER (PARTITION BY code) AS used,
                        if(currency = ${{currency:sqlstring}}, orders, 0) AS code_orders,
                        if(currency = ${{currency:sqlstring}}, net_gmv_minor, 0) AS code_net,
                        if(currency = ${{currency:sqlstring}}, new_buyers, 0) AS firsts
                    FROM qunpulse.coupon_codes WHERE {CHOSEN}
                )
                GROUP BY code ORDER BY `net GMV` DESC, code LIMIT 50
                """
            ),
            units={"net GMV": "short"},
            width=12,
        ),
        bars(
            "Promotion fatigue",
            "Share of member days that end with a quit, by promotions seen in the 7 days before. Rising bars: too "
            "many.",
            table(
                f"""
                SELECT
                    concat(toString(least(intDiv(dose, 5) * 5, 25)), if(dose >= 25, ' and more', concat(' to ',
                        toString(intDiv(dose, 5) * 5 + 4)))) AS promotions,
                    sum(quits) / sum(member_days) AS `quit share`
                FROM qunpulse.promotion_fatigue WHERE {CHOSEN}
                GROUP BY promotions ORDER BY min(dose)
                """
            ),
            "percentunit",
            width=12,
            decimals=2,
        ),
    ]


def _buyers() -> list[Shown]:
    return [
        bars(
            "Buyers by segment (RFM)",
            "Buyers by recency, frequency and amount, as of now. Champions bought often and lately; those at risk "
            "did so once.",
            table(
                f"""
                SELECT toString(segment) AS segment, sum(buyers) AS buyers
                FROM qunpulse.rfm_segments WHERE currency = ${{currency:sqlstring}} AND {CHOSEN}
                GROUP BY segment ORDER BY buyers DESC, segment
                """
            ),
            "short",
            width=12,
        ),
        lines(
            "Second order within 30 and 90 days",
            "Share of new buyers of each month who ordered again within so many days; months that are too young are "
            "left out.",
            series(
                f"""
                SELECT
                    toDateTime(first_order_month, 'UTC') AS time, concat(toString(within_days), ' days') AS series,
                    sum(repurchased) / sumIf(new_buyers, repurchased IS NOT NULL) AS value
                FROM qunpulse.repurchase_cohorts
                WHERE within_days IN (30, 90) AND $__dateFilter(first_order_month) AND {CHOSEN}
                GROUP BY time, series HAVING sumIf(new_buyers, repurchased IS NOT NULL) > 0 ORDER BY time, series
                """
            ),
            unit="percentunit",
            width=12,
        ),
    ]
