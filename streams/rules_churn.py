"""What a rules file says about member alerts: thresholds, holidays, tiers. Reasons for the defaults: docs/alerts.md."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from streams.rules_parts import Section

Hour = Annotated[int, Field(ge=0, le=23)]
Days = Annotated[int, Field(ge=0, le=3650)]
Chance = Annotated[float, Field(gt=0, lt=1)]

Tier = Literal["ordinary", "active", "key_opinion", "high_value"]

_EPOCH: Final = date(1970, 1, 1)


def _day(found: Any) -> Any:
    if not isinstance(found, str):
        return found
    try:
        return date.fromisoformat(found)
    except ValueError:
        raise ValueError("expected a day like 2024-05-01") from None


Day = Annotated[date, BeforeValidator(_day)]


class EpisodeRules(Section):
    """What all kinds of member alerts share."""

    enabled: bool = Field(default=True, description="Whether these alerts are raised at all.")
    at_once_tiers: list[Tier] = Field(
        default=["active", "key_opinion", "high_value"],
        description="Tiers about whose members people are told at once; the rest stands in the digest.",
    )
    at_hour: Hour = Field(default=9, description="Local hour at which one opens, when somebody is there to act.")
    cool_down_days: Days = Field(
        default=7, description="Days after the end of one in which the same member raises no other; then it may."
    )
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=30, description="Days after which an open one expires: who has not come back by then is no news."
    )


class SilentRules(EpisodeRules):
    """`silent`: a member is silent beyond its own rhythm."""

    min_active_days: Annotated[int, Field(ge=4, le=1000)] = Field(
        default=4, description="Active days it takes before a rhythm is spoken of."
    )
    min_silent_days: Annotated[int, Field(ge=3, le=60)] = Field(
        default=3, description="Full silent days before which nothing is ever raised."
    )
    stay_away_chance: Chance = Field(
        default=0.55,
        description="Raised once the chance that the member stays away another 30 days is as large as this.",
    )
    latest_days: Annotated[int, Field(ge=3, le=60)] = Field(
        default=18, description="Silent days after which nothing is raised any more; it would come too late to act."
    )
    strength: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=8.0, description="How many gaps of its own a member needs to weigh as much as members like it."
    )
    surprise_factor: Annotated[float, Field(ge=1, le=20)] = Field(
        default=3.0, description="Raised as well after so many times the longest of its last 16 gaps …"
    )
    surprise_days: Annotated[int, Field(ge=0, le=60)] = Field(default=4, description="… plus so many days.")


class LapsedBuyerRules(EpisodeRules):
    """`lapsed_buyer`: who bought is probably no customer any more."""

    min_orders: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Purchases it takes; 1 includes one-time buyers."
    )
    alive_threshold: Chance = Field(
        default=0.5, description="Raised once the chance of still being a customer, P(alive), falls to this."
    )
    min_silent_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=14, description="Days since the last purchase before which nothing is raised."
    )
    latest_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=365, description="Days since the last purchase after which nothing is raised any more."
    )


class LeftRules(EpisodeRules):
    """`left`: a member left. It is told at once only when it was the last community of the platform that is seen."""

    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=14, description="Days after which it expires: after two weeks nobody is won back by a message."
    )


class Holiday(Section):
    """Days on which silence does not count, both ends included."""

    name: str = Field(default="", max_length=100, description="For people.")
    first: Day = Field(description="First day, local.")
    last: Day | None = Field(default=None, description="Last day; default: the first.")

    @model_validator(mode="after")
    def _in_order(self) -> Holiday:
        if self.last is not None and not self.first <= self.last <= self.first + timedelta(days=366):
            raise ValueError("last lies before first, or more than a year behind it")
        return self

    def days(self) -> range:
        """Its days, counted from 1970-01-01."""
        return range((self.first - _EPOCH).days, ((self.last or self.first) - _EPOCH).days + 1)


class MemberAlertRules(Section):
    """The member alerts of all communities, or of one that differs: there, what is not said stays as for all."""

    silent: SilentRules = Field(default_factory=SilentRules, description="Silent beyond its own rhythm.")
    lapsed_buyer: LapsedBuyerRules = Field(default_factory=LapsedBuyerRules, description="Probably gone as a customer.")
    left: LeftRules = Field(default_factory=LeftRules, description="Left.")
    holidays: list[Holiday] = Field(default_factory=list, description="Days that do not count as silent ones.")


class TierRules(Section):
    """Tiers of members: the highest that fits counts."""

    active_days_30: Annotated[int, Field(ge=1, le=30)] = Field(
        default=4, description="active: active days in the 30 that end with the last one; about weekly."
    )
    key_opinion_roles: list[Literal["expert", "owner", "admin"]] = Field(
        default=["expert", "owner", "admin"], description="key_opinion: roles that make one."
    )
    key_opinion_active_days_30: Annotated[int, Field(ge=1, le=30)] = Field(
        default=15, description="key_opinion: active days in 30; there every other day."
    )
    key_opinion_referrals: Annotated[int, Field(ge=1)] = Field(
        default=5, description="key_opinion: referrals; brought in so many others."
    )
    high_value_orders: Annotated[int, Field(ge=1)] = Field(
        default=5, description="high_value: paid orders; few buyers ever reach five."
    )
    high_value_paid_minor: Annotated[int, Field(ge=1)] = Field(
        default=200_000, description="high_value: paid in all, minor units (2,000.00)."
    )
    core_active_days_30: Annotated[int, Field(ge=1, le=30)] = Field(
        default=15, description="core: active days in 30, together with …"
    )
    core_orders: Annotated[int, Field(ge=0)] = Field(
        default=2, description="… so many paid orders: there and buying. Alerts count it as key_opinion."
    )
    high_intent_actions: Annotated[int, Field(ge=1)] = Field(
        default=3,
        description="high_intent: coupons claimed or used, live shows and clicks in the 30 days that end with the last "
        "active one; so is whoever bought.",
    )
    active_day_worth_minor: Annotated[float, Field(ge=0)] = Field(
        default=100.0,
        description="What an active day is worth beside purchases, minor units; decides who is told first.",
    )


def merged(base: Section, own: Section) -> Any:
    """``base`` with all that ``own`` says itself, section by section."""
    found: dict[str, Any] = {}
    for name in own.model_fields_set:
        mine = getattr(own, name)
        found[name] = merged(getattr(base, name), mine) if isinstance(mine, Section) else mine
    return base.model_copy(update=found)
