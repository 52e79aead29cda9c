"""The section `campaigns` of the rules file: what an invitation must lead to, what it all cost and was to bring."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streams.rules_efforts import EffortRules
from streams.rules_parts import DEFAULT_TIMEZONE, Section, When, instant_ms

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class TargetRules(Section):
    """What somebody is asked to reach in a campaign: so many accepted invitations, or paid orders of a group buy."""

    kind: Literal["accepted_invitations", "group_buy_orders"] = Field(description="What is counted.")
    count: Annotated[int, Field(ge=1, le=1_000_000)] = Field(description="How many are asked for.")
    within_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        default=None, description="Days from the first one; without it there is no deadline but the campaign's end."
    )


class CampaignRules(EffortRules):
    """What an invitation must lead to before it earns a credit. Times without an offset are UTC."""

    start: When | None = Field(default=None, description="Invitations before it earn nothing.")
    end: When | None = Field(default=None, description="Invitations from then on earn nothing.")
    days_to_maturity: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=7, description="Days the referee must stay from being seen first."
    )
    require: Literal["nothing", "activity", "paid_order"] = Field(
        default="activity", description="What the referee must do in these days, beside staying."
    )
    new_to: Literal["community", "platform"] = Field(
        default="community", description="Where the referee must not have been before."
    )
    grace_minutes: Annotated[int, Field(ge=0, le=10_080)] = Field(
        default=10, description="How long before its invitation a newcomer may be seen; connectors report in any order."
    )
    staff_may_refer: bool = Field(default=False, description="Whether invitations by staff and bots earn a credit.")
    target: TargetRules | None = Field(default=None, description="What somebody is asked to reach.")

    @model_validator(mode="after")
    def _end_after_start(self) -> CampaignRules:
        start, end = self.start_ms(), self.end_ms()
        if start is not None and end is not None and end <= start:
            raise ValueError("end does not lie after start")
        return self

    def start_ms(self) -> int | None:
        """When it starts, in ms since 1970 UTC."""
        return instant_ms(self.start, DEFAULT_TIMEZONE)

    def end_ms(self) -> int | None:
        """When it ends, in ms since 1970 UTC."""
        return instant_ms(self.end, DEFAULT_TIMEZONE)

    @property
    def maturity_ms(self) -> int:
        """From being seen first to the credit's due time."""
        return self.days_to_maturity * DAY_MS

    @property
    def grace_ms(self) -> int:
        """How long before its invitation a newcomer may be seen."""
        return self.grace_minutes * MINUTE_MS
