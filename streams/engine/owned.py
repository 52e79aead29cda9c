"""A partition of ours while it is assigned to us."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sinks.claims import Claim
from streams.engine.partition import Partition


@dataclass
class Owned:
    """A partition under our claim, its loop, and when what happened to it (seconds of the event loop's clock)."""

    partition: Partition
    claim: Claim
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.Task[None] | None = None
    flush: asyncio.Task[None] | None = None
    """The last flush that took this partition along."""
    cleaning: asyncio.Task[None] | None = None
    left_keys: int = 0
    flushed_at: float = 0.0
    looked_at: float = 0.0
    fetched_at: float = 0.0
    arrived_at: float = 0.0
    caught_up: bool = False
    lost: bool = False
