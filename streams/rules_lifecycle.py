"""What the rules file says of the stages of a member's life, of moving members between groups, and of points."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from streams.rules_parts import Section, Text

Days = Annotated[int, Field(ge=1, le=3650)]
Points = Annotated[int, Field(ge=0, le=1_000_000)]

Stage = Literal["new", "activated", "active", "at_risk", "dormant", "lost"]
BuyerStage = Literal["potential", "first_time", "repeat"]
EngagementTier = Literal["ordinary", "active", "key_opinion", "core"]
ValueTier = Literal["low_intent", "high_intent", "high_value"]


class LifecycleRules(Section):
    """When a member is in which stage; days are local days of the community."""

    new_days: Days = Field(default=7, description="new: so many days after joining, while not active yet.")
    settled_days: Days = Field(
        default=30, description="activated: so many days after the first active one; then active."
    )
    at_risk_days: Days = Field(default=7, description="at_risk: silent for more days than this …")
    at_risk_gaps: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="… and for more than so many of the member's own typical gaps."
    )
    dormant_days: Days = Field(default=30, description="dormant: silent for more days than this.")
    lost_days: Days = Field(default=90, description="lost: silent for more days than this, or not on the roster.")

    @model_validator(mode="after")
    def _in_order(self) -> LifecycleRules:
        if not self.at_risk_days <= self.dormant_days <= self.lost_days:
            raise ValueError("at_risk_days, dormant_days and lost_days must not fall")
        return self


class MoveRules(Section):
    """Who should be in a group of a type: all that is said must hold, and one of each list."""

    to: Text = Field(description="Type of the group, as `type` of communities says it.")
    stages: list[Stage] = Field(default_factory=list, description="Stages; empty: any.")
    buyer_stages: list[BuyerStage] = Field(default_factory=list, description="Buyer stages; empty: any.")
    tiers: list[EngagementTier] = Field(default_factory=list, description="Tiers by behaviour; empty: any.")
    value_tiers: list[ValueTier] = Field(default_factory=list, description="Tiers by value; empty: any.")
    reason: Text = Field(description="Why, for people.")

    @model_validator(mode="after")
    def _says_who(self) -> MoveRules:
        if not (self.stages or self.buyer_stages or self.tiers or self.value_tiers):
            raise ValueError("it says nobody: name stages, buyer_stages, tiers or value_tiers")
        return self


HERE: Final[list[Stage]] = ["new", "activated", "active", "at_risk"]
DEFAULT_MOVES: Final = (
    MoveRules(to="vip", stages=HERE, value_tiers=["high_value"], reason="buys often or much"),
    MoveRules(to="key opinion", stages=HERE, tiers=["core", "key_opinion"], reason="others listen to them"),
    MoveRules(to="high intent", stages=HERE, value_tiers=["high_intent"], reason="bought or looked at offers"),
    MoveRules(to="win back", stages=["dormant"], reason="silent for long"),
)


class PointsRules(Section):
    """What members get points for. Points count per local day, so a cap is per local day too."""

    check_in: Points = Field(default=5, description="Points for a day with a check-in.")
    streak_days: Annotated[int, Field(ge=2, le=366)] = Field(
        default=7, description="Every so many consecutive days with a check-in …"
    )
    streak_bonus: Points = Field(default=20, description="… earn so many points more.")
    message: Points = Field(default=1, description="Points for a message; at most one a minute counts.")
    message_cap: Points = Field(default=10, description="Most points for messages a day.")
    invitation: Points = Field(default=50, description="Points for an invitation when its credit matures.")
    invitation_cap: Points = Field(default=500, description="Most points for invitations a day.")
    order_unit_minor: Annotated[int, Field(ge=1)] = Field(
        default=1000, description="One point for each full so many minor units paid in an order (1 per 10.00)."
    )
    order_cap: Points = Field(default=1000, description="Most points for orders a day.")
    expiry_days: Days = Field(default=365, description="Points expire so many days after the day they were earned on.")
    rewards: dict[Text, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict,
        description="What a reward costs, by `object_id`: claiming it (coupon_claim) redeems so many points.",
    )
