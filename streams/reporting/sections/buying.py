"""Money: GMV net of refunds, what a member is worth, who buys again, coupons, segments."""

from __future__ import annotations

from streams.reporting import drawing
from streams.reporting.section import Column, Section
from streams.reporting.source import Rows, Source
from streams.reporting.wording import between, count, days, major, money, percent, ratio, words

_MONTHS = """
SELECT month, currency, orders, buyers, new_buyers, gmv_minor, refunded_minor, net_gmv_minor, arpu_minor, arppu_minor,
    average_order_minor
FROM qunpulse.revenue_monthly
WHERE community_id = {c:String} AND month >= {since:Date} AND month < {end:Date} ORDER BY currency, month
"""
_CONVERSION = """
SELECT month, buyers, active_members, roster, buyers_per_active, buyers_per_roster
FROM qunpulse.conversion_monthly
WHERE community_id = {c:String} AND month >= {before:Date} AND month < {end:Date}
"""
_REPURCHASE = """
SELECT window, first_date, last_date, buyers, repeat_buyers, repurchase_rate
FROM qunpulse.repurchase_window
WHERE community_id = {c:String} ORDER BY first_date DESC, window = 'all'
"""
_COHORTS = """
SELECT first_order_month, within_days, new_buyers, repurchased, repurchase_rate
FROM qunpulse.repurchase_cohorts
WHERE community_id = {c:String} AND within_days IN (30, 90) AND repurchase_rate IS NOT NULL
    AND first_order_month >= {since:Date} AND first_order_month < {end:Date}
ORDER BY first_order_month, within_days
"""
_CYCLE = "SELECT * FROM qunpulse.repurchase_cycle WHERE community_id = {c:String}"
_CATEGORIES = """
SELECT category, intervals, median_days, p25_days, p75_days
FROM qunpulse.repurchase_cycle_by_category
WHERE community_id = {c:String} ORDER BY intervals DESC, category LIMIT 8
"""
_COUPONS = "SELECT * FROM qunpulse.coupons WHERE community_id = {c:String}"
_CODES = """
SELECT code, currency, claims, uses, use_rate, orders, gmv_minor, net_gmv_minor, new_buyers
FROM qunpulse.coupon_codes
WHERE community_id = {c:String} ORDER BY orders DESC, uses DESC, code LIMIT 8
"""
_SEGMENTS = """
SELECT segment, currency, buyers, buyers_share, monetary_minor, monetary_share, median_recency_days, mean_frequency
FROM qunpulse.rfm_segments
WHERE community_id = {c:String} ORDER BY currency, monetary_minor DESC
"""


def revenue(source: Source) -> Section:
    """Money of the month by currency, and how buyers behave."""
    section = Section(
        "revenue",
        "Revenue",
        "GMV: paid amounts; net: less the refunds that happened in the month. ARPU: net GMV ÷ active members; ARPPU: "
        "net GMV ÷ buyers. Orders count once per order id, in the month they were paid. Segments, coupons and the "
        "repurchase cycle are those of all time, as of the community's last day.",
        "Nobody has bought anything yet.",
    )
    months = source.rows(_MONTHS, since=source.months_before(11))
    windows = source.rows(_REPURCHASE)
    if not months and not windows:
        return section
    _money(section, source, months)
    conversion = {row["month"]: row for row in source.rows(_CONVERSION)}
    now, before = conversion.get(source.scope.start, {}), conversion.get(source.parameters["before"], {})
    for name, label in (("buyers_per_active", "Buyers ÷ active members"), ("buyers_per_roster", "Buyers ÷ roster")):
        section.fact(name, label, now.get(name), percent, before.get(name))
    _again(section, source, windows)
    _coupons(section, source)
    segments = [row | {"money": money(row["monetary_minor"], row["currency"]), "segment_words": words(row["segment"])}
                for row in source.rows(_SEGMENTS)]  # fmt: skip
    section.table(
        "segments",
        "Segments by recency and frequency of orders (RFM)",
        (
            Column("segment_words", "Segment"),
            Column("buyers", "Buyers", count),
            Column("buyers_share", "Share of buyers", percent),
            Column("money", "Net of refunds", str),
            Column("monetary_share", "Share of money", percent),
            Column("median_recency_days", "Last order, median", days),
            Column("mean_frequency", "Orders, mean", ratio),
        ),
        segments,
    )
    return section


def _money(section: Section, source: Source, months: Rows) -> None:
    for currency in dict.fromkeys(row["currency"] for row in months):
        own = {row["month"]: row for row in months if row["currency"] == currency}
        now, before = own.get(source.scope.start), own.get(source.parameters["before"], {})

        def amount(minor: float | None, currency: str = currency) -> str:
            return money(minor, currency)

        for name, label, form in (
            ("net_gmv_minor", "GMV net of refunds", amount),
            ("orders", "Orders", count),
            ("buyers", "Buyers", count),
            ("arpu_minor", "ARPU", amount),
            ("arppu_minor", "ARPPU", amount),
            ("average_order_minor", "Average order", amount),
        ):
            zero = None if name in ("arpu_minor", "arppu_minor", "average_order_minor") else 0
            value = now[name] if now is not None else zero
            titled = f"{label} ({currency})" if form is count else label
            section.fact(f"{name}.{currency}", titled, value, form, before.get(name))
        first = min(own)
        shown = [month for number in range(11, -1, -1) if (month := source.months_before(number)) >= first]
        net = [major(own[month]["net_gmv_minor"], currency) if month in own else 0.0 for month in shown]
        section.plot(
            f"GMV of each month net of refunds, in {currency}.",
            drawing.bars(f"Net GMV {currency}", [f"{month:%Y-%m}" for month in shown], {currency: net}, currency),
        )
    rows = [
        row | {name: money(row[f"{name}_minor"], row["currency"]) for name in ("gmv", "refunded", "net_gmv", "arpu")}
        | {"month_name": f"{row['month']:%Y-%m}"}
        for row in months if row["month"] >= source.months_before(5)
    ]  # fmt: skip
    section.table(
        "months",
        "The last months",
        (
            Column("month_name", "Month"),
            Column("orders", "Orders", count),
            Column("buyers", "Buyers", count),
            Column("new_buyers", "New buyers", count),
            Column("gmv", "GMV", str),
            Column("refunded", "Refunds", str),
            Column("net_gmv", "Net", str),
            Column("arpu", "ARPU", str),
        ),
        rows,
    )


def _again(section: Section, source: Source, windows: Rows) -> None:
    for row in windows:
        if row["window"] in ("90d", "all"):
            label = "Bought twice or more, " + ("all time" if row["window"] == "all" else "last 90 days")
            section.fact(f"repurchase_rate.{row['window']}", label, row["repurchase_rate"], percent)
    cycle = source.row(_CYCLE)
    if cycle:
        section.fact("cycle_median_days", "Time between orders, median", cycle["median_days"], days)
    cohorts = [row | {"month_name": f"{row['first_order_month']:%Y-%m}"}
               for row in source.rows(_COHORTS, since=source.months_before(11))]  # fmt: skip
    if cohorts:
        by_days = {
            within: {row["month_name"]: row["repurchase_rate"] for row in cohorts if row["within_days"] == within}
            for within in (30, 90)
        }
        names = list(dict.fromkeys(row["month_name"] for row in cohorts))
        section.plot(
            "Repurchase rate of new buyers by month of their first order: a second order within 30 and 90 days.",
            drawing.bars(
                "Repurchase rate of cohorts",
                names,
                {f"within {within} days": [rates.get(name) for name in names] for within, rates in by_days.items()},
                "share of new buyers",
                share=True,
            ),
        )
    categories = [row | {"middle": between(days(row["p25_days"]), days(row["p75_days"])),
                         "name": row["category"] or "(no category)"}
                  for row in source.rows(_CATEGORIES)]  # fmt: skip
    section.table(
        "cycles",
        "Repurchase cycle by category",
        (
            Column("name", "Category"),
            Column("intervals", "Pairs of orders", count),
            Column("median_days", "Median", days),
            Column("middle", "Middle half", str),
        ),
        categories,
    )


def _coupons(section: Section, source: Source) -> None:
    coupons = source.row(_COUPONS)
    if coupons and (coupons["claims"] or coupons["uses"]):
        section.fact("coupon_claims", "Coupons claimed", coupons["claims"], count)
        section.fact("coupon_use_rate", "Coupons used ÷ claimed", coupons["use_rate"], percent)
        section.fact("coupon_orders", "Orders with a coupon", coupons["orders_with_coupon_share"], percent)
    codes = [row | {"code_shown": row["code"] or "(no code)", "net": money(row["net_gmv_minor"], row["currency"])}
             for row in source.rows(_CODES)]  # fmt: skip
    section.table(
        "codes",
        "Coupon codes with the most orders",
        (
            Column("code_shown", "Code"),
            Column("claims", "Claimed by", count),
            Column("uses", "Used by", count),
            Column("orders", "Orders", count),
            Column("net", "Net GMV", str),
            Column("new_buyers", "New buyers", count),
        ),
        codes,
    )
