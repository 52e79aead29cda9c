"""The final ledger, case by case, as the decision on it says (`infra/decisions/0006-the-final-ledger.md`)."""

from __future__ import annotations

import pytest

from schemas.partitioning import partition_for
from streams.rules_campaigns import CampaignRules
from tests.batches import DAY_MS, HOUR_MS, Event, event
from tests.referral_network import START_MS, Network

MINUTE_MS = 60_000
HOME = "上海读书会"


def elsewhere(word: str, same_partition: bool) -> str:
    """A community on the same of two partitions as HOME, or on the other one."""
    names = (f"{word}{number}" for number in range(99))
    home = partition_for(HOME.encode(), 2)
    return next(name for name in names if (partition_for(name.encode(), 2) == home) == same_partition)


FAR = elsewhere("群", same_partition=False)

Rows = set[tuple[str, int, str]]


class Case:
    """Two partitions; 小李 brings 小王 in campaign 春 at START_MS. Times below are from there."""

    def __init__(self, **rules: object) -> None:
        self.network = Network(2, {"春": CampaignRules.model_validate(rules)} if rules else None)
        self._sent = 0

    def tell(self, *events: Event) -> None:
        """Send events and let all that follows from them land."""
        self.network.send(list(events))
        self.network.settle()

    def at(
        self, event_type: str, after_ms: int, community: str = HOME, platform: str = "wecom", **fields: str
    ) -> Event:
        self._sent += 1
        defaults = {"member_id": "小王"} if event_type != "referral" else {}
        named = {"event_id": f"e{self._sent}", "platform": platform}
        return event(event_type, time_ms=START_MS + after_ms, community=community, **(named | defaults | fields))

    def brought(self, after_ms: int = 0, community: str = HOME, by: str = "小李") -> Event:
        return self.at("referral", after_ms, community, campaign_id="春", referrer_id=by, referee_id="小王")

    def time_passes(self) -> Event:
        """Somebody else speaks, long after."""
        return self.at("message", 60 * DAY_MS, member_id="旁人")

    def rows(self, community: str = HOME) -> Rows:
        """State, time from START_MS and reason of each transition of edges into a community."""
        return {
            (state, row["changed_at"] - START_MS, row["reason"])
            for (_, edge_id, state), row in self.network.landed("referral_credits").items()
            if not row["withdrawn"] and f"/{community}/" in edge_id
        }

    def state(self) -> str:
        return str(self.network.landed("referral_nodes")["春", "小王"]["credit_state"])


def test_who_stays_and_speaks_matures_a_week_after_being_seen_first() -> None:
    case = Case()
    case.tell(case.brought())
    assert case.rows() == {("pending", 0, "")}
    case.tell(case.at("join", HOUR_MS), case.at("message", 2 * HOUR_MS))
    assert case.rows() == {("pending", 0, "")}
    case.tell(case.time_passes())
    assert case.rows() == {("pending", 0, ""), ("matured", HOUR_MS + 7 * DAY_MS, "")}
    assert case.state() == "matured"


@pytest.mark.parametrize(
    ("require", "kind", "matures"),
    [
        ("nothing", None, True),
        ("activity", None, False),
        ("activity", "message", True),
        ("activity", "order", True),
        ("paid_order", "message", False),
        ("paid_order", "order", True),
    ],
)
def test_a_credit_matures_when_the_referee_has_done_what_the_campaign_asks(
    require: str, kind: str | None, matures: bool
) -> None:
    case = Case(require=require, days_to_maturity=3)
    case.tell(case.brought(), case.at("join", HOUR_MS))
    if kind:
        case.tell(case.at(kind, DAY_MS))
    case.tell(case.time_passes())
    assert (("matured", HOUR_MS + 3 * DAY_MS, "") in case.rows()) == matures


def test_what_is_done_when_the_credit_falls_due_is_done_too_late() -> None:
    case = Case()
    case.tell(case.brought(), case.at("join", 0), case.at("message", 7 * DAY_MS), case.time_passes())
    assert case.state() == "pending"


def test_who_leaves_before_it_is_due_is_reversed_and_coming_back_adds_nothing() -> None:
    case = Case()
    case.tell(case.brought(), case.at("join", 0), case.at("message", 1))
    case.tell(case.at("join", DAY_MS, action="left"), case.at("join", 2 * DAY_MS), case.time_passes())
    assert case.rows() == {("pending", 0, ""), ("reversed", DAY_MS, "left")}


def test_who_leaves_later_matures_first() -> None:
    case = Case()
    case.tell(case.brought(), case.at("join", 0), case.at("message", 1), case.at("join", 8 * DAY_MS, action="removed"))
    case.tell(case.time_passes())
    assert case.rows() == {("pending", 0, ""), ("matured", 7 * DAY_MS, ""), ("reversed", 8 * DAY_MS, "left")}


@pytest.mark.parametrize(("before_ms", "reason"), [(10 * MINUTE_MS, ""), (10 * MINUTE_MS + 1, "already_member")])
def test_who_was_there_already_earns_nobody_anything_but_a_join_told_early_does_not_count(
    before_ms: int, reason: str
) -> None:
    case = Case()
    case.tell(case.at("join", -before_ms), case.brought(), case.time_passes())
    assert {row[2] for row in case.rows()} == {reason}
    assert case.network.landed("referral_nodes")["春", "小王"]["parent_id"] == "小李"


def test_an_invitation_that_comes_a_year_late_is_judged_like_any_other() -> None:
    case = Case()
    case.tell(case.at("join", HOUR_MS), case.at("message", 2 * HOUR_MS), case.time_passes())
    case.tell(case.brought())
    assert case.rows() == {("pending", 0, ""), ("matured", HOUR_MS + 7 * DAY_MS, "")}


@pytest.mark.parametrize(("may_refer", "row"), [(False, ("rejected", 0, "staff_referrer")), (True, ("pending", 0, ""))])
def test_staff_brings_people_but_earns_nothing_unless_the_campaign_lets_it(
    may_refer: bool, row: tuple[str, int, str]
) -> None:
    case = Case(staff_may_refer=may_refer)
    case.tell(case.at("message", -DAY_MS, member_id="小李", sender_role="staff"), case.brought())
    assert case.rows() == {row}
    assert case.network.landed("referral_nodes")["春", "小李"]["staff"] == 1


def test_who_becomes_staff_later_keeps_what_it_earned_and_who_always_was_never_earned_it() -> None:
    promoted, always = Case(), Case()
    promoted.tell(promoted.at("message", -DAY_MS, member_id="小李"), promoted.brought())
    promoted.tell(promoted.at("message", DAY_MS, member_id="小李", sender_role="staff"))
    assert promoted.rows() == {("pending", 0, "")}
    always.tell(always.brought())
    always.tell(always.at("join", DAY_MS, member_id="小李", role="bot"))
    assert always.rows() == {("rejected", 0, "staff_referrer")}


def test_an_invitation_outside_the_campaign_earns_nothing() -> None:
    case = Case(start="2026-01-01", end="2026-01-02")
    case.tell(case.brought(DAY_MS), case.at("referral", 5, campaign_id="春", referrer_id="甲", referee_id="乙"))
    assert case.rows() == {("rejected", DAY_MS, "outside_campaign"), ("pending", 5, "")}


def test_a_referee_in_several_communities_earns_it_once_where_its_parent_brought_it() -> None:
    case = Case()
    case.tell(case.brought(), case.brought(HOUR_MS, FAR, by="小张"))
    case.tell(case.at("join", 2 * HOUR_MS, FAR), case.at("message", 3 * HOUR_MS, FAR), case.time_passes())
    case.tell(case.at("message", 60 * DAY_MS, FAR, member_id="旁人"))
    assert case.rows() == {("pending", 0, "")}, "what it does elsewhere changes nothing"
    assert case.rows(FAR) == {("rejected", HOUR_MS, "duplicate_parent")}
    case.tell(case.brought(-DAY_MS, FAR, by="小张"))  # an earlier one comes late: now the other community counts
    assert case.rows() == {("rejected", 0, "duplicate_parent")}
    assert case.rows(FAR) == {
        ("rejected", HOUR_MS, "duplicate_parent"), ("pending", -DAY_MS, ""), ("matured", 2 * HOUR_MS + 7 * DAY_MS, ""),
    }  # fmt: skip


@pytest.mark.parametrize("same_partition", [True, False])
def test_who_is_new_to_the_community_may_not_be_new_to_the_platform(same_partition: bool) -> None:
    community = elsewhere("老群", same_partition)
    case = Case(new_to="platform")
    case.tell(case.brought())
    assert case.rows() == {("pending", 0, "")}
    case.tell(case.at("message", -DAY_MS, FAR, platform="discord"))  # the same id somewhere else is somebody else
    assert case.rows() == {("pending", 0, "")}
    case.tell(case.at("message", -DAY_MS, community))  # the history of another community is brought in afterwards
    assert case.rows() == {("rejected", 0, "already_member")}


def test_a_community_whose_events_name_their_platform_late_is_on_it_all_the_same() -> None:
    case = Case(new_to="platform")
    said = case.at("message", -DAY_MS, FAR)
    del said["platform"]
    case.tell(said, case.brought())
    assert case.rows() == {("pending", 0, "")}
    case.tell(case.at("message", 0, FAR, member_id="旁人"))
    assert case.rows() == {("rejected", 0, "already_member")}


def test_whom_a_snapshot_misses_has_left_until_it_is_heard_again() -> None:
    case = Case()
    listed = {"member_id": "旁人", "action": "present", "snapshot_id": "s"}
    case.tell(case.brought(), case.at("join", 0), case.at("join", DAY_MS, **listed) | {"snapshot_size": 1})
    assert case.rows() == {("pending", 0, ""), ("reversed", DAY_MS, "left")}
    case.tell(case.at("message", DAY_MS + HOUR_MS))
    assert case.rows() == {("pending", 0, "")}


def test_money_counts_where_the_referee_was_brought_and_not_what_it_spent_before() -> None:
    case = Case()
    case.tell(
        case.brought(),
        case.at("order", HOUR_MS),
        case.at("order", HOUR_MS, FAR),
        case.at("order", 0, status="cancelled"),
    )
    case.tell(case.at("order", 2 * HOUR_MS, status="refunded"))
    money = case.network.landed("referral_revenue")
    assert money["春", "小王", "CNY"] == {
        "own_orders": 1, "own_paid_minor": 100, "own_refunded_minor": 100,
        "subtree_orders": 0, "subtree_paid_minor": 0, "subtree_refunded_minor": 0,
    }  # fmt: skip
    assert money["春", "小李", "CNY"]["subtree_paid_minor"] == 100
    case.tell(case.at("message", -20 * HOUR_MS))  # it was there before
    assert not any(any(row.values()) for row in case.network.landed("referral_revenue").values())
