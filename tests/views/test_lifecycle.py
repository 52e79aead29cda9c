"""Tiers, lifecycle stages and moves: against a recomputation, and by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from streams.operators.tiers import TIERS
from tests.views.examples import example, join, message, order, referral
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

KEYS = ["community_id", "member_id"]


@pytest.fixture
def days(known: Recounts) -> pd.DataFrame:
    return known.tier_days


def test_tiers_at_the_end_of_each_day(known: Recounts) -> None:
    days = check(known, "member_tier_days")
    assert set(days["tier"]) == {"ordinary", "active", "key_opinion", "core"}
    assert set(days["value_tier"]) == {"low_intent", "high_intent", "high_value"}


def test_changes_of_tiers(known: Recounts) -> None:
    check(known, "tier_changes")


def test_where_members_stand(known: Recounts) -> None:
    stages = {"new", "activated", "active", "at_risk", "dormant", "lost"}
    assert set(check(known, "lifecycle")["stage"]) == stages
    check(known, "lifecycle_stages")


RISE = example(
    "例:成长",
    [
        join("2024-06-01 02:00", "小红"),  # local: 10:00
        *[message(f"2024-06-{day:02} 17:00", "小红") for day in (1, 3, 5, 7)],  # local: 01:00 of the next day
        order("2024-06-10 03:00", "小红", "长1", 5_000),
        order("2024-06-11 03:00", "小红", "长1", 5_000),  # told again
        order("2024-06-20 03:00", "小红", "长2", 200_000),
        message("2024-06-20 04:00", "店长", sender_role="admin"),
        join("2024-06-19", "新来的"),
        join("2024-06-05", "不说话"),
        join("2024-06-05", "走了的"),
        join("2024-06-08", "走了的", "left"),
        *[referral(f"2024-06-{day:02} 05:00", "大使", f"友{day}") for day in range(10, 15)],
    ],
    "Asia/Shanghai",
)


def test_a_rise_by_hand(landed: Landed) -> None:
    changes = "member_id, local_date, tier_before, tier, value_tier_before, value_tier"
    rows = landed.rows("tier_changes", RISE, changes)
    assert [row[1:] for row in rows if row[0] == "小红"] == [
        (dt.date(2024, 6, 8), "ordinary", "active", "low_intent", "low_intent"),
        (dt.date(2024, 6, 10), "active", "active", "low_intent", "high_intent"),
        (dt.date(2024, 6, 20), "active", "active", "high_intent", "high_value"),
    ]
    assert [row for row in rows if row[0] == "大使"] == [
        ("大使", dt.date(2024, 6, 14), "ordinary", "key_opinion", "low_intent", "low_intent")
    ]


def test_days_of_a_rise_by_hand(landed: Landed) -> None:
    columns = "member_id, toDayOfMonth(local_date), active_days_30, orders, paid_minor, tier, value_tier"
    found = [row[1:] for row in landed.rows("member_tier_days", RISE, columns) if row[0] == "小红"]
    assert found == [
        (1, 0, 0, 0, "ordinary", "low_intent"),
        (2, 1, 0, 0, "ordinary", "low_intent"),
        (4, 2, 0, 0, "ordinary", "low_intent"),
        (6, 3, 0, 0, "ordinary", "low_intent"),
        (8, 4, 0, 0, "active", "low_intent"),
        (10, 5, 1, 5_000, "active", "high_intent"),
        (11, 6, 2, 10_000, "active", "high_intent"),
        (20, 7, 3, 210_000, "active", "high_value"),
    ]


def test_how_many_are_where_by_hand(landed: Landed) -> None:
    assert landed.rows("lifecycle_stages", RISE, "stage, buyer_stage, members, share, high_value, core") == [
        ("activated", "potential", 1, 1 / 6, 0, 0),  # 店长
        ("activated", "repeat", 1, 1 / 6, 1, 0),  # 小红
        ("at_risk", "potential", 2, 1 / 3, 0, 0),  # 不说话, and 大使 of whom only referrals are known
        ("lost", "potential", 1, 1 / 6, 0, 0),
        ("new", "potential", 1, 1 / 6, 0, 0),
    ]


def test_members_are_in_the_tier_of_their_last_day(landed: Landed, days: pd.DataFrame) -> None:
    last = days.sort_values("local_date").drop_duplicates(KEYS, keep="last")[[*KEYS, "tier"]]
    found = landed.view("members")[[*KEYS, "tier"]].merge(last, on=KEYS, how="left", suffixes=("", "_expected"))
    assert (found["tier"] == found["tier_expected"].fillna("ordinary")).all()
    assert dict(landed.rows("members", RISE, "member_id, tier")) == {
        **dict.fromkeys(("新来的", "不说话", "走了的"), "ordinary"),
        "小红": "active",
        "大使": "key_opinion",
        "店长": "key_opinion",
    }


def test_other_rules_put_members_into_other_tiers_at_once(landed: Landed) -> None:
    try:
        landed.clickhouse.command(
            "INSERT INTO qunpulse_store.definitions VALUES ('tier_core_active_days_30', 7, toUInt64(-1))"
        )
        assert dict(landed.rows("members", RISE, "member_id, tier"))["小红"] == "core"
        landed.clickhouse.command("TRUNCATE TABLE qunpulse_store.definitions")
        assert {tier for (tier,) in landed.rows("members", RISE, "tier")} == {"ordinary"}
    finally:
        landed.restore()


def test_stages_by_hand(landed: Landed) -> None:
    found = dict(landed.rows("lifecycle", RISE, "member_id, (stage, buyer_stage, tier, silent_days)"))
    assert found["小红"] == ("activated", "repeat", "active", 0)
    assert found["新来的"] == ("new", "potential", "ordinary", 1)
    assert found["不说话"] == ("at_risk", "potential", "ordinary", 15)
    assert found["走了的"] == ("lost", "potential", "ordinary", 15)
    assert found["店长"][0] == "activated"


VIP = example("例:贵宾群", [join("2024-06-01", "李雷"), message("2024-06-20", "李雷")], type="vip")
CROWD = example(
    "例:普通群",
    [
        *[order(f"2024-06-1{day} 10:00", name, f"{name}{day}", 100) for day in range(5) for name in ("李雷", "韩梅梅")],
        join("2024-05-01", "潜水员"),
        order("2024-06-19", "新客", "新客1", 100),
        message("2024-06-20", "店员", sender_role="staff"),
    ],
    type="普通",
)


def test_who_should_move_where_by_hand(landed: Landed) -> None:
    """李雷 is in a vip group and buys much: next is what the second and third rule say; staff never moves."""
    assert landed.rows("routing", CROWD, "member_id, to_type, communities, reason") == [
        ("新客", "high intent", [], "bought or looked at offers"),
        ("潜水员", "win back", [], "silent for long"),
        ("韩梅梅", "vip", [VIP], "buys often or much"),
    ]


def test_moves_follow_the_rules(known: Recounts) -> None:
    assert set(check(known, "routing")["rule"]) == {1, 2, 3, 4}


def test_alerts_and_views_know_the_same_tiers(days: pd.DataFrame) -> None:
    """The alerts' one scale is that of the two: high_value where it is, else behaviour, core counted as key_opinion."""
    from streams.operators.base import NEVER
    from streams.operators.roster import ROLE_RANK
    from streams.operators.tiers import tiers_of
    from streams.rules_churn import TierRules

    rows = {
        "role": days["role"].map(ROLE_RANK).to_numpy(),
        "orders": days["orders"].to_numpy(),
        "monetary_minor": days["paid_minor"].to_numpy(),
        "referrals": days["referrals"].to_numpy(),
        "first_order_ms": np.full(len(days), NEVER),
        "last_order_ms": np.full(len(days), NEVER),
    }
    codes, _ = tiers_of(rows, days["active_days_30"].to_numpy(), TierRules())
    expected = days["tier"].replace("core", "key_opinion").where(days["value_tier"] != "high_value", "high_value")
    assert [TIERS[code] for code in codes] == expected.tolist()
