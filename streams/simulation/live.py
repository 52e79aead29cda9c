"""Simulated communities happening now: for trying things out without a platform."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np

from streams.simulation.feed import simulate
from streams.simulation.plan import Plan

_ROUND_EVENTS: Final = 5_000


def live_events(
    seed: int,
    rate: float,
    *,
    communities: int = 8,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Events without end, about `rate` a second at random gaps, each with the time at which it is yielded.

    A month of some communities is played fast forward and begins again with other people when it is over. Runs that
    begin at different times have different event ids.
    """
    chance = np.random.Generator(np.random.PCG64(seed))
    started = int(now().timestamp() * 1000)
    due = now().timestamp()
    for number in range(2**31):
        plan = Plan(
            events=_ROUND_EVENTS,
            seed=seed + number,
            communities=communities,
            days=30,
            snapshots=False,  # played fast forward, a snapshot of one round would show those of the last one gone
            run=f"{started:x}.{number}-",
        )
        for line in simulate(plan).lines:
            due += chance.exponential(1.0 / rate)
            wait = due - now().timestamp()
            if wait > 0:
                sleep(wait)
            event: dict[str, Any] = msgspec.json.decode(line)
            event["occurred_at"] = now().isoformat(timespec="milliseconds")
            yield event
