"""Who lives in a community: from when to when, brought by whom, how talkative, in which role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.simulation.plan import Plan
from streams.simulation.world import Community, account_name

NOBODY: Final = -1
STAYS: Final = np.inf

ENDS: Final = ("stays", "left", "removed", "unnoticed", "silent")
"""How a life ends: left or removed with an event; gone unnoticed (only a snapshot shows it); silent but still there."""
_END_SHARES: Final = (0.42, 0.06, 0.08, 0.44)

VIAS: Final = ("invite", "qr_code", "link", "search", "ad", "offline", "import", "unknown")
_VIA_SHARES: Final = (0.42, 0.22, 0.12, 0.06, 0.07, 0.05, 0.02, 0.04)

_LURKERS: Final = 0.35
_TALK_SIGMA: Final = 1.5  # of the lognormal talkativeness: the top tenth writes about half of everything
_PROMOTERS: Final = 0.03
_CHURN_SHAPE: Final = 0.7  # of the gamma mixture over leaving rates: many leave early, those who stay stay long
_CHURN_SCALE_PER_DAY: Final = 1 / 90
_SHARED_ACCOUNTS: Final = 0.12
_KNOWN_BEFORE: Final = 0.06  # were there before anybody listened: no join event
_FOUNDERS: Final = 4  # owner, staff, bot, admin


@dataclass(frozen=True)
class Lives:
    """A column each, one row a membership, ordered by the time of joining."""

    member_ids: list[str]
    roles: list[str]
    joined: NDArray[np.float64]  # own hours
    ended: NDArray[np.float64]  # own hours, STAYS when the span ends first
    end: NDArray[np.int8]  # index into ENDS
    via: NDArray[np.int8]  # index into VIAS
    inviter: NDArray[np.int64]  # row, or NOBODY
    talk: NDArray[np.float64]  # relative rate of messages, 0 for lurkers
    promoter: NDArray[np.bool_]
    announced: NDArray[np.bool_]  # has a join event

    def __len__(self) -> int:
        return len(self.member_ids)

    def until(self, hours: float) -> NDArray[np.float64]:
        """Ends of the lives, cut at the end of the span."""
        return np.minimum(self.ended, hours)


class Accounts:
    """Accounts of the platforms; some of them live in several communities."""

    def __init__(self) -> None:
        self._of_platform: dict[str, list[str]] = {}

    def take(self, community: Community, count: int, chance: np.random.Generator) -> list[str]:
        """`count` different ids, a share of them known from other communities of the platform."""
        known = self._of_platform.setdefault(community.platform.name, [])
        shared = min(int(chance.binomial(count, _SHARED_ACCOUNTS)), len(known))
        ids = [known[i] for i in chance.choice(len(known), shared, replace=False)] if shared else []
        new = [account_name(community.platform, len(known) + 1 + i) for i in range(count - shared)]
        known += new
        ids += new
        return [ids[i] for i in chance.permutation(count)]


def live(plan: Plan, community: Community, accounts: Accounts) -> Lives:
    """Draw the lives of one community."""
    chance = plan.chance(3, community.number)
    count, hours = community.members, float(community.clock.hours)
    span = hours - community.opened
    # A burst when it opens, then a steady stream.
    in_the_burst = chance.random(count) < 0.3
    joined = community.opened + span * np.sort(np.where(in_the_burst, chance.beta(1, 12, count), chance.random(count)))
    joined[: min(_FOUNDERS, count)] = community.opened
    roles = ["owner", "staff", "bot", "admin"][:count] + ["member"] * (count - _FOUNDERS)
    for row in range(_FOUNDERS, count):
        if chance.random() < 0.01:
            roles[row] = "expert"

    rate_per_hour = chance.gamma(_CHURN_SHAPE, _CHURN_SCALE_PER_DAY / 24, count)
    ended = joined + chance.exponential(1.0, count) / np.maximum(rate_per_hour, 1e-9)
    ended[:_FOUNDERS] = STAYS
    ended[ended >= hours] = STAYS
    end = 1 + chance.choice(len(_END_SHARES), count, p=_END_SHARES).astype(np.int8)
    end[np.isinf(ended)] = 0

    talk = chance.lognormal(0.0, _TALK_SIGMA, count)
    talk[chance.random(count) < _LURKERS] = 0.0
    talk[:_FOUNDERS] = np.array([1.0, 3.0, 4.0, 1.5])[:count] * max(1.0, count / 40)
    via = chance.choice(len(VIAS), count, p=_VIA_SHARES).astype(np.int8)
    via[:_FOUNDERS] = VIAS.index("unknown")
    announced = chance.random(count) >= _KNOWN_BEFORE
    return Lives(
        member_ids=accounts.take(community, count, chance),
        roles=roles,
        joined=joined,
        ended=ended,
        end=end,
        via=via,
        inviter=_inviters(joined, ended, via, chance),
        talk=talk,
        promoter=chance.random(count) < _PROMOTERS,
        announced=announced,
    )


def _inviters(
    joined: NDArray[np.float64], ended: NDArray[np.float64], via: NDArray[np.int8], chance: np.random.Generator
) -> NDArray[np.int64]:
    """Who brought whom: somebody who was there at the time, a few bring most. Changes `via` where nobody was."""
    count = len(joined)
    keen = np.cumsum(chance.pareto(1.2, count) + 0.05)
    inviter = np.full(count, NOBODY, np.int64)
    invited = np.flatnonzero(via == VIAS.index("invite"))
    draws = chance.random((len(invited), 6))
    for row, tries in zip(invited.tolist(), draws, strict=True):
        if row:
            candidates = np.searchsorted(keen[:row], tries * keen[row - 1])
            there = candidates[ended[candidates] > joined[row]]
            if len(there):
                inviter[row] = there[0]
                continue
        via[row] = VIAS.index("qr_code")
    return inviter
