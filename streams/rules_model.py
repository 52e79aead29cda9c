"""What a rules file may say, section by section; `streams.rules` reads it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, model_validator

from streams.rules_alerts import AlertsRules
from streams.rules_campaigns import CampaignRules
from streams.rules_churn import TierRules
from streams.rules_efforts import EventRules
from streams.rules_lifecycle import DEFAULT_MOVES, LifecycleRules, MoveRules, PointsRules
from streams.rules_parts import DEFAULT_TIMEZONE, Section, Text, When, Zone, instant_ms
from streams.rules_touches import TouchRules
from streams.service_hours import ServiceSpan, parse_service_hours

_PLAIN_CAMPAIGN: Final = CampaignRules()


def _service_spans(found: Any) -> Any:
    return parse_service_hours(found) if isinstance(found, str) else found


ServiceHours = Annotated[tuple[ServiceSpan, ...], BeforeValidator(_service_spans)]


class CommunityRules(Section):
    """What is known of a community that no event says. Days without a time are its own local days."""

    name: Text | None = Field(default=None, description="Name for people.")
    type: Text | None = Field(default=None, description="Kind of community, in your own words.")
    store: Text | None = Field(default=None, description="Shop or branch it belongs to.")
    assignee: Text | None = Field(default=None, description="Employee who looks after it.")
    capacity: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(default=None, description="Members it can hold.")
    timezone: Zone = Field(
        default=DEFAULT_TIMEZONE,
        description="Zone of its days; fixed when its first event is applied. Default: its platform's, else UTC.",
    )
    opened_at: When | None = Field(default=None, description="When it was opened.")
    closed_at: When | None = Field(default=None, description="When it was closed.")
    service_hours: ServiceHours | None = Field(
        default=None, description="When members are answered, local time, e.g. mon-fri 09:00-21:00, sat 10:00-18:00."
    )

    @model_validator(mode="after")
    def _closed_after_opened(self) -> CommunityRules:
        opened, closed = self.opened_ms(), self.closed_ms()
        if opened is not None and closed is not None and closed < opened:
            raise ValueError("closed_at lies before opened_at")
        return self

    def opened_ms(self) -> int | None:
        """When it was opened, in ms since 1970 UTC."""
        return instant_ms(self.opened_at, self.timezone)

    def closed_ms(self) -> int | None:
        """When it was closed, in ms since 1970 UTC."""
        return instant_ms(self.closed_at, self.timezone)


class PlatformRules(Section):
    """What holds for all communities of a platform."""

    name: Text | None = Field(default=None, description="Name for people.")
    timezone: Zone = Field(default=DEFAULT_TIMEZONE, description="Zone of its communities that do not say their own.")


class DefinitionRules(Section):
    """Parts of figures' definitions that may be set otherwise; they hold for all communities."""

    activation_days: Annotated[int, Field(ge=1, le=7)] = Field(
        default=7,
        description="Local days after joining in which a first message or order makes a member activated; 1 to 7, "
        "since retention looks at days 8 to 30.",
    )


class Rules(Section):
    """The whole file, one field a section."""

    communities: dict[str, CommunityRules] = Field(default_factory=dict)
    platforms: dict[str, PlatformRules] = Field(default_factory=dict)
    alerts: AlertsRules = Field(default_factory=AlertsRules)
    tiers: TierRules = Field(default_factory=TierRules)
    campaigns: dict[str, CampaignRules] = Field(default_factory=dict)
    events: dict[str, EventRules] = Field(default_factory=dict)
    definitions: DefinitionRules = Field(default_factory=DefinitionRules)
    lifecycle: LifecycleRules = Field(default_factory=LifecycleRules)
    moves: list[MoveRules] = Field(default=list(DEFAULT_MOVES))
    points: PointsRules = Field(default_factory=PointsRules)
    touches: TouchRules = Field(default_factory=TouchRules)

    def campaign(self, campaign_id: str) -> CampaignRules:
        """The rules of a campaign; one that the file does not name, `organic:<community>` too, has the defaults."""
        return self.campaigns.get(campaign_id, _PLAIN_CAMPAIGN)

    def timezone_of(self, community_id: str, platform: str | None = None) -> str:
        """The zone of a community's days: its own, else its platform's, else UTC."""
        community = self.communities.get(community_id)
        if community is not None and "timezone" in community.model_fields_set:
            return community.timezone
        of_platform = self.platforms.get(platform) if platform else None
        return of_platform.timezone if of_platform is not None else DEFAULT_TIMEZONE
