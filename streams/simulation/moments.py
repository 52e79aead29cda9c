"""Times of a community as its platform writes them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.simulation.world import Community


def moments(community: Community, own: NDArray[np.float64]) -> NDArray[np.int64]:
    """Own hours to ms since 1970 UTC, as precise as the platform is. Never turns two moments around."""
    step = community.platform.time_step_ms
    return community.clock.wall_ms(own) // step * step


def written(community: Community, at_ms: NDArray[np.int64]) -> list[str]:
    """RFC 3339, in UTC or local time, with milliseconds where the platform has them."""
    seconds_only = community.platform.time_step_ms >= 1000
    unit: Literal["s", "ms"] = "s" if seconds_only else "ms"
    if community.platform.utc_times:
        texts = np.datetime_as_string(at_ms.astype("datetime64[ms]"), unit=unit).tolist()
        return [f"{text}Z" for text in texts]
    offsets = community.clock.offset_minutes(at_ms)
    local = (at_ms + offsets * 60_000).astype("datetime64[ms]")
    suffix_of = {offset: _suffix(offset) for offset in np.unique(offsets).tolist()}
    texts = np.datetime_as_string(local, unit=unit).tolist()
    return [text + suffix_of[offset] for text, offset in zip(texts, offsets.tolist(), strict=True)]


def _suffix(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
