"""What holds for every view, whatever it says: odd and empty input, numbers, conditions."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sinks.migrate import views
from tests.views.feed import EMPTY
from tests.views.landed import Landed
from tests.views.odd_communities import ODD

VIEWS = [script.name for script in views()]
# Views over several communities. What the others say of nothing is what they say of the community without events.
OVER_COMMUNITIES = [script.name for script in views() if "\n    community_id " not in script.text.split("DEFINER =")[0]]
OF_RULES = {"communities", "community_offsets"}
"""Views with rows of a community that the rules name and nothing is known of."""


@pytest.mark.parametrize("view", VIEWS)
def test_odd_and_empty_communities_get_their_rows_and_no_figure_is_no_number(landed: Landed, view: str) -> None:
    rows = landed.table(view)
    for name in rows.column_names:
        for number in numbers(rows[name]):
            assert not pc.any(pc.is_nan(number)).as_py(), name
            assert not pc.any(pc.is_inf(number)).as_py(), name
    if "community_id" in rows.column_names:
        of_odd = rows.filter(pc.is_in(rows["community_id"], pa.array(ODD)))
        asked = landed.table(view, f"WHERE community_id IN ({', '.join(map(repr, ODD))})")
        assert Counter(plain(asked.to_pylist())) == Counter(plain(of_odd.to_pylist())), "a condition changes nothing"
        assert (EMPTY in rows["community_id"].to_pylist()) == (view in OF_RULES)


def plain(found: Any) -> Any:
    """Rows that can be counted; floats to nine digits, as sums may be summed up in another order."""
    if isinstance(found, float):
        return float(f"{found:.9g}")
    if isinstance(found, dict):
        return tuple((name, plain(value)) for name, value in found.items())
    return tuple(map(plain, found)) if isinstance(found, list | tuple) else found


def numbers(column: Any) -> list[Any]:
    """Columns of floats in a column: itself, or what its lists, maps and tuples hold."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_floating(column.type):
        return [column]
    if pa.types.is_map(column.type):
        return [*numbers(column.keys), *numbers(column.items)]
    if pa.types.is_list(column.type):
        return numbers(column.flatten())
    if pa.types.is_struct(column.type):
        return [number for part in column.flatten() for number in numbers(part)]
    return []


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
    **dict.fromkeys(("activity_hours", "best_hours", "order_hours", "growth_sources"), ZONES),
    **dict.fromkeys(
        ("member_tier_days", "tier_changes", "lifecycle", "lifecycle_stages", "leaderboards", "month_winners"), ZONES
    ),
    **{key: {"referral_credits", *ZONES} for key in ("points_ledger", "member_points")},  # credits are kept by campaign
    "routing": {"members", *ZONES},  # whether somebody is in a group of the type already
    "effort_orders": {"events"},  # another community may have told of an order first, and a refund belongs to it
    "effort_results": {"events", "event_spans"},
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
