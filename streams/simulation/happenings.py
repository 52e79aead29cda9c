"""Events of one community with the time of each, before they become lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams.simulation.plan import Plan
from streams.simulation.world import Community


@dataclass
class Happenings:
    """What happens in a community, in no particular order across kinds."""

    plan: Plan
    community: Community
    at_ms: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event_type: str, letter: str, at_ms: int, written: str, **fields: Any) -> None:
        """One more event; fields that are None are left out. `letter` keeps ids of different kinds apart."""
        event = {
            "event_id": f"{self.plan.run}{self.community.number}-{letter}{len(self.events)}",
            "event_type": event_type,
            "schema_version": 1,
            "occurred_at": written,
            "community_id": self.community.community_id,
            "platform": self.community.platform.name,
        }
        event.update((name, value) for name, value in fields.items() if value is not None)
        self.at_ms.append(at_ms)
        self.events.append(event)
