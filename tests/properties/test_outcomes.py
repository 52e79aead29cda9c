"""Outcomes decided in columns are those of the rule taken one event after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.clock import EventClocks
from streams.engine.dedup import DedupIndex, describe
from streams.engine.outcomes import APPLIED, CONFLICT, DUPLICATE, LATE, Stretch, decide
from streams.operators.base import NEVER, StateRows
from tests.hashing import hashes
from tests.state_store import StateStore

COMMUNITIES = ["a", "b", "群三"]
LATENESS_MS = 300_000
MESSAGE, REFERRAL = 0, 3
START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Seen:
    """An event as the rule sees it; ``for_ever`` ids are those of referrals."""

    community: int
    event_id: str
    time_ms: int
    member: int
    for_ever: bool


@dataclass
class NaiveRule:
    """The docstring of ``decide``, word by word."""

    clock_ms: dict[int, int] = field(default_factory=dict)
    applied: dict[tuple[bool, int, str], Seen] = field(default_factory=dict)

    def outcome(self, event: Seen) -> int:
        horizon_ms = self.clock_ms.get(event.community, NEVER) - LATENESS_MS
        key = (event.for_ever, event.community, event.event_id)
        before = self.applied.get(key)
        if before is not None and (event.for_ever or before.time_ms // 60_000 >= horizon_ms // 60_000):
            return DUPLICATE if before == event else CONFLICT
        if not event.for_ever and event.time_ms < horizon_ms:
            return LATE
        self.applied[key] = event
        self.clock_ms[event.community] = max(self.clock_ms.get(event.community, NEVER), event.time_ms)
        return APPLIED


@st.composite
def events(draw: st.DrawFn) -> Seen:
    for_ever = draw(st.sampled_from([False, False, False, True]))
    # Steps finer and coarser than a minute, up to several times the lateness; small ranges make collisions common.
    step = draw(st.sampled_from([1, 30_000, 60_000, LATENESS_MS]))
    return Seen(
        draw(st.integers(0, 2)),
        draw(st.sampled_from("xyz")),
        START_MS + step * draw(st.integers(0, 6)),
        draw(st.integers(0, 1)),
        for_ever,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Seen]:
    """Events, many of them copies of earlier ones."""
    found = draw(st.lists(events(), min_size=1, max_size=25))
    for place in draw(st.lists(st.integers(0, 100), max_size=12)):
        found.insert((place * 7) % (len(found) + 1), found[place % len(found)])
    return found


def stretch_of(part: list[Seen]) -> Stretch:
    community = np.array([one.community for one in part], np.int64)
    times = np.array([one.time_ms for one in part], np.int64)
    hashed = np.empty((len(part), 2), np.uint64)
    what = np.empty(len(part), np.uint64)
    for for_ever, topic in ((False, MESSAGE), (True, REFERRAL)):
        mine = [at for at, one in enumerate(part) if one.for_ever == for_ever]
        if mine:
            names = [COMMUNITIES[part[at].community] for at in mine]
            hashed[mine] = hashes(topic, names, [part[at].event_id for at in mine])
            member = np.array([part[at].member for at in mine], np.int64)
            what[mine] = describe(community[mine], member, times[mine], for_ever)
    return Stretch(community, times, hashed, what)


class Engine:
    """Index and clocks under test, with a store that keeps what a checkpoint would."""

    def __init__(self) -> None:
        self.index, self.clocks = DedupIndex(), EventClocks()
        self.store = StateStore()

    def horizon_minute(self) -> np.ndarray:
        return (self.clocks.ms(len(COMMUNITIES)) - LATENESS_MS) // 60_000

    def checkpoint(self) -> list[StateRows]:
        rows = self.index.dirty(self.horizon_minute())
        self.store.write(rows)
        return rows

    def forget(self) -> None:
        self.index.forget(self.horizon_minute())

    def restart(self) -> None:
        self.checkpoint()
        self.index = DedupIndex()
        if (rows := self.store.rows(DedupIndex.name)) is not None:
            self.index.restore(*rows)


@pytest.fixture(autouse=True)
def _forget_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting and compaction wait until it pays; here they come as soon as they may."""
    monkeypatch.setattr("streams.engine.dedup._FEW", 0)
    monkeypatch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 2)


@settings(max_examples=100, deadline=None)
@given(histories(), st.lists(st.sampled_from(["", "", "", "forget", "checkpoint", "restart"]), max_size=40), st.data())
def test_outcomes_are_those_of_the_rule_one_by_one(
    history: list[Seen], between: list[str], data: st.DataObject
) -> None:
    engine, rule = Engine(), NaiveRule()
    start = 0
    while start < len(history):
        part = history[start : start + data.draw(st.integers(1, 9))]
        start += len(part)
        clocks_before = engine.clocks.ms(len(COMMUNITIES)).copy()
        found = decide(stretch_of(part), engine.index, engine.clocks, LATENESS_MS, len(COMMUNITIES))
        assert found.tolist() == [rule.outcome(one) for one in part]
        assert (engine.clocks.ms(len(COMMUNITIES)) >= clocks_before).all(), "a clock went back"
        assert engine.clocks.ms(len(COMMUNITIES)).tolist() == [rule.clock_ms.get(at, NEVER) for at in range(3)]
        if between and (action := between.pop()):
            getattr(engine, action)()
    # What can still matter is remembered, whatever was forgotten on the way.
    alive = [
        one
        for one in rule.applied.values()
        if one.for_ever or one.time_ms // 60_000 >= (rule.clock_ms[one.community] - LATENESS_MS) // 60_000
    ]
    if alive:
        stretch = stretch_of(alive)
        assert engine.index.find(stretch.hashed).tolist() == stretch.what.tolist()


def test_a_whole_history_at_once_equals_one_event_at_a_time() -> None:
    rng = np.random.default_rng(7)
    times = np.sort(rng.integers(0, 20 * LATENESS_MS, 1200)) - rng.integers(0, 2 * LATENESS_MS, 1200)
    numbers = rng.integers(0, 300, (1200, 4)).tolist()
    history = [
        Seen(a % 3, f"id-{b}", START_MS + time, c % 2, d % 10 == 0)
        for (a, b, c, d), time in zip(numbers, times.tolist(), strict=True)
    ]
    for at in range(40, 1200, 3):
        history[at] = history[at - int(rng.integers(1, 40))]
    rule = NaiveRule()
    expected = [rule.outcome(one) for one in history]
    assert set(expected) == {APPLIED, DUPLICATE, LATE, CONFLICT}
    for size in (3, 100, 1200):
        engine = Engine()
        found: list[int] = []
        for start in range(0, len(history), size):
            part = stretch_of(history[start : start + size])
            found += decide(part, engine.index, engine.clocks, LATENESS_MS, 3).tolist()
            engine.forget()
        assert found == expected


def test_a_copy_of_a_late_event_is_late_too_though_its_minute_is_still_remembered() -> None:
    minute_ms = START_MS // 60_000 * 60_000
    clock = Seen(0, "clock", minute_ms + LATENESS_MS + 30_000, 0, False)
    late = Seen(0, "late", minute_ms + 10_000, 0, False)
    in_time = Seen(0, "in time", minute_ms + 40_000, 0, False)
    history = [clock, late, late, in_time, in_time, clock, late]
    found = decide(stretch_of(history), DedupIndex(), EventClocks(), LATENESS_MS, 3)
    assert found.tolist() == [APPLIED, LATE, LATE, APPLIED, DUPLICATE, DUPLICATE, LATE]
    assert found.tolist() == list(map(NaiveRule().outcome, history))


def test_an_applied_event_is_a_duplicate_until_its_whole_minute_has_fallen_behind() -> None:
    minute_ms = START_MS // 60_000 * 60_000
    first = Seen(0, "first", minute_ms + 10_000, 0, False)
    steps = [Seen(0, f"clock-{ms}", minute_ms + LATENESS_MS + ms, 0, False) for ms in (10_000, 59_999, 60_000)]
    history = [first, *(one for step in steps for one in (step, first))]
    assert list(map(NaiveRule().outcome, history))[2::2] == [DUPLICATE, DUPLICATE, LATE]
    for size in (1, len(history)):
        engine = Engine()
        parts = [history[start : start + size] for start in range(0, len(history), size)]
        found = [decide(stretch_of(part), engine.index, engine.clocks, LATENESS_MS, 3).tolist() for part in parts]
        assert [outcome for part in found for outcome in part][2::2] == [DUPLICATE, DUPLICATE, LATE]
