"""What lands equals a recount of the raw events: in any order, in batches of any size, whoever crashes on the way."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import EVENT_TOPICS
from tests.batches import DAY_MS, HOUR_MS, KEYS, Event, Replay, event
from tests.made_up_feeds import START_MS, made_up_feed, shuffled_inside
from tests.recount import WINDOWS, Recount, moment, ms_of

ZONES = {"群": "Europe/Berlin", "sp": "America/Sao_Paulo", "kt": "Asia/Kathmandu"}
COMMUNITIES = ["c", "群", "sp", "kt"]


@pytest.fixture(autouse=True)
def _forget_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letting go of old state waits until it pays; here it comes as soon as it may."""
    forget_soon(monkeypatch)


def forget_soon(patch: pytest.MonkeyPatch) -> None:
    for place in ("operators.keyed_rows", "operators.presence", "engine.dedup"):
        patch.setattr(f"streams.{place}._FEW", -(10**9))
    patch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 4)


def play(replay: Replay, chance: random.Random) -> None:
    """Fetch, apply, flush and crash in some order until all is applied, then flush."""
    steps = 0
    while any(replay.partition.accounts[topic].next_offset < len(replay.topics[topic]) for topic in EVENT_TOPICS):
        action = chance.choice(["fetch", "fetch", "fetch", "apply", "apply", "flush", "crash"])
        steps += 1
        if steps > 200:  # crashes must not go on for ever
            replay.drain()
        elif action == "fetch":
            replay.fetch(chance.choice(EVENT_TOPICS), chance.choice([1, 3, 20, 100]))
        elif action == "apply":
            replay.apply()
        elif action == "flush":
            replay.flush()
        elif chance.random() < 0.4:
            how = chance.choice(["before the checkpoint", "before landing", "after"])
            plan = replay.collect()
            if how != "before the checkpoint":
                replay.checkpoint(plan)
            if how == "after":
                replay.land(plan.landing)
            replay.restart()
    replay.flush()


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]], key: tuple[str, ...]) -> list[str]:
    """Rows that are missing, not expected, or different in a column that is expected."""
    ours = {tuple(row[name] for name in key): row for row in found}
    theirs = {tuple(row[name] for name in key): row for row in expected}
    wrong = [f"missing {place}: {theirs[place]}" for place in theirs.keys() - ours.keys()]
    wrong += [f"not expected {place}: {ours[place]}" for place in ours.keys() - theirs.keys()]
    for place in ours.keys() & theirs.keys():
        wrong += [
            f"{place} {name}: landed {ours[place][name]!r}, recounted {value!r}"
            for name, value in theirs[place].items()
            if ours[place][name] != value and not (isinstance(value, float) and abs(ours[place][name] - value) < 1e-5)
        ]
    return wrong


def check(replay: Replay, recount: Recount) -> None:
    """Every derived table but the rolling windows."""
    sizes = recount.sizes()
    expected = {
        "activity_1m": recount.tumbling(60_000),
        "activity_1h": recount.tumbling(HOUR_MS),
        "activity_1d": recount.activity_1d(),
        "community_days": recount.community_days(),
        "member_days": recount.member_days(),
        "revenue_1d": recount.revenue_1d(),
        "members": recount.members(),
        "communities": [
            {"community_id": name, "timezone": recount.zone(name), "members": sizes[name]}
            for name in recount.communities
        ],
    }
    for table, rows in expected.items():
        wrong = differences(replay.rows(table), rows, KEYS[table])
        assert not wrong, table + ":\n" + "\n".join(wrong[:8])


def check_now(replay: Replay, recount: Recount, reference_ms: int) -> None:
    """The rolling windows as they stand at *now*; a row is landed again only when one of its figures changed."""
    sizes = recount.sizes()
    landed = {(row["community_id"], row["window"]): row for row in replay.rows("activity_now")}
    assert {community for community, _ in landed} <= set(recount.communities)
    for community in recount.communities:
        now_ms = max(recount.clock_ms(community), reference_ms)
        for window, length_ms in WINDOWS.items():
            pane_ms = 60_000 if length_ms <= DAY_MS else HOUR_MS
            as_of_ms = (now_ms // pane_ms + 1) * pane_ms
            expected = recount.now(community, window, as_of_ms) | {"members": sizes[community]}
            row = landed.get((community, window), dict.fromkeys(expected, 0))
            assert {name: row[name] for name in expected} == expected, f"{community} {window} at {moment(now_ms)}"
            # And the row is right for the moment it names itself.
            if row.get("as_of"):
                itself = recount.now(community, window, ms_of(row["as_of"].isoformat()))
                assert {name: row[name] for name in itself} == itself, f"{community} {window} as of {row['as_of']}"


@settings(max_examples=35, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32), st.sampled_from([HOUR_MS, DAY_MS, 3 * DAY_MS]), st.integers(1, 4))
def test_landed_rows_equal_a_recount(count: int, seed: int, lateness_ms: int, communities: int) -> None:
    replay_and_check(count, seed, lateness_ms, communities)


@pytest.mark.long
@settings(max_examples=600, deadline=None)
@given(st.integers(0, 150), st.integers(0, 2**32), st.sampled_from([HOUR_MS, DAY_MS, 3 * DAY_MS]), st.integers(1, 4))
def test_landed_rows_of_longer_feeds_equal_a_recount(count: int, seed: int, lateness_ms: int, communities: int) -> None:
    replay_and_check(count, seed, lateness_ms, communities)


def replay_and_check(count: int, seed: int, lateness_ms: int, communities: int) -> None:
    chance = random.Random(seed)
    span_ms = chance.choice([2 * HOUR_MS, 3 * DAY_MS, 45 * DAY_MS])
    feed = made_up_feed(chance, count, COMMUNITIES[:communities], span_ms)
    arrivals = shuffled_inside(chance, feed, lateness_ms)
    for one in chance.sample(arrivals, min(len(arrivals), count // 8)):
        arrivals.insert(chance.randint(arrivals.index(one) + 1, len(arrivals)), one)  # a copy, at any time later
    replay = Replay(ZONES, lateness_ms, batch_max_records=chance.choice([1, 5, 1000]))
    replay.send(*arrivals)
    play(replay, chance)
    recount = Recount(feed, ZONES)
    check(replay, recount)
    if not feed:
        return
    latest_ms = max(ms_of(one["occurred_at"]) for one in feed)
    check_now(replay, recount, latest_ms)
    for silence_ms in sorted(chance.choice([60_000, HOUR_MS, DAY_MS, 8 * DAY_MS]) for _ in range(2)):
        replay.flush(latest_ms + silence_ms)
        check_now(replay, recount, latest_ms + silence_ms)
        if chance.random() < 0.5:
            replay.restart()


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "UTC", "Pacific/Kiritimati"])
def test_nothing_leaves_the_state_while_an_event_may_still_change_it(zone: str) -> None:
    """State leaves as early as it may, workers take over again and again, and events come as late as they may."""
    replay, feed = Replay({"c": zone}, lateness_ms=HOUR_MS), []
    start_ms = START_MS // DAY_MS * DAY_MS
    for step in range(0, 40 * 60, 25):
        at = start_ms + step * 60_000
        behind = at - HOUR_MS + 1000
        new = [
            event("message", f"m{step}", at, member_id="ab"[step % 2]),
            event("order", f"o{step}", behind, member_id="a"),
            event("message", f"w{step}", behind + 1, member_id="ab"[step % 2], kind="vote"),
        ]
        feed += new
        replay.send(*new)
        replay.drain()
        replay.flush()
        replay.flush()  # what was just written may leave now
        if step % 2:
            replay.restart()
    assert sum(account.late for account in replay.partition.accounts.values()) == 0
    check(replay, Recount(feed, {"c": zone}))


def test_an_hour_knows_its_members_while_it_can_still_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its set is rebuilt from minutes, of which the first may be long past the lateness."""
    monkeypatch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 1)
    replay = Replay(lateness_ms=HOUR_MS)
    ten_ms = START_MS // HOUR_MS * HOUR_MS
    members = [f"m{number}" for number in range(10)]

    def speak(minute: int) -> list[Event]:
        return [event("message", f"{one}-{minute}", ten_ms + minute * 60_000, member_id=one) for one in members]

    clock = event("message", "clock", ten_ms + 91 * 60_000)
    feed = [*speak(5), clock, *speak(40)]
    for part in (feed[:10], [clock], feed[11:]):
        replay.send(*part)
        replay.drain()
        replay.flush()
        replay.restart()
    assert sum(account.late for account in replay.partition.accounts.values()) == 0
    check(replay, Recount(feed))
