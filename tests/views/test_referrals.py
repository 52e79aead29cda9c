"""The referral views against a recount of every member's life, and three small communities on paper."""

from __future__ import annotations

import datetime as dt

from tests.oracle import milliseconds
from tests.oracle.targets import standings
from tests.oracle.views_campaigns import target_rate
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts
from tests.views.referral_examples import CAMPAIGN, CLUB, TARGETS, TOGETHER

GROWN = "joined, d7_members, d7_in, d7_active, d30_members, d30_in, d30_active, d30_buyers"


def of_campaign(landed: Landed, view: str, columns: str, campaign: str = CAMPAIGN) -> list[tuple[object, ...]]:
    sql = f"SELECT {columns} FROM qunpulse.{view} WHERE campaign_id = {{c:String}} ORDER BY ALL"
    return landed.clickhouse.rows(sql, {"c": campaign})


def test_the_leaderboard_equals_the_recount(known: Recounts) -> None:
    expected = check(known, "referral_leaderboard")
    assert len(expected) > 100
    assert {0, 1} == set(expected["is_staff"])
    assert 0 < expected["matured"].sum() < expected["direct"].sum()
    assert expected["revenue_minor"].map(bool).sum() > 5


def test_the_leaderboard_of_a_campaign_on_paper(landed: Landed) -> None:
    counts = "is_staff, rank, member_id, direct, matured, reversed, still_here"
    assert of_campaign(landed, "referral_leaderboard", counts) == [
        (0, 1, "王芳", 3, 1, 1, 1),  # 赵敏 stays; 钱进 matured and left; 孙丽 never came
        (0, 2, "赵敏", 1, 0, 0, 1),  # 周周 stays and is silent
        (1, 1, "小陈", 1, 0, 0, 1),
    ]
    money = "member_id, revenue_minor, subtree_revenue_minor"
    assert of_campaign(landed, "referral_leaderboard", money)[1] == ("王芳", {"CNY": 5_500}, {"CNY": 5_500})


def test_nodes_and_credits_equal_the_offline_rebuild(known: Recounts) -> None:
    assert check(known, "referral_nodes")["depth"].max() > 1
    assert set(check(known, "referral_credits")["state"]) == {"pending", "matured", "reversed", "rejected"}


def test_the_tree_and_the_credits_of_a_campaign_on_paper(landed: Landed) -> None:
    tree = "member_id, parent_id, root_id, depth, direct, descendants, credit_state"
    assert of_campaign(landed, "referral_nodes", tree) == [
        ("吴用", "小陈", "小陈", 1, 0, 0, "rejected"),
        ("周周", "赵敏", "王芳", 2, 0, 0, "pending"),
        ("孙丽", "王芳", "王芳", 1, 0, 0, "pending"),
        ("小陈", "", "小陈", 0, 1, 1, ""),
        ("王芳", "", "王芳", 0, 3, 4, ""),
        ("赵敏", "王芳", "王芳", 1, 1, 1, "matured"),
        ("钱进", "王芳", "王芳", 1, 0, 0, "reversed"),
    ]
    steps = of_campaign(landed, "referral_credits", "referee_id, state, toString(changed_at)")
    assert [step for step in steps if step[0] in ("赵敏", "钱进")] == [
        ("赵敏", "matured", "2024-03-08 14:00:00.000"),  # seven days after joining
        ("赵敏", "pending", "2024-03-01 12:00:00.000"),
        ("钱进", "matured", "2024-03-09 16:00:00.000"),
        ("钱进", "pending", "2024-03-02 12:00:00.000"),
        ("钱进", "reversed", "2024-03-11 16:00:00.000"),
    ]
    money = "member_id, own_orders, own_paid_minor, own_refunded_minor, subtree_paid_minor, subtree_revenue_minor"
    assert of_campaign(landed, "referral_revenue", money) == [
        ("王芳", 0, 0, 0, 5_900, 5_500),  # what those below her spent
        ("赵敏", 1, 5_000, 0, 0, 0),
        ("钱进", 1, 900, 400, 0, 0),
    ]


def test_the_revenue_of_subtrees_equals_the_offline_rebuild(known: Recounts) -> None:
    expected = check(known, "referral_revenue")
    assert expected["currency"].nunique() > 1
    revenue = expected["subtree_revenue_minor"]
    assert ((revenue > 0) & (revenue < expected["subtree_paid_minor"])).any()


def test_the_funnel_equals_the_recount(known: Recounts) -> None:
    expected = check(known, "referral_funnel")
    assert len(expected) > 8
    sums = expected[["invited", "joined", "active", "bought"]].sum()
    assert sums["invited"] > sums["joined"] > sums["active"] > sums["bought"] > 0


def test_the_funnel_of_a_campaign_on_paper(landed: Landed) -> None:
    counts = "invited, joined, active, bought, joined_rate, active_rate, bought_rate, bought_of_invited_rate"
    assert of_campaign(landed, "referral_funnel", counts) == [(5, 4, 2, 2, 0.8, 0.5, 1.0, 0.4)]
    hours = "median_hours_to_join, median_hours_to_active, median_hours_to_buy"
    # joined after 2, 4, 6 and 0 hours; active after 1 and 24; bought 24 and 48 hours later
    assert of_campaign(landed, "referral_funnel", hours) == [(3.0, 12.5, 36.0)]


def test_milestones_and_their_rate_equal_the_recount(landed: Landed, known: Recounts) -> None:
    expected = standings(known.lives.events, TARGETS, known.referrals)
    rows = landed.clickhouse.rows(
        "SELECT campaign_id, subject_kind, subject_id, opened_at, deadline_at, count, reached_at, revoked_at "
        "FROM qunpulse_store.milestones FINAL"
    )
    found = {row[:3]: tuple(at if at is None or isinstance(at, int) else _ms(at) for at in row[3:]) for row in rows}
    assert found == expected
    kinds = {(subject[1], one.reached is not None, one.taken_back is not None) for subject, one in expected.items()}
    assert {("member", True, False), ("member", False, False), ("group", True, True), ("group", True, False)} <= kinds
    rates = target_rate(known.lives, known.referrals, TARGETS, expected)
    assert {0.0, 1.0} != set(rates["reached_share"])
    landed.check("target_rate", rates, keys=["campaign_id", "subject_kind", "target"])


def _ms(at: dt.datetime) -> int:
    return milliseconds(at.isoformat())


def test_the_rates_of_two_targets_on_paper(landed: Landed) -> None:
    columns = "target, opened, reached, taken_back, running, reached_share, median_hours_to_reach"
    # 王芳 after 28 hours, and 钱进 left only later; 赵敏 brought one; 小陈 is staff and not counted
    assert of_campaign(landed, "target_rate", columns) == [
        ("2 accepted_invitations within 3 days", 2, 1, 0, 0, 0.5, 28.0)
    ]
    assert of_campaign(landed, "target_rate", columns, TOGETHER) == [
        ("3 group_buy_orders within 2 days", 2, 1, 1, 0, 0.5, 6.0)
    ]


def test_k_factor_equals_the_recount(known: Recounts) -> None:
    expected = check(known, "k_factor")
    assert len(expected) > 60
    assert 0 < expected["accepted"].sum() < expected["invitations"].sum()
    assert expected["staff_invitations"].sum() > 0


def test_k_factor_of_two_weeks_on_paper(landed: Landed) -> None:
    week = [dt.datetime(2024, 1, day, 16, tzinfo=dt.UTC) for day in (7, 14)]  # Monday 00:00 in Shanghai
    counts = "week_start, members, invitations, inviters, accepted, staff_invitations"
    assert landed.rows("k_factor", CLUB, counts) == [
        (week[0], 4, 4, 3, 2, 1),  # 王芳 went, 周周 came ten minutes early
        (week[1], 4, 1, 1, 0, 0),  # 李强, 赵敏, 周周, 孙丽
    ]
    rates = "week_start, invitations_per_member, joins_per_invitation, k_factor"
    assert landed.rows("k_factor", CLUB, rates) == [(week[0], 1.0, 0.5, 0.5), (week[1], 0.25, 0.0, 0.0)]


def test_source_quality_equals_the_recount(known: Recounts) -> None:
    expected = check(known, "referral_source_quality")
    assert len(expected) > 100
    assert 0 < expected["d7_active"].sum() < expected["d7_in"].sum() < expected["d7_members"].sum()
    assert expected["d30_members"].sum() < expected["d7_members"].sum() < expected["joined"].sum()
    assert expected["d30_revenue_minor"].map(bool).sum() > 10


def test_source_quality_of_a_month_on_paper(landed: Landed) -> None:
    assert landed.rows("referral_source_quality", CLUB, f"brought_how, brought_by, {GROWN}") == [
        ("inviter", "", 2, 2, 1, 0, 2, 1, 0, 0),  # 王芳 and 李强 brought themselves; he stays and is silent
        ("inviter", "小陈", 1, 1, 1, 0, 1, 1, 1, 0),  # 孙丽: silent at first, active in the end
        ("inviter", "王芳", 1, 1, 1, 1, 1, 1, 0, 1),  # 赵敏
        ("inviter", "赵敏", 1, 1, 0, 0, 1, 0, 0, 0),  # 周周
        ("source", "", 3, 3, 2, 0, 3, 2, 1, 0),
        ("source", "qr-7", 2, 2, 1, 1, 2, 1, 0, 1),
    ]
    rates = "brought_by, d7_in_rate, d7_active_rate, d30_in_rate, d30_active_rate, d30_order_rate, d30_revenue_minor"
    found = landed.rows("referral_source_quality", CLUB, rates)
    assert ("qr-7", 0.5, 0.5, 0.5, 0.0, 0.5, {"CNY": 3_000}) in found


def test_whoever_joined_lately_is_in_no_cohort(landed: Landed) -> None:
    as_of = landed.clickhouse.scalar("SELECT any(as_of) FROM qunpulse.referral_source_quality")
    assert as_of == max(dt.datetime.fromisoformat(event["occurred_at"]) for event in landed.feed.events)
    assert landed.clickhouse.scalar(
        "SELECT count() FROM qunpulse.referral_source_quality WHERE d30_members = 0 AND d30_in_rate IS NULL"
    )
