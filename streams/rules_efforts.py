"""What the rules file says of campaigns and events: what they cost, what they were to bring, when they were."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streams.rules_parts import Section, Text, When, instant_ms

GoalFigure = Literal["participants", "new_members", "orders", "buyers", "gmv_minor", "net_gmv_minor", "retained_30d"]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Goal(Section):
    """What an effort was to reach: a figure of views `campaign_results` and `event_results`, and how much of it."""

    figure: GoalFigure = Field(description="Figure that is aimed at.")
    target: Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)] = Field(description="How much of it.")


class EffortRules(Section):
    """What campaigns and events have in common."""

    name: Text | None = Field(default=None, description="Name for people.")
    cost_minor: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        default=None, description="What it cost in all, in minor units of the currency."
    )
    currency: Currency | None = Field(
        default=None, description="Currency of its cost and GMV (ISO 4217). Default: that of most of its orders."
    )
    goal: Goal | None = Field(default=None, description="What it was to reach.")
    attribution_days: Annotated[int, Field(ge=0, le=180)] = Field(
        default=30, description="Orders of a participant count as its own for so many days after the first part in it."
    )

    @model_validator(mode="after")
    def _cost_has_a_currency(self) -> EffortRules:
        if self.cost_minor is not None and self.currency is None:
            raise ValueError("cost_minor needs a currency beside it")
        return self


class EventRules(EffortRules):
    """A flash sale, topic evening or offline event: a span of time in some communities.

    Times without an offset are local to each community.
    """

    kind: Text = Field(default="event", description="In your own words: flash_sale, topic_evening, offline, …")
    communities: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="Communities that took part. Default: all in this file."
    )
    start: When = Field(description="First instant.")
    end: When = Field(description="First instant after it; a day without a time is included whole.")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> EventRules:
        start, end = self.span_ms("UTC")
        if end <= start:
            raise ValueError("end does not lie after start")
        return self

    def span_ms(self, timezone: str) -> tuple[int, int]:
        """[start, end) in ms since 1970 UTC, for a community in `timezone`."""
        end = self.end
        if not isinstance(end, datetime):
            end = date.fromordinal(end.toordinal() + 1)
        return instant_ms(self.start, timezone) or 0, instant_ms(end, timezone) or 0
