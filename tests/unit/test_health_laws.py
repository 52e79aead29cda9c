"""Laws of alerts on communities and feeds, each on a small feed through a partition."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from schemas.partitioning import partition_for
from schemas.topics import COMMANDS
from streams.cli.alerts_say import keys_of_all
from tests.alert_replay import CIRCLE, alert_replay, alerts, at, command, run, says
from tests.batches import Event, Replay
from tests.recount import ms_of

FEED = {"platform": "wecom", "feed": "wecom-connector"}


def busy(days: range, members: int = 6, community: str = CIRCLE, **fields: Any) -> list[Event]:
    """Messages of so many members on each day, three hours apart."""
    return [
        says(f"成员{number}", day, 3 * number + number / 60, community, **{**FEED, **fields})
        for day in days
        for number in range(members)
    ]


def hourly(days: range, community: str = CIRCLE) -> list[Event]:
    """Twenty-four messages a day, of as many members."""
    return [says(f"成员{hour}", day, hour + 0.1, community, **FEED) for day in days for hour in range(24)]


def pass_time(replay: Replay, start: float, end: float, hours: float = 1) -> None:
    """Let time pass, flush by flush."""
    now = start
    while now <= end:
        replay.flush(at(now, 0))
        now += hours / 24


def states(replay: Replay, *kinds: str) -> list[tuple[str, str]]:
    """Kind and state of the landed alerts, by opening time."""
    return [(row["kind"], row["state"]) for row in alerts(replay, *kinds)]


def time_of(one: Event) -> int:
    """When an event happened, ms."""
    return ms_of(one["occurred_at"])


def test_a_feed_down_for_two_days_and_back_is_one_alert_resolved_and_nobody_is_missed() -> None:
    replay = alert_replay()
    run(replay, busy(range(20)))
    pass_time(replay, 20, 22)
    assert states(replay) == [("feed_silent", "opened")]
    run(replay, busy(range(22, 30)), now=33)
    down, *_ = alerts(replay, "feed_silent")
    assert down["state"] == "resolved"
    assert (down["community_id"], down["feed"], down["platform"]) == ("", "wecom-connector", "wecom")
    assert json.loads(down["evidence"])["communities"] == 1
    assert states(replay, "silent", "activity_drop", "unanswered") == []


def test_a_feed_that_comes_back_with_its_backlog_opens_none() -> None:
    replay = alert_replay()
    run(replay, busy(range(40)))
    pass_time(replay, 40, 42.2)
    backlog = busy(range(40, 42))
    for start in range(0, len(backlog), 4):
        run(replay, backlog[start : start + 4])
        replay.flush(at(42.2 + start / 200, 0))
    run(replay, busy(range(43, 48)))
    assert states(replay) == [("feed_silent", "resolved")]


def test_who_fell_silent_before_the_feed_did_is_still_missed_but_later() -> None:
    gone = [one for one in busy(range(60)) if one["member_id"] != "成员0" or time_of(one) < at(37, 0)]
    opened = []
    for outage in (range(0), range(40, 44)):
        replay = alert_replay()
        run(replay, [one for one in gone if time_of(one) < at(40, 0)])
        pass_time(replay, 40, 44, 3)
        if not outage:
            replay = alert_replay()
        run(replay, [one for one in gone if not any(at(day, 0) <= time_of(one) < at(day + 1, 0) for day in outage)])
        replay.flush(at(59.5, 0))
        (silent,) = alerts(replay, "silent")
        assert (silent["member_id"], silent["state"]) == ("成员0", "opened")
        opened.append(silent["opened_at"])
    assert opened[1] - opened[0] >= dt.timedelta(days=4)


def test_a_feed_without_a_name_and_a_new_one_are_not_watched() -> None:
    for feed, fields in ((busy(range(20)), {"feed": None, "platform": None}), (busy(range(5)), {})):
        replay = alert_replay()
        run(replay, [one | fields for one in feed])
        pass_time(replay, 20, 26, 6)
        assert states(replay, "feed_silent") == []


@pytest.mark.parametrize(("every", "expected"), [(3.0, []), (1 / 24, [("feed_silent", "opened")])])
def test_a_feed_is_silent_by_its_own_habit(every: float, expected: list[tuple[str, str]]) -> None:
    """One that speaks once in three days is not silent after four; one that speaks every hour is."""
    replay = alert_replay()
    count = round(40 / every)
    run(replay, [says("成员0", 1 + number * every, **FEED) for number in range(count)])
    pass_time(replay, 1 + count * every, 1 + count * every + 3, 6)
    assert states(replay, "feed_silent") == expected


def test_a_community_that_goes_quiet_is_one_drop_and_none_of_its_members_is_missed() -> None:
    replay = alert_replay()
    other = [says("别人", day, hour, "wecom:别处", **FEED) for day in range(60) for hour in range(24)]
    run(replay, sorted([*hourly(range(40)), *other[: 40 * 24]], key=time_of))
    assert states(replay) == []
    for day in range(40, 60):
        run(replay, other[day * 24 : (day + 1) * 24])
    found = alerts(replay)
    assert [(row["kind"], row["community_id"], row["state"]) for row in found] == [("activity_drop", CIRCLE, "opened")]
    assert "9 messages and interactions in 24 hours" not in found[0]["reason"]
    assert "where such a day usually has 24" in found[0]["reason"]
    assert found[0]["opened_at"].timestamp() * 1000 == at(41, 9)
    assert found[0]["severity"] == "high"


def test_a_drop_is_over_when_the_community_is_itself_again() -> None:
    replay = alert_replay()
    few = [says("成员0", day, 12, **FEED) for day in range(40, 44)]
    others = [one | {"event_id": f"别处-{one['event_id']}"} for one in hourly(range(60), "wecom:别处")]
    run(replay, sorted([*hourly(range(40)), *few, *hourly(range(44, 60)), *others], key=time_of))
    replay.flush(at(60, 0))
    (drop,) = alerts(replay, "activity_drop")
    assert drop["state"] == "resolved"
    assert drop["opened_at"].timestamp() * 1000 == at(41, 9)
    assert at(45, 9) <= drop["resolved_at"].timestamp() * 1000 <= at(52, 9)


def test_what_wavers_between_both_thresholds_is_one_drop() -> None:
    """A third of the usual one day, more than half the next: above what opens a drop, below what ends it."""
    replay = alert_replay({"alerts": {"activity_drop": {"cool_down_days": 0}}})
    wavering = [one for day in range(40, 54) for one in hourly(range(day, day + 1))[: 8 if day % 2 else 15]]
    others = [one | {"event_id": f"别处-{one['event_id']}"} for one in hourly(range(54), "wecom:别处")]
    run(replay, sorted([*hourly(range(40)), *wavering, *others], key=time_of))
    assert states(replay, "activity_drop") == [("activity_drop", "opened")]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (hourly(range(20)), "less than 28 days of history"),
        (busy(range(40), 2), "a week usually brings 14 events, a day 2"),
    ],
    ids=["young", "small"],
)
def test_no_drop_is_spoken_of_without_enough_to_compare_with(events: list[Event], why: str) -> None:
    replay = alert_replay({"alerts": {"feed_silent": {"enabled": False}}})
    run(replay, events, now=46)
    assert states(replay, "activity_drop") == [], why


def test_days_of_campaigns_and_events_are_left_out_of_the_comparison() -> None:
    """Four Thursdays with a flash sale each: a plain Thursday after them is no drop."""
    loud = [says(f"客人{n}", day, 10 + n / 100, **FEED) for day in range(10, 32, 7) for n in range(200)]
    feed = sorted([*hourly(range(45)), *loud], key=time_of)

    def day_text(day: int) -> str:
        return dt.datetime.fromtimestamp(at(day, 0) / 1000, dt.UTC).date().isoformat()

    sales = {f"秒杀{day}": {"start": day_text(day), "end": day_text(day)} for day in range(10, 32, 7)}
    for rules, expected in (({}, ["activity_drop"]), ({"events": sales}, [])):
        replay = alert_replay({"alerts": {"activity_drop": {"week_share": 0.01}}, **rules})
        run(replay, feed)
        assert [row["kind"] for row in alerts(replay, "activity_drop")] == expected


def test_a_community_loaded_with_years_of_history_opens_nothing() -> None:
    replay = alert_replay()
    run(replay, busy(range(1980, 2001), community="wecom:老群"))
    new = "wecom:新来的群"
    history = [one for day in range(0, 1999, 7) for one in busy(range(day, day + 2), 4, new)]
    for start in range(0, len(history), 500):
        run(replay, history[start : start + 500])
    pass_time(replay, 2001, 2001.5, 3)
    loud = [row for row in alerts(replay) if row["urgency"] != "nobody"]
    assert [row for row in loud if row["community_id"] == new] == []


def test_operators_commands_on_a_feed_go_to_all_partitions_and_are_obeyed() -> None:
    replay = alert_replay()
    run(replay, busy(range(20)))
    pass_time(replay, 20, 21.5)
    (down,) = alerts(replay, "feed_silent")
    said = {"community_id": "", "alert_id": down["alert_id"]}
    assert sorted(partition_for(key, 8) for key in keys_of_all(8)) == list(range(8))
    for key in keys_of_all(1):
        replay.send_record(COMMANDS, key, command("acknowledge", "c1", 21.6, **said))
        replay.send_record(COMMANDS, key, command("mute", "c2", 21.6, kind="feed_silent", community_id="",
                                                  until=at(30), reason="维护"))  # fmt: skip
    replay.fetch(COMMANDS, 2)
    while replay.partition.waiting:
        replay.apply()
    replay.flush(at(21.7, 0))
    assert states(replay) == [("feed_silent", "acknowledged")]
    run(replay, busy(range(23, 24)))
    (down,) = alerts(replay, "feed_silent")
    assert (down["state"], down["urgency"]) == ("resolved", "nobody")
    assert replay.rows("dead_letters") == []


def test_feeds_are_landed_with_what_they_say() -> None:
    replay = alert_replay()
    asked = [says("成员1", 3, 12.5, platform="telegram", feed="bot", is_question=True, reply_to="x", community="c-2")]
    run(replay, sorted([*busy(range(20)), *asked], key=time_of))
    pass_time(replay, 20, 21.5)
    rows = {row["feed"]: row for row in replay.rows("alert_feeds")}
    assert {name: (row["asks_questions"], row["says_replies"], row["platform"]) for name, row in rows.items()} == {
        "bot": (1, 1, "telegram"), "wecom-connector": (0, 0, "wecom")
    }  # fmt: skip
    assert rows["wecom-connector"]["silent_since"] == rows["wecom-connector"]["last_heard_at"]
    assert rows["bot"]["silent_since"] is None


def test_communities_that_come_one_by_one_after_a_restart_are_taken_in() -> None:
    """Tables that were restored with so many rows and those that begin anew grow in steps of their own."""
    replay = alert_replay()
    replay.send(*(says("甲", number / 1000, community=f"群-{number}") for number in range(80)))
    replay.drain()
    replay.flush()
    replay.restart()
    for number in range(80, 180):
        replay.send(says("甲", number / 1000, community=f"群-{number}"))
        replay.drain()
    replay.flush()
    assert len(replay.rows("communities")) == 180
