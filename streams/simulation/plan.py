"""What to simulate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from streams.errors import InputError


@dataclass(frozen=True)
class Plan:
    """A feed to simulate; InputError when the numbers cannot be.

    `events` distinct valid events happen within `days` days from `start` (UTC). Duplicates and broken records come on
    top: shares of the events, 0 to 1. `out_of_order` is the share of events that arrive late, by up to
    `max_displacement_seconds`; keep that below the allowed lateness.
    """

    events: int
    seed: int
    communities: int = 20
    days: int = 365
    start: date = date(2024, 1, 1)
    duplicates: float = 0.0
    out_of_order: float = 0.0
    broken: float = 0.0
    max_displacement_seconds: int = 6 * 3600
    snapshots: bool = True  # roster snapshots and roster versions, on the platforms that have them
    run: str = ""  # begins every id of an event: two runs of the same plan then are different events

    def __post_init__(self) -> None:
        for name, value, least in (
            ("events", self.events, 1),
            ("communities", self.communities, 1),
            ("days", self.days, 1),
            ("seed", self.seed, 0),
            ("max displacement", self.max_displacement_seconds, 0),
        ):
            if value < least:
                raise InputError(f"cannot simulate with {name} = {value}; the least is {least}")
        for name, share in (
            ("duplicates", self.duplicates),
            ("out-of-order", self.out_of_order),
            ("broken", self.broken),
        ):
            if not 0 <= share <= 1:
                raise InputError(f"cannot simulate with a share of {name} of {share}; expected 0 to 1")

    @property
    def start_ms(self) -> int:
        """Beginning of the simulated span, ms since 1970 UTC."""
        return (self.start.toordinal() - date(1970, 1, 1).toordinal()) * 86_400_000

    def chance(self, *part: int) -> np.random.Generator:
        """Randomness of one part of the world, independent of how much the other parts draw."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, *part])))
