"""`qunpulse validate`."""

from __future__ import annotations


def validate() -> None:
    """Explain what would be refused."""
    raise NotImplementedError
