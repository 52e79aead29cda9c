"""Land the communities of the rules file, so that names, stores and assignees can be queried beside the figures.

What business views need besides is landed along with them.
"""

from __future__ import annotations

import time

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from sinks.schema import COMMUNITY_RULES
from streams.business_rules import land_business_rules
from streams.rules import Rules


def land_rules(clickhouse: ClickHouse, rules: Rules, lateness_seconds: int) -> None:
    """Write what can be queried of the rules and delete what an earlier file had; every worker may do it.

    Raises:
        SinkError: ClickHouse did not take them.
    """
    version = time.time_ns() // 1_000_000
    names = list(rules.communities)
    described = list(rules.communities.values())
    seconds = pa.timestamp("s", "UTC")

    def text(field: str) -> pa.Array:
        return pa.array([getattr(one, field) or "" for one in described], pa.string())

    def moment(field: str) -> pa.Array:
        times = [getattr(one, field)() for one in described]
        return pa.array([None if ms is None else ms // 1000 for ms in times], pa.int64()).cast(seconds)

    rows = pa.table(
        {
            "community_id": pa.array(names, pa.string()),
            **{field: text(field) for field in ("name", "type", "store", "assignee")},
            "capacity": pa.array([one.capacity for one in described], pa.uint32()),
            "timezone": pa.array([rules.timezone_of(name) for name in names], pa.string()),
            "opened_at": moment("opened_ms"),
            "closed_at": moment("closed_ms"),
            "version": pa.array([version] * len(names), pa.uint64()),
        }
    )
    clickhouse.insert_arrow(COMMUNITY_RULES, rows)
    clickhouse.command(f"DELETE FROM {COMMUNITY_RULES} WHERE version < {version}")
    land_business_rules(clickhouse, rules, version, lateness_seconds)
