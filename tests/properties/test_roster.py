"""Joins, leaves, snapshots and roster versions say the same in any order."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.batches import Event, Replay, event
from tests.made_up_feeds import START_MS
from tests.recount import Recount, ms_of


def landed_after(events: list[Event], chance: random.Random | None = None) -> Replay:
    """The events applied in the given order; with ``chance``, flushed and restarted in between."""
    replay = Replay()
    for one in events:
        replay.send(one)
        if chance is None or chance.random() < 0.6:
            replay.drain()
        if chance is not None and chance.random() < 0.3:
            replay.drain()
            replay.flush()
            if chance.random() < 0.5:
                replay.restart()
    replay.drain()
    replay.flush()
    return replay


def community(replay: Replay) -> dict[str, Any]:
    (row,) = replay.rows("communities")
    return row


def member(replay: Replay, name: str) -> dict[str, Any]:
    return next(row for row in replay.rows("members") if row["member_id"] == name)


def change(number: int, before: str | None, after: str | None, name: str = "m", action: str = "joined") -> Event:
    versions = {"roster_version_before": before, "roster_version_after": after}
    return event("join", f"change-{number}-{name}", START_MS + number * 1000, member_id=name, action=action, **versions)


def snapshot(name: str, at: int, *members: str) -> list[Event]:
    return [
        event(
            "join",
            f"{name}-{one}",
            START_MS + at * 1000 + line,
            member_id=one,
            action="present",
            snapshot_id=name,
            snapshot_size=len(members),
        )
        for line, one in enumerate(members)
    ]


def resync_needed(events: list[Event]) -> bool:
    """By definition: since the last complete snapshot more than one change began where no other ended."""
    complete = Recount(events).snapshots_ms("c")
    recent = [
        (one.get("roster_version_before"), one["roster_version_after"])
        for one in events
        if one.get("roster_version_after") and ms_of(one["occurred_at"]) >= max(complete, default=0)
    ]
    return len({before for before, _ in recent if before} - {after for _, after in recent}) > 1


@st.composite
def roster_histories(draw: st.DrawFn) -> list[Event]:
    found: list[Event] = []
    for number in range(draw(st.integers(1, 7))):
        if draw(st.integers(0, 5)):  # now and then a change is missed
            movers = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True))
            action = draw(st.sampled_from(["joined", "left", "removed"]))
            found += [change(10 * number, f"v{number}", f"v{number + 1}", name, action) for name in movers]
        if draw(st.integers(0, 3)) == 3:
            members = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
            lines = snapshot(f"s{number}", 10 * number + draw(st.integers(-3, 3)), *members)
            found += lines[: draw(st.sampled_from([len(lines), len(lines), len(lines) - 1]))]
        if draw(st.integers(0, 2)) == 2:
            at = START_MS + 10_000 * number + draw(st.sampled_from([-3000, 0, 3000]))
            found.append(event("message", f"m{number}", at, member_id=draw(st.sampled_from("abcd"))))
    return found


@settings(max_examples=30, deadline=None)
@given(roster_histories(), st.integers(0, 2**32))
def test_any_order_gives_the_same_roster(history: list[Event], seed: int) -> None:
    chance = random.Random(seed)
    shuffled = chance.sample(history, len(history))
    replay = landed_after(shuffled, chance)
    if not history:
        return
    recount = Recount(history)
    for row in recount.members():
        landed = member(replay, row["member_id"])
        assert {name: landed[name] for name in row} == row
    assert community(replay)["members"] == recount.sizes()["c"]
    assert bool(community(replay)["resync_needed"]) == resync_needed(history)


def test_a_break_in_the_versions_lands_though_nobody_came_or_went() -> None:
    joined = [event("message", f"hello-{name}", START_MS, member_id=name) for name in "abc"]
    replay = landed_after(joined)
    assert community(replay) | {"timezone": "UTC"} == {
        "community_id": "c",
        "timezone": "UTC",
        "members": 3,
        "resync_needed": 0,
    }
    replay.send(change(1, "v1", "v2", "a"), change(5, "v4", "v5", "b"))
    replay.drain()
    replay.flush()
    assert community(replay)["members"] == 3
    assert community(replay)["resync_needed"] == 1
    replay.send(change(3, "v2", "v4", "c"))  # what was missed comes after all
    replay.drain()
    replay.flush()
    assert community(replay)["resync_needed"] == 0


def test_a_change_that_moves_several_members_is_one_link() -> None:
    chain = [change(1, "v0", "v1", "a"), change(2, "v1", "v2", "b"), change(2, "v1", "v2", "c")]
    assert community(landed_after(chain))["resync_needed"] == 0
    assert community(landed_after([*chain, change(3, "v2", "v3"), change(2, "v1", "v2", "d")]))["resync_needed"] == 0


def test_a_break_after_a_snapshot_is_noticed_whatever_came_before_it() -> None:
    before = [change(1, "v1", "v2"), change(4, "v2", "v3", "n")]
    listed = snapshot("s", 3, "m")
    assert community(landed_after([*before, *listed]))["resync_needed"] == 0
    broken = [*before, *listed, change(9, "v7", "v8", "o")]
    assert community(landed_after(broken))["resync_needed"] == 1
    assert community(landed_after([*broken, *snapshot("later", 10, "m", "n")]))["resync_needed"] == 0


def test_versions_without_a_beginning_prove_nothing() -> None:
    events = [change(1, None, "v1"), change(2, None, "v5", "a"), change(3, "v9", None, "b"), change(4, "v2", None, "d")]
    assert community(landed_after(events))["resync_needed"] == 0


def test_whoever_left_before_a_snapshot_keeps_the_time_of_leaving() -> None:
    events = [
        change(0, None, None, "stays"),
        change(0, None, None, "leaves"),
        change(0, None, None, "vanishes"),
        change(1, None, None, "leaves", "left"),
        *snapshot("one", 5, "stays"),
        *snapshot("two", 9, "stays"),
    ]
    for order in (events, events[::-1]):
        replay = landed_after(order)
        assert [member(replay, name)["status"] for name in ("stays", "leaves", "vanishes")] == [
            "active",
            "left",
            "left",
        ]
        left_ms = [ms_of(member(replay, name)["left_at"].isoformat()) for name in ("leaves", "vanishes")]
        assert left_ms == [START_MS + 1000, START_MS + 5000], "gone since the first snapshot, not the last one"
        assert member(replay, "stays")["left_at"] is None
        assert community(replay)["members"] == 1


def test_a_snapshot_whose_last_line_comes_later_counts_from_its_earliest_line() -> None:
    joins = [change(0, None, None, name) for name in ("a", "b", "gone")]
    first, second = snapshot("s", 5, "a", "b")
    for lines in ([first, second], [second, first]):
        replay = landed_after([*joins, *lines])
        assert member(replay, "gone")["status"] == "left"
        assert ms_of(member(replay, "gone")["left_at"].isoformat()) == START_MS + 5000
    incomplete = landed_after([*joins, first])
    assert member(incomplete, "gone")["status"] == "active"


def test_roster_state_does_not_keep_what_can_change_no_more() -> None:
    replay = Replay()
    for day in range(6):
        at = day * 2 * 86_400
        lines = snapshot(f"s{day}", at, "a", "b", "c")
        replay.send(change(at, f"v{day}", f"v{day + 1}"), *lines[: 3 if day % 2 else 2])
        replay.drain()
        replay.flush()
    roster = replay.partition.state.operators.roster
    assert sum(map(len, roster._open.values())) == 1
    assert len(roster._chains[0].began) <= 2
