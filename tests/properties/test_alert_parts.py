"""The parts that alerts are made of, each against loops over lists."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.backtest.comparing import auc
from streams.operators.arrivals import Moments
from streams.operators.churn_model import KINDS, LONGEST_DAYS
from streams.operators.holidays import Holidays
from streams.operators.overdue import Overdue
from streams.operators.purchases import KEPT, Purchases
from streams.operators.rhythm import GAPS, Rhythms
from streams.operators.silence import NO_THRESHOLD, SilenceLimits, stay_away_chances, threshold_days
from streams.operators.silent_alerts import typical_and_longest
from streams.operators.timers import NO_DUE, Timers
from streams.return_curves import active_days, fit_curves

HOUR_MS = 3_600_000
seeds = st.integers(0, 2**32)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_timers_give_everybody_who_is_due_once_and_nobody_else(seed: int) -> None:
    chance = random.Random(seed)
    timers, due, now = Timers(), dict.fromkeys(range(12), NO_DUE), 0
    for _ in range(60):
        if chance.random() < 0.6:
            some = chance.sample(range(12), chance.randint(1, 4))
            times = [chance.choice([NO_DUE, now + chance.randrange(100 * HOUR_MS)]) for _ in some]
            timers.set(np.array(some), np.array(times))
            due.update(zip(some, times, strict=True))
        else:
            now += chance.choice([1, 600_000, HOUR_MS, 30 * HOUR_MS])
            found, times_found = timers.fall_due(now)
            expected = sorted(one for one, time in due.items() if time <= now)
            assert found.tolist() == expected
            assert times_found.tolist() == [due[one] for one in expected]
            due.update(dict.fromkeys(expected, NO_DUE))
        assert len(timers) >= sum(time != NO_DUE for time in due.values())


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_rhythm_is_that_of_the_members_days_in_any_order(seed: int) -> None:
    chance = random.Random(seed)
    rhythms = Rhythms()
    rhythms.room(3)
    days: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    latest = 100
    for _ in range(chance.randint(1, 60)):
        members = chance.sample(range(3), chance.randint(1, 3))
        latest += chance.choice([0, 0, 1, 1, 2, 7, 40])
        today = [max(latest - chance.choice([0, 0, 0, 1, 2, 5]), 1) for _ in members]
        # Only days among the latest 32 of a member can still come.
        kept = [
            n for n, (who, day) in enumerate(zip(members, today, strict=True)) if day > max(days[who], default=0) - 30
        ]
        who, day = np.array([members[n] for n in kept]), np.array([today[n] for n in kept])
        if len(who) == 0:
            continue
        new = rhythms.note(who, day, day - rhythms.last_day(who))
        for one, at, fresh in zip(who.tolist(), day.tolist(), new.tolist(), strict=True):
            assert fresh == (at not in days[one])
            days[one].add(at)
    everybody = np.arange(3)
    for one in range(3):
        mine = sorted(days[one])
        gaps = [min(later - earlier, 255) for earlier, later in pairwise(mine)][::-1]
        assert rhythms.active_days(everybody)[one] == len(mine)
        assert rhythms.kept(everybody)[one] == min(len(gaps), GAPS)
        assert rhythms.gaps(everybody)[one, : min(len(gaps), GAPS)].tolist() == gaps[:GAPS]
        if mine:
            assert rhythms.last_day(everybody)[one] == mine[-1]
            assert rhythms.active_days_30(everybody)[one] == sum(day > mine[-1] - 30 for day in mine)
    (rows,) = rhythms.dirty() or [None]
    if rows is not None:
        again = Rhythms()
        again.restore(rows.payloads)
        again.room(3)
        assert (again.gaps(everybody) == rhythms.gaps(everybody)).all()
        assert (again.last_day(everybody) == rhythms.last_day(everybody)).all()


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_purchases_are_the_days_of_orders_that_stand(seed: int) -> None:
    """Against a list of all orders, as long as refunds come among the latest orders."""
    chance = random.Random(seed)
    purchases, slot = Purchases(), 0
    purchases.slots(np.array([7]))
    orders: list[list[int]] = []  # day, amount left
    early: dict[int, int] = {}
    day = 10
    for number in range(chance.randint(1, 25)):
        day += chance.choice([0, 0, 1, 3, 20])
        amount = chance.choice([100, 250])
        if chance.random() < 0.1:  # the refund comes before its order
            purchases.taken_back(slot, number, day, amount)
            early[number] = amount
        orders.append([day, amount - early.get(number, 0)])
        purchases.paid(slot, number, day, amount)
        if chance.random() < 0.3:
            which = chance.randint(max(0, number - KEPT + 1), number)
            how = chance.choice([None, 100, 50])
            purchases.taken_back(slot, which, day, how)
            orders[which][1] = min(orders[which][1], 0) if how is None else orders[which][1] - how
    stands = sorted({when for when, left in orders if left > 0})
    days, first, last = (int(found[0]) for found in purchases.statistics(np.array([slot])))
    assert (days, first, last) == ((len(stands), stands[0], stands[-1]) if stands else (0, 0, 0))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_thresholds_are_those_of_the_formula_in_words(seed: int) -> None:
    chance = random.Random(seed)
    curves = np.sort(np.random.default_rng(seed).uniform(0.001, 1, (KINDS, LONGEST_DAYS + 1)), axis=1)[:, ::-1]
    limits = SilenceLimits(
        stay_away_chance=chance.choice([0.2, 0.5, 0.8]),
        latest_days=chance.choice([10, 30, 60]),
        strength=chance.choice([1.0, 16.0]),
        min_silent_days=chance.choice([3, 6]),
    )
    gaps = [[chance.choice([1, 2, 7, 30, 100]) for _ in range(chance.randint(0, GAPS))] for _ in range(5)]
    kinds = [chance.randrange(KINDS) for _ in gaps]
    table = np.zeros((5, GAPS), np.uint8)
    for row, own in enumerate(gaps):
        table[row, : len(own)] = own
    kept = np.array([len(own) for own in gaps])
    found = threshold_days(table, kept, kept + 1, np.array(kinds), curves, limits)
    chances = stay_away_chances(table, kept, np.array(kinds), curves, limits.strength, limits.latest_days)
    for row, own in enumerate(gaps):
        expected = NO_THRESHOLD
        for silent in range(limits.min_silent_days, limits.latest_days + 1):
            longer = sum(gap > silent for gap in own) + limits.strength * curves[kinds[row], silent]
            stays = sum(gap > silent + 30 for gap in own) + limits.strength * curves[kinds[row], silent + 30]
            assert chances[row, silent] == pytest.approx(stays / longer)
            surprising = silent >= 3 * max(own, default=0) + 4
            if stays / longer >= limits.stay_away_chance or surprising:
                expected = silent
                break
        assert found[row] == (expected if len(own) + 1 >= 4 else NO_THRESHOLD)
    median, longest = typical_and_longest(table, kept)
    for row, own in enumerate(gaps):
        assert (median[row], longest[row]) == ((statistics.median(own), max(own)) if own else (0, 0))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 80), max_size=30))
def test_days_without_holidays_count_up_and_back(holidays: set[int]) -> None:
    calendar, counted = Holidays(holidays), -1
    for day in range(100):
        counted += day not in holidays
        assert calendar.counted(np.array([day]))[0] == counted
        if day not in holidays:
            assert calendar.day_of(np.array([counted]))[0] == day


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_habits_and_gaps_of_active_days_are_those_of_loops(seed: int) -> None:
    chance = random.Random(seed)
    days = {member: sorted(chance.sample(range(150), chance.randint(1, 40))) for member in range(4)}
    pairs = [(member, day) for member, mine in days.items() for day in mine]
    chance.shuffle(pairs)
    end = 120
    found = active_days(np.array([m for m, _ in pairs]), np.array([d for _, d in pairs]), end)
    row = 0
    for member, everything in days.items():
        mine = [day for day in everything if day <= end]
        for at, day in enumerate(mine):
            assert (found.member[row], found.day[row], found.count[row]) == (member, day, at + 1)
            last = at + 1 == len(mine)
            assert (found.gap[row], found.ended[row]) == ((end - day, False) if last else (mine[at + 1] - day, True))
            assert found.recent[row] == sum(day - 30 < one <= day for one in mine)
            gaps = [mine[n] - mine[n - 1] for n in range(1, at + 1)][::-1][:GAPS]
            assert found.own[row, : found.kept[row]].tolist() == gaps
            row += 1
    assert row == len(found)


def test_curves_of_many_members_are_the_shares_that_came_back() -> None:
    """Members whose gaps are drawn from a known distribution, of whom a tenth never comes back after any active day."""
    chance = np.random.default_rng(1)
    members, days = [], []
    for member in range(4000):
        day = 0
        while True:
            members.append(member)
            days.append(day)
            if chance.random() < 0.1:
                break
            day += int(chance.geometric(0.2))
    (curves,) = fit_curves(active_days(np.array(members), np.array(days), max(days) + 1000))
    assert (np.diff(curves, axis=1) <= 0).all()
    assert ((curves > 0) & (curves <= 1)).all()
    for kind in (6, 7):  # 4 to 7 of 30 days, up to 7 or 24 in all: what such gaps lead to
        for silent in (1, 5, 20):
            assert curves[kind, silent] == pytest.approx(0.1 + 0.9 * 0.8**silent, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_chance_of_being_ranked_right(rows: list[tuple[int, bool]]) -> None:
    ones, zeros = [s for s, y in rows if y], [s for s, y in rows if not y]
    found = auc(np.array([s for s, _ in rows]), np.array([y for _, y in rows]))
    if not ones or not zeros:
        assert np.isnan(found)
    else:
        wins = sum((a > b) + 0.5 * (a == b) for a in ones for b in zeros)
        assert found == pytest.approx(wins / len(ones) / len(zeros))


def test_who_is_held_back_is_overdue_when_the_quiet_ends_and_not_at_all_once_back() -> None:
    day = 24 * HOUR_MS
    quiet = {"until": NO_DUE}

    def release(community: np.ndarray, due_ms: np.ndarray) -> np.ndarray:
        return np.where((community == 1) & (due_ms < quiet["until"]), quiet["until"], due_ms)

    overdue = Overdue(day, release)
    overdue.expect(np.array([0, 1, 2]), np.array([day, day, day]))
    communities = np.array([0, 1, 1])

    def fall(now: int) -> list[int]:
        times = np.full(2, now)
        return overdue.fall(
            lambda who: communities[who], Moments(np.array([now - day, now])), times, times
        ).subjects.tolist()

    assert fall(day) == [0]
    assert fall(3 * day) == []
    back = overdue.had_fallen(
        np.array([2]), np.array([1]), np.array([0]), np.array([3 * day]), Moments(np.array([3 * day]))
    )
    assert back.subjects.tolist() == []
    overdue.expect(np.array([2]), np.array([NO_DUE]))
    quiet["until"] = 4 * day
    assert fall(5 * day) == [1]


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_a_run_of_days_leaves_what_day_after_day_would(seed: int) -> None:
    chance = np.random.default_rng(seed)
    one_by_one, at_once = Rhythms(), Rhythms()
    members = chance.permutation(8)[: chance.integers(1, 8)]
    for rhythms in (one_by_one, at_once):
        rhythms.room(8)
    last = chance.integers(1, 50, len(members))
    for rhythms in (one_by_one, at_once):
        rhythms.note(members, last, np.ones(len(members), np.int64))
    for _ in range(3):
        count = chance.integers(1, GAPS + 6, len(members))
        steps = [chance.integers(1, 40, many) for many in count]
        days = [day + np.cumsum(step) for day, step in zip(last.tolist(), steps, strict=True)]
        at_once.note_run(members, count, np.concatenate(days), np.concatenate(steps))
        for member, mine, gaps in zip(members, days, steps, strict=True):
            for day, gap in zip(mine, gaps, strict=True):
                one_by_one.note(np.array([member]), np.array([day]), np.array([gap]))
        last = np.array([mine[-1] for mine in days])
    (left,), (right,) = one_by_one.dirty(), at_once.dirty()
    assert (left.keys, left.payloads) == (right.keys, right.payloads)
