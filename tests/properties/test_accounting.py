"""Every record meets exactly one end, and the accounts say which."""

from __future__ import annotations

import json
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partitioning import partition_for
from schemas.topics import EVENT_TOPICS, READ_TOPICS, TOPIC_OF
from tests.batches import DAY_MS, HOUR_MS, Event, Replay, event, rfc3339
from tests.made_up_feeds import START_MS
from tests.recount import actor, ms_of

PARTITIONS = 2
HERE = [name for name in ("甲群", "b", "c", "d", "e", "f", "g") if partition_for(name.encode(), PARTITIONS) == 0][:2]
AWAY = next(name for name in "abcdefgh" if partition_for(name.encode(), PARTITIONS) == 1)
BROKEN = [None, b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"event_id": 5}', json.dumps({"schema_version": 9}).encode()]


def judged(records: list[tuple[str, Event | None]], lateness_ms: int) -> tuple[dict[str, Counter[str]], set[str]]:
    """Outcomes by topic, one record after the other in merge order, and the places of conflicting ones."""
    outcomes: dict[str, Counter[str]] = {topic: Counter() for topic in READ_TOPICS}
    keys: dict[str, int] = {}
    order = []
    for arrived, (topic, one) in enumerate(records):
        time_ms = None if one is None or one["community_id"] == AWAY else ms_of(one["occurred_at"])
        keys[topic] = max(keys.get(topic, -1), -1 if time_ms is None else time_ms)
        order.append((keys[topic], EVENT_TOPICS.index(topic), arrived))
    clocks: dict[str, int] = {}
    applied: dict[tuple[str, str, str], tuple[int, str]] = {}
    conflicts: set[str] = set()
    for _, _, arrived in sorted(order):
        topic, one = records[arrived]
        if one is None:
            outcomes[topic]["dead_lettered"] += 1
            continue
        if one["community_id"] == AWAY:
            outcomes[topic]["misrouted"] += 1
            continue
        at, community, key = (
            ms_of(one["occurred_at"]),
            one["community_id"],
            (topic, one["community_id"], one["event_id"]),
        )
        for_ever = one["event_type"] == "referral"
        horizon_ms = clocks.get(community, 0) - lateness_ms
        before = applied.get(key)
        if before is not None and (for_ever or before[0] // 60_000 >= horizon_ms // 60_000):
            same = before == (at, actor(one))
            outcomes[topic]["duplicate" if same else "dead_lettered"] += 1
            if not same:
                conflicts.add(one["event_id"])
        elif not for_ever and at < horizon_ms:
            outcomes[topic]["late"] += 1
        else:
            outcomes[topic]["applied"] += 1
            applied[key] = (at, actor(one))
            clocks[community] = max(clocks.get(community, 0), at)
    return outcomes, conflicts


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32), st.sampled_from([HOUR_MS, DAY_MS]))
def test_every_record_meets_exactly_one_end(count: int, seed: int, lateness_ms: int) -> None:
    chance = random.Random(seed)
    replay = Replay(lateness_ms=lateness_ms, partitions=PARTITIONS, batch_max_records=chance.choice([1, 4, 1000]))
    sent: list[tuple[str, Event | None]] = []
    for number in range(count):
        copies = [one for _, one in sent if one is not None]
        if chance.random() < 0.15:
            topic = chance.choice(EVENT_TOPICS)
            replay.send_record(topic, chance.choice([None, b"c"]), chance.choice(BROKEN))
            sent.append((topic, None))
            continue
        if copies and chance.random() < 0.35:
            one = dict(chance.choice(copies))
            if chance.random() < 0.4:
                field = "referrer_id" if one["event_type"] == "referral" else "member_id"
                one[field] = "another"
            if chance.random() < 0.3:
                one["occurred_at"] = rfc3339(ms_of(one["occurred_at"]) + chance.choice([1, 60_000, 2 * lateness_ms]))
        else:
            kind = chance.choice(["message", "message", "join", "order", "referral"])
            community = chance.choice([*HERE, *HERE, AWAY])
            one = event(kind, f"e{number}", START_MS + chance.randrange(3 * lateness_ms), community)
        replay.send(one)
        sent.append((TOPIC_OF[one["event_type"]], one))
    while any(replay.partition.accounts[topic].next_offset < len(replay.topics[topic]) for topic in EVENT_TOPICS):
        for topic in EVENT_TOPICS:
            if chance.random() < 0.5:
                replay.fetch(topic, chance.choice([1, 5, 50]))
        replay.apply()
        if chance.random() < 0.3:
            replay.flush()
        if chance.random() < 0.2:
            replay.restart()
        assert [replay.partition.imbalance(topic) for topic in READ_TOPICS] == [0] * len(READ_TOPICS)
    plan = replay.flush()
    outcomes, conflicts = judged(sent, lateness_ms)
    for row in replay.rows("accounting"):
        ends = {name: row[name] for name in ("applied", "duplicate", "late", "dead_lettered", "misrouted")}
        assert row["consumed"] == sum(ends.values()) == len(replay.topics[row["topic"]])
        assert row["next_offset"] == plan.offsets[row["topic"]] == len(replay.topics[row["topic"]])
        assert ends == {name: outcomes[row["topic"]][name] for name in ends}, row["topic"]
    landed = {(row["event_type"], row["event_id"], row["occurred_at"], row["late"]) for row in replay.events}
    total = sum(outcomes.values(), Counter())
    assert len([row for row in landed if not row[3]]) == total["applied"]
    assert total["late"] == 0 or any(row[3] for row in landed)
    dead = replay.rows("dead_letters")
    assert len(dead) == total["dead_lettered"]
    assert {
        json.loads(row["value"])["event_id"] for row in dead if row["error"] == "conflicting_duplicate"
    } == conflicts
    for row in dead:
        assert (row["value"] or None) == (replay.topics[row["topic"]][row["offset"]].value or None), "original bytes"


def test_a_record_without_an_outcome_or_with_two_shows_as_imbalance() -> None:
    replay = Replay(partitions=PARTITIONS)
    topic = EVENT_TOPICS[0]
    for number in range(4):
        replay.send(event("message", f"e{number}", START_MS + number, HERE[0]))
    replay.drain()
    partition = replay.partition
    assert partition.imbalance(topic) == 0
    partition.accounts[topic].applied += 1
    assert partition.imbalance(topic) == 1, "counted twice"
    partition.accounts[topic].consumed += 1
    assert partition.imbalance(topic) == 1, "and booked as if two had come in"
    partition.accounts[topic].consumed -= 3
    partition.accounts[topic].applied -= 3
    assert partition.imbalance(topic) == 2, "two came in and were never heard of again"


def test_a_record_is_looked_at_in_the_order_of_the_design() -> None:
    """Dead-lettered before misrouted, misrouted before duplicate, duplicate before late."""
    replay = Replay(lateness_ms=HOUR_MS, partitions=PARTITIONS)
    old = event("message", "old", START_MS, HERE[0])
    away = event("message", "old", START_MS, AWAY)
    replay.send(old, old, away, away, {**away, "kind": 5})
    replay.send(event("message", "new", START_MS + HOUR_MS + 30_000, HERE[0]))
    replay.send(old)  # its minute has not fallen behind the lateness: still known
    replay.send(event("message", "newer", START_MS + 3 * HOUR_MS, HERE[0]), old)
    replay.drain()
    replay.flush()
    account = replay.partition.accounts[EVENT_TOPICS[0]]
    assert (account.applied, account.duplicate, account.late) == (3, 2, 1)
    assert (account.dead_lettered, account.misrouted, account.consumed) == (1, 2, 9)


def test_misrouted_and_refused_records_keep_their_bytes_for_forwarding() -> None:
    replay = Replay(partitions=PARTITIONS)
    replay.send(event("order", "o", START_MS, AWAY))
    replay.send_record(EVENT_TOPICS[2], b"key", b"\x00 no json")
    replay.drain()
    plan = replay.flush()
    (forwarded,), (refused,) = plan.misrouted, plan.refused
    assert (forwarded.key, forwarded.value) == (AWAY.encode(), replay.topics[EVENT_TOPICS[2]][0].value)
    assert (refused.key, refused.value, refused.offset, refused.code) == (b"key", b"\x00 no json", 1, "invalid_json")
    assert plan.events == []
    assert replay.flush().misrouted == []


def test_a_late_event_changes_nothing_but_its_row_and_its_account() -> None:
    replay = Replay(lateness_ms=HOUR_MS)
    replay.send(event("message", "a", START_MS), event("message", "b", START_MS + 5 * HOUR_MS))
    replay.drain()
    replay.flush()
    before = {name: replay.rows(name) for name in replay.landed if name != "accounting"}
    replay.send(event("message", "late", START_MS + HOUR_MS, member_id="unknown so far"))
    replay.send(event("order", "late", START_MS + HOUR_MS), event("join", "late", START_MS, action="left"))
    replay.drain()
    replay.flush()
    assert {name: replay.rows(name) for name in before} == before
    assert [(row["event_type"], row["late"], row["version"]) for row in replay.events if row["event_id"] == "late"] == [
        ("message", 1, 1),
        ("join", 1, 1),
        ("order", 1, 1),
    ]
    replay.send(event("referral", "never late", START_MS - 300 * DAY_MS))
    replay.drain()
    assert replay.partition.accounts[TOPIC_OF["referral"]].applied == 1
