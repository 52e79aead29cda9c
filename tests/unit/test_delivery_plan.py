"""Who is told, in which form and when: planned once, limited by community, hour, assignee and quiet hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from schemas.alerts import AlertRecord
from sinks.alert_deliveries import Delivery, Planned
from sinks.notify import Answer
from sinks.retry import Backoff
from streams.delivery.channel_queue import ChannelQueue, Message
from streams.delivery.plan import DAY_MS, HOUR_MS, Arrived, Planner
from streams.rules_alerts import AlertsRules
from streams.rules_delivery import ChannelRules
from tests.alerts import alert

NOW = 1_714_500_000_000 + 7 * 60_000
NEXT_HOUR = (NOW // HOUR_MS + 1) * HOUR_MS
TAKEN, BROKEN = Answer(True), Answer(False, "HTTP 500")
STEADY = Backoff(first_seconds=10, longest_seconds=40, draw=lambda _, bound: bound)  # waits 10, 20, 40, 40, … s


def rules(*routes: dict[str, Any], singles: int = 5, cap: int = 10) -> AlertsRules:
    channel = {"url": "json://localhost", "singles_per_hour": singles}
    return AlertsRules.model_validate(
        {
            "channels": {"ops": channel, "mail": channel},
            "routes": list(routes) or [{"channels": ["ops"]}],
            "new_per_assignee_and_day": cap,
        }
    )


def planned(planner: Planner, *alerts: AlertRecord, now_ms: int = NOW, known: Any = ()) -> list[Delivery]:
    return planner.plan([Arrived(one, now_ms) for one in alerts], dict(known), now_ms).deliveries


def forms(deliveries: list[Delivery]) -> list[str]:
    return [one.form for one in deliveries]


def test_an_alert_is_told_at_once_on_every_channel_that_a_route_leads_to() -> None:
    planner = Planner(rules({"channels": ["ops"]}, {"channels": ["ops", "mail"], "kinds": ["silent"]}))
    found = planned(planner, alert("silent"))
    assert [(one.channel, one.form, one.due_at) for one in found] == [("ops", "single", NOW), ("mail", "single", NOW)]
    assert [one.channel for one in planned(planner, alert("exodus"))] == ["ops"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (alert(replay=True), "replay"),
        (alert(urgency="nobody"), "for_nobody"),
        (alert(state="acknowledged"), "unrouted"),
        (alert("exodus"), "unrouted"),
        (alert(state="resolved"), "never_opened"),
    ],
)
def test_what_is_told_to_nobody_is_counted_with_its_reason(told: AlertRecord, reason: str) -> None:
    plan = Planner(rules({"channels": ["ops"], "kinds": ["silent"]})).plan([Arrived(told, NOW)], {}, NOW)
    assert plan.deliveries == []
    assert plan.untold == {reason: 1}


def test_replays_are_told_when_asked_for() -> None:
    planner = Planner(rules(), include_replays=True)
    assert forms(planned(planner, alert(replay=True))) == ["single"]


def test_what_the_ledger_knows_is_not_planned_again() -> None:
    first = planned(Planner(rules()), alert())
    known = {one.key: one.form for one in first}
    plan = Planner(rules()).plan([Arrived(alert(), NOW), Arrived(alert(), NOW)], known, NOW)
    assert plan.deliveries == []
    assert plan.untold == {"duplicate": 2}


def test_a_later_revision_in_the_same_state_is_not_told_again() -> None:
    planner = Planner(rules())
    assert len(planned(planner, alert(), replace(alert(), revision=2, severity="critical"))) == 1


def test_a_resolution_follows_its_opening_and_has_its_form() -> None:
    planner = Planner(rules(singles=1))
    opened = planned(planner, alert(fact=1), alert(fact=2))
    assert forms(opened) == ["single", "digest"]
    known = {one.key: one.form for one in opened}
    resolved = planned(planner, alert(fact=2, state="resolved"), now_ms=NOW + HOUR_MS, known=known)
    assert forms(resolved) == ["digest"]


def test_who_routes_resolutions_only_gets_them_without_an_opening() -> None:
    planner = Planner(rules({"channels": ["mail"], "states": ["resolved"]}))
    assert [one.channel for one in planned(planner, alert(state="resolved"))] == ["mail"]


def test_an_expiry_is_told_only_where_the_opening_was_and_where_it_is_routed() -> None:
    planner = Planner(rules({"channels": ["ops"], "states": ["opened", "expired"]}, {"channels": ["mail"]}))
    assert planned(planner, alert(state="expired")) == []
    known = {one.key: one.form for one in planned(planner, alert())}
    assert [one.channel for one in planned(planner, alert(state="expired"), known=known)] == ["ops"]
    alone = Planner(rules({"channels": ["ops"], "states": ["expired"]}))
    assert planned(alone, alert(state="expired")) == []


def test_three_hundred_alerts_of_one_community_are_a_few_messages_and_one_digest() -> None:
    planner = Planner(rules(singles=5))
    found = planned(planner, *(alert(fact=fact, member_id=f"m{fact}") for fact in range(300)))
    assert forms(found).count("single") == 5
    assert {one.due_at for one in found if one.form == "digest"} == {NEXT_HOUR}
    assert forms(planned(planner, alert(fact=999), now_ms=NEXT_HOUR)) == ["single"]  # a new hour, room again


def test_what_is_critical_does_not_wait_for_the_end_of_a_full_hour() -> None:
    planner = Planner(rules(singles=1))
    found = planned(planner, alert(fact=1), alert(fact=2, value_at_risk=9.0), alert("exodus", severity="critical"))
    assert {one.alert.kind: one.form for one in found if one.form == "single"} == {"exodus": "single"}
    assert forms(planned(planner, alert("zombie", severity="critical"))) == ["single"]


def test_limits_count_what_was_planned_before_a_restart() -> None:
    recent = [Planned("ops", "wecom:上海读书会", "王芳", f"a{n}", "opened", NOW - 60_000) for n in range(5)]
    assert forms(planned(Planner(rules(singles=5), recent), alert())) == ["digest"]
    assert forms(planned(Planner(rules(singles=9, cap=5), recent), alert(assignee="王芳"))) == ["digest"]
    assert forms(planned(Planner(rules(singles=9, cap=5), recent), alert(assignee="李强"))) == ["single"]


def test_an_assignee_gets_the_new_alerts_with_the_most_at_risk_and_the_rest_in_digests() -> None:
    planner = Planner(rules(singles=100, cap=2))
    told = [alert(fact=n, member_id=f"m{n}", assignee="王芳", value_at_risk=float(n)) for n in range(5)]
    found = planned(planner, *told)
    assert {one.alert.value_at_risk for one in found if one.form == "single"} == {4, 3}
    assert forms(planned(planner, alert(fact=9, assignee="李强"))) == ["single"]
    assert forms(planned(planner, alert(fact=10, assignee="王芳"), now_ms=NOW + DAY_MS - 1)) == ["digest"]
    assert forms(planned(planner, alert(fact=11, assignee="王芳"), now_ms=NOW + DAY_MS)) == ["single"]


def test_routes_and_alerts_may_ask_for_digests() -> None:
    planner = Planner(rules({"channels": ["ops", "mail"], "digest": True}, {"channels": ["mail"]}))
    assert {one.channel: one.form for one in planned(planner, alert())} == {"ops": "digest", "mail": "single"}
    assert set(forms(planned(planner, alert(fact=2, urgency="digest")))) == {"digest"}


def test_alerts_that_lay_unread_for_days_are_told_in_a_digest_soon() -> None:
    plan = Planner(rules()).plan([Arrived(alert(), NOW - DAY_MS - 1)], {}, NOW)
    assert forms(plan.deliveries) == ["digest"]
    assert NOW < plan.deliveries[0].due_at <= NOW + 60_000


# -- what a channel may send next --------------------------------------------------------------------------------------


def queue_of(*alerts: AlertRecord, form: str = "single", **fields: Any) -> ChannelQueue:
    queue = ChannelQueue(ChannelRules.model_validate({"url": "json://localhost"} | fields), STEADY)
    queue.add(owed(*alerts, form=form))
    return queue


def owed(*alerts: AlertRecord, form: str = "single", due_at: int = NOW) -> list[Delivery]:
    return [
        Delivery(alert=one, channel="ops", form=form, planned_at=NOW, due_at=due_at)  # type: ignore[arg-type]
        for one in alerts
    ]


def sent(queue: ChannelQueue, now_ms: int, answer: Answer = TAKEN) -> list[Message]:
    """Everything it may send at a time."""
    messages = []
    while (message := queue.next_message(now_ms)) is not None:
        messages.append(message)
        queue.settle(message, answer, now_ms)
    return messages


def told(messages: list[Message]) -> list[set[str]]:
    return [{one.alert.member_id for one in message.deliveries} for message in messages]


def test_the_severest_goes_first_and_among_equals_the_one_with_the_most_at_risk() -> None:
    queue = queue_of(
        alert(fact=1, member_id="a", severity="low", value_at_risk=9e9),
        alert(fact=2, member_id="b", severity="high"),
        alert(fact=3, member_id="c", severity="high", value_at_risk=5.0),
    )
    assert told(sent(queue, NOW)) == [{"c"}, {"b"}, {"a"}]
    assert len(queue) == 0


def test_one_message_is_in_flight_at_a_time() -> None:
    queue = queue_of(alert(fact=1), alert(fact=2))
    message = queue.next_message(NOW)
    assert message is not None
    assert queue.next_message(NOW) is None
    queue.give_back(message)
    assert queue.next_message(NOW) == message


def test_nothing_is_sent_in_quiet_hours_but_what_is_critical_and_the_rest_is_one_message_after_them() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    night = int(datetime(2024, 5, 8, 23, 0, tzinfo=shanghai).timestamp() * 1000)
    morning = int(datetime(2024, 5, 9, 8, 0, tzinfo=shanghai).timestamp() * 1000)
    many = [alert(fact=n, member_id=f"m{n}") for n in range(7)]
    queue = queue_of(*many, quiet_hours="22:00-08:00", timezone="Asia/Shanghai")
    queue.add(owed(alert(fact=9, member_id="urgent", severity="critical")))
    assert told(sent(queue, night)) == [{"urgent"}]
    assert sent(queue, morning - 1) == []
    after = sent(queue, morning)
    assert told(after) == [{f"m{n}" for n in range(7)}]
    assert after[0].form == "digest"


def test_a_digest_is_one_message_a_community_and_never_mixes_two() -> None:
    queue = ChannelQueue(ChannelRules(url="json://localhost"), STEADY)
    for community in ("wecom:北京", "wecom:成都"):
        members = [alert(fact=n, community_id=community, member_id=f"{community}{n}") for n in range(3)]
        queue.add(owed(*members, form="digest", due_at=NEXT_HOUR))
    assert sent(queue, NEXT_HOUR - 1) == []
    messages = sent(queue, NEXT_HOUR)
    assert [len(message.deliveries) for message in messages] == [3, 3]
    assert all(len({one.alert.community_id for one in message.deliveries}) == 1 for message in messages)


def test_a_digest_of_one_alert_is_a_message_like_any_other() -> None:
    assert [m.form for m in sent(queue_of(alert(), form="digest"), NOW)] == ["single"]


def test_opening_and_resolution_that_are_both_owed_go_together() -> None:
    queue = queue_of(alert(), alert(state="resolved"))
    messages = sent(queue, NOW)
    assert [{one.alert.state for one in message.deliveries} for message in messages] == [{"opened", "resolved"}]


def test_no_more_messages_a_minute_than_the_receiver_allows() -> None:
    queue = queue_of(*(alert(fact=n, community_id=f"c{n}") for n in range(10)), per_minute=4)
    assert [len(sent(queue, NOW + second * 1000)) for second in (0, 30, 59, 60, 119, 120)] == [4, 0, 0, 4, 0, 2]


def test_a_receiver_in_trouble_is_left_alone_for_longer_and_longer_and_loses_nothing() -> None:
    queue = queue_of(alert(fact=1, community_id="a"), alert(fact=2, community_id="b"))
    tries = [second for second in range(0, 200, 5) if sent(queue, NOW + second * 1000, BROKEN)]
    assert tries == [0, 10, 30, 70, 110, 150, 190]
    assert len(sent(queue, NOW + 1_000_000)) == 2


def test_a_receiver_that_says_when_is_not_asked_before() -> None:
    queue = queue_of(alert())
    sent(queue, NOW, Answer(False, "HTTP 429", retry_after_seconds=300))
    assert sent(queue, NOW + 299_000) == []
    assert len(sent(queue, NOW + 300_000)) == 1


def test_a_message_that_is_refused_does_not_hold_up_the_others() -> None:
    queue = queue_of(alert(fact=1, community_id="a", severity="high"), alert(fact=2, community_id="b"))
    refused = queue.next_message(NOW)
    assert refused is not None
    queue.settle(refused, Answer(False, "HTTP 400", refused=True), NOW)
    assert [message.deliveries[0].alert.community_id for message in sent(queue, NOW)] == ["b"]
    assert len(sent(queue, NOW + 10_000)) == 1


def test_after_a_repair_failed_ones_go_at_once() -> None:
    queue = queue_of(alert())
    sent(queue, NOW, Answer(False, "HTTP 401", retry_after_seconds=3600))
    queue.try_again_now()
    assert len(sent(queue, NOW + 1)) == 1


def test_a_repeated_message_has_the_same_id() -> None:
    first, second = queue_of(alert()), queue_of(alert())
    assert [m.message_id for m in sent(first, NOW)] == [m.message_id for m in sent(second, NOW + 5)]
    assert sent(queue_of(alert(fact=2)), NOW)[0].message_id != sent(queue_of(alert()), NOW)[0].message_id
