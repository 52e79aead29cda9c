"""However the topics of a partition arrive, their records are released in one and the same order."""

from __future__ import annotations

import random
from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import EVENT_TOPICS, TYPE_OF
from streams.engine.intake import Chunk
from streams.engine.merge import Merge, Slice
from streams.engine.record_block import Record, RecordBlock
from streams.operators.base import NEVER

Place = tuple[int, int, int]
"""Merge key, topic number, offset."""

Logs = list[list[int]]
"""Event times by topic, in the order of their offsets."""


def chunk_of(merge: Merge, topic: int, first_offset: int, times: list[int], refused: frozenset[int]) -> Chunk:
    """A chunk as the intake makes it, of which some records are no events."""
    keys = np.array([NEVER if first_offset + at in refused else time for at, time in enumerate(times)], np.int64)
    position = np.array([at for at in range(len(times)) if first_offset + at not in refused], np.int64)
    return Chunk(
        topic=EVENT_TOPICS[topic],
        partition=0,
        event_type=TYPE_OF[EVENT_TOPICS[topic]],
        records=RecordBlock.of([Record(first_offset + at, 0, None, None) for at in range(len(times))]),
        merge_key=np.maximum.accumulate(np.maximum(keys, merge.latest_ms(topic))),
        position=position,
        occurred_at_ms=keys[position],
        community=np.zeros(len(position), np.int64),
        member=np.zeros(len(position), np.int64),
        hashed=np.zeros((len(position), 2), np.uint64),
        what=np.zeros(len(position), np.uint64),
        columns={},
    )


def complete_order(logs: Logs, refused: frozenset[int] = frozenset()) -> list[Place]:
    """The merge of complete topics: by the largest event time so far, then topic, then offset."""
    places = []
    for topic, times in enumerate(logs):
        latest = NEVER
        for offset, time in enumerate(times):
            latest = max(latest, NEVER if offset in refused else time)
            places.append((latest, topic, offset))
    return sorted(places)


def released_places(slices: list[Slice]) -> list[Place]:
    """What a release gives, in the order in which the partition takes it."""
    places = [
        (int(one.chunk.merge_key[at]), one.chunk.topic_number, int(one.chunk.records.offsets[at]))
        for one in slices
        for at in range(one.start, one.stop)
    ]
    assert [one.chunk.topic_number for one in slices] == sorted(one.chunk.topic_number for one in slices)
    return [places[at] for at in np.argsort([key for key, _, _ in places], kind="stable")]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 12), max_size=8), min_size=4, max_size=4),
    st.frozensets(st.integers(0, 7), max_size=2),
    st.integers(0, 2**32),
)
def test_any_arrival_gives_the_order_of_the_complete_topics(logs: Logs, refused: frozenset[int], seed: int) -> None:
    schedule = random.Random(seed)
    merge, order, given_out = Merge(), complete_order(logs, refused), list[Place]()
    fetched = [0, 0, 0, 0]
    at_end: dict[int, int] = {}
    while len(given_out) < len(order):
        open_topics = [topic for topic in range(4) if fetched[topic] < len(logs[topic])]
        action = schedule.choice(["fetch", "ask", "release"])
        if action == "fetch" and open_topics:
            topic = schedule.choice(open_topics)
            times = logs[topic][fetched[topic] :][: schedule.randint(1, 5)]
            merge.add(chunk_of(merge, topic, fetched[topic], times, refused))
            fetched[topic] += len(times)
        elif action == "ask":
            closed = [topic for topic in range(4) if topic not in open_topics]
            at_end |= dict.fromkeys(schedule.sample(closed, schedule.randint(0, len(closed))), merge.arrivals)
        else:
            given_out += released_places(merge.release(at_end, schedule.choice([1, 2, 5, 100])))
            assert given_out == order[: len(given_out)]
    assert given_out == order
    assert not merge.waiting


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(0, 2**32))
def test_a_feed_that_is_read_while_it_is_written_keeps_its_order(written: list[int], seed: int) -> None:
    """Events of all topics are written in the order of their time; a topic may be at its end now and not later."""
    schedule = random.Random(seed)
    merge, given_out = Merge(), list[Place]()
    logs: Logs = [[time for time, topic in enumerate(written) if topic == mine] for mine in range(4)]
    order = complete_order(logs)
    on_broker: Logs = [[], [], [], []]
    fetched = [0, 0, 0, 0]
    at_end: dict[int, int] = {}
    feed = deque(enumerate(written))
    while len(given_out) < len(order):
        action = schedule.choice(["write", "fetch", "ask", "release"])
        if action == "write":
            for _ in range(min(schedule.randint(1, 6), len(feed))):
                time, topic = feed.popleft()
                on_broker[topic].append(time)
        elif action == "fetch":
            topic = schedule.randint(0, 3)
            times = on_broker[topic][fetched[topic] :][: schedule.randint(1, 4)]
            if times:
                merge.add(chunk_of(merge, topic, fetched[topic], times, frozenset()))
                fetched[topic] += len(times)
        elif action == "ask":
            at_end |= {topic: merge.arrivals for topic in range(4) if fetched[topic] == len(on_broker[topic])}
        else:
            given_out += released_places(merge.release(at_end, schedule.choice([1, 3, 100])))
            assert given_out == order[: len(given_out)]


def test_a_topic_not_at_its_end_holds_the_others_back() -> None:
    merge = Merge()
    merge.add(chunk_of(merge, 0, 0, [10, 20, 30], frozenset()))
    assert merge.release({}, 100) == []
    everything_else = {1: 1, 2: 1}
    assert merge.release(everything_else, 100) == []
    merge.add(chunk_of(merge, 3, 0, [20], frozenset()))
    assert released_places(merge.release({1: 2, 2: 2}, 100)) == [(10, 0, 0), (20, 0, 1), (20, 3, 0)]
    assert merge.buffered(0) == 1
    assert released_places(merge.release({1: 2, 2: 2, 3: 2}, 100)) == [(30, 0, 2)]
    assert not merge.waiting


def test_a_record_waits_for_an_older_one_that_is_held_back() -> None:
    """The end of the third topic was asked for between two chunks: it frees the earlier one, not the older one."""
    merge = Merge()
    merge.add(chunk_of(merge, 0, 0, [10], frozenset()))
    at_end = {2: merge.arrivals, 3: merge.arrivals}
    merge.add(chunk_of(merge, 1, 0, [5, 20], frozenset()))
    assert merge.release(at_end, 100) == []
    assert released_places(merge.release({2: 2, 3: 2}, 100)) == [(5, 1, 0), (10, 0, 0)]


def test_what_was_dropped_is_merged_the_same_when_it_comes_again() -> None:
    merge = Merge()
    merge.add(chunk_of(merge, 0, 0, [50, 10, 60], frozenset()))
    others_end = {1: 1, 2: 1, 3: 1}
    assert released_places(merge.release(others_end, 1)) == [(50, 0, 0), (50, 0, 1)], "one merge key goes together"
    merge.drop_waiting()
    assert not merge.waiting
    restored = Merge()
    restored.restore(merge.released_ms())
    for one in (merge, restored):
        one.add(chunk_of(one, 0, 2, [5], frozenset()))
        assert released_places(one.release({1: 2, 2: 2, 3: 2}, 100)) == [(50, 0, 2)]


def test_a_slice_names_the_events_among_its_records() -> None:
    merge = Merge()
    chunk = chunk_of(merge, 0, 0, [1, 2, 3, 4, 5], frozenset({1, 2}))
    assert [Slice(chunk, start, stop).events() for start, stop in ((0, 5), (1, 3), (2, 4), (4, 5))] == [
        slice(0, 3),
        slice(1, 1),
        slice(1, 2),
        slice(2, 3),
    ]
