"""Views that show a table as it is: a small community by hand, and the newest copy of every row."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.views.examples import example, join, message, order
from tests.views.landed import Landed

BOOK = example(
    "例:流水账",
    [
        join("2024-05-01 10:00", "甲"),
        message("2024-05-01 10:00:30", "甲", event_id="问"),
        message("2024-05-01 10:00:40", "乙", kind="link", reply_to="问"),
        message("2024-05-01 10:59", "甲", kind="check_in"),
        order("2024-05-01 11:00", "乙", "账1", 500),
        order("2024-05-01 15:59:59", "甲", "账2", 300),  # a second before midnight in Shanghai
        message("2024-05-01 16:00", "乙"),
        order("2024-05-03 10:00", "乙", "账1", 200, "refunded"),
        message("2024-05-03 10:00:30", "店员", sender_role="staff", kind="mystery"),
        join("2024-05-03 11:00", "甲", "left"),
    ],
    "Asia/Shanghai",
)
COUNTS = (
    "messages, speakers, interactions, active_members, staff_messages, joins, leaves, orders, refunds, buyers, links, "
    "check_ins, replies"
)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> dt.datetime:
    return dt.datetime(2024, 5, day, hour, minute, second, tzinfo=dt.UTC)


def test_minutes_hours_and_days_by_hand(landed: Landed) -> None:
    assert landed.rows("activity_1m", BOOK, f"window_start, {COUNTS}") == [
        (at(1, 10), 2, 2, 0, 2, 0, 1, 0, 0, 0, 0, 1, 0, 1),
        (at(1, 10, 59), 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0),
        (at(1, 11), 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0),
        (at(1, 15, 59), 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0),
        (at(1, 16), 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (at(3, 10), 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0),
        (at(3, 11), 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    ]
    hours = landed.rows("activity_1h", BOOK, f"window_start, {COUNTS}")
    assert hours[0] == (at(1, 10), 2, 2, 1, 2, 0, 1, 0, 0, 0, 0, 1, 1, 1)  # two minutes of the hour together
    assert len(hours) == 6
    assert landed.rows("activity_1d", BOOK, f"window_start, {COUNTS}") == [
        (dt.datetime(2024, 4, 30, 16, tzinfo=dt.UTC), 2, 2, 1, 2, 0, 1, 0, 2, 0, 2, 1, 1, 1),
        (at(1, 16), 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (at(2, 16), 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0),
    ]


def test_days_of_members_and_money_by_hand(landed: Landed) -> None:
    columns = "day, member_id, messages, interactions, orders, refunds, first_at, last_at"
    assert landed.rows("member_days", BOOK, columns) == [
        (dt.datetime(2024, 4, 30, 16, tzinfo=dt.UTC), "乙", 1, 0, 1, 0, at(1, 10, 0, 40), at(1, 11)),
        (dt.datetime(2024, 4, 30, 16, tzinfo=dt.UTC), "甲", 1, 1, 1, 0, at(1, 10, 0, 30), at(1, 15, 59, 59)),
        (at(1, 16), "乙", 1, 0, 0, 0, at(1, 16), at(1, 16)),
        (at(2, 16), "乙", 0, 0, 0, 1, at(3, 10), at(3, 10)),
    ]
    money = "window_start, currency, orders, refunds, gmv_minor, refunded_minor, buyers"
    assert landed.rows("revenue_1d", BOOK, money) == [
        (dt.datetime(2024, 4, 30, 16, tzinfo=dt.UTC), "EUR", 2, 0, 800, 0, 2),
        (at(2, 16), "EUR", 0, 1, 0, 200, 0),
    ]
    members = "member_id, status, role, messages, interactions, orders, active_days_30, last_seen_at, left_at"
    assert landed.rows("members", BOOK, members) == [
        ("乙", "observed", "member", 2, 0, 1, 2, at(1, 16), None),
        ("店员", "observed", "staff", 0, 0, 0, 0, at(3, 10, 0, 30), None),
        ("甲", "left", "member", 1, 1, 1, 1, at(1, 15, 59, 59), at(3, 11)),
    ]


def test_events_by_hand(landed: Landed) -> None:
    columns = "occurred_at, event_type, member_id, kind, kind_raw, action, status, amount_minor, late"
    assert landed.rows("events", BOOK, columns)[-4:] == [
        (at(1, 16), "message", "乙", "text", "", "", "", 0, 0),
        (at(3, 10), "order", "乙", "", "", "", "refunded", 200, 0),
        (at(3, 10, 0, 30), "message", "店员", "other", "mystery", "", "", 0, 0),
        (at(3, 11), "join", "甲", "", "", "left", "", 0, 0),
    ]


def test_definitions_by_hand(landed: Landed) -> None:
    """What holds where the rules file says nothing."""
    found = dict(landed.clickhouse.rows("SELECT name, value FROM qunpulse.definitions"))
    names = ("activation_days", "allowed_lateness_seconds", "points_check_in", "points_streak_bonus")
    assert [found[name] for name in names] == [7, 86_400, 5, 20]


def test_the_books_by_hand(landed: Landed) -> None:
    """Every record that was sent found one outcome; copies that were sent again were found out."""
    [(consumed, applied, duplicate, late, others)] = landed.clickhouse.rows(
        "SELECT sum(consumed), sum(applied), sum(duplicate), sum(late), sum(dead_lettered + misrouted) "
        "FROM qunpulse.accounting WHERE topic != 'community.referral-facts.v1'"
    )
    sent = len(landed.feed.events)
    once = len({(one["event_type"], one["community_id"], one["event_id"]) for one in landed.feed.events})
    assert (applied, duplicate, late, others) == (once, sent - once, len(landed.feed.late), 0)
    assert consumed == applied + duplicate + late


COPIES = {
    "alerts": ({"community_id": "副本", "alert_id": "a"}, "state", ("opened", "resolved")),
    "alert_deliveries": (
        {"community_id": "副本", "alert_id": "a", "state": "opened", "channel": "ops"},
        "outcome",
        ("waiting", "sent"),
    ),
    "alert_mutes": ({"community_id": "副本", "mute_id": "m"}, "lifted", (0, 1)),
    "alert_feeds": ({"feed": "副本", "partition": 0}, "communities", (7, 3)),
    "touches": ({"community_id": "副本", "kind": "thanks", "touch_id": "t"}, "held_out", (1, 0)),
    "dead_letters": (
        {"topic": "community.messages.v1", "partition": 63, "offset": 7},
        "error",
        ("invalid_field", "invalid_json"),
    ),
    "referral_nodes": ({"campaign_id": "副本", "member_id": "m"}, "direct", (1, 2)),
    "referral_credits": (
        {"campaign_id": "副本", "referee_id": "m", "edge_id": "e", "state": "matured"},
        "reason",
        ("early", "in time"),
    ),
    "activity_now": ({"community_id": "副本", "window": "7d"}, "messages", (9, 4)),
}


@pytest.mark.parametrize("view", COPIES)
def test_the_newest_copy_of_a_row_is_shown_by_hand(landed: Landed, view: str) -> None:
    """Whichever was written last: a worker that was replaced may write an older copy after a newer one."""
    key, column, (older, newer) = COPIES[view]
    names = ", ".join([*key, column, "version"])
    for value, version in ((newer, 5), (older, 4)):
        values = ", ".join(repr(part) for part in [*key.values(), value, version])
        landed.clickhouse.command(f"INSERT INTO qunpulse_store.{view} ({names}) VALUES ({values})")
    shown = landed.table(view).to_pandas()
    for name, wanted in key.items():
        if name in shown.columns:  # feeds are summed up over partitions
            shown = shown[shown[name] == wanted]
    assert shown[column].tolist() == [newer]
