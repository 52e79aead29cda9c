"""Laws of single kinds of alerts on communities: exodus, zombies, promotion, growth, questions, violations, resync."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.alert_replay import CIRCLE, alert_replay, alerts, at, moves, run, says
from tests.batches import Event, Replay, event

STAFF: dict[str, Any] = {"sender_role": "staff"}


def joined(count: int, day: float = 0, community: str = CIRCLE) -> list[Event]:
    """So many members join, a minute apart."""
    return [moves(f"成员{n}", day + n / 1440, "joined", community) for n in range(count)]


def promotes(day: float, community: str = CIRCLE) -> Event:
    """A promotion by the shop."""
    return says("店长", day, 11, community, is_promotion=True, **STAFF)


def kinds(replay: Replay, *wanted: str) -> list[tuple[str, str]]:
    """Kind and state of the landed alerts."""
    return [(row["kind"], row["state"]) for row in alerts(replay, *wanted)]


# -- exodus -----------------------------------------------------------------------------------------------------------


def leaving(count: int, day: float, action: str = "left") -> list[Event]:
    """So many members go, half an hour apart."""
    return [moves(f"成员{n}", day + n / 48, action) for n in range(count)]


def test_an_exodus_says_that_it_follows_promotions_and_is_over_when_it_calms_down() -> None:
    replay = alert_replay()
    run(replay, [*joined(100), promotes(40), *leaving(8, 40.1)])
    (alert,) = alerts(replay, "exodus")
    evidence = json.loads(alert["evidence"])
    assert (alert["state"], evidence["left_in_24_hours"], evidence["members"]) == ("opened", 5, 97)
    assert evidence["follows_promotions"] is True
    assert "It follows 1 promotion of two days" in alert["reason"]
    run(replay, [], now=42)
    assert kinds(replay, "exodus") == [("exodus", "resolved")]


def test_an_exodus_without_promotions_says_so() -> None:
    replay = alert_replay()
    run(replay, [*joined(100), promotes(30), *leaving(8, 40.1)])
    (alert,) = alerts(replay, "exodus")
    assert json.loads(alert["evidence"])["follows_promotions"] is False
    assert "No promotion went before it" in alert["reason"]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([*joined(100), *leaving(4, 40)], "fewer than five"),
        ([*joined(400), *leaving(7, 40)], "less than 2 % of the members"),
        ([*joined(100), *leaving(20, 40, "removed")], "removed by staff"),
        ([*joined(100), *leaving(20, 40, "gone")], "gone, and nobody knows why"),
        ([*joined(100), *[moves(f"成员{n}", 3 + n / 2.9, "left") for n in range(90)]], "three leave every day"),
    ],
    ids=["few", "small share", "removed", "gone", "usual"],
)
def test_what_is_no_exodus(events: list[Event], why: str) -> None:
    replay = alert_replay()
    run(replay, sorted(events, key=lambda one: str(one["occurred_at"])), now=45)
    assert kinds(replay, "exodus") == [], why


def test_nobody_flees_from_a_group_that_closes() -> None:
    replay = alert_replay({"communities": {CIRCLE: {"closed_at": "2024-04-27"}}})
    run(replay, [*joined(100), *leaving(20, 40)], now=45)
    assert kinds(replay, "exodus") == []


# -- zombie, over_promotion, stalled_growth ---------------------------------------------------------------------------


def shop_talk(days: int) -> list[Event]:
    """A group of fifty in which only the shop speaks, and one member now and then."""
    talk = [says("成员0", day, 15) for day in range(2, days, 9)]
    return [*joined(50), *[promotes(day) for day in range(1, days)], *talk]


def test_a_group_in_which_only_the_shop_speaks_is_a_zombie_until_members_speak() -> None:
    replay = alert_replay()
    run(replay, shop_talk(35), now=36)
    (alert,) = alerts(replay, "zombie")
    assert (alert["state"], alert["urgency"]) == ("opened", "digest")
    evidence = json.loads(alert["evidence"])
    assert (evidence["speakers_30"], evidence["members"]) == (1, 51)
    assert evidence["promotion_share"] > 0.8
    run(replay, [says(f"成员{n}", 36, n / 10) for n in range(20)], now=38)
    assert kinds(replay, "zombie") == [("zombie", "resolved")]


def test_a_group_in_which_members_speak_or_nobody_promotes_is_no_zombie() -> None:
    lively = [*shop_talk(35), *[says(f"成员{n}", 20 + n / 2, 16) for n in range(20)]]
    calm = [{**one, "is_promotion": False} if one["event_type"] == "message" else one for one in shop_talk(35)]
    for events in (lively, calm):
        replay = alert_replay()
        run(replay, sorted(events, key=lambda one: str(one["occurred_at"])), now=36)
        assert kinds(replay, "zombie") == []


def test_a_group_whose_questions_nobody_answers_is_a_zombie_too() -> None:
    replay = alert_replay()
    asked = [says("成员0", day, 12, is_question=True) for day in range(2, 34, 3)]
    run(replay, [*joined(50), *asked], now=36)
    (alert,) = alerts(replay, "zombie")
    assert "of the questions got no answer" in alert["reason"]
    assert json.loads(alert["evidence"])["unanswered_share"] >= 0.9


def test_promotions_are_too_many_when_members_leave_right_after_them() -> None:
    promotions = [promotes(30 + n / 3) for n in range(18)]
    after = [moves(f"成员{n}", 31 + n, "left") for n in range(4)]
    replay = alert_replay()
    run(replay, sorted([*joined(60), *promotions, *after], key=lambda one: str(one["occurred_at"])), now=37)
    (alert,) = alerts(replay, "over_promotion")
    assert "4 of the 4 who left in them did so within 24 hours of one" in alert["reason"]
    for events in ([*joined(60), *promotions], [*joined(60), *promotions[::3], *after]):
        replay = alert_replay()
        run(replay, sorted(events, key=lambda one: str(one["occurred_at"])), now=37)
        assert kinds(replay, "over_promotion") == []


GROWTH = [moves(f"新人{n}", 2 * n, "joined") for n in range(16)]  # until day 30, then nobody


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({}, ["stalled_growth"]),
        ({"capacity": 500}, ["stalled_growth"]),
        ({"capacity": 16}, []),
        ({"closed_at": "2024-04-27"}, []),
        ({"opened_at": "2024-03-18", "closed_at": "2024-06-10"}, []),
    ],
    ids=["plain", "room", "full", "closed", "short-lived"],
)
def test_growth_has_stalled_where_there_is_room_for_it(described: dict[str, Any], expected: list[str]) -> None:
    replay = alert_replay({"communities": {CIRCLE: described}})
    run(replay, GROWTH, now=62)
    assert [row["kind"] for row in alerts(replay, "stalled_growth")] == expected


# -- unanswered -------------------------------------------------------------------------------------------------------


def asks(day: float, hour: float, **fields: Any) -> Event:
    """A question of a member."""
    return says("成员1", day, hour, is_question=True, **fields)


REPLY = says("店长", 0, 1, reply_to="x", **STAFF)
"""A reply: from here on the feed is known to say what is one."""


def test_a_question_without_an_answer_is_told_after_four_hours_and_resolved_by_one() -> None:
    replay = alert_replay()
    question = asks(1, 10)
    run(replay, [REPLY, question, says("成员2", 1, 11), says("成员3", 1, 15)])
    (alert,) = alerts(replay, "unanswered")
    assert (alert["member_id"], alert["state"]) == ("成员1", "opened")
    assert alert["opened_at"].timestamp() * 1000 == at(1, 14)
    assert json.loads(alert["evidence"])["estimated"] is False
    run(replay, [says("成员2", 1, 16, reply_to=question["event_id"])])
    assert kinds(replay, "unanswered") == [("unanswered", "resolved")]


@pytest.mark.parametrize(
    ("reply", "answered"),
    [
        ({"member": "店长", "reply_to": asks(1, 10)["event_id"], **STAFF}, True),
        ({"member": "成员2", "reply_to_member_id": "成员1"}, True),
        ({"member": "成员1", "reply_to": asks(1, 10)["event_id"]}, False),
        ({"member": "成员2", "reply_to": "another"}, False),
        ({"member": "成员2", "reply_to_member_id": "成员3"}, False),
    ],
)
def test_who_answers_a_question(reply: dict[str, Any], answered: bool) -> None:
    replay = alert_replay()
    fields = dict(reply)
    answer = says(fields.pop("member"), 1, 13, **fields)
    run(replay, [REPLY, asks(1, 10), answer, says("成员3", 1, 15)])
    assert (kinds(replay, "unanswered") == []) is answered


def test_without_replies_somebody_elses_message_within_half_an_hour_is_an_estimated_answer() -> None:
    for minutes, answered in ((29, True), (31, False)):
        replay = alert_replay()
        run(replay, [asks(1, 10), says("成员2", 1, 10 + minutes / 60), says("成员3", 1, 15)])
        found = alerts(replay, "unanswered")
        assert (found == []) is answered
        for alert in found:
            assert json.loads(alert["evidence"])["estimated"] is True
            assert "estimated" in alert["reason"]


def test_only_service_hours_count_and_questions_of_staff_do_not() -> None:
    rules = {"communities": {CIRCLE: {"service_hours": "mon-fri 09:00-18:00"}}}
    replay = alert_replay(rules)
    # Friday, 16:00: two hours are left, the other two are those of Monday morning.
    run(replay, [REPLY, asks(4, 16), says("店长", 4, 16.5, is_question=True, **STAFF), says("成员2", 7, 12)])
    (alert,) = alerts(replay, "unanswered")
    assert alert["opened_at"].timestamp() * 1000 == at(7, 11)


def test_a_feed_that_never_marks_questions_raises_none() -> None:
    replay = alert_replay()
    run(replay, [says("成员1", day, 12) for day in range(10)], now=11)
    assert kinds(replay, "unanswered") == []


# -- rule_violation ---------------------------------------------------------------------------------------------------


def often(count: int, minutes: float, member: str = "成员1", **fields: Any) -> list[Event]:
    """So many messages, so far apart."""
    return [says(member, 1, 12 + n * minutes / 60, **fields) for n in range(count)]


@pytest.mark.parametrize(
    ("events", "what"),
    [
        (often(20, 1 / 60), "messages"),
        (often(19, 1 / 60), None),
        (often(40, 0.2), None),
        (often(20, 1 / 60, **STAFF), None),
        (often(10, 20, kind="link"), "links"),
        (often(9, 20, kind="link"), None),
        (often(10, 20, kind="link", sender_role="admin"), None),
        (often(3, 20, is_promotion=True), "promotions"),
        (often(3, 1440, is_promotion=True), None),
    ],
)
def test_what_breaks_the_rules(events: list[Event], what: str | None) -> None:
    replay = alert_replay()
    run(replay, events)
    found = alerts(replay, "rule_violation")
    assert [json.loads(row["evidence"])["what"] for row in found] == ([what] if what else [])
    assert [row["member_id"] for row in found] == (["成员1"] if what else [])


# -- resync_needed ----------------------------------------------------------------------------------------------------


def change(number: int, hour: float) -> Event:
    """A change of the member list, from one version to the next."""
    time_ms = at(1, hour)
    versions = {"roster_version_before": f"v{number}", "roster_version_after": f"v{number + 1}"}
    return event("join", f"j{number}", time_ms, CIRCLE, member_id=f"成员{number}", action="joined", **versions)


def test_a_missing_change_is_told_after_half_an_hour_and_settled_by_a_snapshot() -> None:
    replay = alert_replay()
    run(replay, [change(0, 10), change(2, 11), says("成员0", 1, 11.4)])
    assert kinds(replay, "resync_needed") == []
    run(replay, [says("成员0", 1, 11.6)])
    (alert,) = alerts(replay, "resync_needed")
    assert (alert["state"], alert["severity"]) == ("opened", "low")
    lines = [moves(f"成员{n}", 2, "present", snapshot_id="s1", snapshot_size=3) for n in range(3)]
    run(replay, lines)
    assert kinds(replay, "resync_needed") == [("resync_needed", "resolved")]


def test_a_change_that_comes_late_is_waited_for() -> None:
    replay = alert_replay()
    run(replay, [change(0, 10), change(2, 11)])
    run(replay, [change(1, 11.2), says("成员0", 1, 20)])
    assert kinds(replay, "resync_needed") == []
