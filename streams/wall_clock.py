"""The one object that reads the wall clock."""

from __future__ import annotations

import time


class WallClock:
    """The wall clock; tests put their own in its place."""

    def now_ms(self) -> int:
        """Unix time in ms."""
        return time.time_ns() // 1_000_000
