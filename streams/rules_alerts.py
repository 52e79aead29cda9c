"""The `alerts` section of a rules file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from streams.rules_churn import merged
from streams.rules_delivery import ChannelName, ChannelRules, NamesRules, RouteRules
from streams.rules_health import KindsRules
from streams.rules_parts import did_you_mean


class AlertsRules(KindsRules):
    """Alerts: when they are raised, who is told of them, how and when."""

    channels: dict[ChannelName, ChannelRules] = Field(default_factory=dict, description="Receivers by name.")
    routes: list[RouteRules] = Field(default_factory=list, description="Which alerts go where.")
    names: NamesRules = Field(default_factory=NamesRules, description="Where display names come from.")
    new_per_assignee_and_day: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=10,
        description="New alerts in messages of their own that an assignee gets in any 24 hours, those with the most at "
        "risk first; the rest is told in digests.",
    )
    communities: dict[str, KindsRules] = Field(
        default_factory=dict, description="Communities, by id, for which some of it is different."
    )

    def of(self, community_id: str) -> KindsRules:
        """What holds for one community."""
        own = self.communities.get(community_id)
        return self if own is None else merged(self, own)

    @model_validator(mode="after")
    def _routes_lead_to_channels(self) -> AlertsRules:
        for number, route in enumerate(self.routes, start=1):
            for name in route.channels:
                if name not in self.channels:
                    known = list(self.channels)
                    hint = did_you_mean(name, known) or f"; known are {', '.join(known) or 'none yet'}"
                    raise ValueError(f"route {number} leads to the channel {name!r}, which `channels` lacks{hint}")
        return self
