"""`qunpulse up`."""

from __future__ import annotations


def up() -> None:
    """Run it."""
    raise NotImplementedError
