"""Leaderboards, streaks and points: against a recomputation, and by hand."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from tests.views.examples import RULES, example, join, message, order, referral
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

RULES["points"] = {"expiry_days": 60, "message_cap": 3, "order_cap": 40, "rewards": {"马克杯": 30}}
KEYS = ["community_id", "member_id"]


def test_streaks(known: Recounts) -> None:
    assert check(known, "check_in_streaks")["days"].max() > 3


def test_streak_days(known: Recounts) -> None:
    check(known, "check_in_days")


def test_leaderboards(known: Recounts) -> None:
    assert check(known, "leaderboards")["board"].nunique() == 5
    check(known, "month_winners")


BOARD = example(
    "例:排行榜",
    [
        message("2024-01-31 23:30", "甲"),  # local: 1 February 00:30
        *[message(f"2024-02-10 10:00:{second:02}", "甲") for second in range(5)],  # one minute
        message("2024-02-10 10:01", "乙", event_id="乙帖"),
        message("2024-02-10 10:02", "乙"),
        message("2024-02-10 10:03", "丙", reply_to="乙帖"),
        message("2024-02-10 10:04", "丙", reply_to="乙帖"),
        message("2024-02-11 10:00", "丁", reply_to_member_id="丙"),
        *[message(f"2024-02-{day} 08:00", "戊", kind="check_in") for day in (12, 13, 14, 16)],
        message("2024-02-20 10:00", "己"),
        *[message(f"2024-02-20 11:0{minute}", "己", sender_role="staff") for minute in range(9)],
        join("2024-02-21 10:00", "新", inviter_id="甲"),
        referral("2024-02-22 10:00", "乙", "新"),  # second to invite: counts for nobody
        order("2024-02-23 10:00", "丁", "榜1", 900),
        order("2024-02-24 10:00", "丁", "榜1", 400, "refunded"),
        order("2024-02-25 10:00", "丙", "榜2", 500),
        message("2024-03-01 22:59", "甲"),  # 24 hours after the month's end less a minute
    ],
    "Europe/Berlin",
)
FINAL = example("例:月榜定案", [message("2024-02-10", "甲"), message("2024-03-02", "乙")])


def test_a_month_by_hand(landed: Landed) -> None:
    """己 became staff, so is on no board of the month; 甲's five messages in a minute count once."""
    found = landed.rows("leaderboards", BOARD, "period, period_start, board, rank, member_id, score, is_final")
    month = [row[2:] for row in found if row[:2] == ("month", dt.date(2024, 2, 1))]
    assert month == [
        ("best_buyers", 1, "丁", 500, 0),
        ("best_buyers", 1, "丙", 500, 0),
        ("best_inviters", 1, "甲", 1, 0),
        ("longest_streak", 1, "戊", 3, 0),
        ("most_active", 1, "丙", 2, 0),
        ("most_active", 1, "乙", 2, 0),
        ("most_active", 1, "甲", 2, 0),
        ("most_active", 4, "丁", 1, 0),
        ("most_replied_to", 1, "丙", 1, 0),
        ("most_replied_to", 1, "乙", 1, 0),
    ]


def test_a_month_is_final_when_it_and_the_lateness_are_over(landed: Landed) -> None:
    assert landed.rows("month_winners", BOARD, "count()") == [(0,)]  # a minute is missing
    winners = landed.rows("month_winners", FINAL, "month, board, rank, member_id, score")
    assert winners == [(dt.date(2024, 2, 1), "most_active", 1, "甲", 1)]


CARD = example(
    "例:积分",
    [
        *[message(f"2024-01-0{day} 09:00", "王芳", kind="check_in") for day in range(1, 8)],
        *[message(f"2024-01-08 10:0{minute}", "王芳") for minute in range(5)],  # cap of 3
        order("2024-01-09 10:00", "王芳", "分1", 30_000),  # 30 points
        order("2024-01-09 11:00", "王芳", "分2", 20_000),  # 20, of which 10 are under the cap
        order("2024-01-10 10:00", "王芳", "分1", 10_000, "refunded"),  # a third of 30
        message("2024-01-11 10:00", "王芳", kind="coupon_claim", object_id="马克杯"),
        message("2024-01-11 11:00", "王芳", kind="coupon_claim", object_id="别的"),  # no reward
        message("2024-03-08 10:00", "李雷"),
    ],
)


def test_points_by_hand(landed: Landed) -> None:
    rows = landed.rows("points_ledger", CARD, "local_date, kind, points, balance, member_id")
    mine = [row[:4] for row in rows if row[4] == "王芳"]
    day = dt.date
    assert mine == [
        *[(day(2024, 1, n), "check_in", 5, 5 * n) for n in range(1, 8)],
        (day(2024, 1, 7), "streak_bonus", 20, 55),
        (day(2024, 1, 8), "message", 3, 58),
        (day(2024, 1, 9), "order", 10, 98),
        (day(2024, 1, 9), "order", 30, 88),
        (day(2024, 1, 10), "reversal", -10, 88),
        (day(2024, 1, 11), "redemption", -30, 58),
        # 40 went out, oldest first: 30 of the first six days and 10 of the seventh; its other 15 expire 60 days later.
        (day(2024, 3, 7), "expiry", -15, 43),
        (day(2024, 3, 8), "expiry", -3, 40),
    ]
    accounts = "member_id, balance, earned, redeemed, reversed, expired, expiring_30"
    assert landed.rows("member_points", CARD, accounts) == [
        ("李雷", 1, 1, 0, 0, 0, 0),
        ("王芳", 40, 98, 30, 10, 18, 40),
    ]


def test_the_ledger_is_a_queue_of_points(known: Recounts) -> None:
    kinds = {"check_in", "streak_bonus", "message", "invitation", "order", "redemption", "reversal", "expiry"}
    assert set(check(known, "points_ledger")["kind"]) == kinds
    check(known, "member_points")


def test_nothing_is_booked_twice(landed: Landed) -> None:
    first = landed.view("points_ledger")
    assert not first.duplicated([*KEYS, "entry_id"]).any()
    again = landed.view("points_ledger")
    order_by = [*KEYS, "entry_id"]
    pd.testing.assert_frame_equal(
        first.sort_values(order_by).reset_index(drop=True), again.sort_values(order_by).reset_index(drop=True)
    )


def test_a_streak_by_hand(landed: Landed) -> None:
    days = landed.rows("check_in_days", BOARD, "member_id, local_date, streak_days")
    day = dt.date
    assert days == [("戊", day(2024, 2, date), length) for date, length in ((12, 1), (13, 2), (14, 3), (16, 1))]
    assert landed.rows("check_in_streaks", BOARD, "first_date, last_date, days, alive") == [
        (day(2024, 2, 12), day(2024, 2, 14), 3, 0),
        (day(2024, 2, 16), day(2024, 2, 16), 1, 0),
    ]
