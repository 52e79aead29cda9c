"""Alerts are the same wherever batches are cut, also while members change role and tier and communities their feed."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.alerts import ALERT_KINDS
from schemas.columns import Columns
from streams.operators.base import Batch, Events, first_words
from tests.alert_replay import alert_replay, alerts, buys, moves, says
from tests.batches import Event, Replay
from tests.properties.test_health_alerts import RULES
from tests.properties.test_landed_rows import play
from tests.restless_feed import restless

Rows = dict[str, dict[str, Any]]


def outcome(replay: Replay) -> Rows:
    """All that landed of each alert, by its id."""
    return {row["alert_id"]: row for row in alerts(replay)}


def in_batches(feed: list[Event], most: int, flushes: random.Random | None = None) -> Rows:
    """The outcome with so many records a batch; with ``flushes`` some batches are followed by a flush."""
    replay = alert_replay(RULES, batch_max_records=most)
    replay.send(*feed)
    for topic in replay.topics:
        replay.fetch(topic, len(feed))
    while replay.partition.waiting:
        replay.apply()
        if flushes is not None and flushes.random() < 0.3:
            replay.flush()
    replay.flush()
    return outcome(replay)


def played(feed: list[Event], chance: random.Random) -> Rows:
    """The outcome of fetches, batches, flushes and crashes in any order."""
    replay = alert_replay(RULES)
    replay.send(*feed)
    play(replay, chance)
    return outcome(replay)


def differences(found: Rows, expected: Rows) -> list[str]:
    """What differs, by kind and field."""
    wrong = [f"{row['kind']}: missing {row}" for one, row in expected.items() if one not in found]
    wrong += [f"{row['kind']}: not expected {row}" for one, row in found.items() if one not in expected]
    for one in found.keys() & expected.keys():
        wrong += [
            f"{found[one]['kind']} {found[one]['opened_at']}: {name} is {value!r}, expected {expected[one][name]!r}"
            for name, value in found[one].items()
            if value != expected[one][name]
        ]
    return sorted(wrong)


@settings(max_examples=3, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
def test_one_batch_for_everything_and_one_for_each_event_raise_the_same_alerts(seed: int) -> None:
    feed = restless(random.Random(seed))
    assert differences(in_batches(feed, len(feed)), in_batches(feed, 1)) == []


@settings(max_examples=10, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
def test_batches_flushes_and_crashes_anywhere_raise_the_same_alerts(seed: int) -> None:
    chance = random.Random(seed)
    feed = restless(chance)
    whole = in_batches(feed, len(feed))
    assert differences(in_batches(feed, chance.choice([7, 40, 300]), chance), whole) == []
    assert differences(played(feed, chance), whole) == []


@pytest.fixture(scope="module")
def some() -> list[Rows]:
    """What a few of the made-up feeds raise."""
    feeds = [restless(random.Random(seed)) for seed in range(8)]
    return [in_batches(feed, len(feed)) for feed in feeds]


def test_the_made_up_feeds_raise_alerts_of_every_kind_and_tier_that_end_in_every_way(some: list[Rows]) -> None:
    rows = [row for one in some for row in one.values()]
    assert {row["kind"] for row in rows} == set(ALERT_KINDS)
    for kind, tiers in (("silent", 3), ("lapsed_buyer", 2), ("left", 4), ("unanswered", 4)):
        mine = [row for row in rows if row["kind"] == kind]
        assert len({row["severity"] for row in mine}) >= tiers, kind
        assert len({row["state"] for row in mine}) >= 2, kind


def both_ways(feed: list[Event], rules: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The alerts of a feed, after asserting that they are the same in one batch and with a flush after each event."""
    outcomes = []
    for most in (len(feed), 1):
        replay = alert_replay(rules, batch_max_records=most)
        replay.send(*feed)
        for topic in replay.topics:
            replay.fetch(topic, len(feed))
        while replay.partition.waiting:
            replay.apply()
            replay.flush()
        outcomes.append(outcome(replay))
    assert differences(*outcomes) == []
    return list(outcomes[0].values())


def days_of(member: str, days: range, **fields: Any) -> list[Event]:
    return [says(member, day, **fields) for day in days]


def test_who_becomes_staff_or_a_buyer_behind_the_alert_had_the_severity_of_before() -> None:
    feed = [*days_of("小明", range(20)), *days_of("店长", range(30), sender_role="staff")]
    feed += [says("小明", 28, sender_role="staff"), moves("小明", 29, "left", role="staff")]
    feed += [*days_of("小红", range(20)), moves("小红", 20.1, "left"), buys("小红", 21, amount_minor=900_000)]
    found = both_ways(sorted(feed, key=lambda one: str(one["occurred_at"])))
    assert {(row["member_id"], row["kind"], row["severity"]) for row in found} == {
        ("小明", "silent", "high"),
        ("小红", "left", "high"),
    }


def test_what_fell_due_while_a_feed_was_silent_waits_for_that_feed_also_when_the_community_has_moved() -> None:
    def by(feed: str, days: list[float], community: str, member: str = "小明") -> list[Event]:
        return [says(member, day, community=community, feed=feed) for day in days]

    daily = [float(day) for day in range(40)]
    feed = by("b", daily, "b") + by("a", daily[:20], "a")
    feed += by("a", daily[:20], "a", "店长") + by("b", daily[29:], "a", "店长")
    found = both_ways(sorted(feed, key=lambda one: str(one["occurred_at"])))
    assert [(row["kind"], row["feed"]) for row in found if row["state"] == "opened"] == [("feed_silent", "a")]


def test_whoever_was_only_fetched_is_not_in_another_community_yet() -> None:
    wecom = {"platform": "企微"}
    feed = [says("小明", 0, community="a", **wecom), says("小红", 0, community="b", **wecom)]
    feed += [moves("小明", 1, "left", "a", **wecom), moves("小明", 2, "joined", "b", **wecom)]
    (row,) = both_ways(feed)
    assert json.loads(row["evidence"])["last_community_seen"] is True


def test_a_leave_in_a_backlog_is_history_whatever_the_others_brought_in_the_same_batch() -> None:
    feed = [says("小红", day, community="b") for day in range(10)]
    feed.append(moves("小红", 9, "joined", "b"))
    feed += [says("小明", 4, community="a"), moves("小明", 5, "left", "a")]  # they come behind the tenth day
    (row,) = both_ways(feed)
    assert row["state"] == "expired"


def test_who_rests_does_so_however_far_other_communities_have_come() -> None:
    feed = [says("小明", 1, community="a"), moves("小明", 2, "left", "a"), moves("小明", 3, "joined", "a")]
    feed += [moves("小红", 40, "joined", "b"), moves("小红", 41, "left", "b", role="staff")]
    feed += [moves("小明", 5, "left", "a")]  # a backlog
    (row,) = both_ways(feed)
    assert row["state"] == "resolved"


def test_an_order_that_is_taken_back_does_not_tell_of_the_silence_before_it_again() -> None:
    feed = [buys("小明", 1), *days_of("店长", range(170), sender_role="staff")]
    feed += [buys("小明", 100, "二"), buys("小明", 160, "二", status="cancelled")]
    found = both_ways(sorted(feed, key=lambda one: str(one["occurred_at"])))
    assert [(row["kind"], row["state"]) for row in found] == [("lapsed_buyer", "resolved")]


def test_a_silence_that_was_overdue_is_not_undone_by_a_day_that_comes_late() -> None:
    feed = [*days_of("小明", range(0, 13, 2), community="a"), *days_of("小红", range(50), community="b")]
    feed.sort(key=lambda one: str(one["occurred_at"]))
    feed.append(says("小明", 11.4, community="a"))
    assert {(row["kind"], row["state"]) for row in both_ways(feed)} == {("silent", "opened")}


def test_a_nearly_dead_community_is_judged_alike_wherever_batches_are_cut() -> None:
    feed = [*days_of("小明", range(12)), says("小红", 12)]
    feed += [says("店长", 90 + n / 10, sender_role="staff", kind="lottery", is_promotion=True) for n in range(5)]
    feed += [moves("小红", 90.6, "left"), says("店长", 93, sender_role="staff")]
    found = both_ways(feed, RULES)
    assert "over_promotion" in {row["kind"] for row in found}


def test_the_first_word_of_a_community_is_that_of_its_first_event_of_any_type() -> None:
    def events(*rows: tuple[int, int, str | None]) -> Events:
        places, communities, words = (list(column) for column in zip(*rows, strict=True))
        numbers = np.array(communities)
        columns = Columns.of_lists({"platform": words})
        return Events(np.zeros(len(rows), np.int64), numbers, numbers, columns, np.array(places))

    batch = Batch({"message": events((1, 7, "b"), (2, 8, None), (5, 7, "c")), "join": events((0, 7, "a"), (3, 8, "d"))})
    everyone = first_words(batch, "platform", lambda found: np.ones(len(found), np.bool_))
    assert everyone == [(7, "a"), (8, None)]
    assert first_words(batch, "platform", lambda found: found.given("platform")) == [(7, "a"), (8, "d")]
