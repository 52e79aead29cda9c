"""Timers and rhythms of a million members: memory, and the time it takes to let a day pass. Run as a module."""

from __future__ import annotations

import json
import time

import numpy as np

from streams.operators.arrivals import Moments
from streams.operators.overdue import Overdue
from streams.operators.rhythm import Rhythms
from streams.operators.timers import NO_DUE

MEMBERS = 1_000_000
DAY_MS = 86_400_000


def main() -> None:
    """Members fall due over 30 days; each that does is expected again a week later."""
    chance = np.random.default_rng(1)
    overdue, members = Overdue(DAY_MS), np.arange(MEMBERS)
    start = 20_000 * DAY_MS
    due = start + chance.integers(1, 30, MEMBERS) * DAY_MS
    overdue.expect(members, due)
    # News comes for half of them and puts them off: nothing moves until their bucket falls due.
    lucky = chance.permutation(MEMBERS)[: MEMBERS // 2]
    due[lucky] += 10 * DAY_MS
    begun = time.perf_counter()
    overdue.expect(lucky, due[lucky])
    put_off = time.perf_counter() - begun
    community = np.zeros(MEMBERS, np.int64)
    days, most, fell = [], 0, 0
    for day in range(1, 41):
        now = np.array([start + day * DAY_MS])
        begun = time.perf_counter()
        fallen = overdue.fall(lambda who: community[who], Moments(np.array([now[0] - DAY_MS, now[0]])), now, now)
        days.append(time.perf_counter() - begun)
        expected = np.flatnonzero(due == now[0])
        assert np.array_equal(fallen.subjects, expected), f"day {day}: the wrong members fell due"
        due[expected] = NO_DUE
        fell += len(fallen.subjects)
        most = max(most, overdue.nbytes)
    assert fell == MEMBERS
    rhythms = Rhythms()
    rhythms.room(MEMBERS)
    figures = {
        "members": MEMBERS,
        "timer_megabytes": round(most / 1e6, 1),
        "rhythm_megabytes": round(rhythms.nbytes / 1e6, 1),
        "slowest_day_seconds": round(max(days), 3),
        "putting_off_half_a_million_seconds": round(put_off, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
