"""Who is active, who speaks, who is there."""

from __future__ import annotations

import datetime as dt

from tests.views.examples import example, join, message, order
from tests.views.landed import Landed
from tests.views.odd_communities import CLOCKS
from tests.views.recomputed import check
from tests.views.recounts import Recounts

MAY = "2024-05-{:02}"

WEEK = example(
    "例:活跃",
    [
        *(message(MAY.format(day), "天天") for day in range(1, 12)),
        message(MAY.format(1), "一次", kind="reaction"),
        order(MAY.format(3), "买家", "active-1", 100),
        order(MAY.format(4), "客服", "active-2", 100),  # staff buys
        message(MAY.format(5), "客服", sender_role="staff"),
        message(MAY.format(10) + " 17:00", "深夜"),  # 11 May in Shanghai
    ],
    "Asia/Shanghai",
)

ROSTER = example(
    "例:名册",
    [
        *(join(MAY.format(1), f"m{n}") for n in range(8)),
        join(MAY.format(1), "管家", role="staff"),
        message(MAY.format(2), "m0"),
        message(MAY.format(2), "m1"),
        message(MAY.format(2), "过客"),  # seen, never joined
        join(MAY.format(3), "m7", "left"),
        join(MAY.format(3) + " 18:00", "m7"),
        join(MAY.format(4), "m6", "removed"),
        message(MAY.format(5), "管家", sender_role="staff"),
        # a line for everybody who is there, but m5
        *(
            join(MAY.format(6), who, "present", role=role, snapshot_id="s", snapshot_size=8)
            for who, role in [*((f"m{n}", "member") for n in (0, 1, 2, 3, 4, 7)), ("过客", "member"), ("管家", "staff")]
        ),
        message(MAY.format(7), "m0"),
    ],
)

PARETO = example(
    "例:沉默的大多数",
    [
        *(join("2024-06-01", f"m{n}") for n in range(10)),
        *(message(f"2024-06-02 10:{n:02}", "m0") for n in range(6)),
        *(message(f"2024-06-02 11:{n:02}", "m1") for n in range(3)),
        message("2024-06-02", "m2"),
    ],
)


def test_active_members(known: Recounts) -> None:
    check(known, "active_members_daily")


def test_active_members_by_hand(landed: Landed) -> None:
    found = landed.rows("active_members_daily", WEEK, "toDayOfMonth(local_date), dau, wau, mau, dau_mau")
    assert found == [
        (1, 2, 2, 2, 1.0),
        (2, 1, 2, 2, 0.5),
        (3, 2, 3, 3, 2 / 3),
        (4, 1, 3, 3, 1 / 3),
        (5, 1, 3, 3, 1 / 3),
        (6, 1, 3, 3, 1 / 3),
        (7, 1, 3, 3, 1 / 3),
        (8, 1, 2, 3, 1 / 3),  # the reaction of the 1st has left the week
        (9, 1, 2, 3, 1 / 3),
        (10, 1, 1, 3, 1 / 3),
        (11, 2, 2, 4, 0.5),
    ]


def test_stays_on_the_roster(landed: Landed, known: Recounts) -> None:
    check(known, "roster_spells")
    # `members` says of somebody who only bought, after a complete snapshot, that they left with it, before they came
    differ = landed.clickhouse.rows(
        """SELECT community_id, member_id FROM qunpulse.roster_spells GROUP BY ALL HAVING countIf(until IS NULL) > 0
           EXCEPT
           SELECT community_id, member_id FROM qunpulse.members WHERE status != 'left' OR left_at < first_seen_at"""
    )
    assert differ == [], "who is still there in roster_spells must be who has not left in members"


def test_participation(known: Recounts) -> None:
    check(known, "participation_daily")


def test_participation_by_hand(landed: Landed) -> None:
    found = landed.rows(
        "participation_daily", ROSTER, "toDayOfMonth(local_date), speakers, roster, roster_at_end, participation_rate"
    )
    assert found == [
        (1, 0, 8, 8, 0.0),
        (2, 3, 9, 9, 3 / 9),
        (3, 0, 9, 9, 0.0),  # m7 left and came back
        (4, 0, 9, 8, 0.0),  # m6 was removed
        (5, 0, 8, 8, 0.0),
        (6, 0, 8, 7, 0.0),  # m5 is missing in the snapshot
        (7, 1, 7, 7, 1 / 7),
    ]
    assert landed.rows("roster_spells", ROSTER, "member_id, since_date, until_date")[7:10] == [
        ("m7", dt.date(2024, 5, 1), dt.date(2024, 5, 3)),
        ("m7", dt.date(2024, 5, 3), None),
        ("管家", dt.date(2024, 5, 1), None),
    ]


def test_inequality(known: Recounts) -> None:
    check(known, "participation_inequality")


def test_inequality_by_hand(landed: Landed) -> None:
    # ten members wrote 6, 3, 1 and seven times 0 messages: the sum of rank * messages is 10 * 6 + 9 * 3 + 8 * 1 = 95
    [(roster, speakers, messages, gini, top, rest, others)] = landed.rows(
        "participation_inequality",
        PARETO,
        "roster, speakers, messages, gini, top_1_percent_share, next_9_percent_share, other_90_percent_share",
    )
    assert (roster, speakers, messages) == (10, 3, 10)
    assert abs(gini - (2 * 95 / (10 * 10) - 11 / 10)) < 1e-12
    assert (top, rest) == (0.6, 0.0)  # 1 % and 10 % of ten members are one member
    assert abs(others - 0.4) < 1e-12


def test_active_days_of_each_member(known: Recounts) -> None:
    assert len(check(known, "member_active_dates")) > 100


def test_active_days_by_hand(landed: Landed) -> None:
    found = dict(landed.rows("member_active_dates", WEEK, "member_id, arrayMap(d -> toDayOfMonth(d), active_dates)"))
    assert found == {"一次": [1], "买家": [3], "深夜": [11], "天天": list(range(1, 12))}  # 客服 is staff


def test_local_days(known: Recounts) -> None:
    check(known, "local_days")


def test_a_day_of_23_hours_by_hand(landed: Landed) -> None:
    days = "toString(local_date), toString(day), toString(ends_at), hours"
    assert landed.rows("local_days", CLOCKS, days)[0] == (
        *("2024-03-31", "2024-03-30 23:00:00", "2024-03-31 22:00:00"),
        23.0,
    )
