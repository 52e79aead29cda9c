"""What the rules file says of touches: to whom to say what next, how often, and whom to leave alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.touches import TouchKind
from streams.rules_parts import Section

_ALL: list[TouchKind] = ["thanks", "repurchase", "welcome", "win_back", "streak"]


class TouchRules(Section):
    """Section `touches`. Off unless somebody asks for it: nobody's members are written to by default."""

    enabled: bool = Field(default=False, description="Whether touches are decided and sent at all.")
    kinds: list[TouchKind] = Field(default=_ALL, description="Which of them.")
    hold_out_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.1, description="Share of members who are left alone, by kind, so that the effect can be told."
    )
    member_gap_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=3, description="Days between two touches of a member, of whatever kind."
    )
    community_per_day: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=50, description="Most touches in a community a local day."
    )
    max_promotions_7d: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10,
        description="No touches while a community had so many promotions in 7 local days; see promotion_fatigue_dose.",
    )
    welcome_after_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24, description="welcome: so long after joining, to who is silent so far."
    )
    win_back_days: Annotated[int, Field(ge=7, le=365)] = Field(
        default=30, description="win_back: after so many days (of 24 hours) without a message, interaction or order."
    )
    streak_min_days: Annotated[int, Field(ge=2, le=365)] = Field(
        default=3, description="streak: only streaks of check-ins of so many days are worth a word."
    )
    streak_hour: Annotated[int, Field(ge=1, le=23)] = Field(
        default=20, description="streak: hours after the local day began, on a day without a check-in yet."
    )
