"""What becomes of each event of a merged stretch: duplicate, in conflict, late or applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from streams.engine.clock import EventClocks
from streams.engine.dedup import FOR_EVER, UNKNOWN, DedupIndex, minute_of
from streams.operators.base import Ints, Keys

APPLIED, DUPLICATE, LATE, CONFLICT = 0, 1, 2, 3

_MINUTE_MS = 60_000
_FREE = -1


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
    that is remembered for ever never is); all others are applied and move the clock.
    """
    known = index.find(stretch.hashed)
    outcome = np.empty(len(stretch), np.int64)
    _decide(
        stretch.community,
        stretch.occurred_at_ms,
        stretch.hashed,
        stretch.what,
        minute_of(stretch.what),
        known,
        minute_of(known),
        lateness_ms,
        clocks.ms(communities),
        outcome,
    )
    applied = outcome == APPLIED
    index.add(stretch.hashed[applied], stretch.what[applied])
    return outcome


@njit(cache=True, nogil=True)
def _decide(community, occurred_at_ms, hashed, what, minute, known, known_minute, lateness_ms, clock_ms, outcome):  # type: ignore[no-untyped-def]
    """Fill in the outcomes and move the clocks."""
    size = 16
    while size < 2 * len(what):
        size *= 2
    # Where the last applied copy of an id inside this stretch stands: a hash table of positions.
    last_applied = np.full(size, _FREE, np.int64)
    mask = np.uint64(size - 1)
    for at in range(len(what)):
        slot = hashed[at, 0] & mask
        while last_applied[slot] != _FREE and (
            hashed[last_applied[slot], 0] != hashed[at, 0] or hashed[last_applied[slot], 1] != hashed[at, 1]
        ):
            slot = (slot + np.uint64(1)) & mask
        before, before_minute = known[at], known_minute[at]
        if last_applied[slot] != _FREE:
            before, before_minute = what[last_applied[slot]], minute[last_applied[slot]]
        horizon_ms = clock_ms[community[at]] - lateness_ms
        if before != UNKNOWN and before_minute >= horizon_ms // _MINUTE_MS:
            outcome[at] = DUPLICATE if before == what[at] else CONFLICT
        elif minute[at] != FOR_EVER and occurred_at_ms[at] < horizon_ms:
            outcome[at] = LATE
        else:
            outcome[at] = APPLIED
            last_applied[slot] = at
            clock_ms[community[at]] = max(clock_ms[community[at]], occurred_at_ms[at])
