"""Programs: what they send arrives once however often the worker dies, and what they are sent never stops it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partitioning import partition_for
from schemas.topics import COMMANDS, EVENT_TOPICS, MESSAGES, REFERRAL_FACTS
from streams.operators.outbox import OutboxRecord
from tests.batches import Event, Replay, event
from tests.echo_program import HOUR_MS, KEYS, EchoProgram, campaign_of, expected_echoes
from tests.made_up_feeds import START_MS

PARTITIONS = 2
COMMUNITIES = ["读书会🌱", "b", "三", "d", "e"]


class Network:
    """Two partitions; what one sends is appended to the topics of whose key it is."""

    def __init__(self, batch_max_records: int) -> None:
        self.replays = [
            Replay(
                partitions=PARTITIONS,
                number=number,
                batch_max_records=batch_max_records,
                programs_of=lambda context: [EchoProgram(context)],
                keys=KEYS,
            )
            for number in range(PARTITIONS)
        ]
        self._delivered = [0] * PARTITIONS

    def of(self, key: str) -> Replay:
        """The partition of a key."""
        return self.replays[partition_for(key.encode(), PARTITIONS)]

    def deliver(self) -> None:
        """Let what was sent arrive."""
        for number, replay in enumerate(self.replays):
            for one in replay.outbox[self._delivered[number] :]:
                self.of(one.key).send_record(one.topic, one.key.encode(), one.value)
            self._delivered[number] = len(replay.outbox)

    def settle(self) -> None:
        """Until nothing is left to read or to send."""
        while True:
            for replay in self.replays:
                replay.drain()
                replay.flush()
            self.deliver()
            if all(len(replay.at_end()) == len(replay.topics) for replay in self.replays):
                return

    def echoes(self) -> dict[str, tuple[int, int, int]]:
        """What landed: (facts, total, hours) by campaign."""
        return {
            row["campaign_id"]: (row["facts"], row["total"], row["hours"])
            for replay in self.replays
            for row in replay.rows("echoes")
        }


def feed_of(chance: random.Random, count: int) -> list[Event]:
    feed = []
    for number in range(count):
        at_ms = START_MS + chance.randrange(2 * HOUR_MS)
        kind = chance.choice(["message", "message", "join", "order"])
        feed.append(event(kind, f"e{number}", at_ms, chance.choice(COMMUNITIES)) | {"at_ms": at_ms})
    return sorted(feed, key=lambda one: int(one["at_ms"]))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32))
def test_facts_arrive_once_whatever_is_killed_between_any_two_steps(count: int, seed: int) -> None:
    chance = random.Random(seed)
    network = Network(chance.choice([1, 5, 1000]))
    feed = feed_of(chance, count)
    for one in feed:
        network.of(one["community_id"]).send(one)
    for _ in range(30):
        replay = chance.choice(network.replays)
        replay.fetch(chance.choice(list(replay.topics)), chance.randint(1, 10))
        replay.apply()
        if chance.random() < 0.5:
            continue
        plan = replay.collect()
        died = chance.randrange(5)  # 0: before the checkpoint; 1: after it; 2: while it sends; 3, 4: never
        if died > 0:
            replay.checkpoint(plan)
        if died == 2:
            replay.outbox += plan.outbox[: chance.randint(0, len(plan.outbox))]
        if died > 2:
            replay.land(plan.landing)
        else:
            replay.restart()
        network.deliver()
    network.settle()
    assert network.echoes() == expected_echoes(feed)
    for replay in network.replays:
        replay.restart()
        assert all(account.balanced() for account in replay.partition.accounts.values())
    network.settle()
    assert network.echoes() == expected_echoes(feed)


def fact(fact_id: str, community: str, **changed: Any) -> bytes:
    return json.dumps(
        {"fact_id": fact_id, "revision": 1, "campaign_id": campaign_of(community), "kind": "fact"} | changed
    ).encode()


def one_partition(**options: Any) -> Replay:
    return Replay(programs_of=lambda context: [EchoProgram(context)], keys=KEYS, **options)


@pytest.mark.parametrize(
    ("key", "value", "code", "detail"),
    [
        ("c", None, "invalid_json", "tombstone"),
        ("c", b"{", "invalid_json", ""),
        ("c", b"\xff", "invalid_json", ""),
        ("c", b"[]", "invalid_field", "object"),
        ("c", fact("f", "c", revision="1"), "invalid_field", "$.revision"),
        ("c", b" " * 300_000, "too_large", "max_record_bytes"),
        (None, fact("f", "c"), "invalid_field", "key: is required"),
        ("", fact("f", "c"), "invalid_field", "key: is required"),
    ],
)
def test_a_broken_side_record_is_a_dead_letter_and_those_around_it_are_heard(
    key: str | None, value: bytes | None, code: str, detail: str
) -> None:
    replay = one_partition()
    for name, sent in (("one", fact("one", "c")), (key, value), ("two", fact("two", "c"))):
        replay.send_record(REFERRAL_FACTS, name if name is None else name.encode(), sent)
    replay.drain()
    replay.flush()
    (letter,) = replay.rows("dead_letters")
    assert (letter["topic"], letter["offset"], letter["error"]) == (REFERRAL_FACTS, 1, code)
    assert detail in letter["detail"]
    assert letter["value"] == (value or b"")
    (row,) = replay.rows("echoes")
    assert row["facts"] == 2
    account = replay.partition.accounts[REFERRAL_FACTS]
    assert (account.consumed, account.applied, account.dead_lettered, account.next_offset) == (3, 2, 1, 3)


def test_a_side_record_of_another_partition_is_forwarded_and_not_heard_here() -> None:
    replay = Replay(partitions=2, number=partition_for(b"here", 2), programs_of=lambda at: [EchoProgram(at)], keys=KEYS)
    away = next(name for name in "abcdefgh" if partition_for(name.encode(), 2) != partition_for(b"here", 2))
    replay.send_record(REFERRAL_FACTS, away.encode(), fact("f", "c"))
    replay.drain()
    plan = replay.flush()
    assert [(one.topic, one.detail) for one in plan.misrouted] == [(REFERRAL_FACTS, away)]
    assert replay.rows("echoes") == []
    assert replay.partition.accounts[REFERRAL_FACTS].misrouted == 1


def test_side_topics_without_records_hold_nothing_up_and_are_not_held_up() -> None:
    replay = one_partition()
    replay.send(event("message", "m", START_MS))
    replay.fetch(MESSAGES, 10)
    at_end = {topic: replay.partition.arrivals for topic in EVENT_TOPICS if topic != MESSAGES}
    assert replay.partition.apply(at_end, 0) == 1, "nobody knows the ends of facts and commands"
    replay.send(event("message", "late", START_MS + 1))
    replay.send_record(COMMANDS, b"c", b"{}")
    replay.fetch(MESSAGES, 10)
    replay.fetch(COMMANDS, 10)
    assert replay.partition.apply({}, 0) == 1, "the message waits for joins, the command for nobody"
    assert replay.partition.accounts[COMMANDS].applied == 1


def test_what_was_fetched_and_not_applied_is_fetched_again_after_a_hand_back() -> None:
    replay = one_partition(batch_max_records=1)
    for number in range(3):
        replay.send_record(REFERRAL_FACTS, b"c", fact(f"f{number}", "c"))
    replay.fetch(REFERRAL_FACTS, 3)
    assert replay.apply() == 1
    assert replay.partition.buffered(REFERRAL_FACTS) == 2
    replay.partition.drop_waiting()
    assert replay.partition.next_offset[REFERRAL_FACTS] == 1
    replay.drain()
    replay.flush()
    assert replay.rows("echoes")[0]["facts"] == 3
    assert replay.partition.accounts[REFERRAL_FACTS].applied == 3


def test_the_outbox_of_the_last_checkpoint_is_sent_again_after_a_restore_and_no_older_one() -> None:
    replay = one_partition()
    replay.send(event("message", "first", START_MS))
    replay.drain()
    replay.flush()
    replay.restart()
    assert ids(replay.outbox) == ["c/first", "c/total"] * 2
    replay.outbox.clear()
    replay.send(event("message", "second", START_MS + 1))
    replay.drain()
    replay.checkpoint(replay.collect())
    assert replay.outbox == [], "nothing is sent before its checkpoint stands"
    replay.restart()
    assert ids(replay.outbox) == ["c/second", "c/total"]
    assert [one.revision for one in replay.outbox] == [1, 2]
    replay.outbox.clear()
    replay.flush()  # a checkpoint without any
    replay.restart()
    assert replay.outbox == []


def ids(records: list[OutboxRecord]) -> list[str]:
    return [one.record_id for one in records]


def test_a_program_that_has_more_to_do_asks_for_a_flush() -> None:
    replay = one_partition()
    assert not replay.partition.has_news(0)
    replay.send_record(REFERRAL_FACTS, b"c", fact("f", "c"))
    replay.drain()
    assert replay.partition.dirty_rows() == 1
    assert replay.partition.has_news(0)
    replay.flush()
    assert not replay.partition.has_news(0)


def test_two_programs_may_not_fill_one_table() -> None:
    class Greedy(EchoProgram):
        names = ("greedy_sent", "greedy_heard")

    replay = Replay(programs_of=lambda context: [EchoProgram(context), Greedy(context)], keys=KEYS)
    replay.send_record(REFERRAL_FACTS, b"c", fact("f", "c"))
    replay.drain()
    with pytest.raises(ValueError, match="echoes: a base table may be filled by one"):
        replay.flush()


def test_programs_with_the_same_names_of_state_are_refused() -> None:
    with pytest.raises(ValueError, match="echo_heard, echo_sent"):
        Replay(programs_of=lambda context: [EchoProgram(context), EchoProgram(context)])
