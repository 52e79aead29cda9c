"""Alerts do not depend on where batches are cut, also not between a roster snapshot and whoever comes or goes by it."""

from __future__ import annotations

import random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.alert_replay import alert_replay, at, says
from tests.batches import DAY_MS, HOUR_MS, Event, event
from tests.properties.test_health_alerts import RULES, disordered, outcome
from tests.properties.test_landed_rows import play
from tests.recount import ms_of

COMMUNITIES = ("群", "c")


def coming_and_going(chance: random.Random, days: int) -> list[Event]:
    """Members who talk, come and go, and snapshots that list who is there, or miss one who is; by time."""
    found: list[Event] = []
    for community in COMMUNITIES:
        inside = {f"成员{number}" for number in range(chance.randint(12, 20))}
        habits = {member: chance.choice([0.2, 0.9, 0.9]) for member in sorted(inside)}
        strangers = 0
        for day in range(days):
            start_ms = at(day, 0)
            found += [
                says(member, day, chance.uniform(0, 24), community)
                for member in sorted(inside)
                if chance.random() < habits[member]
            ]
            if chance.random() < 0.6:
                strangers += 1
                inside.add(f"新人{strangers}")
                habits[f"新人{strangers}"] = 0.8
                found.append(_move(found, community, f"新人{strangers}", "joined", start_ms + chance.randrange(DAY_MS)))
            leavers = chance.sample(sorted(inside), min(chance.choice([0, 0, 0, 0, 1, 3]), len(inside)))
            listed = sorted(inside - set(chance.sample(leavers, len(leavers) // 2)))
            snapshot_ms = start_ms + chance.randrange(DAY_MS)
            for member in leavers:
                inside.discard(member)
                if chance.random() < 0.6:  # else only a snapshot shows it
                    by_snapshot = snapshot_ms + chance.choice([-1, 0, 1, 3, HOUR_MS])
                    found.append(
                        _move(found, community, member, chance.choice(["left", "gone", "removed"]), by_snapshot)
                    )
                if chance.random() < 0.2:
                    inside.add(member)
                    found.append(
                        _move(found, community, member, "joined", snapshot_ms + chance.choice([2, 4, 2 * HOUR_MS]))
                    )
            if listed and chance.random() < 0.12:
                for line, member in enumerate(listed):
                    names = {"snapshot_id": f"s{day}", "snapshot_size": len(listed)}
                    found.append(_move(found, community, member, "present", snapshot_ms + line, **names))
    unique = {(one["community_id"], one["event_type"], one["event_id"]): one for one in found}
    return sorted(unique.values(), key=lambda one: ms_of(one["occurred_at"]))


def _move(found: list[Event], community: str, member: str, action: str, time_ms: int, **fields: object) -> Event:
    return event("join", f"j{len(found)}", time_ms, community, member_id=member, action=action, **fields)


@settings(max_examples=3, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
def test_alerts_are_the_same_wherever_batches_are_cut_around_snapshots_leaves_and_joins(seed: int) -> None:
    chance = random.Random(seed)
    feed = coming_and_going(chance, 30)
    if chance.random() < 0.3:
        feed = disordered(chance, feed, 10 * HOUR_MS)
    found = []
    for size in (chance.randint(1, 20), len(feed)):
        replay = alert_replay(RULES, batch_max_records=size)
        replay.send(*feed)
        replay.drain()
        replay.flush()
        found.append(outcome(replay))
    cut = alert_replay(RULES)
    cut.send(*feed)
    play(cut, chance)
    assert found[0] == found[1] == outcome(cut)


def test_the_made_up_snapshots_matter_for_member_and_community_alerts() -> None:
    said: set[tuple[str, str]] = set()
    for seed in range(6):
        feed = coming_and_going(random.Random(seed), 40)
        found = []
        for one in (feed, [one for one in feed if one.get("action") != "present"]):
            replay = alert_replay(RULES)
            replay.send(*one)
            replay.drain()
            replay.flush()
            found.append(outcome(replay))
        said |= {(row[0], row[3]) for row in found[0].values()}
        assert found[0] != found[1]
    assert said >= {("silent", "expired"), ("silent", "resolved"), ("left", "resolved"), ("exodus", "resolved")}
