"""What a rules file says about alerts on communities and feeds. Reasons for the defaults: docs/alerts.md."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.alerts import Severity
from streams.rules_churn import Days, Hour, MemberAlertRules, Tier
from streams.rules_parts import Section

Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class HealthRules(Section):
    """What all kinds of alerts on communities and feeds share."""

    enabled: bool = Field(default=True, description="Whether these alerts are raised at all.")
    severity: Severity = Field(default="medium", description="How loud they are.")
    at_once: bool = Field(default=True, description="Whether people are told at once, or in the digest.")
    cool_down_days: Days = Field(default=7, description="Days after the end of one in which no other is raised.")
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=30, description="Days after which an open one expires."
    )


class ActivityDropRules(HealthRules):
    """`activity_drop`: far less goes on than in the same span of the four weeks before."""

    severity: Severity = Field(default="high", description="How loud they are.")
    day_share: Share = Field(default=0.4, description="Raised when 24 hours bring so much of what they usually do …")
    week_share: Share = Field(default=0.5, description="… or seven days do.")
    recovered_share: Share = Field(default=0.7, description="Over once a day and a week bring so much again.")
    min_expected_events: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        default=20, description="Messages and interactions that a span usually brings, below which nothing is said."
    )
    min_history_days: Annotated[int, Field(ge=28, le=3650)] = Field(
        default=28, description="Days since the community's first event before which nothing is said."
    )


class ExodusRules(HealthRules):
    """`exodus`: far more members than usual leave of their own accord."""

    severity: Severity = Field(default="high", description="How loud they are.")
    min_leaves: Count = Field(default=5, description="Members that leave in 24 hours, at least …")
    min_roster_share: Share = Field(default=0.02, description="… and this share of all members …")
    factor: Annotated[float, Field(ge=1, le=100)] = Field(
        default=4.0, description="… and so many times what a day of the four weeks before brought."
    )
    cool_down_days: Days = Field(default=3, description="Days after the end of one in which no other is raised.")
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=7, description="Days until one expires.")


class ZombieRules(HealthRules):
    """`zombie`: hardly anybody speaks, and what is said is promotion, or questions that nobody answers."""

    at_once: bool = Field(default=False, description="Whether people are told at once, or in the digest.")
    max_speaker_share: Share = Field(default=0.05, description="Share of members that spoke in 30 days, at most …")
    min_promotion_share: Share = Field(default=0.5, description="… and share of promotions among messages, at least …")
    min_unanswered_share: Share = Field(default=0.5, description="… or share of questions without an answer.")
    min_members: Count = Field(default=20, description="Members below which nothing is said.")
    min_messages: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        default=10, description="Messages in 30 days before promotions are counted in shares."
    )
    min_questions: Annotated[int, Field(ge=5, le=1_000_000)] = Field(
        default=5, description="Questions in 30 days before they are counted in shares."
    )
    recovered_factor: Annotated[float, Field(ge=1, le=10)] = Field(
        default=1.5, description="Over once so many times that share of members speaks, or neither share holds."
    )
    cool_down_days: Days = Field(default=30, description="Days after the end of one in which no other is raised.")
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=60, description="Days until one expires.")


class OverPromotionRules(HealthRules):
    """`over_promotion`: members get much promotion, and leave after it."""

    max_promotions_7d: Annotated[int, Field(ge=5, le=1_000_000)] = Field(
        default=14, description="Promotions that every member got in seven days …"
    )
    min_quits_after: Count = Field(default=3, description="… and members that left within 24 hours of one …")
    min_quit_share: Share = Field(default=0.01, description="… which are this share of all members …")
    min_quits_after_share: Share = Field(default=0.5, description="… and this share of all who left in these days.")
    recovered_factor: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="Over once seven days bring so much of these promotions, or so much of these leaves."
    )
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=14, description="Days until one expires.")


class StalledGrowthRules(HealthRules):
    """`stalled_growth`: a community that gained members all but stopped doing so, though there is room."""

    severity: Severity = Field(default="low", description="How loud they are.")
    at_once: bool = Field(default=False, description="Whether people are told at once, or in the digest.")
    max_share: Share = Field(
        default=0.25, description="Joins of 28 days as a share of those of the 28 before, at most."
    )
    recovered_share: Share = Field(default=0.5, description="Over once they are so much of them.")
    min_joins_before: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        default=10, description="Joins in the 28 days before, at least."
    )
    full_share: Share = Field(default=0.95, description="Share of its capacity from which a community is full.")
    min_lifetime_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=90, description="Communities that are to be closed so soon after they opened are short-lived."
    )
    cool_down_days: Days = Field(default=30, description="Days after the end of one in which no other is raised.")
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=60, description="Days until one expires.")


class UnansweredRules(HealthRules):
    """`unanswered`: a member's question was answered by nobody for a time within service hours."""

    at_once_tiers: list[Tier] = Field(
        default=["active", "key_opinion", "high_value"],
        description="Tiers about whose questions people are told at once; `at_once` false: about nobody's.",
    )
    after_minutes: Annotated[int, Field(ge=1, le=10_080)] = Field(
        default=240, description="Minutes within service hours after which a question counts as unanswered."
    )
    estimated_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=30,
        description="Where a feed never says what is a reply: somebody else's first message in so many minutes is one.",
    )
    cool_down_days: Days = Field(
        default=0, description="Days after the end of one in which the member raises no other."
    )
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=3, description="Days until one expires.")


class RuleViolationRules(HealthRules):
    """`rule_violation`: somebody floods the group, or posts links or promotions without being staff."""

    flood_messages: Count = Field(default=20, description="Messages of one member in one minute.")
    links_a_day: Count = Field(default=10, description="Links of one member in 24 hours from `check_hour` on.")
    promotions_a_day: Count = Field(default=3, description="Promotions of one member in these hours.")
    exempt_roles: list[str] = Field(
        default=["owner", "admin"], description="Roles that may, beside staff and bots, of which nothing is said."
    )
    cool_down_days: Days = Field(
        default=1, description="Days after the end of one in which the member raises no other."
    )
    expire_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=1, description="Days until one expires.")


class ResyncNeededRules(HealthRules):
    """`resync_needed`: changes of the member list are missing."""

    severity: Severity = Field(default="low", description="How loud they are.")
    at_once: bool = Field(default=False, description="Whether people are told at once, or in the digest.")
    grace_minutes: Annotated[int, Field(ge=0, le=10_080)] = Field(
        default=30, description="Minutes for which a missing change is waited for: connectors report in any order."
    )
    cool_down_days: Days = Field(default=1, description="Days after the end of one in which no other is raised.")


class FeedSilentRules(HealthRules):
    """`feed_silent`: nothing comes from a feed for far longer than usual. What stands for all communities counts."""

    severity: Severity = Field(default="critical", description="How loud they are.")
    factor: Annotated[float, Field(ge=1, le=100)] = Field(
        default=2.0, description="Raised after so many times the longest gap of the last 28 days …"
    )
    min_minutes: Annotated[int, Field(ge=60, le=100_000)] = Field(
        default=120, description="… and after so many minutes at least."
    )
    min_history_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=7, description="Days for which a feed has been heard before its habit is spoken of."
    )
    caught_up_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=60, description="Over once an event comes that is at most so old: what comes before it is a backlog."
    )
    cool_down_days: Days = Field(default=0, description="Days after the end of one in which no other is raised.")


class KindsRules(MemberAlertRules):
    """All kinds of alerts, for all communities, or for one that differs: what is not said there stays as for all."""

    check_hour: Hour = Field(
        default=9, description="Local hour at which communities are looked at; their days here begin with it."
    )
    activity_drop: ActivityDropRules = Field(default_factory=ActivityDropRules, description="Far less goes on.")
    exodus: ExodusRules = Field(default_factory=ExodusRules, description="Many leave.")
    zombie: ZombieRules = Field(default_factory=ZombieRules, description="Hardly anybody speaks.")
    over_promotion: OverPromotionRules = Field(default_factory=OverPromotionRules, description="Too much promotion.")
    stalled_growth: StalledGrowthRules = Field(default_factory=StalledGrowthRules, description="No new members.")
    unanswered: UnansweredRules = Field(default_factory=UnansweredRules, description="Questions without an answer.")
    rule_violation: RuleViolationRules = Field(default_factory=RuleViolationRules, description="Rules are broken.")
    resync_needed: ResyncNeededRules = Field(default_factory=ResyncNeededRules, description="Member list out of step.")
    feed_silent: FeedSilentRules = Field(default_factory=FeedSilentRules, description="Nothing comes from a feed.")
