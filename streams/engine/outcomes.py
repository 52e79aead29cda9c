"""What becomes of each event of a merged stretch (duplicate, in conflict, late, applied), as if taken one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.engine.clock import EventClocks
from streams.engine.dedup import FOR_EVER, UNKNOWN, DedupIndex, minute_of
from streams.operators.base import Ints, Keys

APPLIED, DUPLICATE, LATE, CONFLICT = 0, 1, 2, 3

_MINUTE_MS = 60_000
_SEGMENT = np.int64(1) << 45
"""More than any event time in ms (year 3084): sets one community's running maximum apart from the next one's."""


@dataclass(slots=True)
class Stretch:
    """Events in merge order: their community, time, 128-bit id hash, and what they are (see ``dedup.describe``)."""

    community: Ints
    occurred_at_ms: Ints
    hashed: npt.NDArray[Any]
    what: Keys

    def __len__(self) -> int:
        return len(self.community)


def decide(stretch: Stretch, index: DedupIndex, clocks: EventClocks, lateness_ms: int, communities: int) -> Ints:
    """Outcome of each event; remembers applied ids and moves the clocks.

    The rule, one event after the other: an id applied before, whose minute has not fallen behind its community's clock
    by more than the lateness, is a duplicate, or in conflict when member or time differ; an older event is late (one
    that is remembered for ever never is); all others are applied and move the clock. The arrays below give the same
    answer; a property test holds them to it.
    """
    clock_ms = clocks.ms(communities)
    known = index.find(stretch.hashed)
    earlier = _earlier_copy(stretch.hashed)
    copies = earlier >= 0
    conflicting = (known != UNKNOWN) & (known != stretch.what)
    conflicting |= copies & (stretch.what[earlier] != stretch.what)
    if conflicting.any():
        outcome = _one_by_one(stretch, known, clock_ms, lateness_ms)
    else:
        outcome = _in_columns(stretch, known, earlier, clock_ms, lateness_ms)
    applied = outcome == APPLIED
    clocks.advance(stretch.community[applied], stretch.occurred_at_ms[applied])
    index.add(stretch.hashed[applied], stretch.what[applied])
    return outcome


def _in_columns(stretch: Stretch, known: Keys, earlier: Ints, clock_ms: Ints, lateness_ms: int) -> Ints:
    # Copies have the same time and late events are older than the clock, so neither ever moves it: the running
    # maximum over all events is the clock that each of them meets.
    horizon_ms = _running_clock(stretch, clock_ms) - lateness_ms
    permanent = minute_of(stretch.what) == FOR_EVER
    outcome = np.zeros(len(stretch), np.int64)
    outcome[~permanent & (stretch.occurred_at_ms < horizon_ms)] = LATE
    fresh_enough = permanent | (stretch.occurred_at_ms // _MINUTE_MS >= horizon_ms // _MINUTE_MS)
    outcome[(known != UNKNOWN) & fresh_enough] = DUPLICATE
    # A copy inside the stretch is a duplicate only of one that was taken in: a late one is not remembered.
    copies = np.flatnonzero(earlier >= 0)
    copies = copies[fresh_enough[copies] & (outcome[earlier[copies]] != LATE)]
    outcome[copies] = DUPLICATE
    return outcome


def _running_clock(stretch: Stretch, clock_ms: Ints) -> Ints:
    """The clock of its community that each event meets, before it moves it."""
    order = np.argsort(stretch.community, kind="stable")
    community, times = stretch.community[order], stretch.occurred_at_ms[order]
    begins = np.flatnonzero(np.concatenate(([True], community[1:] != community[:-1])))
    segment = np.zeros(len(order), np.int64)
    segment[begins[1:]] = 1
    segment = np.cumsum(segment)
    before = np.empty(len(order), np.int64)
    before[1:] = times[:-1]
    before[begins] = np.maximum(clock_ms[community[begins]], -_SEGMENT // 4)  # no event yet: older than all
    running = np.maximum.accumulate(before + segment * _SEGMENT) - segment * _SEGMENT
    result = np.empty(len(order), np.int64)
    result[order] = running
    return result


def _earlier_copy(hashed: npt.NDArray[Any]) -> Ints:
    """Position of the first event with the same hash, −1 for that first one itself."""
    order = np.lexsort((np.arange(len(hashed)), hashed[:, 1], hashed[:, 0]))
    first, second = hashed[order, 0], hashed[order, 1]
    new = np.concatenate(([True], (first[1:] != first[:-1]) | (second[1:] != second[:-1])))
    earliest = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    result = np.full(len(hashed), -1, np.int64)
    result[order[~new]] = earliest[~new]
    return result


def _one_by_one(stretch: Stretch, known: Keys, clock_ms: Ints, lateness_ms: int) -> Ints:
    """The rule itself, for stretches in which an id stands for different events."""
    clock = {number: int(clock_ms[number]) for number in np.unique(stretch.community).tolist()}
    remembered: dict[tuple[int, int], int] = {}
    minutes = minute_of(stretch.what).tolist()
    found_minutes = minute_of(known).tolist()
    outcome = np.empty(len(stretch), np.int64)
    columns = zip(
        stretch.community.tolist(),
        stretch.occurred_at_ms.tolist(),
        map(tuple, stretch.hashed.tolist()),
        stretch.what.tolist(),
        known.tolist(),
        strict=True,
    )
    minute_at: dict[int, int] = {}
    for position, (community, time_ms, hashed, what, found) in enumerate(columns):
        horizon_ms = clock[community] - lateness_ms
        minute_at[what] = minutes[position]
        if hashed not in remembered and found != UNKNOWN:
            remembered[hashed] = found
            minute_at[found] = found_minutes[position]
        before = remembered.get(hashed)
        if before is not None and minute_at[before] >= horizon_ms // _MINUTE_MS:
            outcome[position] = DUPLICATE if before == what else CONFLICT
        elif minutes[position] != FOR_EVER and time_ms < horizon_ms:
            outcome[position] = LATE
        else:
            outcome[position] = APPLIED
            remembered[hashed] = what
            clock[community] = max(clock[community], time_ms)
    return outcome
