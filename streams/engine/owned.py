"""A partition of ours while it is assigned to us."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sinks.claims import Claim
from streams.engine.partition import Partition

NEVER_LEVEL = -float("inf")


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
    """Whether all that stood in Kafka at the last look is applied."""
    level_at: float = NEVER_LEVEL
    """When all that stood in Kafka at that time had been applied later on; a feed in which there is always something
    new is level with its end at no look, and yet but a moment behind it."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Where its topics ended at ``ends_at``, until that is applied."""
    ends_at: float = NEVER_LEVEL
    lost: bool = False

    def note_ends(self, ends: Mapping[str, int], now: float) -> None:
        """Its topics end there; once that is applied, it was level then."""
        if not self.ends:
            self.ends, self.ends_at = dict(ends), now

    def note_applied(self) -> None:
        """Records were applied: those that stood in Kafka at an earlier look may be done."""
        accounts = self.partition.accounts
        if self.ends and all(accounts[topic].next_offset >= end for topic, end in self.ends.items()):
            self.level_at, self.ends = self.ends_at, {}
