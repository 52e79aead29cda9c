"""How groups are: conduct, growth by source, health, and the diagnosis in words."""

from __future__ import annotations

from tests.views.examples import example, join, message, order
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

# Twenty members, one of whom speaks and one of whom left; staff promotes; a question with an answer after a day.
QUIET = example(
    "例:僵尸群",
    [
        *[join("2024-05-01 08:00", f"成员{n}", via="qr_code", source="门店-静安") for n in range(20)],
        message("2024-05-02 10:00", "成员0", is_question=True, event_id="问"),
        message("2024-05-03 10:01", "成员1", reply_to="问", event_id="答", kind="reaction"),
        *[message(f"2024-05-0{day} 12:00", "客服", sender_role="staff", is_promotion=True) for day in (3, 4, 5, 6)],
        join("2024-05-06 09:00", "成员19", "left"),
        *[message("2024-05-06 10:00", f"成员{n}", kind="coupon_claim", object_id="满减") for n in range(10)],
        order("2024-05-06 11:00", "成员2", "僵1", 900),
    ],
    "Asia/Shanghai",
    name="静安店僵尸群",
)
FLOOD = example(
    "例:刷屏",
    [
        join("2024-05-01", "刷屏者"),
        *[
            message(f"2024-05-02 10:{minute:02}:{second:02}", "刷屏者", kind="link")
            for minute in range(10)
            for second in range(6)
        ],
        message("2024-05-03 10:00", "刷屏者"),
    ],
)


def test_conduct_of_members(known: Recounts) -> None:
    check(known, "member_conduct")


def test_growth_by_source(known: Recounts) -> None:
    check(known, "growth_sources")


def test_health_of_groups(known: Recounts) -> None:
    assert check(known, "group_health")["unanswered_questions"].sum() > 10


def test_a_zombie_group_by_hand(landed: Landed) -> None:
    figures = "members, speakers, speaker_share, promotion_share, zombie_score, questions, unanswered_questions, growth"
    # 19 members, one spoke; 4 of 5 messages are promotions: 50 * 18/19 + 50 * 0.8. The answer came a minute too late.
    [row] = landed.rows("group_health", QUIET, figures)
    assert row == (19, 1, 1 / 19, 0.8, 50 * (1 - 1 / 19) + 50 * 0.8, 1, 1, 19)
    assert landed.rows("growth_sources", QUIET, "toString(week), source, joins, leaves, quits, growth") == [
        ("2024-04-29", "门店-静安", 20, 0, 0, 20),
        ("2024-05-06", "门店-静安", 0, 1, 1, -1),
    ]
    [(name, words, findings, coupon_share)] = landed.rows("diagnosis", QUIET, "name, diagnosis, findings, coupon_share")
    assert name == "静安店僵尸群"
    assert words == (
        "grows (+19 in 30 days), 5 % speak, promotions dominate (80 % of messages), "
        "coupons do not move them (0 orders on 10 claims)"
    )
    assert (findings, coupon_share) == (["promotions_dominate", "coupons_idle"], 0.0)


def test_a_community_as_the_rules_describe_it_by_hand(landed: Landed) -> None:
    described = "name, timezone, members, capacity, resync_needed"
    # twenty joined, one left, and 客服 was seen
    assert landed.rows("communities", QUIET, described) == [("静安店僵尸群", "Asia/Shanghai", 20, None, 0)]


def test_flooding_by_hand(landed: Landed) -> None:
    figures = "messages, links, link_share, flood_minutes, most_in_a_minute, share_of_talk"
    assert landed.rows("member_conduct", FLOOD, figures) == [(61, 60, 60 / 61, 10, 6, 1.0)]
    assert landed.rows("diagnosis", FLOOD, "diagnosis, findings") == [
        (
            "grows (+1 in 30 days), 100 % speak, some flood it (10 minutes), full of links (98 %)",
            ["flooded", "full_of_links"],
        )
    ]


def test_every_group_is_told_how_it_is(landed: Landed, known: Recounts) -> None:
    check(known, "diagnosis")
    found = landed.view("diagnosis")
    health = landed.view("group_health").set_index("community_id")
    assert len(found) == len(health) > 10
    for row in found.itertuples():
        figures = health.loc[row.community_id]
        findings = set(row.findings)
        assert ("few_speakers" in findings) == (figures["members"] > 0 and figures["speaker_share"] < 0.05)
        assert ("promotions_dominate" in findings) == (figures["promotion_share"] >= 0.3)
        assert ("shrinking" in findings) == (figures["members"] > 0 and figures["growth"] < 0)
        assert row.diagnosis
        assert not {"nan", "inf", "NULL"} & set(row.diagnosis.replace("(", " ").split())
