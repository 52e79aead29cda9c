"""What holds for every view, whatever it says: odd and empty input, numbers, conditions."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sinks.migrate import views
from tests.views.examples import example, join, message, order
from tests.views.feed import EMPTY
from tests.views.landed import Landed

VIEWS = [script.name for script in views()]
# Views over several communities. What the others say of nothing is what they say of the community without events.
OVER_COMMUNITIES = [script.name for script in views() if "\n    community_id " not in script.text.split("DEFINER =")[0]]
OF_RULES = {"communities", "community_offsets"}
"""Views with rows of a community that the rules name and nothing is known of."""

ODD = [
    example("odd:one-member", [join("2024-05-01", "独"), message("2024-05-01 13:00", "独")], "Asia/Shanghai"),
    example("odd:one-buyer", [order("2024-05-01", "独", "odd-1", 0, items=[])], "Asia/Shanghai"),
    example("odd:only-staff", [message("2024-05-01", "员工", sender_role="staff")]),
    example("odd:only-bots", [message("2024-05-01", "bot", sender_role="bot", kind="coupon_claim")]),
    example("odd:only-refunds", [order("2024-05-01", "m", "odd-2", 500, "refunded")]),
    example("odd:only-cancelled", [order("2024-05-01", "m", "odd-3", 500, "cancelled")]),
    example("odd:only-leaves", [join("2024-05-01", "m", "left")]),
    example("odd:only-silent", [join("2024-05-01", "m"), join("2024-05-02", "n")]),
    example(
        "odd:change-of-clocks",  # a day of 23 hours and one of 25
        [message(f"2024-{day} {hour}", "m") for day in ("03-31", "10-27") for hour in ("00:30", "01:30", "21:30")],
        "Europe/Berlin",
    ),
]


@pytest.mark.parametrize("view", VIEWS)
def test_numbers_are_numbers_and_a_community_gets_its_own_rows(landed: Landed, view: str) -> None:
    rows = landed.table(view)
    for name in rows.column_names:
        if pa.types.is_floating(rows[name].type):
            assert not pc.any(pc.is_nan(rows[name])).as_py(), name
            assert not pc.any(pc.is_inf(rows[name])).as_py(), name
    if "community_id" in rows.column_names:
        communities = Counter(rows["community_id"].to_pylist())
        assert landed.rows(view, ODD[0], "count()") == [(communities[ODD[0]],)]
        assert (communities[EMPTY] > 0) == (view in OF_RULES)


def test_a_view_of_nothing_has_no_row(landed: Landed) -> None:
    landed.empty()
    try:
        names = set(OVER_COMMUNITIES) - {"definitions"}  # defaults hold without a rules file
        assert {"accounting", "persons_1d", "revenue_total_daily"} <= names
        every = " UNION ALL ".join(f"SELECT '{view}', count() FROM qunpulse.{view}" for view in sorted(names))
        assert [row for row in landed.clickhouse.rows(every) if row[1] > 0] == []
    finally:
        landed.restore()


WITHOUT_COMMUNITY = {"timezone_offsets", "campaign_rules", "identities", "definitions", "move_rules", "point_rewards"}
"""Small tables that have no community, and are read whole."""
ZONES = {"communities", "community_rules"}
READ_WHOLE = {
    **dict.fromkeys(("activity_hours", "best_hours", "order_hours", "effort_baselines", "growth_sources"), ZONES),
    **dict.fromkeys(
        ("member_tier_days", "tier_changes", "lifecycle", "lifecycle_stages", "leaderboards", "month_winners"), ZONES
    ),
    **{key: {"referral_credits", *ZONES} for key in ("points_ledger", "member_points")},  # credits are kept by campaign
    "routing": {"members", *ZONES},  # whether somebody is in a group of the type already
    "effort_orders": {"events"},  # another community may have told of an order first, and a refund belongs to it
    "effort_results": {"events", "event_spans", *ZONES},
    "community_persons": {"members", "events"},  # a person may act in any community
}
"""Tables that a view reads of all communities."""


@pytest.mark.parametrize("view", sorted(set(VIEWS) - set(OVER_COMMUNITIES)))
def test_a_condition_on_the_community_reaches_the_key_of_every_table(landed: Landed, view: str) -> None:
    plan = landed.clickhouse.rows(f"EXPLAIN indexes = 1 SELECT * FROM qunpulse.{view} WHERE community_id = '{ODD[0]}'")
    reads = re.split(r"ReadFromMergeTree \(qunpulse_store\.", "\n".join(line for (line,) in plan))[
        1:
    ]  # none: its tables are empty
    whole = {read.split(")")[0] for read in reads if f"(community_id in ['{ODD[0]}'" not in read}
    assert whole - WITHOUT_COMMUNITY <= READ_WHOLE.get(view, set())
