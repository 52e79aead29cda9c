"""What lands at the edges: nothing, next to nothing, very long and very large."""

from __future__ import annotations

import datetime as dt

import pytest

from schemas.topics import EVENT_TOPICS, TOPIC_OF
from tests.batches import DAY_MS, HOUR_MS, Replay, event
from tests.made_up_feeds import START_MS
from tests.recount import ms_of

MAX_AMOUNT = 2**53


def landed(*events: dict[str, object], zone: str = "UTC", **settings: int) -> Replay:
    replay = Replay({"c": zone}, **settings)
    replay.send(*events)
    replay.drain()
    replay.flush()
    return replay


def tables(replay: Replay) -> set[str]:
    return {name for name, rows in replay.landed.items() if rows} - {"accounting"}


def test_a_flush_of_nothing_lands_the_accounts_only() -> None:
    replay = Replay()
    for _ in range(2):
        plan = replay.flush()
        assert set(plan.derived) == {"accounting"}
        assert (plan.events, plan.records) == ([], 0)
        replay.restart()
    assert tables(replay) == set()


def test_referrals_alone_make_a_member_and_no_activity() -> None:
    replay = landed(event("referral", "r", START_MS, referrer_id="甲", referee_id="乙"))
    (member,) = replay.rows("members")
    assert (member["member_id"], member["status"], member["role"], member["referrals"]) == (
        "甲",
        "observed",
        "member",
        1,
    )
    assert (member["last_seen_at"], member["joined_at"], member["typical_gap_days"]) == (None, None, None)
    assert tables(replay) == {"members", "communities", "activity_now"}
    assert {row["members"] for row in replay.rows("activity_now")} == {1}


def test_a_cancelled_order_and_a_snapshot_line_count_in_no_figure() -> None:
    replay = landed(event("order", "o", START_MS, status="cancelled"), event("join", "j", START_MS, action="present"))
    assert tables(replay) == {"members", "communities", "activity_now"}
    (member,) = replay.rows("members")
    assert (member["status"], member["orders"], member["last_seen_at"]) == ("active", 0, None)


def test_only_broken_records_land_dead_letters_only() -> None:
    replay = Replay()
    replay.send_record(EVENT_TOPICS[0], None, None)
    replay.drain()
    replay.flush()
    replay.restart()
    assert tables(replay) == {"dead_letters"}
    assert replay.partition.accounts[EVENT_TOPICS[0]].dead_lettered == 1
    assert replay.partition.next_offset[EVENT_TOPICS[0]] == 1


def test_leaving_without_ever_joining_leaves_nobody_behind() -> None:
    replay = landed(event("join", "l", START_MS, member_id="stranger", action="removed"))
    (member,), (community,) = replay.rows("members"), replay.rows("communities")
    assert (member["status"], member["joined_at"]) == ("left", None)
    assert member["left_at"] is not None
    assert community["members"] == 0


def test_a_community_of_one_whose_last_member_left_falls_silent_also_after_a_restart() -> None:
    replay = landed(event("message", "m", START_MS), event("join", "l", START_MS + 1, action="left"))
    assert {row["messages"] for row in replay.rows("activity_now")} == {1}
    replay.restart()
    replay.flush(START_MS + 40 * DAY_MS)
    now = replay.rows("activity_now")
    assert {(row["messages"], row["speakers"], row["leaves"], row["members"]) for row in now} == {(0, 0, 0, 0)}
    assert {row["as_of"] for row in now} > {None} or all(row["as_of"] for row in now)


def test_communities_of_waiting_records_do_not_land_and_do_not_shift_numbers() -> None:
    replay = Replay()
    replay.send(event("message", "w", START_MS + HOUR_MS, "waiting", member_id="w"))
    replay.fetch(EVENT_TOPICS[0], 10)  # numbered, but the other topics may still have older ones
    replay.send(event("message", "later", START_MS + 2 * HOUR_MS, "后", member_id="甲"))
    replay.send(event("join", "j", START_MS, "first", member_id="f"), event("join", "x", START_MS + DAY_MS, "x"))
    replay.fetch(TOPIC_OF["join"], 10)
    at_end = {TOPIC_OF["order"]: 9, TOPIC_OF["referral"]: 9}
    replay.partition.apply(at_end, 0)
    replay.flush()
    assert {row["community_id"] for row in replay.rows("communities")} == {"first", "waiting"} - {"waiting"} | {
        row["community_id"] for row in replay.rows("members")
    }
    replay.restart()
    replay.drain()
    replay.flush()
    assert {row["community_id"] for row in replay.rows("communities")} == {"waiting", "后", "first", "x"}
    assert {row["member_id"] for row in replay.rows("members")} == {"w", "甲", "f", "m"}
    assert "" not in {row["community_id"] for row in replay.rows("activity_now")}
    replay.restart()
    replay.flush(START_MS + 90 * DAY_MS)
    assert "" not in {row["community_id"] for row in replay.rows("activity_now")}


def test_history_of_a_century_lands_day_by_day() -> None:
    first, last = ms_of("2000-01-01T00:00:00+00:00"), ms_of("2096-10-02T00:00:00+00:00")
    replay = landed(event("message", "a", first), event("message", "b", last), zone="Asia/Shanghai")
    days = replay.rows("community_days")
    assert len(days) == (last - first) // DAY_MS + 1
    assert (days[0]["local_date"], days[-1]["local_date"]) == (dt.date(2000, 1, 1), dt.date(2096, 10, 2))
    (member,) = replay.rows("members")
    assert (member["active_days_30"], member["typical_gap_days"]) == (1, (last - first) // DAY_MS)


def test_a_date_that_the_zone_skipped_is_no_day() -> None:
    before, after = ms_of("2011-12-29T20:00:00+00:00"), ms_of("2012-01-01T20:00:00+00:00")
    replay = landed(event("message", "a", before), event("message", "b", after), zone="Pacific/Apia")
    dates = [row["local_date"].isoformat() for row in replay.rows("community_days")]
    assert dates == ["2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]
    assert len({row["day"] for row in replay.rows("community_days")}) == 4


def test_sums_of_the_largest_amounts_stop_at_the_largest_number_that_lands() -> None:
    orders = [event("order", f"o{n}", START_MS + n, amount_minor=MAX_AMOUNT) for n in range(1030)]
    replay = landed(*orders[:600])
    (day,) = replay.rows("revenue_1d")
    assert day["gmv_minor"] == 600 * MAX_AMOUNT
    replay.send(*orders[600:])
    replay.drain()
    replay.flush()
    replay.restart()
    replay.send(event("order", "more", START_MS + 2000, amount_minor=5))
    replay.drain()
    replay.flush()
    (day,), (member,) = replay.rows("revenue_1d"), replay.rows("members")
    assert day["gmv_minor"] == member["monetary_minor"] == 2**63 - 1
    assert (day["orders"], member["orders"], member["x"]) == (1031, 1031, 1030)


def test_one_batch_of_the_largest_amounts_does_not_wrap() -> None:
    orders = [event("order", f"o{n}", START_MS + n, amount_minor=MAX_AMOUNT) for n in range(2100)]
    (member,) = landed(*orders, batch_max_records=10_000).rows("members")
    assert member["monetary_minor"] == 2**63 - 1


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 70])
@pytest.mark.parametrize("backwards", [False, True])
def test_rhythm_is_that_of_the_last_32_active_days(count: int, backwards: bool) -> None:
    days = [at * at // 3 + at for at in range(count)]  # ever longer gaps
    events = [event("message", f"m{day}", START_MS + day * DAY_MS) for day in days]
    replay = Replay(lateness_ms=10_000 * DAY_MS)
    for one in events[::-1] if backwards else events:
        replay.send(one)
        replay.drain()
        if not backwards:
            replay.flush()
    replay.flush()
    (member,) = replay.rows("members")
    gaps = sorted(after - before for before, after in zip(days[-32:], days[-32:][1:], strict=False))
    middle = (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2 if gaps else None
    assert member["typical_gap_days"] == middle
    assert member["active_days_30"] == sum(day > days[-1] - 30 for day in days)


def test_expired_state_leaves_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.operators.keyed_rows._FEW", 0)
    monkeypatch.setattr("streams.operators.presence._FEW", 0)
    monkeypatch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 1)
    replay = Replay(lateness_ms=HOUR_MS)
    for day in range(100):
        at = START_MS + day * DAY_MS
        replay.send(event("message", f"m{day}", at), event("order", f"o{day}", at + 1))
        replay.drain()
        replay.flush()
    assert replay.state_rows("members") == replay.state_rows("communities") == 1
    assert replay.state_rows("revenue") <= 4
    for operator, most in (("pane_1m", 8), ("pane_1h", 80), ("pane_1d", 8), ("member_days", 8), ("presence", 8)):
        assert 1 <= replay.state_rows(operator) <= most, operator


def test_ids_of_every_script_and_length_land_as_they_came() -> None:
    ids = ["群", "x" * 64, "𠮷野家", "a\tb", "'; --", " ", "\u00e9", "e\u0301"]
    replay = Replay()
    for number, name in enumerate(ids):
        replay.send(event("message", name, START_MS + number, name, member_id=name))
        replay.send(event("join", name, START_MS + number, name, member_id=name))
    replay.drain()
    replay.flush()
    replay.restart()
    replay.send(
        *(event("message", f"{number}", START_MS + 99, name, member_id=name) for number, name in enumerate(ids))
    )
    replay.drain()
    replay.flush()
    assert {(row["community_id"], row["member_id"], row["messages"]) for row in replay.rows("members")} == {
        (name, name, 2) for name in ids
    }
