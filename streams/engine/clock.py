"""The event clocks of communities, and how far now trails the wall clock."""

from __future__ import annotations

import numpy as np

from streams.operators.base import NEVER, Ints, grown

LIVE_DELAY_MS = 60_000
"""In live mode the reference trails the wall clock by this much: what happened just now may still be on its way."""


class EventClocks:
    """The largest event time applied, by community number. It never goes back."""

    def __init__(self) -> None:
        self._ms = np.empty(0, np.int64)

    def ms(self, communities: int) -> Ints:
        """Clocks by community number, NEVER where nothing was applied yet; a view, and whoever decides writes to it."""
        self._ms = grown(self._ms, communities, NEVER)
        return self._ms[:communities]

    def advance(self, community: Ints, occurred_at_ms: Ints) -> None:
        """Move clocks forward to the given applied events."""
        if len(community):
            self.ms(int(community.max()) + 1)
            np.maximum.at(self._ms, community, occurred_at_ms)
