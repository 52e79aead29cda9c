"""A worker that works on one edge, named `slow`, for so many seconds: `python -m tests.recovery.slow_worker SECONDS`.

Settled by the environment. As a late edge over a very large tree does, it keeps the event loop and Python busy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import streams.app
import streams.programs
from schemas.facts import EdgeFact, Fact
from streams.operators.referral_forest import ReferralForest
from streams.settings import Settings

SLOW = "slow"


def forest_that_takes(seconds: float) -> type[ReferralForest]:
    """A forest that is busy for so long when it hears of the edge."""

    class SlowForest(ReferralForest):
        def take(self, facts: Sequence[Fact]) -> None:
            if any(isinstance(fact, EdgeFact) and fact.event_id == SLOW for fact in facts):
                done = time.monotonic() + seconds
                while time.monotonic() < done:
                    sorted(range(100_000), key=lambda number: -number)
            super().take(facts)

    return SlowForest


if __name__ == "__main__":
    vars(streams.programs)["ReferralForest"] = forest_that_takes(float(sys.argv[1]))
    streams.app.run_worker(Settings())
