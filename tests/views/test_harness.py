"""The shared feed holds the cases that views must get right, and lands exactly."""

from __future__ import annotations

import pytest

from tests.views.feed import EMPTY
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts


def test_the_feed_has_every_odd_case(landed: Landed) -> None:
    raw = landed.raw
    hours = raw.sql(
        """select distinct (lead(day_ms) over (partition by community_id order by local_date) - day_ms) / 3600000 as h
           from calendar"""
    )
    assert {23, 24, 25} <= set(hours["h"].dropna())
    [counts] = raw.sql(
        """select count(*) filter (refunded) as refunds, count(*) filter (status = 'cancelled') as cancelled,
             count(*) filter (of_staff) as staff_messages, count(*) filter (snapshot_id is not null) as listed,
             count(distinct currency) as currencies, count(*) filter (event_type = 'referral') as referrals,
             count(*) filter (len(coupon_codes) > 0) as with_coupon, count(*) filter (kind = 'coupon_claim') as claims
           from event"""
    ).to_dict("records")
    assert min(counts.values()) > 1, counts
    assert raw.sql("select order_id from event where paid group by 1 having count(distinct community_id) > 1").size > 1
    assert landed.clickhouse.scalar("SELECT count() FROM qunpulse.events WHERE late") == len(landed.feed.late) > 50
    assert landed.rows("communities", EMPTY, "timezone") == [("Asia/Shanghai",)]


@pytest.mark.parametrize(
    "view",
    ["activity_1m", "activity_1h", "activity_1d", "activity_rolling", "member_days", "revenue_1d", "members"],
)
def test_the_base_tables_equal_the_oracle_before_other_views_are_looked_at(known: Recounts, view: str) -> None:
    check(known, view)


def test_every_event_is_there_once(known: Recounts) -> None:
    check(known, "events")


def test_every_community_is_there_as_the_rules_describe_it(known: Recounts) -> None:
    check(known, "communities")
