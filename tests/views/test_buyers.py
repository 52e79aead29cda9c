"""Coupons, conversion, buying again."""

from __future__ import annotations

import datetime as dt

from tests.views.examples import example, join, message, order
from tests.views.landed import Landed
from tests.views.odd_communities import ONE_BUYER
from tests.views.recomputed import check
from tests.views.recounts import Recounts

CODES = example(
    "例:优惠券",
    [
        *(message("2024-05-01", who, kind="coupon_claim", object_id="SPRING") for who in ("甲", "乙", "丙", "丁")),
        message("2024-05-01 13:00", "甲", kind="coupon_claim", object_id="SPRING"),  # claimed twice: one coupon
        message("2024-05-01", "员工", kind="coupon_claim", object_id="SPRING", sender_role="staff"),
        order("2024-05-02", "甲", "coupon-1", 1000, coupon_codes=["SPRING"]),
        message("2024-05-02 12:01", "甲", kind="coupon_use", object_id="SPRING"),  # the same use, told again
        order("2024-05-03", "戊", "coupon-2", 500, coupon_codes=["SPRING", "VIP"]),  # never claimed
        order("2024-05-04", "甲", "coupon-3", 700),
        order("2024-05-05", "戊", "coupon-2", 200, "refunded"),
        message("2024-06-15", "甲"),
    ],
)
AGAIN = example(
    "例:复购",
    [
        *(join("2024-01-01", who) for who in ("甲", "乙", "丙", "丁", "沉默")),
        order(
            "2024-01-10",
            "甲",
            "again-1",
            1000,
            items=[{"sku": "a", "category": "茶", "quantity": 1, "amount_minor": 1}],
        ),
        order(
            "2024-01-20",
            "甲",
            "again-2",
            1000,
            items=[{"sku": "b", "category": "杯", "quantity": 1, "amount_minor": 1}],
        ),
        order(
            "2024-02-09",
            "甲",
            "again-3",
            1000,
            items=[{"sku": "a", "category": "茶", "quantity": 1, "amount_minor": 1}],
        ),
        order("2024-01-15", "乙", "again-4", 3000),
        order("2024-03-15", "乙", "again-5", 3000),  # 60 days later
        order("2024-01-31", "丙", "again-6", 500),
        order("2024-04-20", "丁", "again-7", 9000),
        order("2024-04-21", "丁", "again-7", 9000, "refunded"),
        message("2024-05-01", "沉默"),
    ],
)


def test_coupons(known: Recounts) -> None:
    check(known, "coupons")
    check(known, "coupon_codes")


def test_coupons_by_hand(landed: Landed) -> None:
    figures = (
        "claims, uses, claims_used, use_rate, claims_used_rate, orders, orders_with_coupon, orders_with_coupon_share"
    )
    assert landed.rows("coupons", CODES, figures) == [(4, 3, 1, 0.75, 0.25, 3, 2, 2 / 3)]
    columns = "code, currency, claims, uses, use_rate, orders, gmv_minor, net_gmv_minor, new_buyers"
    assert landed.rows("coupon_codes", CODES, columns) == [
        ("SPRING", "EUR", 4, 2, 0.5, 2, 1500, 1300, 2),
        ("VIP", "EUR", 0, 1, None, 1, 500, 300, 1),
    ]


def test_conversion(known: Recounts) -> None:
    check(known, "conversion_monthly")


def test_conversion_by_hand(landed: Landed) -> None:
    columns = "month, buyers, active_members, roster, buyers_per_active, buyers_per_roster"
    assert landed.rows("conversion_monthly", AGAIN, columns)[0] == (dt.date(2024, 1, 1), 3, 3, 5, 1.0, 0.6)


def test_buying_again(known: Recounts) -> None:
    check(known, "repurchase_cohorts")
    check(known, "repurchase_window")


def test_the_cycle_of_buying(known: Recounts) -> None:
    check(known, "repurchase_cycle")
    check(known, "repurchase_cycle_by_category")


def test_buying_again_by_hand(landed: Landed) -> None:
    columns = "first_order_month, within_days, new_buyers, repurchased, repurchase_rate"
    assert landed.rows("repurchase_cohorts", AGAIN, columns)[:4] == [
        (dt.date(2024, 1, 1), 30, 3, 1, 1 / 3),
        (dt.date(2024, 1, 1), 60, 3, 2, 2 / 3),
        (dt.date(2024, 1, 1), 90, 3, 2, 2 / 3),  # 31 January and 90 days are 30 April, the day before the latest
        (dt.date(2024, 1, 1), 180, 3, None, None),
    ]
    windows = "window, first_date, buyers, repeat_buyers, repurchase_rate"
    assert landed.rows("repurchase_window", AGAIN, windows) == [
        ("180d", dt.date(2024, 1, 1), 4, 2, 0.5),
        ("30d", dt.date(2024, 4, 2), 1, 0, 0.0),
        ("365d", dt.date(2024, 1, 1), 4, 2, 0.5),
        ("90d", dt.date(2024, 2, 2), 3, 0, 0.0),
        ("all", dt.date(2024, 1, 1), 4, 2, 0.5),
    ]
    # 10 and 20 days of 甲, 60 of 乙
    assert landed.rows("repurchase_cycle", AGAIN, "intervals, repeat_buyers, median_days, p25_days") == [(3, 2, 20, 15)]
    assert landed.rows("repurchase_cycle_by_category", AGAIN, "category, intervals, median_days") == [("茶", 1, 30.0)]


def test_recency_frequency_and_monetary_value(known: Recounts) -> None:
    assert check(known, "rfm")["segment"].nunique() >= 9
    check(known, "rfm_segments")


def test_scores_by_hand(landed: Landed) -> None:
    columns = (
        "member_id, recency_days, frequency, monetary_minor, recency_score, frequency_score, monetary_score, segment"
    )
    assert {row[0]: row[1:] for row in landed.rows("rfm", AGAIN, columns)} == {
        # four buyers: ranks 1 to 4 score ceil(5 * (rank - 0.5) / 4) = 1, 2, 4, 5; two who tie in between get 2 each
        "丁": (11, 1, 0, 5, 2, 1, "potential loyalists"),
        "丙": (91, 1, 500, 1, 2, 2, "hibernating"),
        "乙": (47, 2, 6000, 4, 4, 5, "loyal customers"),
        "甲": (82, 3, 3000, 2, 5, 4, "cannot lose them"),
    }


def test_segments_by_hand(landed: Landed) -> None:
    columns = "segment, buyers, buyers_share, monetary_minor, median_recency_days, mean_frequency"
    assert landed.rows("rfm_segments", AGAIN, columns) == [
        ("cannot lose them", 1, 0.25, 3000, 82, 3),
        ("hibernating", 1, 0.25, 500, 91, 1),
        ("loyal customers", 1, 0.25, 6000, 47, 2),
        ("potential loyalists", 1, 0.25, 0, 11, 1),
    ]


def test_one_buyer_alone_is_in_the_middle(landed: Landed) -> None:
    columns = "recency_score, frequency_score, monetary_score, segment"
    assert landed.rows("rfm", ONE_BUYER, columns) == [(3, 3, 3, "need attention")]
