"""A community's own clock: hours of activity instead of hours, so that nights, weekends and holidays are short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Weekend = Literal["quiet", "busy"]

# How much goes on in each local hour of the day: asleep until six, peaks before noon, after lunch and in the evening.
_DAY: Final = np.array(
    [
        0.25, 0.12, 0.06, 0.04, 0.05, 0.12, 0.40, 0.85, 1.20, 1.45, 1.55, 1.50,
        1.40, 1.35, 1.25, 1.20, 1.20, 1.25, 1.35, 1.60, 1.95, 2.00, 1.45, 0.75,
    ]
)  # fmt: skip
_WEEK: Final[dict[Weekend, NDArray[np.float64]]] = {  # Monday first
    "quiet": np.array([1.10, 1.15, 1.15, 1.10, 1.05, 0.75, 0.70]),
    "busy": np.array([0.85, 0.85, 0.90, 0.95, 1.05, 1.25, 1.15]),
}
_DAY_NOISE_SIGMA: Final = 0.25
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class OwnClock:
    """Maps between wall time and a community's own hours, both counted from the start of the span."""

    start_ms: int
    hours: int  # length of the span, the same on both clocks
    _own_at_hour: NDArray[np.float64]
    _offset_at_hour: NDArray[np.int64]  # local time - UTC in minutes

    def wall_ms(self, own: NDArray[np.float64]) -> NDArray[np.int64]:
        """Own hours to ms since 1970 UTC."""
        hours = np.interp(own, self._own_at_hour, np.arange(self.hours + 1))
        return self.start_ms + (hours * _HOUR_MS).astype(np.int64)

    def own(self, wall_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ms since 1970 UTC to own hours."""
        hours = (wall_ms - self.start_ms) / _HOUR_MS
        return np.interp(hours, np.arange(self.hours + 1), self._own_at_hour)

    def offset_minutes(self, wall_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Local time - UTC at each instant."""
        hour = np.clip((wall_ms - self.start_ms) // _HOUR_MS, 0, self.hours - 1)
        return self._offset_at_hour[hour]


def own_clock(start_ms: int, days: int, timezone: str, weekend: Weekend, chance: np.random.Generator) -> OwnClock:
    """The clock of a community in `timezone`, with days busier and quieter by chance."""
    hours = days * 24
    offsets = _offsets(start_ms, hours, timezone)
    local_hour = (start_ms // _HOUR_MS) + np.arange(hours) + offsets // 60
    # 1970-01-01 was a Thursday, day 3 of a week that starts on Monday.
    weekday = (local_hour // 24 + 3) % 7
    noise = chance.lognormal(0.0, _DAY_NOISE_SIGMA, days + 3)
    pace = _DAY[local_hour % 24] * _WEEK[weekend][weekday] * noise[local_hour // 24 - local_hour[0] // 24]
    own = np.concatenate(([0.0], np.cumsum(pace)))
    return OwnClock(start_ms, hours, own * (hours / own[-1]), offsets)


@lru_cache(maxsize=64)
def _offsets(start_ms: int, hours: int, timezone: str) -> NDArray[np.int64]:
    zone = ZoneInfo(timezone)
    seconds = range(start_ms // 1000, start_ms // 1000 + hours * 3600, 3600)
    offsets = (datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset() for second in seconds)
    return np.fromiter((offset.total_seconds() // 60 for offset in offsets if offset is not None), np.int64, hours)
