"""What landed of the referrals in a pipeline, compared with the offline rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.partitioning import partition_for
from tests.oracle.reading import milliseconds
from tests.oracle.referrals import Campaign, ReferralOracle, times_in_ms
from tests.pipeline import Feed, Pipeline
from tests.referral_network import KEYS

Row = dict[str, Any]


def oracle_of(feed: Feed, partitions: int, campaigns: Mapping[str, Campaign] | None = None) -> ReferralOracle:
    """The offline rebuild of a feed of which nothing is late; *now* is the latest event of the partition."""
    distinct = {(topic, event["community_id"], event["event_id"]): (topic, event) for topic, event in reversed(feed)}
    now_ms: dict[int, int] = {}
    homes = {community: partition_for(community.encode(), partitions) for _, community, _ in distinct}
    for _, event in distinct.values():
        home = homes[event["community_id"]]
        now_ms[home] = max(now_ms.get(home, 0), milliseconds(event["occurred_at"]))
    return ReferralOracle(distinct.values(), lambda community: now_ms[homes[community]], campaigns)


def landed(pipeline: Pipeline) -> dict[str, dict[tuple[Any, ...], Row]]:
    """Rows of the base tables by key, times in ms."""
    return {table: _rows(pipeline, table, keys) for table, keys in KEYS.items()}


def _rows(pipeline: Pipeline, table: str, keys: tuple[str, ...]) -> dict[tuple[Any, ...], Row]:
    rows = pipeline.clickhouse.query_arrow(f"SELECT * EXCEPT version FROM qunpulse_store.{table} FINAL").to_pylist()
    found = {}
    for row in map(times_in_ms, rows):
        found[tuple(row.pop(name) for name in keys)] = row
    return found


def check_referrals(pipeline: Pipeline, oracle: ReferralOracle) -> None:
    """Every row is as expected, and the views show the same number of them."""
    differences = oracle.differences(landed(pipeline))
    assert not differences, f"{len(differences)} differences:\n" + "\n".join(differences[:40])
    shown = {view: pipeline.view(view).num_rows for view in ("referral_nodes", "referral_credits", "referral_revenue")}
    assert shown == {
        "referral_nodes": len(oracle.nodes),
        "referral_credits": len(oracle.credits),
        "referral_revenue": len(oracle.revenue),
    }
