"""Laws of member alerts, each on a small feed through a partition."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from schemas.alerts import AlertKind
from streams.operators.alert_words import suggested_action
from streams.rules_churn import Tier
from tests.alert_replay import CIRCLE, alert_replay, alerts, at, buys, command, moves, run, says, tell
from tests.batches import Event, Replay

DAILY = "wm-王小明"
WEEKLY = "wm-李雷"


def daily(days: int, start: float = 0, member: str = DAILY) -> list[Event]:
    """A message on each of so many days."""
    return [says(member, start + day) for day in range(days)]


def weekly(weeks: int, member: str = WEEKLY) -> list[Event]:
    """A message on one day of so many weeks."""
    return [says(member, 7 * week) for week in range(weeks)]


def opened_at_days(replay: Replay, *kinds: str) -> list[float]:
    """When alerts opened, in days since the start."""
    return [row["opened_at"].timestamp() / 86400 - at(0, 0) / 86_400_000 for row in alerts(replay, *kinds)]


def test_a_weekly_poster_silent_eight_days_is_nothing() -> None:
    replay = alert_replay()
    run(replay, weekly(10), now=63 + 9)
    assert alerts(replay) == []


def test_a_daily_poster_silent_eight_days_is_one_alert_which_its_return_resolves() -> None:
    replay = alert_replay()
    run(replay, daily(20), now=19 + 8)
    assert alerts(replay) == []
    run(replay, [], now=19 + 9)
    (alert,) = alerts(replay)
    assert (alert["kind"], alert["state"], alert["community_id"], alert["member_id"]) == (
        "silent", "opened", CIRCLE, DAILY
    )  # fmt: skip
    assert "silent for 7 days" in alert["reason"]
    assert opened_at_days(replay) == [19 + 8 + 9 / 24]  # at nine in the morning
    run(replay, [], now=19 + 12)
    run(replay, [says(DAILY, 19 + 12)])
    (alert,) = alerts(replay)
    assert alert["state"] == "resolved"
    assert alert["resolved_at"].timestamp() * 1000 == at(19 + 12)
    assert [record.revision for record in replay.outbox] == [1, 2]


def test_three_active_days_are_no_rhythm() -> None:
    replay = alert_replay()
    run(replay, daily(3), now=40)
    assert alerts(replay) == []


@pytest.mark.parametrize("member", range(20))
def test_nothing_is_raised_before_three_silent_days(member: int) -> None:
    chance = random.Random(member)
    days = sorted(chance.sample(range(60), chance.randint(4, 40)))
    replay = alert_replay({"alerts": {"silent": {"stay_away_chance": 0.01, "surprise_days": 0}}})
    run(replay, [says(DAILY, day) for day in days], now=days[-1] + 4)
    for day in opened_at_days(replay):
        last = max(one for one in days if one + 0.5 < day)
        assert day - last > 4


def test_staff_and_bots_are_not_missed() -> None:
    replay = alert_replay()
    shop = [says("wm-客服", day, sender_role="staff") for day in range(20)]
    # Somebody who became staff after a time as a member has a rhythm, and is not missed either.
    promoted = [*daily(20, member="wm-新店长"), says("wm-新店长", 20, sender_role="staff")]
    run(replay, [*shop, *promoted], now=40)
    assert alerts(replay) == []


def test_holidays_do_not_count_as_silent_days() -> None:
    # Days 20 to 26 are holidays: 19 + 8 silent days are only one, and the alert comes seven days later.
    holidays = [{"name": "春节", "first": "2024-04-08", "last": "2024-04-14"}]
    replay = alert_replay({"alerts": {"holidays": holidays}})
    run(replay, daily(20), now=19 + 15)
    assert alerts(replay) == []
    run(replay, [], now=19 + 16)
    assert opened_at_days(replay) == [19 + 15 + 9 / 24]


def test_replaying_everything_opens_nothing_new() -> None:
    feed = [*daily(20), says(DAILY, 35), *daily(8, 36), *weekly(12)]
    feed.sort(key=lambda one: str(one["occurred_at"]))
    first, again = alert_replay(), alert_replay()
    run(first, feed, now=90)
    for part in itertools.batched(feed, 3) if hasattr(itertools, "batched") else zip(*[iter(feed)] * 3, strict=False):
        run(again, part)
    run(again, feed[-(len(feed) % 3) :] if len(feed) % 3 else [], now=90)
    run(again, feed, now=90)  # once more: all duplicates
    assert alerts(again)
    assert {row["alert_id"]: row["state"] for row in alerts(first)} == {
        row["alert_id"]: row["state"] for row in alerts(again)
    }


def test_five_years_of_history_onboarded_make_no_flood() -> None:
    chance = random.Random(3)
    replay = alert_replay()
    run(replay, [says("wm-别处", 2000, community="wecom:另一个群")])
    history = [
        says(f"m{member}", day, community=CIRCLE)
        for member in range(25)
        for day in range(1, 1990)
        if chance.random() < 0.4 * (day % 400 < 300)
    ]
    history.sort(key=lambda one: str(one["occurred_at"]))
    for start in range(0, len(history), 3000):
        run(replay, history[start : start + 3000])
    run(replay, [], now=2001)
    found = alerts(replay)
    assert sum(row["state"] == "expired" for row in found) > 30
    loud = [row for row in found if row["urgency"] != "nobody"]
    assert all(row["opened_at"].timestamp() * 1000 > at(1998, 0) for row in loud)
    assert len(loud) < 10


def test_an_outage_longer_than_the_lateness_opens_none_and_a_short_one_all() -> None:
    for pause, state in ((0.5, "opened"), (3, "expired")):
        replay = alert_replay()
        run(replay, [*daily(20), says("wm-别人", 26)], now=26)
        # The next thing anybody hears of is so much later than the alert was due.
        run(replay, [says("wm-别人", 27 + 9 / 24 + pause, 0)])
        assert [row["state"] for row in alerts(replay)] == [state]


def test_an_alert_nobody_answers_expires() -> None:
    replay = alert_replay()
    run(replay, daily(20), now=27 + 9 / 24 + 31)
    (alert,) = alerts(replay)
    assert alert["state"] == "expired"
    run(replay, [says(DAILY, 60)])
    assert [row["state"] for row in alerts(replay)] == ["expired"]


def test_after_a_resolved_one_the_member_rests() -> None:
    early = {"stay_away_chance": 0.3}
    for rest, expected in ((14, 1), (0, 2)):
        replay = alert_replay({"alerts": {"silent": {"cool_down_days": rest, **early}}})
        run(replay, daily(20), now=29)
        run(replay, [says(DAILY, 29)], now=42)
        assert len(alerts(replay)) == expected


def test_one_who_left_is_reported_as_left_and_no_more_as_silent() -> None:
    replay = alert_replay()
    run(replay, [moves(DAILY, 0, "joined"), *daily(20)], now=28)
    run(replay, [moves(DAILY, 29, "left")])
    found = {row["kind"]: row for row in alerts(replay)}
    assert found["silent"]["state"] == "expired"
    assert found["left"]["state"] == "opened"
    assert found["left"]["urgency"] == "now"
    run(replay, [moves(DAILY, 31, "joined")])
    found = {row["kind"]: row for row in alerts(replay)}
    assert found["left"]["state"] == "resolved"


def test_leaving_is_told_at_once_for_upper_tiers_who_left_their_last_community_only() -> None:
    other = "wecom:北京读书会"
    feed = [
        *[moves(member, 0, "joined", platform="wecom") for member in ("wm-普通", DAILY, "wm-两处")],
        moves("wm-两处", 0, "joined", other, platform="wecom"),
        *daily(10), *daily(10, member="wm-两处"),
        says("wm-普通", 1),
        *[moves(member, 10, "left", platform="wecom") for member in ("wm-普通", DAILY, "wm-两处")],
        moves("wm-被移除", 10, "removed", platform="wecom"),
    ]  # fmt: skip
    replay = alert_replay()
    run(replay, feed)
    assert {row["member_id"]: row["urgency"] for row in alerts(replay, "left")} == {
        "wm-普通": "digest", DAILY: "now", "wm-两处": "digest"
    }  # fmt: skip


def test_whoever_goes_with_a_closing_group_has_not_left_it() -> None:
    replay = alert_replay({"communities": {CIRCLE: {"closed_at": "2024-03-29"}}})
    run(replay, [moves(DAILY, 0, "joined"), *daily(9), moves(DAILY, 10, "gone")])
    assert alerts(replay, "left") == []


def test_a_buyer_lapses_and_a_purchase_resolves_it() -> None:
    replay = alert_replay()
    run(replay, [buys(DAILY, 7 * week) for week in range(8)], now=75)
    assert alerts(replay, "lapsed_buyer") == []  # weekly until day 49: not gone yet
    run(replay, [], now=100)
    (alert,) = alerts(replay, "lapsed_buyer")
    assert alert["state"] == "opened"
    assert 0.4 < json.loads(alert["evidence"])["alive_chance"] <= 0.5
    assert "Bought on 8 days, usually every 7 days" in alert["reason"]
    run(replay, [buys(DAILY, 101)])
    (alert,) = alerts(replay, "lapsed_buyer")
    assert alert["state"] == "resolved"


def test_what_was_taken_back_is_no_purchase() -> None:
    """Refunds by an id of their own, by the order's, in part, before their order; and a cancelled order."""
    bought = [buys(DAILY, 2 * turn, f"o{turn}", amount_minor=100) for turn in range(8)]
    back: dict[str, list[Event]] = {
        "own id": [buys(DAILY, 16, "r1", status="refunded", original_order_id="o7", amount_minor=100)],
        "same id": [buys(DAILY, 16, "o7", status="refunded", amount_minor=100)],
        "in two parts": [
            buys(DAILY, 16, "r1", status="refunded", original_order_id="o7", amount_minor=40),
            buys(DAILY, 16.1, "r2", status="refunded", original_order_id="o7", amount_minor=60),
        ],
        "cancelled": [buys(DAILY, 16, "o7", status="cancelled", amount_minor=0)],
        "only in part": [buys(DAILY, 16, "r1", status="refunded", original_order_id="o7", amount_minor=99)],
    }
    days: dict[str, Any] = {}
    for name, events in {**back, "never bought": []}.items():
        replay = alert_replay({"alerts": {"lapsed_buyer": {"expire_days": 3000}}})
        run(replay, [*(bought[:-1] if name == "never bought" else bought), *events], now=60)
        (alert,) = alerts(replay, "lapsed_buyer")
        days[name] = (alert["opened_at"], alert["evidence"])
    assert all(days[name] == days["never bought"] for name in ("own id", "same id", "in two parts", "cancelled"))
    assert days["only in part"] != days["never bought"]


def test_one_time_buyers_may_lapse_too() -> None:
    replay = alert_replay({"alerts": {"lapsed_buyer": {"alive_threshold": 0.5}}})
    run(replay, [buys(DAILY, 0)], now=140)
    assert [row["kind"] for row in alerts(replay)] == ["lapsed_buyer"]


def test_severity_comes_from_the_tier_and_the_assignee_from_the_last_order() -> None:
    rules = {"communities": {CIRCLE: {"assignee": "李强"}}}
    replay = alert_replay(rules)
    orders = [buys(DAILY, day, amount_minor=50_000, staff_id=f"staff-{day}") for day in range(5)]
    run(replay, [*orders, *daily(20), *daily(20, member="wm-无单")], now=30)
    found = {row["member_id"]: row for row in alerts(replay, "silent")}
    assert (found[DAILY]["severity"], found[DAILY]["assignee"]) == ("critical", "staff-4")
    assert (found["wm-无单"]["severity"], found["wm-无单"]["assignee"]) == ("high", "李强")
    assert found[DAILY]["value_at_risk"] > found["wm-无单"]["value_at_risk"]
    assert found[DAILY]["suggested_action"] != found["wm-无单"]["suggested_action"]


@pytest.mark.parametrize(
    ("kind", "tier", "words"),
    [
        ("silent", "high_value", "in private, one to one"),
        ("silent", "active", "a topic they used to take part in"),
        ("lapsed_buyer", "ordinary", "an offer"),
        ("lapsed_buyer", "high_value", "in private with an offer"),
        ("left", "high_value", "in private today"),
    ],
)
def test_what_to_do_depends_on_kind_and_tier(kind: AlertKind, tier: Tier, words: str) -> None:
    assert words in suggested_action(kind, tier)


def test_thresholds_differ_by_community_where_the_rules_say_so() -> None:
    rules = {
        "alerts": {"communities": {"c-off": {"silent": {"enabled": False}}, "c-late": {"silent": {"surprise_days": 9}}}}
    }
    replay = alert_replay(rules)
    feed = [says(DAILY, day, community=name) for day in range(20) for name in ("c-off", "c-late", "c-plain")]
    run(replay, feed, now=29)
    assert [row["community_id"] for row in alerts(replay)] == ["c-plain"]
    run(replay, [], now=34)
    assert [row["community_id"] for row in alerts(replay)] == ["c-plain", "c-late"]


def test_commands_acknowledge_resolve_mute_and_repeat_without_effect() -> None:
    replay = alert_replay()
    run(replay, [*daily(20), *daily(20, member="wm-二号")], now=28.5)
    first, second = (row["alert_id"] for row in alerts(replay))
    tell(replay, *[command("acknowledge", "c1", 29, alert_id=first)] * 2)
    tell(replay, command("resolve", "c2", 29, alert_id=second), command("acknowledge", "c3", 29, alert_id=second))
    tell(replay, command("verdict", "c4", 29, alert_id=first, verdict="useful"))
    replay.flush(at(29, 1))
    assert {row["alert_id"]: row["state"] for row in alerts(replay)} == {first: "acknowledged", second: "resolved"}
    assert [(row["alert_id"], row["verdict"], row["kind"]) for row in replay.rows("alert_verdicts")] == [
        (first, "useful", "silent")
    ]
    run(replay, [], now=40)  # still silent, and the very same silence opens nothing again
    assert {row["alert_id"]: row["state"] for row in alerts(replay)} == {first: "acknowledged", second: "resolved"}


def test_what_is_muted_is_landed_and_told_to_nobody_until_the_mute_ends() -> None:
    replay = alert_replay()
    mute = {"until": at(27.5), "reason": "已打过电话"}
    run(replay, [*daily(20), *daily(22, member="wm-后来")])
    tell(replay, command("mute", "c1", 21, member_id=DAILY, kind="silent", **mute))
    run(replay, [], now=28)
    replay.restart()
    run(replay, [], now=32)
    assert {row["member_id"]: row["urgency"] for row in alerts(replay)} == {DAILY: "nobody", "wm-后来": "now"}
    assert [(row["member_id"], row["lifted"]) for row in replay.rows("alert_mutes")] == [(DAILY, 0)]
    tell(replay, command("unmute", "c2", 33, member_id=DAILY, kind="silent"))
    tell(replay, command("mute", "c1", 21, member_id=DAILY, kind="silent", **mute))  # an old one that comes again
    replay.flush(at(34))
    assert [(row["member_id"], row["lifted"]) for row in replay.rows("alert_mutes")] == [(DAILY, 1)]


def test_a_command_that_is_none_is_dead_lettered() -> None:
    replay = alert_replay()
    run(replay, daily(4))
    tell(replay, b'{"command_id": "c1", "action": "mute"}')
    replay.flush()
    (row,) = replay.rows("dead_letters")
    assert "community_id" in row["detail"]


def test_a_forgotten_member_has_no_open_alert_any_more() -> None:
    replay = alert_replay()
    run(replay, daily(20), now=28)
    tell(replay, command("forget", "c1", 28, member_id=DAILY))
    replay.flush(at(29))
    (alert,) = alerts(replay)
    assert (alert["state"], alert["urgency"]) == ("expired", "nobody")


def test_only_what_somebody_is_told_at_once_and_now_is_urgent() -> None:
    at_once = {"alerts": {"left": {"at_once_tiers": ["ordinary"]}}}
    joined, left = moves(DAILY, 0, "joined"), moves(DAILY, 1, "left")
    for rules, urgent in ((at_once, True), ({}, False)):
        replay = alert_replay(rules)
        replay.send(joined, left)
        replay.drain()
        assert replay.partition.urgent() == urgent
        replay.flush()
        assert not replay.partition.urgent()
    history = alert_replay(at_once, replay=True)
    history.send(joined, left)
    history.drain()
    assert not history.partition.urgent()
