"""The oracle itself, against examples small enough to be worked out by hand."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from tests.oracle import TABLES, TOPIC_OF, Oracle, compare, milliseconds
from tests.oracle.local_days import day_start_ms, local_date

COMMUNITY = "c"


def event(event_type: str, event_id: str, at: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """A minimal valid event of the community, with its topic."""
    defaults: dict[str, dict[str, Any]] = {
        "message": {"member_id": "ann", "kind": "text"},
        "join": {"member_id": "ann", "action": "joined"},
        "order": {"member_id": "ann", "order_id": event_id, "status": "paid", "amount_minor": 100, "currency": "CNY"},
        "referral": {"campaign_id": "x", "referrer_id": "ann", "referee_id": "bob"},
    }
    common = {"event_id": event_id, "event_type": event_type, "schema_version": 1, "occurred_at": at}
    return TOPIC_OF[event_type], {**common, "community_id": COMMUNITY, **defaults[event_type], **fields}


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The table's rows in order, cut to some columns."""
    ordered = table.sort_values(list(table.columns[:4]))
    return list(ordered[list(columns)].itertuples(index=False, name=None))


def member(oracle: Oracle, name: str) -> dict[str, Any]:
    """One row of `members`."""
    table = oracle.table("members")
    found: dict[str, Any] = table[table.member_id == name].iloc[0].to_dict()
    return found


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def test_each_figure_counts_what_its_definition_says() -> None:
    at = "2024-05-01T10:00:30Z"
    oracle = Oracle(
        [
            event("message", "1", at, reply_to="0"),
            event("message", "2", at, member_id="bob", kind="link", is_promotion=True),
            event("message", "3", at, member_id="bob", kind="reaction"),
            event("message", "4", at, member_id="cat", kind="check_in", is_promotion=True),
            event("message", "5", at, member_id="dan", kind="hologram", sender_role="admin"),
            event("message", "6", at, member_id="eve", sender_role="bot", kind="link", is_promotion=True, reply_to="1"),
            event("message", "7", at, member_id="eve", sender_role="staff", kind="reaction"),
            event("join", "8", at, member_id="fay"),
            event("join", "9", at, member_id="fay", action="removed"),
            event("join", "10", at, member_id="ann", action="present", snapshot_id="s", snapshot_size=9),
            event("order", "11", at, member_id="gus"),
            event("order", "12", at, member_id="gus", status="refunded", amount_minor=40),
            event("order", "13", at, member_id="hal", status="cancelled"),
            event("referral", "14", at),
        ]
    )
    assert oracle.table("activity_1m").drop(columns=["community_id", "window_start"]).iloc[0].to_dict() == {
        "messages": 3,
        "speakers": 3,
        "interactions": 2,
        "active_members": 5,
        "staff_messages": 2,
        "joins": 1,
        "leaves": 1,
        "orders": 1,
        "refunds": 1,
        "buyers": 1,
        "promotions": 2,
        "links": 1,
        "check_ins": 1,
        "replies": 1,
    }
    assert rows(
        oracle.table("revenue_1d"), "currency", "orders", "refunds", "gmv_minor", "refunded_minor", "buyers"
    ) == [("CNY", 1, 1, 100, 40, 1)]
    assert set(oracle.table("member_days").member_id) == {"ann", "bob", "cat", "dan", "gus"}


def test_windows_hold_their_start_and_not_their_end_and_empty_ones_have_no_row() -> None:
    oracle = Oracle(
        [
            event("message", "1", "2024-05-01T10:00:00Z"),
            event("message", "2", "2024-05-01T10:59:59.999Z"),
            event("message", "3", "2024-05-01T11:00:00Z"),
            event("order", "4", "2024-05-01T12:00:00Z", status="cancelled"),
        ]
    )
    assert rows(oracle.table("activity_1h"), "window_start", "messages") == [
        (utc("2024-05-01 10:00"), 2),
        (utc("2024-05-01 11:00"), 1),
    ]
    assert len(oracle.table("activity_1m")) == 3


def test_local_days_have_23_and_25_hours_when_clocks_change() -> None:
    oracle = Oracle(
        [
            event("message", "1", "2024-03-31T21:59:59Z"),  # 23:59:59 on a day of 23 hours in Berlin
            event("message", "2", "2024-03-31T22:00:00Z"),
            event("message", "3", "2024-10-26T22:00:00Z"),
            event("message", "4", "2024-10-27T22:59:59Z"),  # a day of 25 hours
        ],
        timezones={COMMUNITY: "Europe/Berlin"},
    )
    assert rows(oracle.table("activity_1d"), "window_start", "messages") == [
        (utc("2024-03-30 23:00"), 1),
        (utc("2024-03-31 22:00"), 1),
        (utc("2024-10-26 22:00"), 2),
    ]


@pytest.mark.parametrize(
    ("zone", "date", "start"),
    [
        ("Asia/Shanghai", "2024-05-01", "2024-04-30T16:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),  # midnight did not exist
        ("America/Havana", "2024-11-03", "2024-11-03T04:00:00Z"),  # midnight came twice
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),  # went back one minute after midnight
    ],
)
def test_a_day_starts_at_the_first_instant_with_its_date(zone: str, date: str, start: str) -> None:
    day = dt.date.fromisoformat(date)
    assert day_start_ms(day, zone) == milliseconds(start)
    assert local_date(milliseconds(start), zone) == day
    assert local_date(milliseconds(start) - 1, zone) < day


def test_a_date_that_a_zone_skipped_is_no_day() -> None:
    assert day_start_ms(dt.date(2011, 12, 30), "Pacific/Apia") is None
    oracle = Oracle(
        [event("message", "1", "2011-12-30T09:00:00Z"), event("message", "2", "2011-12-30T11:00:00Z", member_id="bob")],
        timezones={COMMUNITY: "Pacific/Apia"},
    )
    table = oracle.table("activity_rolling")
    assert rows(table[table.window == "7d"], "day", "messages") == [
        (utc("2011-12-29 10:00"), 1),
        (utc("2011-12-30 10:00"), 2),
    ]


def test_rolling_windows_count_distinct_members_and_have_rows_on_silent_days() -> None:
    oracle = Oracle(
        [
            event("message", "1", "2024-05-01T10:00:00Z"),
            event("message", "2", "2024-05-02T10:00:00Z"),
            event("message", "3", "2024-05-09T10:00:00Z", member_id="bob"),
        ]
    )
    table = oracle.table("activity_rolling")
    weeks = table[table.window == "7d"].sort_values("day")
    assert list(weeks.messages) == [1, 2, 2, 2, 2, 2, 2, 1, 1]
    assert list(weeks.speakers) == [1, 1, 1, 1, 1, 1, 1, 1, 1]
    months = table[table.window == "30d"].sort_values("day")
    assert list(months.speakers) == [1] * 8 + [2]
    assert len(table[table.window == "1d"]) == 3


def test_activity_now_is_exact_for_any_as_of() -> None:
    oracle = Oracle(
        [event("message", "1", "2024-05-01T10:00:00Z"), event("message", "2", "2024-05-01T10:59:00Z", member_id="bob")]
    )
    as_of = dt.datetime(2024, 5, 1, 11, 1, tzinfo=dt.UTC)
    now = oracle.activity_now([(COMMUNITY, "1h", as_of), (COMMUNITY, "24h", as_of)])
    assert rows(now, "window", "as_of", "speakers", "members") == [
        ("1h", pd.Timestamp(as_of), 1, 2),
        ("24h", pd.Timestamp(as_of), 2, 2),
    ]


def test_status_follows_the_latest_roster_event_and_later_messages() -> None:
    oracle = Oracle(
        [
            event("join", "1", "2024-05-01T10:00:00Z"),
            event("join", "2", "2024-05-02T10:00:00Z", action="left"),
            event("join", "3", "2024-05-02T10:00:00Z", member_id="bob"),
            event("join", "4", "2024-05-02T10:00:00Z", member_id="bob", action="removed"),  # same time: the higher rank
            event("message", "5", "2024-05-03T10:00:00Z", member_id="bob", kind="reaction"),
            event("message", "6", "2024-05-03T10:00:00Z", member_id="cat", sender_role="expert"),
            event("order", "7", "2024-05-03T10:00:00Z", member_id="dan", status="cancelled"),
            event("join", "8", "2024-05-04T10:00:00Z", member_id="eve", role="admin"),
        ]
    )
    assert rows(oracle.table("members"), "member_id", "status", "role") == [
        ("ann", "left", "member"),
        ("bob", "observed", "member"),
        ("cat", "observed", "expert"),
        ("dan", "observed", "member"),
        ("eve", "active", "admin"),
    ]
    assert member(oracle, "ann")["left_at"] == utc("2024-05-02 10:00")
    assert pd.isna(member(oracle, "dan")["last_seen_at"])


def test_a_complete_snapshot_makes_missing_members_gone_and_an_incomplete_one_says_nothing() -> None:
    feed = [
        event("join", "1", "2024-05-01T10:00:00Z"),
        event("message", "2", "2024-05-01T10:00:00Z", member_id="bob"),
        event("message", "3", "2024-05-03T10:00:00Z", member_id="cat"),
        event("join", "4", "2024-05-02T10:00:00Z", member_id="dan", action="present", snapshot_id="s", snapshot_size=2),
    ]
    last = event(
        "join",
        "5",
        "2024-05-02T10:00:01Z",
        member_id="eve",
        action="present",
        snapshot_id="s",
        snapshot_size=2,
        joined_at="2024-01-01T00:00:00Z",
    )
    assert set(Oracle(feed).table("members").status) == {"active", "observed"}
    complete = Oracle([*feed, last])
    assert rows(complete.table("members"), "member_id", "status") == [
        ("ann", "left"),
        ("bob", "left"),
        ("cat", "observed"),  # posted after the snapshot
        ("dan", "active"),
        ("eve", "active"),
    ]
    assert member(complete, "ann")["left_at"] == utc("2024-05-02 10:00")
    assert member(complete, "eve")["joined_at"] == utc("2024-01-01")
    assert complete.table("activity_1d").joins.sum() == 1


def test_a_later_snapshot_does_not_move_the_time_somebody_went() -> None:
    lines = [
        event(
            "join", day, f"2024-05-{day}T10:00:00Z", member_id="bob", action="present", snapshot_id=day, snapshot_size=1
        )
        for day in ("02", "03", "04")
    ]
    oracle = Oracle([event("join", "1", "2024-05-01T10:00:00Z"), *lines])
    assert member(oracle, "ann")["left_at"] == utc("2024-05-02 10:00")


def test_cadence_is_taken_from_the_last_active_days() -> None:
    days = [1, 2, 5, 9]
    oracle = Oracle([event("message", str(day), f"2024-05-{day:02}T10:00:00Z") for day in days])
    assert member(oracle, "ann")["typical_gap_days"] == 3.0
    assert member(oracle, "ann")["active_days_30"] == 4

    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    daily = [first + dt.timedelta(days=number) for number in (-100, *range(32))]
    oracle = Oracle([event("message", str(at), at.isoformat()) for at in daily])
    assert member(oracle, "ann")["typical_gap_days"] == 1.0  # the gap of 100 days lies before the last 32
    assert member(oracle, "ann")["active_days_30"] == 30


def test_duplicates_late_and_conflicting_records_are_told_apart() -> None:
    feed = [
        event("message", "1", "2024-05-10T10:00:00Z"),
        event("message", "1", "2024-05-10T10:00:00Z"),
        event("message", "1", "2024-05-10T10:00:00Z", member_id="bob"),
        event("join", "1", "2024-05-10T10:00:00Z"),  # another topic: an id of its own
        event("message", "2", "2024-05-09T10:00:00Z"),  # exactly the lateness old: in time
        event("message", "3", "2024-05-09T09:59:59.999Z"),
        event("message", "3", "2024-05-09T09:59:59.999Z"),
        event("referral", "4", "2023-01-01T00:00:00Z"),
        event("referral", "4", "2023-01-01T00:00:00Z"),
        event("message", "5", "2024-05-01T00:00:00Z", community_id="other"),
    ]
    oracle = Oracle(feed, lateness=dt.timedelta(days=1))
    assert oracle.accounting == {
        "community.messages.v1": {"applied": 3, "duplicate": 1, "conflicting": 1, "late": 2},
        "community.joins.v1": {"applied": 1},
        "community.referrals.v1": {"applied": 1, "duplicate": 1},
    }
    assert oracle.table("activity_1d").messages.sum() == 3


def test_times_are_truncated_to_milliseconds() -> None:
    assert milliseconds("2024-05-01T10:00:00.9999+08:00") == milliseconds("2024-05-01T02:00:00.999Z")


def test_compare_sees_every_kind_of_difference() -> None:
    oracle = Oracle(
        [event("message", str(day), f"2024-05-0{day}T10:00:00Z") for day in (1, 2, 3)]
        + [event("order", "9", "2024-05-03T10:00:00Z")]
    )
    for name in TABLES:
        expected = oracle.table(name)
        shuffled = expected.sample(frac=1, random_state=1)
        assert compare(name, shuffled, expected) == []
        assert compare(name, shuffled.iloc[1:], expected)
        assert compare(name, pd.concat([shuffled, shuffled.iloc[:1]]), expected)
        assert compare(name, shuffled, expected.iloc[1:], may_be_empty=True)
        assert compare(name, shuffled.drop(columns=expected.columns[-1]), expected)

    expected = oracle.table("member_days")
    changed = expected.copy()
    changed.loc[0, "messages"] += 1
    assert "member_days.messages: 1 of 3 rows differ" in compare("member_days", changed, expected)[0]
    changed = expected.copy()
    changed["last_at"] = changed["last_at"] + pd.Timedelta(milliseconds=1)
    assert "member_days.last_at: 3 of 3 rows differ" in compare("member_days", changed, expected)[0]


def test_nothing_compared_with_nothing_is_a_difference() -> None:
    empty = Oracle([]).table("activity_1d")
    assert compare("activity_1d", empty, empty)
    assert compare("activity_1d", empty, empty, may_be_empty=True) == []
