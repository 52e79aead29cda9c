"""Money: orders once each, refunds when they happen."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.views.examples import example, message, order
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

SHOP = example(
    "例:收入",
    [
        order("2024-03-30 23:30", "王芳", "money-1", 1000),  # 31 March in Berlin
        order("2024-03-31 20:00", "王芳", "money-2", 3000),  # still that day of 23 hours
        order("2024-03-31 20:05", "王芳", "money-2", 3000),  # told twice
        order("2024-03-31 21:59", "李雷", "money-3", 500, "cancelled"),
        order("2024-03-31 22:30", "李雷", "money-4", 2000),  # 1 April
        order("2024-04-02", "王芳", "money-2", 1200, "refunded"),
        order("2024-04-02", "王芳", "money-1R", 1000, "refunded", original_order_id="money-1"),
        order("2024-04-03", "韩梅", "money-5", 700, currency="USD"),
        message("2024-04-03", "路人"),
        message("2024-04-03", "路人甲", kind="reaction"),
    ],
    "Europe/Berlin",
)
CHAIN = [  # in a currency of their own: what is summed over all communities is theirs alone
    example(
        "例:总店",
        [
            order("2024-06-03 10:00", "王芳", "chain-1", 100, currency="CHF"),
            order("2024-06-04 10:00", "王芳", "chain-1", 40, "refunded", currency="CHF"),
        ],
    ),
    example(
        "例:分店",
        [
            order("2024-06-03 11:00", "王芳", "chain-1", 100, currency="CHF"),  # the same order, told here too
            order("2024-06-03 12:00", "李雷", "chain-2", 50, currency="CHF"),
        ],
    ),
]
SECOND_GROUP = example("例:收入二群", [order("2024-04-05", "李雷", "money-4", 2000)], "Europe/Berlin")


@pytest.mark.parametrize("view", ["revenue_daily", "revenue_weekly", "revenue_monthly"])
def test_money_of_a_period(known: Recounts, view: str) -> None:
    check(known, view)


@pytest.mark.parametrize("view", ["revenue_total_daily", "revenue_total_monthly"])
def test_money_of_all_communities_together(known: Recounts, view: str) -> None:
    check(known, view)


def test_money_by_hand(landed: Landed) -> None:
    columns = "month, currency, orders, buyers, new_buyers, gmv_minor, refunded_minor, net_gmv_minor, active_members"
    assert landed.rows("revenue_monthly", SHOP, columns) == [
        (dt.date(2024, 3, 1), "EUR", 2, 1, 1, 4000, 0, 4000, 1),
        (dt.date(2024, 4, 1), "EUR", 1, 1, 1, 2000, 2200, -200, 4),
        (dt.date(2024, 4, 1), "USD", 1, 1, 1, 700, 0, 700, 4),
    ]
    averages = "arpu_minor, arppu_minor, average_order_minor"
    assert landed.rows("revenue_monthly", SHOP, averages) == [(-50, -200, 2000), (175, 700, 700), (4000, 4000, 2000)]
    days = "local_date, orders, gmv_minor, refunded_minor, average_order_minor"
    assert landed.rows("revenue_daily", SHOP, days) == [
        (dt.date(2024, 3, 31), 2, 4000, 0, 2000),
        (dt.date(2024, 4, 1), 1, 2000, 0, 2000),
        (dt.date(2024, 4, 2), 0, 0, 2200, None),
        (dt.date(2024, 4, 3), 1, 700, 0, 700),
    ]
    weeks = "week, currency, orders, gmv_minor, refunded_minor, active_members, arpu_minor"
    assert landed.rows("revenue_weekly", SHOP, weeks) == [
        (dt.date(2024, 3, 25), "EUR", 2, 4000, 0, 1, 4000.0),
        (dt.date(2024, 4, 1), "EUR", 1, 2000, 2200, 4, -50.0),
        (dt.date(2024, 4, 1), "USD", 1, 700, 0, 4, 175.0),
    ]
    assert landed.rows("refunds", SHOP, "order_id, local_date, refunded_minor") == [
        ("money-1", dt.date(2024, 4, 2), 1000),
        ("money-2", dt.date(2024, 4, 2), 1200),
    ]
    refunded = "order_id, order_number, local_date, amount_minor, refunded_minor"
    assert landed.rows("orders", SHOP, refunded)[:2] == [
        ("money-1", 1, dt.date(2024, 3, 31), 1000, 1000),
        ("money-2", 2, dt.date(2024, 3, 31), 3000, 1200),
    ]


def test_an_order_told_by_two_groups_counts_in_each_and_once_in_all(landed: Landed) -> None:
    assert landed.rows("revenue_monthly", SECOND_GROUP, "orders, gmv_minor") == [(1, 2000)]
    found = landed.clickhouse.rows(
        "SELECT orders, gmv_minor FROM qunpulse.revenue_total_daily WHERE currency = 'EUR' "
        "AND local_date IN ('2024-04-01', '2024-04-05')"
    )
    assert (1, 2000) in found
    assert len([row for row in found if row == (1, 2000)]) == 1


def test_a_chain_of_shops_by_hand(landed: Landed) -> None:
    figures = "communities, orders, buyers, gmv_minor, refunded_minor, net_gmv_minor"

    def ask(view: str, date: str) -> list[tuple[object, ...]]:
        sql = f"SELECT toString({date}), {figures} FROM qunpulse.{view} WHERE currency = 'CHF' ORDER BY 1"
        return landed.clickhouse.rows(sql)

    assert ask("revenue_total_daily", "local_date") == [
        ("2024-06-03", 2, 2, 2, 150, 0, 150),
        ("2024-06-04", 1, 0, 0, 0, 40, -40),
    ]
    assert ask("revenue_total_monthly", "month") == [("2024-06-01", 2, 2, 2, 150, 40, 110)]


def test_orders_and_refunds(known: Recounts) -> None:
    check(known, "orders")
    check(known, "refunds")
