"""When to post: hours of the week and of the day, by the community's own clock, and how sure they are."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.oracle.quantiles import poisson_limits
from tests.views.examples import example, message, order
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts
from tests.views.simulated import FALSE_FINDINGS, SEEDS, clumped, put, seconds

# Three Mondays in Shanghai: 2, 4 and 0 messages at 20 h (12 h UTC), and a member of staff who does not count.
SHANGHAI = example(
    "例:晚八点",
    [
        *[message(f"2024-03-04 12:{minute}", "王芳") for minute in ("00", "01")],
        *[message(f"2024-03-11 12:{minute}", "李强", kind="reaction") for minute in ("00", "30", "31", "59")],
        message("2024-03-11 12:10", "客服", sender_role="staff"),
        message("2024-03-18 13:00", "王芳"),
    ],
    "Asia/Shanghai",
)
TEA = {"sku": "t", "category": "茶", "quantity": 2, "amount_minor": 100}
# Summer time begins in Berlin on the 31st. 18 h UTC is 19 h before and 20 h after.
BERLIN = example(
    "例:Sommerzeit",
    [
        order("2024-03-25 18:30", "a", "时1", 100, items=[TEA]),
        order("2024-03-25 18:40", "a", "时1", 100, items=[TEA]),  # told again
        order("2024-04-03 18:30", "a", "时2", 100, items=[TEA, TEA | {"sku": "u", "quantity": 3}]),
        order("2024-04-03 18:35", "b", "时3", 100, "refunded", items=[TEA]),
        order("2024-04-03 18:45", "b", "时4", 100),
    ],
    "Europe/Berlin",
)


def test_hours_of_the_week(known: Recounts) -> None:
    check(known, "activity_hours")


def test_orders_by_category_and_hour(known: Recounts) -> None:
    check(known, "order_hours")


def test_limits_of_orders_are_close_to_the_exact_poisson_ones(landed: Landed) -> None:
    found = landed.view("order_hours")
    assert len(found) > 30
    for row in found.itertuples():
        low, high = poisson_limits(row.orders)
        assert row.orders_low * row.days == pytest.approx(low, rel=0.02, abs=0.03)
        assert row.orders_high * row.days == pytest.approx(high, rel=0.02)


def test_a_monday_evening_by_hand(landed: Landed) -> None:
    figures = "days, activity, orders, activity_mean, activity_low, activity_high, activity_share"
    [row] = landed.clickhouse.rows(
        f"SELECT {figures} FROM qunpulse.activity_hours "
        "WHERE community_id = {c:String} AND weekday = 1 AND hour = 20",
        {"c": SHANGHAI},
    )
    # Counts 2, 4, 0: mean 2, Pearson (0 + 4 + 4) / 2 = 4 with 2 degrees of freedom. The other hour with a message,
    # Monday 21 h, has 0, 0, 1: mean 1/3, Pearson (1/9 + 1/9 + 4/9) / (1/3) = 2 with 2. Dispersion (4 + 2) / 4 = 1.5,
    # the hour's own is 2. shift = 1.96^2 * 2 / 6 = 1.2805; 3.2805 -+ sqrt(2 * 1.2805 * 2 + 1.2805^2) = 3.2805 -+ 2.6007
    assert row == pytest.approx((3, 6, 0, 2.0, 0.6798, 5.8812, 6 / 7), abs=2e-3)


def test_the_clock_change_moves_the_hour_by_hand(landed: Landed) -> None:
    found = landed.rows("order_hours", BERLIN, "category, hour, days, orders, buyers, quantity, share_of_category")
    assert found == [("", 20, 10, 1, 1, 0, 1.0), ("茶", 19, 10, 1, 1, 2, 0.5), ("茶", 20, 10, 1, 1, 5, 0.5)]
    offsets = landed.clickhouse.rows(
        "SELECT toString(starts_at), offset_seconds FROM qunpulse.community_offsets WHERE community_id = {c:String} "
        "AND starts_at >= '2024-01-01' AND starts_at < '2025-01-01' ORDER BY 1",
        {"c": BERLIN},
    )
    assert offsets == [("2024-03-31 01:00:00", 7200), ("2024-10-27 01:00:00", 3600)]


def test_best_hours_are_the_ten_largest_means(known: Recounts) -> None:
    check(known, "best_hours")


def test_the_two_hours_that_had_anything_by_hand(landed: Landed) -> None:
    hours = landed.rows("best_hours", SHANGHAI, "rank, weekday, hour, days, activity_mean, times_average")
    # the mean over the 168 hours of the week is (2 + 1/3) / 168
    assert hours == [
        (1, 1, 20, 3, 2.0, pytest.approx(2 * 168 / (7 / 3))),
        (2, 1, 21, 3, 1 / 3, pytest.approx(168 / 7)),
    ]


def test_offsets_of_every_community(landed: Landed) -> None:
    rows = landed.clickhouse.rows(
        "SELECT community_id, timezone, starts_at, offset_seconds FROM qunpulse.community_offsets "
        "WHERE starts_at BETWEEN '2024-01-01' AND '2024-12-31'"
    )
    assert {community for community, *_ in rows} >= {c for c, zone in landed.raw.zones.items() if "Berlin" in zone}
    for community, zone, starts_at, seconds_ahead in rows:
        assert zone == landed.raw.zones[community]
        at = starts_at.replace(tzinfo=dt.UTC)
        local = ZoneInfo(zone)
        assert at.astimezone(local).utcoffset() == dt.timedelta(seconds=seconds_ahead)
        assert (at - dt.timedelta(seconds=1)).astimezone(local).utcoffset() != dt.timedelta(seconds=seconds_ahead)


WEEKS = 16
MONDAY = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp())


def simulate_hours(landed: Landed, name: str, means: np.ndarray) -> None:
    """`SEEDS` communities with clumped counts in every hour of 16 weeks around the means of the week's 168 hours."""
    counts = clumped(np.random.default_rng(7), means, 3.0, (SEEDS, WEEKS, 168))
    seed, week, hour = np.nonzero(counts)
    put(
        landed.clickhouse,
        "activity_1m",
        {
            "community_id": np.array([f"{name}{n}" for n in range(SEEDS)])[seed],
            "window_start": seconds(MONDAY + week * 604_800 + hour * 3600),
            "messages": counts[seed, week, hour].astype("uint32"),
        },
    )
    days = np.tile(np.arange(WEEKS * 7), SEEDS)
    put(
        landed.clickhouse,
        "community_days",
        {
            "community_id": np.repeat([f"{name}{n}" for n in range(SEEDS)], WEEKS * 7),
            "local_date": (days + MONDAY // 86_400).astype("datetime64[D]"),
            "day": seconds(MONDAY + days * 86_400),
        },
    )
    names = [f"{name}{n}" for n in range(SEEDS)]
    put(landed.clickhouse, "communities", {"community_id": names, "timezone": ["UTC"] * SEEDS})


def test_where_all_hours_are_alike_none_is_called_better_and_the_interval_keeps_its_promise(landed: Landed) -> None:
    simulate_hours(landed, "sim-even:", np.full(168, 2.0))
    ask = landed.clickhouse.rows
    [(wrong,)] = ask(
        "SELECT uniqExact(community_id) FROM qunpulse.best_hours "
        "WHERE startsWith(community_id, 'sim-even:') AND surely_above_average"
    )
    assert wrong <= FALSE_FINDINGS
    [(covered, every)] = ask(
        "SELECT countIf(activity_low <= 2 AND activity_high >= 2), count() FROM qunpulse.activity_hours "
        "WHERE startsWith(community_id, 'sim-even:')"
    )
    assert every == SEEDS * 168
    assert 0.94 <= covered / every <= 0.985


def test_the_hour_that_is_better_is_found(landed: Landed) -> None:
    means = np.full(168, 2.0)
    means[24 * 2 + 20] = 12.0  # Wednesday 20 h
    simulate_hours(landed, "sim-peak:", means)
    [(right,)] = landed.clickhouse.rows(
        "SELECT countIf(rank = 1 AND weekday = 3 AND hour = 20 AND surely_above_average) FROM qunpulse.best_hours "
        "WHERE startsWith(community_id, 'sim-peak:')"
    )
    assert right >= 0.95 * SEEDS
