"""`qunpulse simulate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def simulate() -> None:
    """Write a simulated feed."""
    raise NotImplementedError


def write_simulated(
    path: Path, *, events: int, seed: int, communities: int, days: int, progress: Callable[[int, int], None]
) -> None:
    """Write it."""
    raise NotImplementedError
