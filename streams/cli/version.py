"""`qunpulse version`."""

from __future__ import annotations


def version() -> None:
    """Print the version."""
    from streams.metrics import installed_version

    print(f"qunpulse {installed_version()}")
