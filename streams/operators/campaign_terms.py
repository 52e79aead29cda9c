"""What of a campaign's rules bears on credits, as it stood when the campaign's first edge came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from streams.operators.base import StateRows, binary
from streams.rules_campaigns import CampaignRules


@dataclass(frozen=True, slots=True)
class CampaignTerms:
    """The terms of a campaign. Kept with the state, so that an edit of the rules file changes no credit."""

    maturity_ms: int
    require: str
    grace_ms: int
    staff_may_refer: bool
    start_ms: int | None
    end_ms: int | None
    new_to_platform: bool = False

    @classmethod
    def of(cls, rules: CampaignRules) -> CampaignTerms:
        """The terms in a campaign's rules."""
        return cls(
            rules.maturity_ms,
            rules.require,
            rules.grace_ms,
            rules.staff_may_refer,
            rules.start_ms(),
            rules.end_ms(),
            rules.new_to == "platform",
        )

    def outside(self, time_ms: int) -> bool:
        """Whether a time lies outside the campaign."""
        return (self.start_ms is not None and time_ms < self.start_ms) or (
            self.end_ms is not None and time_ms >= self.end_ms
        )


class TermsBook:
    """The terms of all campaigns that a partition has met."""

    name = "referral_campaigns"

    def __init__(self, rules_of: Callable[[str], CampaignRules]) -> None:
        self._rules_of = rules_of
        self._terms: dict[str, CampaignTerms] = {}
        self._new: list[str] = []

    def of(self, campaign: str) -> CampaignTerms:
        """The terms of a campaign."""
        terms = self._terms.get(campaign)
        if terms is None:
            terms = self._terms[campaign] = CampaignTerms.of(self._rules_of(campaign))
            self._new.append(campaign)
        return terms

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._new)

    def dirty(self) -> list[StateRows]:
        """State rows of campaigns met since the last call."""
        if not self._new:
            return []
        campaigns, self._new = self._new, []
        payloads = [msgspec.msgpack.encode(self._terms[campaign]) for campaign in campaigns]
        return [StateRows(self.name, binary([campaign.encode() for campaign in campaigns]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._terms[key.decode()] = msgspec.msgpack.decode(payload, type=CampaignTerms)
