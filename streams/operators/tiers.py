"""Which tier a member is in, what it is worth, and so how loud an alert about it is."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from schemas.alerts import Severity
from streams.operators.base import Ints, Mask
from streams.operators.member_rows import Fields
from streams.operators.roster import NOTHING, ROLE_RANK
from streams.rules_churn import Tier, TierRules

ORDINARY, ACTIVE, KEY_OPINION, HIGH_VALUE = range(4)
TIERS: Final[tuple[Tier, ...]] = get_args(Tier)
SEVERITY: Final[dict[Tier, Severity]] = {
    "ordinary": "low",
    "active": "medium",
    "key_opinion": "high",
    "high_value": "critical",
}

_MONTH_MS = 30 * 86_400_000


def tiers_of(rows: Fields, active_days_30: Ints, rules: TierRules) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Tier of each member as a code, and what is at risk with it, in minor units a month.

    ``rows`` are fields of `members`.
    """
    orders, paid = rows["orders"].astype(np.int64), rows["monetary_minor"].astype(np.float64)
    roles = np.where(rows["role"] == NOTHING, 0, rows["role"] & 7)
    voices = np.isin(roles, [ROLE_RANK[name] for name in rules.key_opinion_roles])
    tier = np.full(len(orders), ORDINARY)
    tier[active_days_30 >= rules.active_days_30] = ACTIVE
    voices |= active_days_30 >= rules.key_opinion_active_days_30
    voices |= rows["referrals"] >= rules.key_opinion_referrals
    tier[voices] = KEY_OPINION
    tier[(orders >= rules.high_value_orders) | (paid >= rules.high_value_paid_minor)] = HIGH_VALUE
    span_ms = np.where(orders > 0, rows["last_order_ms"].astype(np.float64) - rows["first_order_ms"], 0.0)
    a_month = np.where(orders > 0, paid / np.maximum(span_ms / _MONTH_MS, 1.0), 0.0)
    return tier, a_month + active_days_30 * rules.active_day_worth_minor


def are_staff(rows: Fields) -> Mask:
    """Members whose latest role is staff or bot; ``rows`` are fields of `members`."""
    role = rows["role"]
    staff: Mask = (role != NOTHING) & ((role & 7) >= ROLE_RANK["staff"])
    return staff
