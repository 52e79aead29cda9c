"""Promotion fatigue: how many promotions members had, who quit, who fell silent, and from which dose on."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest

from tests.views.examples import example, join, message
from tests.views.landed import Landed
from tests.views.recomputed import check
from tests.views.recounts import Recounts
from tests.views.simulated import FALSE_FINDINGS, SEEDS, milliseconds, put, seconds

SMALL = example(
    "例:广告疲劳",
    [
        join("2024-03-01 00:00", "王芳"),
        join("2024-03-01 00:00", "李强"),
        join("2024-03-03 12:00", "新人"),
        message("2024-03-02 10:00", "客服", sender_role="staff", is_promotion=True),
        message("2024-03-03 10:00", "客服", sender_role="staff", is_promotion=True),
        message("2024-03-03 11:00", "王芳"),
        join("2024-03-04 09:00", "李强", "left"),
        join("2024-03-04 09:30", "新人", "removed"),
        join("2024-03-05 10:00", "李强"),
        message("2024-03-05 12:00", "王芳"),
    ],
)


def test_stays_of_members(known: Recounts) -> None:
    assert {"left", "removed", "missing", ""} <= set(check(known, "memberships")["ended_by"])


def test_exposure_of_every_member_on_every_day(known: Recounts) -> None:
    exposure = check(known, "promotion_exposure")
    assert exposure["dose"].max() > 3
    assert exposure[["quits", "fell_silent"]].sum().min() > 10


def test_sums_by_dose_with_wilson_s_interval(landed: Landed, known: Recounts) -> None:
    check(known, "promotion_fatigue")
    for row in landed.view("promotion_fatigue").itertuples():
        # Wilson: the shares whose standard error times 1.96 reaches the one that was seen
        for end in (row.quit_low, row.quit_high):
            reach = 1.959964 * math.sqrt(end * (1 - end) / row.member_days)
            assert abs(end - row.quit_share) == pytest.approx(reach, rel=1e-3, abs=1e-9)
        assert row.quit_low <= row.quit_share <= row.quit_high


def test_the_dose_at_which_quits_rise(known: Recounts) -> None:
    check(known, "promotion_fatigue_dose")


def test_three_members_by_hand(landed: Landed) -> None:
    """1 and 2 March: two are there, no promotion came. 3 March: both had 1. 4 March: both had 2, and the newcomer, who
    came after the second, none; one of the two quits, the newcomer is removed, which is no quit. 5 March is the last
    day and left out. No day has six more behind it: nothing can be said of silence.
    """
    found = landed.rows("promotion_exposure", SMALL, "toString(local_date), dose, members, quits, recently_active")
    assert found == [
        ("2024-03-01", 0, 2, 0, 0),
        ("2024-03-02", 0, 2, 0, 0),
        ("2024-03-03", 1, 2, 0, 0),
        ("2024-03-04", 0, 1, 0, 0),
        ("2024-03-04", 2, 2, 1, 0),
    ]
    stays = landed.rows("memberships", SMALL, "member_id, toString(starts_at), ended_by, quit")
    assert ("李强", "2024-03-01 00:00:00.000", "left", 1) in stays
    assert ("李强", "2024-03-05 10:00:00.000", "", 0) in stays
    doses = landed.rows(
        "promotion_fatigue", SMALL, "dose, member_days, quits, quit_share, active_member_days, silent_share"
    )
    assert doses == [(0, 5, 0, 0.0, 0, None), (1, 2, 0, 0.0, 0, None), (2, 2, 1, 0.5, 0, None)]
    [row] = landed.rows("promotion_fatigue_dose", SMALL, "member_days, quits, rises, dose")
    assert row == (9, 1, 0, None)


# -- does it find what is there, and nothing where there is nothing? --------------------------------------------------

DAYS, MEMBERS, DAY_MS = 63, 120, 86_400_000
START = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000


def simulate(landed: Landed, name: str, hazard_at: int | None) -> None:
    """Members quit with a chance of 0.4 % a day, five times that from a dose on; some days are bad."""
    chance = np.random.default_rng(20)
    pace = chance.choice([0.0, 1.0, 2.0, 4.0], (SEEDS, DAYS // 7)).repeat(7, axis=1)
    posts = chance.poisson(pace)
    doses = np.cumsum(posts, axis=1) - posts  # before the day; a promotion is posted at noon
    doses[:, 7:] -= np.cumsum(posts, axis=1)[:, :-7] - posts[:, :-7]
    bad_days = chance.gamma(1.0, 1.0, (SEEDS, DAYS))  # all members share them: quits come together
    hazard = 0.004 * bad_days * (np.where(doses >= hazard_at, 5, 1) if hazard_at else 1)
    survives = chance.random((SEEDS, MEMBERS, DAYS)) >= hazard[:, None, :]
    quit_day = np.where(survives.all(axis=2), -1, (~survives).argmax(axis=2))
    homes = np.array([f"{name}{seed}" for seed in range(SEEDS)])
    seed, day = np.nonzero(posts)
    count = posts[seed, day]
    seed, day = seed.repeat(count), day.repeat(count)
    put(
        landed.clickhouse,
        "events",
        {
            "event_id": np.arange(len(seed)).astype(str),
            "event_type": ["message"] * len(seed),
            "occurred_at": milliseconds(START + day * DAY_MS + DAY_MS // 2 + np.arange(len(seed)) % 1000),
            "community_id": homes[seed],
            "is_promotion": pa.array([True] * len(seed)),
        },
    )
    seed, member = np.nonzero(quit_day >= 0)
    put(
        landed.clickhouse,
        "events",
        {
            "event_id": np.char.add("q", np.arange(len(seed)).astype(str)),
            "event_type": ["join"] * len(seed),
            "action": ["left"] * len(seed),
            "occurred_at": milliseconds(START + quit_day[seed, member] * DAY_MS + DAY_MS // 3),
            "community_id": homes[seed],
            "member_id": member.astype(str),
        },
    )
    put(
        landed.clickhouse,
        "members",
        {
            "community_id": homes.repeat(MEMBERS),
            "member_id": np.tile(np.arange(MEMBERS), SEEDS).astype(str),
            "status": ["active"] * (SEEDS * MEMBERS),
            "role": ["member"] * (SEEDS * MEMBERS),
            "first_seen_at": milliseconds(np.full(SEEDS * MEMBERS, START - 10 * DAY_MS)),
        },
    )
    days = np.tile(np.arange(DAYS + 1), SEEDS)
    put(
        landed.clickhouse,
        "community_days",
        {
            "community_id": homes.repeat(DAYS + 1),
            "local_date": (days + START // DAY_MS).astype("datetime64[D]"),
            "day": seconds(START // 1000 + days * 86_400),
        },
    )


def test_where_promotions_do_no_harm_none_is_found(landed: Landed) -> None:
    simulate(landed, "sim-patient:", None)
    [(false, all_of_them)] = landed.clickhouse.rows(
        "SELECT countIf(rises), count() FROM qunpulse.promotion_fatigue_dose "
        "WHERE startsWith(community_id, 'sim-patient:')"
    )
    assert all_of_them == SEEDS
    assert false <= FALSE_FINDINGS


def test_the_dose_that_does_harm_is_found_with_its_interval(landed: Landed) -> None:
    simulate(landed, "sim-tired:", 10)
    [(found, held, doubled)] = landed.clickhouse.rows(
        "SELECT countIf(rises), countIf(rises AND dose_low <= 10 AND dose_high >= 10), "
        "countIf(rises AND times_low <= 5 AND times_high >= 5) "
        "FROM qunpulse.promotion_fatigue_dose WHERE startsWith(community_id, 'sim-tired:')"
    )
    assert found >= 0.75 * SEEDS
    assert held >= 0.9 * found
    assert doubled >= 0.85 * found  # the ratio is that of the chosen step, which is a little too good
