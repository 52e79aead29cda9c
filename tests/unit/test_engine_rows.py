"""Rows of events and dead letters, versions, clocks and the guard against broken feeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from schemas.topics import EVENT_TOPICS, READ_TOPICS, TOPIC_OF
from streams.engine.accounts import TopicAccount, new_accounts
from streams.engine.checkpoint import generation_of, redo_rows, redo_table, version_of, with_version
from streams.engine.clock import EventClocks
from streams.engine.dead_letters import BrokenFeedGuard, dead_letter_rows
from streams.engine.dedup import FOR_EVER, MAX_COMMUNITIES, describe, minute_of
from streams.engine.intake import RefusedRecord
from streams.errors import BrokenFeed
from streams.operators.base import NEVER
from tests.batches import DAY_MS, Replay, event, rfc3339
from tests.made_up_feeds import START_MS
from tests.recount import moment

FULL: dict[str, dict[str, Any]] = {
    "message": {
        "platform": "wecom",
        "feed": "archive",
        "sender_role": "expert",
        "char_count": 2**31 - 1,
        "mentions": 3,
        "reply_to": "e0",
        "reply_to_member_id": "n",
        "is_question": True,
        "is_promotion": True,
        "labels": ["问候", "b"],
        "object_id": "poll-1",
        "value": -0.5,
        "campaign_id": "spring",
    },
    "join": {
        "role": "admin",
        "via": "qr_code",
        "inviter_id": "i",
        "source": "s",
        "campaign_id": "spring",
        "roster_version_before": "v1",
        "roster_version_after": "v2",
        "snapshot_id": "snap",
        "snapshot_size": 2**31 - 1,
    },
    "order": {
        "original_order_id": "o0",
        "coupon_codes": ["A", "B"],
        "discount_minor": -5,
        "campaign_id": "spring",
        "group_buy_id": "g",
        "staff_id": "s",
        "amount_minor": 2**53,
    },
    "referral": {"via": "link"},
}


def landed_event(event_type: str, **fields: Any) -> dict[str, Any]:
    replay = Replay()
    replay.send(event(event_type, "e", START_MS + 123, **fields))
    replay.drain()
    replay.flush()
    (row,) = replay.events
    return row


@pytest.mark.parametrize("event_type", list(FULL))
def test_every_field_of_an_event_lands_as_it_came(event_type: str) -> None:
    row = landed_event(event_type, **FULL[event_type])
    assert {name: row[name] for name in FULL[event_type]} == FULL[event_type]
    assert (row["event_id"], row["event_type"], row["community_id"]) == ("e", event_type, "c")
    assert row["occurred_at"] == moment(START_MS + 123)
    assert row["member_id"] == "m"
    assert (row["late"], row["version"]) == (0, 2)


@pytest.mark.parametrize("event_type", list(FULL))
def test_fields_without_a_value_are_left_out(event_type: str) -> None:
    row = landed_event(event_type)
    assert not {"labels", "items", "joined_at", "value", "platform"} & row.keys()


def test_unknown_words_land_beside_what_they_count_as() -> None:
    assert {name: landed_event("message", kind="hologram")[name] for name in ("kind", "kind_raw")} == {
        "kind": "other",
        "kind_raw": "hologram",
    }
    assert {name: landed_event("join", via="pigeon")[name] for name in ("via", "via_raw")} == {
        "via": "unknown",
        "via_raw": "pigeon",
    }


def test_fields_that_only_some_events_have_are_empty_for_the_others() -> None:
    replay = Replay()
    item = {"sku": "茶", "quantity": 2, "amount_minor": 7}
    replay.send(
        event("order", "a", START_MS, items=[item, {**item, "category": "drinks"}], coupon_codes=["X"]),
        event("order", "b", START_MS + 1, discount_minor=4),
        event("order", "c", START_MS + 2, items=[], staff_id="s"),
        event("message", "a", START_MS, labels=["x"], is_question=False, value=2.5),
        event("message", "b", START_MS + 1, labels=[]),
        event("message", "c", START_MS + 2, reply_to="a"),
        event("join", "a", START_MS, action="present", joined_at=rfc3339(0)),
        event("join", "b", START_MS + 1),
    )
    replay.drain()
    replay.flush()
    rows = {(row["event_type"], row["event_id"]): row for row in replay.events}
    filled = [{**item, "category": ""}, {**item, "category": "drinks"}]
    assert [rows["order", name]["items"] for name in "abc"] == [filled, [], []]
    assert [rows["order", name]["coupon_codes"] for name in "abc"] == [["X"], [], []]
    assert [rows["order", name]["discount_minor"] for name in "abc"] == [None, 4, None]
    assert [rows["order", name]["staff_id"] for name in "abc"] == ["", "", "s"]
    assert [rows["message", name]["labels"] for name in "abc"] == [["x"], [], []]
    assert [rows["message", name]["is_question"] for name in "abc"] == [False, None, None]
    assert [rows["message", name]["value"] for name in "abc"] == [2.5, None, None]
    assert [rows["message", name]["reply_to"] for name in "abc"] == ["", "", "a"]
    assert [rows["join", name]["joined_at"] for name in "ab"] == [moment(0), None]


def test_dead_letters_keep_the_original_bytes() -> None:
    refused = [
        RefusedRecord(EVENT_TOPICS[0], 3, 7, 1_000, b"\xff", b"\x00\xfe", "invalid_json", "no JSON"),
        RefusedRecord(EVENT_TOPICS[0], 3, 8, -1, None, None, "invalid_json", "tombstone"),
    ]
    first, second = dead_letter_rows(refused, "1.0").to_pylist()
    assert (first["key"], first["value"], first["offset"]) == (b"\xff", b"\x00\xfe", 7)
    assert (second["key"], second["value"], second["received_at"]) == (b"", b"", moment(0))


def test_a_broken_feed_stops_the_worker_once_a_full_window_was_seen() -> None:
    guard = BrokenFeedGuard(stop_share=0.5, window_records=100)
    guard.note(EVENT_TOPICS[0], 99, 99)
    with pytest.raises(BrokenFeed, match="DEAD_LETTER_STOP_SHARE"):
        guard.note(EVENT_TOPICS[0], 1, 0)


def test_a_feed_that_recovered_does_not_stop_the_worker() -> None:
    guard = BrokenFeedGuard(stop_share=0.5, window_records=100)
    guard.note(EVENT_TOPICS[0], 90, 90)
    for _ in range(10):
        guard.note(EVENT_TOPICS[1], 100, 0)
    assert guard.share == 0
    guard.note(EVENT_TOPICS[0], 50, 50)
    assert guard.share <= 0.5


def test_a_share_of_one_never_stops() -> None:
    guard = BrokenFeedGuard(stop_share=1.0, window_records=10)
    for _ in range(5):
        guard.note(EVENT_TOPICS[0], 10, 10)
    assert guard.share == 1


def test_a_later_generation_then_claim_then_checkpoint_wins() -> None:
    versions = [version_of(*parts) for parts in ((1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2**24 - 1, 2**32 - 1), (2, 1, 1))]
    assert versions == sorted(set(versions))
    assert [generation_of(version) for version in versions] == [1, 1, 1, 1, 2]
    assert version_of(255, 2**24 - 1, 2**32 - 1) < 2**64


def test_redo_rows_give_the_same_tables_again() -> None:
    tables = {"a": with_version(pa.table({"x": [1, 2]}), 2**63), "b": pa.table({"t": pa.array(["群"])})}
    rows = redo_rows(tables)
    found = {
        key.decode(): redo_table(payload)
        for key, payload in zip(rows.keys.to_pylist(), rows.payloads.to_pylist(), strict=True)
    }
    assert found == tables


def test_accounts_survive_their_checkpoint() -> None:
    account = TopicAccount(applied=1, duplicate=2, late=3, dead_lettered=4, misrouted=5, next_offset=6, consumed=15)
    assert TopicAccount(*account.numbers()) == account
    assert account.balanced()
    assert not TopicAccount(consumed=1).balanced()
    assert set(new_accounts()) == set(READ_TOPICS)


def test_clocks_start_before_all_time_and_never_go_back() -> None:
    clocks = EventClocks()
    assert clocks.ms(2).tolist() == [NEVER, NEVER]
    clocks.advance(np.array([5, 0, 5]), np.array([10, 3, 7]))
    clocks.advance(np.array([5, 0]), np.array([1, 4]))
    clocks.advance(np.empty(0, np.int64), np.empty(0, np.int64))
    assert clocks.ms(6).tolist() == [4, NEVER, NEVER, NEVER, NEVER, 10]


def test_what_an_id_stands_for_holds_every_community_and_every_time_of_the_contract() -> None:
    times = np.array([946_684_800_000, START_MS, 4_102_444_800_000])  # 2000, now, 2100
    community = np.array([0, 1, MAX_COMMUNITIES - 1])
    what = describe(community, np.array([0, 1, 2**32 - 1]), times, for_ever=False)
    assert minute_of(what).tolist() == (times // 60_000).tolist()
    assert (what >> np.uint64(44)).tolist() == community.tolist()
    assert minute_of(describe(community, community, times, for_ever=True)).tolist() == [FOR_EVER] * 3


def test_records_below_the_next_offset_are_skipped() -> None:
    replay = Replay()
    replay.send(*(event("message", f"m{n}", START_MS + n) for n in range(6)))
    topic = TOPIC_OF["message"]
    replay.partition.take(topic, replay.topics[topic][:4])
    replay.partition.take(topic, replay.topics[topic][2:5])
    replay.partition.take(topic, replay.topics[topic][:2])
    replay.drain()
    replay.flush()
    assert replay.partition.accounts[topic].consumed == 6
    assert replay.rows("activity_1d")[0]["messages"] == 6


def test_what_was_dropped_while_waiting_is_taken_again() -> None:
    replay = Replay()
    replay.send(event("message", "a", START_MS), event("join", "j", START_MS - DAY_MS // 2))
    replay.fetch(TOPIC_OF["message"], 10)
    replay.apply()
    replay.partition.drop_waiting()
    assert not replay.partition.waiting
    assert replay.partition.next_offset[TOPIC_OF["message"]] == 0
    replay.drain()
    replay.flush()
    (row,) = replay.rows("activity_1d")[-1:]
    assert row["messages"] == 1
    assert sum(account.consumed for account in replay.partition.accounts.values()) == 2


def test_offsets_with_gaps_are_counted_by_record() -> None:
    """Compaction and transactions leave holes in the offsets."""
    replay = Replay()
    topic = TOPIC_OF["message"]
    replay.send(*(event("message", f"m{n}", START_MS + n) for n in range(4)))
    records = replay.topics[topic]
    records[2].offset, records[3].offset = 10, 12
    replay.partition.take(topic, records)
    for other in EVENT_TOPICS:
        assert replay.partition.next_offset[other] == (13 if other == topic else 0)
    replay.partition.apply(dict.fromkeys(EVENT_TOPICS, replay.partition.arrivals), 0)
    assert replay.partition.accounts[topic].next_offset == 13
    assert replay.partition.accounts[topic].consumed == 4


def played(*parts: list[dict[str, Any]], restart: bool) -> Replay:
    """Each part sent, applied and flushed; with ``restart`` another worker takes over after each."""
    replay = Replay()
    for part in parts:
        replay.send(*part)
        replay.drain()
        replay.flush()
        if restart:
            replay.restart()
    return replay


def test_a_restarted_worker_merges_as_if_it_had_never_stopped() -> None:
    """What comes behind a later event of its topic is merged at that event's place, also after a restart."""
    before = [event("message", "far ahead", START_MS + 50 * 3_600_000, "one")]
    behind = event("message", "behind", START_MS + 10 * 3_600_000, "two")
    between = event("join", "between", START_MS + 49 * 3_600_000, "two")
    for restart in (False, True):
        replay = played(before, [behind, between], restart=restart)
        assert replay.partition.accounts[TOPIC_OF["message"]].late == 1


def test_now_does_not_go_back_at_a_restart() -> None:
    """In event mode a community is as old as the newest event of its partition, whoever works on it."""
    before = [event("message", "a", START_MS, "quiet"), event("message", "b", START_MS + 3 * DAY_MS, "busy")]
    after = [event("message", "c", START_MS + 1, "quiet")]
    for restart in (False, True):
        replay = played(before, after, restart=restart)
        now = {row["window"]: row for row in replay.rows("activity_now") if row["community_id"] == "quiet"}
        assert {window: row["messages"] for window, row in now.items()} == {"1h": 0, "24h": 0, "7d": 2, "30d": 2}
