"""What several views are recomputed from, worked out once for whatever feed landed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from schemas.partitioning import partition_for
from streams.rules_lifecycle import PointsRules
from streams.service_hours import parse_service_hours
from tests.oracle import (
    TOPIC_OF,
    Oracle,
    milliseconds,
    views_boards,
    views_efforts,
    views_fatigue,
    views_lifecycle,
    views_referrals,
    views_responses,
)
from tests.oracle.referrals import ReferralOracle
from tests.views.feed import with_topics
from tests.views.landed import PARTITIONS, Landed


class Recounts:
    """What several views are recomputed from, each worked out once; `rules` are sections of the rules file."""

    def __init__(self, landed: Landed, rules: Mapping[str, Any]) -> None:
        self.landed, self.feed, self.raw, self._rules = landed, landed.feed, landed.raw, rules

    @cached_property
    def batch(self) -> Oracle:
        """The base tables."""
        return Oracle(with_topics(self.feed.events), timezones=self.feed.zones)

    @cached_property
    def efforts(self) -> views_efforts.Recount:
        """Campaigns and events."""
        return views_efforts.Recount(self.raw, self._rules)

    @cached_property
    def tier_days(self) -> pd.DataFrame:
        """Tiers at the end of each day."""
        return views_lifecycle.tier_days(self.raw)

    @cached_property
    def exposure(self) -> pd.DataFrame:
        """Promotions that members had."""
        return views_fatigue.promotion_exposure(self.raw)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """First answers to every message."""
        hours = {
            community: [(span.weekday, span.start_minute, span.end_minute) for span in parse_service_hours(text)]
            for community, rules in self.feed.communities.items()
            if (text := rules.get("service_hours"))
        }
        return views_responses.first_responses(self.raw, hours)

    @cached_property
    def ledger(self) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
        """Points: the entries, and what expires soon by member. Credits are taken as landed."""
        credits_ = [
            {
                # a credit's community stands in its edge id: origin/community/event
                "community_id": row.edge_id.split("/")[1].replace("%2F", "/").replace("%25", "%"),
                "referrer_id": row.referrer_id,
                "referee_id": row.referee_id,
                "edge_id": row.edge_id,
                "state": row.state,
                "changed_ms": int(row.changed_at.timestamp() * 1000 + 0.5),
            }
            for row in self.landed.view("referral_credits").itertuples()
        ]
        points = PointsRules.model_validate(self._rules.get("points", {})).model_dump()
        return views_boards.ledger(self.raw, points, credits_)

    @cached_property
    def lives(self) -> views_referrals.Recount:
        """Every member's life, for referrals."""
        return views_referrals.Recount(self.feed.events, self.raw.sql("select * from member"), self.raw.zones)

    @cached_property
    def referrals(self) -> ReferralOracle:
        """Forests and ledgers."""
        once = {(one["event_type"], one["community_id"], one["event_id"]): one for one in self.feed.events}
        latest: dict[int, int] = {}
        for event in once.values():
            partition = partition_for(event["community_id"].encode(), PARTITIONS)
            latest[partition] = max(latest.get(partition, 0), milliseconds(event["occurred_at"]))
        return ReferralOracle(
            [(TOPIC_OF[event["event_type"]], event) for event in once.values()],
            now_of=lambda community: latest[partition_for(community.encode(), PARTITIONS)],
        )
