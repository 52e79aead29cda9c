"""How long members wait for an answer."""

from __future__ import annotations

import datetime as dt

from tests.views.examples import example, message
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts

# 2024-03-29 is a Friday; on Sunday Berlin's clocks go forward.
TOLD = example(
    "例:答复",
    [
        message("2024-03-29T17:30:00+01:00", "甲", event_id="q1", is_question=True),
        message("2024-03-29T17:40:00+01:00", "甲", event_id="q1b", reply_to="q1"),  # the same member: no answer
        message("2024-03-29T17:45:00+01:00", "机器人", sender_role="bot", event_id="b", reply_to="q1"),
        message("2024-03-29T18:30:00+01:00", "乙", event_id="a1", reply_to="q1"),
        message("2024-04-01T09:15:00+02:00", "客服", sender_role="staff", event_id="a2", reply_to="q1"),
        message("2024-04-01T09:20:00+02:00", "丙", event_id="q2"),
        message("2024-04-03T09:20:00+02:00", "丙", kind="reaction", event_id="r", reply_to="q2"),  # no answer either
        message("2024-04-04T09:20:00+02:00", "客服", sender_role="staff", event_id="late", reply_to="q2"),
    ],
    "Europe/Berlin",
    service_hours="mon-fri 09:00-18:00",
)
ESTIMATED = example(
    "例:估计",
    [
        message("2024-05-01 10:00", "甲", event_id="1"),
        message("2024-05-01 10:01", "甲", event_id="2"),
        message("2024-05-01 10:05", "客服", sender_role="staff", event_id="3"),
        message("2024-05-01 10:07", "乙", event_id="4"),
        message("2024-05-01 10:08", "甲", event_id="5"),
        message("2024-05-01 10:09", "bot", sender_role="bot", event_id="6"),
    ],
)


def test_first_responses(known: Recounts) -> None:
    assert set(check(known, "first_responses")["method"]) == {"reply_to", "next_message"}


def test_response_times(known: Recounts) -> None:
    check(known, "response_times_daily")
    check(known, "response_times_monthly")


def test_answers_by_hand(landed: Landed) -> None:
    columns = "event_id, method, staff_seconds, staff_service_seconds, peer_seconds, peer_service_seconds"
    hour, minute = 3600, 60
    found = {row[0]: row[1:] for row in landed.rows("first_responses", TOLD, columns)}
    # from Friday 17:30 to Monday 9:15 are 63 h 45 min by the clock, an hour less than it shows; 30 + 15 min of service
    assert found["q1"] == ("reply_to", 62 * hour + 45 * minute, 45 * minute, hour, 30 * minute)
    assert found["q2"] == ("reply_to", 72 * hour, 27 * hour, None, None)
    days = (
        "local_date, responder, messages, answered, median_seconds, old_enough, unanswered_after_24h, unanswered_share"
    )
    assert landed.rows("response_times_daily", TOLD, days)[:2] == [
        (dt.date(2024, 3, 29), "peers", 3, 1, 3600, 3, 2, 2 / 3),
        (dt.date(2024, 3, 29), "staff", 3, 1, 62 * hour + 45 * minute, 3, 3, 1.0),
    ]


def test_a_month_s_answers_by_hand(landed: Landed) -> None:
    months = "month, responder, messages, answered, median_seconds, old_enough, unanswered_after_24h, unanswered_share"
    march, april, hour = dt.date(2024, 3, 1), dt.date(2024, 4, 1), 3600
    assert landed.rows("response_times_monthly", TOLD, months) == [
        (march, "peers", 3, 1, 3600, 3, 2, 2 / 3),
        (march, "staff", 3, 1, 62 * hour + 45 * 60, 3, 3, 1.0),
        (april, "peers", 1, 0, None, 1, 1, 1.0),
        (april, "staff", 1, 1, 72 * hour, 1, 1, 1.0),
    ]


def test_estimates_by_hand(landed: Landed) -> None:
    assert landed.rows("first_responses", ESTIMATED, "event_id, method, staff_seconds, peer_seconds") == [
        ("1", "next_message", 300, 420),
        ("2", "next_message", 240, 360),
        ("4", "next_message", None, 60),
        ("5", "next_message", None, None),
    ]
    days = "responder, messages, answered, median_seconds, old_enough, unanswered_share"
    assert landed.rows("response_times_daily", ESTIMATED, days) == [
        ("peers", 4, 3, 360, 0, None),
        ("staff", 4, 2, 270, 0, None),
    ]
