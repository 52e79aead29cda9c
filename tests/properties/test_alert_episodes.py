"""Alerts are a function of the merged events: however these are cut into batches, and whoever crashes on the way."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alert_replay import START_MS, alert_replay, alerts, buys, moves, says
from tests.batches import DAY_MS, HOUR_MS, Event, Replay
from tests.properties.test_landed_rows import play
from tests.recount import ms_of
from tests.silence_oracle import SilenceOracle

ZONES = {"群": "Asia/Shanghai", "sp": "America/Sao_Paulo"}
COMMUNITIES = ["群", "sp", "c"]


def habits(chance: random.Random, days: int) -> list[Event]:
    """Messages of members with habits of their own: daily, weekly, in bursts, in the end, or never again."""
    feed: list[Event] = []
    for number in range(chance.randint(2, 7)):
        member, community = f"成员{number}", chance.choice(COMMUNITIES)
        day, often = chance.random() * 10, chance.choice([0.4, 1, 1, 2, 7])
        while day < days:
            feed.append(says(member, day, chance.choice([0, 9, 23.999]), community))
            day += often * chance.choice([1, 1, 1, 1, 0.5, 2, 6, 12])
            if chance.random() < 0.05:
                day += chance.choice([10, 20, 60])
    unique = {(one["community_id"], one["event_id"]): one for one in feed}
    return sorted(unique.values(), key=lambda one: str(one["occurred_at"]))


def disordered(chance: random.Random, feed: list[Event], lateness_ms: int) -> list[Event]:
    """The feed in an order in which nothing is late."""
    put_off = [(ms_of(one["occurred_at"]) + chance.randrange(lateness_ms), at) for at, one in enumerate(feed)]
    return [feed[at] for _, at in sorted(put_off)]


def outcome(replay: Replay, *kinds: str) -> dict[tuple[str, str, int], tuple[str, int | None]]:
    """Alerts by subject and opening: their state and when they ended."""

    def ms(time: Any) -> int | None:
        return None if time is None else round(time.timestamp() * 1000)

    return {
        (row["community_id"], row["member_id"], ms(row["opened_at"]) or 0): (row["state"], ms(row["resolved_at"]))
        for row in alerts(replay, *kinds)
    }


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_silent_alerts_are_those_of_the_oracle_in_any_batches_and_through_crashes(seed: int) -> None:
    chance = random.Random(seed)
    feed = habits(chance, 90)
    if chance.random() < 0.5:
        feed = disordered(chance, feed, 20 * HOUR_MS)
    oracle = SilenceOracle(ZONES)
    for one in feed:
        oracle.take(one["community_id"], one["member_id"], ms_of(one["occurred_at"]))
    replay = alert_replay(zones=ZONES)
    replay.send(*feed)
    play(replay, chance)
    assert outcome(replay) == oracle.alerts


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_alerts_of_all_kinds_are_the_same_however_batches_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    feed = habits(chance, 70)
    for one in chance.sample(feed, min(len(feed), 25)):
        day = (ms_of(one["occurred_at"]) - START_MS) / DAY_MS
        who, where = one["member_id"], one["community_id"]
        feed.append(buys(who, day, community=where, amount_minor=chance.choice([0, 100, 90_000])))
        if chance.random() < 0.4:
            feed.append(moves(who, day + 0.3, chance.choice(["left", "gone", "joined", "removed"]), where))
        if chance.random() < 0.4:
            feed.append(buys(who, day + 0.4, f"o-{who}-{day}", where, status=chance.choice(["refunded", "cancelled"])))
    feed = list({(one["event_type"], one["event_id"]): one for one in feed}.values())
    feed.sort(key=lambda one: str(one["occurred_at"]))
    whole, cut = alert_replay(zones=ZONES), alert_replay(zones=ZONES)
    for replay in (whole, cut):
        replay.send(*feed)
    whole.drain()
    whole.flush()
    play(cut, chance)
    for kind in ("silent", "lapsed_buyer", "left"):
        assert outcome(cut, kind) == outcome(whole, kind), kind
