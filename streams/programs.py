"""The business logic that runs on every partition beside the community operators; named here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.operators.churn import ChurnProgram
from streams.operators.churn_model import ChurnModel
from streams.operators.group_orders import GROUP_BUY_ORDERS, GroupOrders
from streams.operators.program import Program, ProgramContext, ProgramsOf
from streams.operators.referral_facts import ReferralFacts
from streams.operators.referral_forest import ReferralForest
from streams.operators.referral_targets import ReferralTargets
from streams.operators.target_course import Target
from streams.operators.touches import TouchProgram
from streams.rules import RulesFile
from streams.rules_campaigns import DAY_MS, CampaignRules


@dataclass(frozen=True, slots=True)
class Alerting:
    """What alerts need beside the rules: the model, whether this is a replay of history, and the wall clock (ms)."""

    model: ChurnModel
    replay: bool
    wall_ms: Callable[[], int]


def programs_of(rules: RulesFile, alerting: Alerting | None = None) -> ProgramsOf:
    """The programs of a partition, under the rules in force when they ask for them; no alerts without ``alerting``."""

    def campaign(campaign_id: str) -> CampaignRules:
        return rules.current().campaign(campaign_id)

    def target(campaign_id: str) -> Target | None:
        return target_of(campaign(campaign_id))

    def any_group_buys() -> bool:
        asked = [one.target for one in rules.current().campaigns.values()]
        return any(one is not None and one.kind == GROUP_BUY_ORDERS for one in asked)

    def programs(context: ProgramContext) -> list[Program]:
        forest = ReferralForest()
        alerts: list[Program] = []
        if alerting is not None:
            alerts = [ChurnProgram(context, rules.current, alerting.model, alerting.replay, alerting.wall_ms)]
        return [
            ReferralFacts(context, campaign),
            GroupOrders(context.directory, target, context.lateness_ms, any_group_buys),
            forest,
            ReferralTargets(forest, target),  # after the forest, which it asks
            *alerts,
            _touches(context, rules, alerting),
        ]

    return programs


def _touches(context: ProgramContext, rules: RulesFile, alerting: Alerting | None) -> Program:
    if alerting is None:
        return TouchProgram(context, lambda: rules.current().touches)
    return TouchProgram(context, lambda: rules.current().touches, alerting.replay, alerting.wall_ms)


def target_of(rules: CampaignRules) -> Target | None:
    """What a campaign asks its members or groups to reach."""
    if rules.target is None:
        return None
    days = rules.target.within_days
    return Target(rules.target.kind, rules.target.count, None if days is None else days * DAY_MS, rules.end_ms())
