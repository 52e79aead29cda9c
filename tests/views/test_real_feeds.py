"""Views over real feeds: the first months of a chat group and orders from 36 countries, against the recount."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.oracle import read_events
from tests.pipeline import shared_data
from tests.views.feed import Feed
from tests.views.landed import landing
from tests.views.recomputed import RECOMPUTED, check
from tests.views.recounts import Recounts

CHAT, ABROAD, HOME = "telegram:qa_load", "retail:germany", "retail:united-kingdom"
ZONES = {CHAT: "Asia/Tbilisi", ABROAD: "Europe/Berlin", "retail:france": "Europe/Paris"}
RULES: dict[str, Any] = {
    "events": {
        "聚会": {
            "communities": [CHAT],
            "kind": "offline",
            "start": "2019-03-09T10:00:00",
            "end": "2019-03-10T22:00:00",
        },
        "促销": {"communities": [ABROAD], "start": "2011-05-02T00:00:00", "end": "2011-05-16T00:00:00"},
    }
}
"""Spans of time in which nothing is known to have taken place: their figures are figures all the same."""

NOT_TOLD = {"check_in_days", "check_in_streaks", "coupon_codes", "referral_revenue", "effort_quits"}
"""What these feeds say nothing of: check-ins, coupons, purchases of who was invited, quits in the wake of an event."""


@pytest.fixture(scope="module")
def real(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recounts]:
    """The feeds, sent through the pipeline."""
    names = ("messages", "joins", "referrals")
    told = read_events(shared_data(*(f"qa_load/{name}.ndjson.gz" for name in names), "online_retail/orders.ndjson.gz"))
    events = [
        event
        for _, event in told
        if event["community_id"] != HOME and (event["community_id"] != CHAT or event["occurred_at"] < "2019-04")
    ]
    communities = {event["community_id"]: {"timezone": ZONES.get(event["community_id"], "UTC")} for event in events}
    communities[CHAT]["service_hours"] = "mon-fri 09:00-18:00"
    with landing(stack, tmp_path_factory.mktemp("real"), Feed(events, communities=communities), RULES) as landed:
        yield Recounts(landed, RULES)


@pytest.mark.parametrize("view", RECOMPUTED)
def test_a_view_over_real_feeds_equals_its_recomputation(real: Recounts, view: str) -> None:
    if view in NOT_TOLD:
        assert real.landed.table(view).num_rows == 0
    else:
        check(real, view)
