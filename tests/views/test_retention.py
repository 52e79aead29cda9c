"""Who of a week's newcomers comes back, and how far they go."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.oracle import views_retention
from tests.views.examples import example, join, message, order, referral
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

MONDAY = dt.date(2024, 3, 25)  # the week in which Berlin's clocks go forward


def day(number: int, clock: str = "12:00") -> str:
    return f"{MONDAY + dt.timedelta(days=number)} {clock}"


COHORT = example(
    "例:留存",
    [
        *(join(day(0), who) for who in ("甲", "乙", "丙", "丁")),
        join(day(0), "店员", role="staff"),
        message(day(1), "甲"),  # D1
        message(day(7, "22:30"), "乙"),  # after midnight in Berlin: D8, so not D7
        message(day(9), "丙", kind="reaction"),  # week 1
        join(day(5), "丁", "left"),
        join(day(20), "丁"),  # back in the group by D30, never active
        order(day(45), "甲", "retention-1", 100),
        message(day(40), "店员", sender_role="staff"),
    ],
    "Europe/Berlin",
)

STEPS = example(
    "例:漏斗",
    [
        # all five in order
        join(day(0), "全程", source="门店海报"),
        message(day(1), "全程"),
        message(day(10), "全程"),
        order(day(12), "全程", "funnel-1", 100),
        referral(day(13), "全程", "某人"),
        # bought first, then nothing: in any order bought and activated, in sequence only activated
        join(day(0), "冲动", source="门店海报"),
        order(day(0, "13:00"), "冲动", "funnel-2", 100),
        # spoke on the 8th day only: retained without being activated
        join(day(0), "慢热", source="门店海报"),
        message(day(8), "慢热"),
        # invited somebody, by name of the inviter
        join(day(0), "热心", via="search"),
        join(day(2), "新人", via="invite", inviter_id="热心"),
        message(day(60), "全程"),
    ],
)


def test_cohorts(known: Recounts) -> None:
    assert check(known, "retention_cohorts")["active_bounded"].notna().sum() > 500


def test_cohorts_by_hand(landed: Landed) -> None:
    columns = "period, members, active_bounded, active_unbounded, in_group, bounded_rate"
    found = {row[0]: row[1:] for row in landed.rows("retention_cohorts", COHORT, columns)}
    assert found["D1"] == (4, 1, 3, 4, 0.25)
    assert found["D7"] == (4, 0, 3, 3, 0.0)  # 丁 has left
    assert found["W1"] == (4, 2, 3, 3, 0.5)  # 乙 on D8, 丙 on D9
    assert found["D30"] == (4, 0, 1, 4, 0.0)  # 甲 buys on D45; 丁 is back
    # the latest day is D45: W5 ends with D41 for Sunday's newcomers on D47, which nobody has seen yet
    assert found["W4"] == (4, 0, 1, 4, 0.0)
    assert found["W5"] == (4, None, None, None, None)


def test_thirty_days_later_is_the_cohorts_thirtieth_day(known: Recounts) -> None:
    check(known, "retention_30_days")


def test_thirty_days_later_in_both_readings(landed: Landed) -> None:
    columns = "members, still_in_group, active_on_day_30, active_on_day_30_or_later, active_on_day_30_or_later_rate"
    assert landed.rows("retention_30_days", COHORT, columns) == [(4, 4, 0, 1, 0.25)]


def test_the_steps_of_each_member(known: Recounts) -> None:
    assert check(known, "funnel_members")["strict_referred_at"].notna().sum() > 5


def test_the_funnel_in_any_order(known: Recounts) -> None:
    check(known, "funnel_aarrr")


def test_the_funnel_as_a_strict_sequence(known: Recounts) -> None:
    check(known, "funnel_aarrr_strict")


def test_the_steps_of_two_members_by_hand(landed: Landed) -> None:
    columns = "activated_at, retained_at, bought_at, referred_at, strict_retained_at, strict_bought_at"
    days = ", ".join(f"dateDiff('hour', acquired_at, {name}) / 24" for name in columns.split(", "))
    found = {row[0]: row[1:] for row in landed.rows("funnel_members", STEPS, f"member_id, {days}")}
    assert found["全程"] == (1, 10, 12, 13, 10, 12)
    assert found["冲动"] == (1 / 24, None, 1 / 24, None, None, None)


def test_first_joins(known: Recounts) -> None:
    check(known, "first_joins")


def test_first_joins_by_hand(landed: Landed) -> None:
    found = landed.rows("first_joins", STEPS, "member_id, join_date, join_week, source, inviter_id")
    assert [row for row in found if row[0] in ("全程", "新人", "热心")] == [
        ("全程", MONDAY, MONDAY, "门店海报", ""),
        ("新人", MONDAY + dt.timedelta(days=2), MONDAY, "invite", "热心"),
        ("热心", MONDAY, MONDAY, "search", ""),
    ]


def test_both_funnels_by_hand(landed: Landed) -> None:
    columns = (
        "source, acquired, activated, retained, bought, referred, activation_rate, retention_rate, purchase_rate, "
        "referral_rate, median_days_to_bought"
    )
    anyhow = {row[0]: row[1:] for row in landed.rows("funnel_aarrr", STEPS, columns)}
    strictly = {row[0]: row[1:] for row in landed.rows("funnel_aarrr_strict", STEPS, columns)}
    hour = 1 / 24
    assert anyhow["门店海报"] == (3, 2, 2, 2, 1, 2 / 3, 2 / 3, 2 / 3, 1 / 3, pytest.approx((12 + hour) / 2))
    assert strictly["门店海报"] == (3, 2, 1, 1, 1, 2 / 3, 1 / 2, 1.0, 1.0, 2.0)
    assert anyhow["search"] == (1, 0, 0, 0, 1, 0.0, 0.0, 0.0, 1.0, None)
    assert strictly["search"] == (1, 0, 0, 0, 0, 0.0, None, None, None, None)


def test_a_shorter_activation_is_a_word_in_the_rules(landed: Landed) -> None:
    landed.clickhouse.command("INSERT INTO qunpulse_store.definitions VALUES ('activation_days', 2, toUInt64(-1))")
    try:
        expected = views_retention.funnel(landed.raw, strict=True, activation_days=2)
        landed.check("funnel_aarrr_strict", expected, keys=["community_id", "join_week", "source"])
    finally:
        landed.restore()
