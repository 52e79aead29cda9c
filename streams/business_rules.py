"""Land what the business views need of the rules file: efforts, clocks, hours, definitions, moves, rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from sinks.schema import (
    CAMPAIGN_RULES,
    COMMUNITIES,
    DEFINITIONS,
    EVENT_SPANS,
    MOVE_RULES,
    POINT_REWARDS,
    SERVICE_HOURS,
    TIMEZONE_OFFSETS,
)
from streams.rules import Rules
from streams.rules_efforts import EffortRules
from streams.timezone_offsets import offsets_of

_SECONDS = pa.timestamp("s", "UTC")
_EFFORT: Mapping[str, pa.DataType] = {
    "name": pa.string(),
    "cost_minor": pa.int64(),
    "currency": pa.string(),
    "goal_figure": pa.string(),
    "goal": pa.float64(),
    "attribution_days": pa.uint16(),
}


def land_business_rules(clickhouse: ClickHouse, rules: Rules, version: int, lateness_seconds: int) -> None:
    """Write all rows and delete those of earlier versions; every worker may do it.

    The allowed lateness is landed with them: from it views know which months can change no more.

    Raises:
        SinkError: ClickHouse did not take them.
    """
    _land(clickhouse, TIMEZONE_OFFSETS, _offset_rows(clickhouse, rules), version)
    _land(clickhouse, EVENT_SPANS, _span_rows(rules), version)
    _land(clickhouse, CAMPAIGN_RULES, _campaign_rows(rules), version)
    _land(clickhouse, SERVICE_HOURS, _service_rows(rules), version)
    _land(clickhouse, DEFINITIONS, definition_rows(rules, lateness_seconds), version)
    _land(clickhouse, MOVE_RULES, move_rows(rules), version)
    _land(clickhouse, POINT_REWARDS, _reward_rows(rules), version)


def _land(clickhouse: ClickHouse, table: str, rows: pa.Table, version: int) -> None:
    clickhouse.insert_arrow(table, rows.append_column("version", pa.array([version] * rows.num_rows, pa.uint64())))
    clickhouse.command(f"DELETE FROM {table} WHERE version < {version}")


def _offset_rows(clickhouse: ClickHouse, rules: Rules) -> pa.Table:
    """The zones of the rules, and those fixed for communities by what an earlier file said."""
    zones = {zone for (zone,) in clickhouse.rows(f"SELECT DISTINCT timezone FROM {COMMUNITIES}")}
    zones |= {rules.timezone_of(community) for community in rules.communities}
    zones |= {platform.timezone for platform in rules.platforms.values()} | {"UTC"}
    rows = [(zone, since, offset) for zone in sorted(zones) for since, offset in offsets_of(zone)]
    return pa.table(
        {
            "timezone": pa.array([row[0] for row in rows], pa.string()),
            "starts_at": pa.array([row[1] for row in rows], pa.int64()).cast(_SECONDS),
            "offset_seconds": pa.array([row[2] for row in rows], pa.int32()),
        }
    )


def _span_rows(rules: Rules) -> pa.Table:
    """A row for each event and community that took part in it."""
    held = [
        (community, span_id, event, event.span_ms(rules.timezone_of(community)))
        for span_id, event in rules.events.items()
        for community in dict.fromkeys(event.communities or rules.communities)
    ]
    return pa.table(
        {
            "community_id": pa.array([community for community, _, _, _ in held], pa.string()),
            "span_id": pa.array([span_id for _, span_id, _, _ in held], pa.string()),
            "kind": pa.array([event.kind for _, _, event, _ in held], pa.string()),
            "starts_at": pa.array([start // 1000 for *_, (start, _) in held], pa.int64()).cast(_SECONDS),
            "ends_at": pa.array([end // 1000 for *_, (_, end) in held], pa.int64()).cast(_SECONDS),
            **_effort_columns([(span_id, event) for _, span_id, event, _ in held]),
        }
    )


def _campaign_rows(rules: Rules) -> pa.Table:
    campaigns = list(rules.campaigns.items())
    return pa.table(
        {
            "campaign_id": pa.array([campaign_id for campaign_id, _ in campaigns], pa.string()),
            **_effort_columns(campaigns),
        }
    )


def _effort_columns(efforts: Sequence[tuple[str, EffortRules]]) -> dict[str, pa.Array]:
    rows: list[dict[str, Any]] = [
        {
            "name": effort.name or effort_id,
            "cost_minor": effort.cost_minor,
            "currency": effort.currency or "",
            "goal_figure": effort.goal.figure if effort.goal else "",
            "goal": effort.goal.target if effort.goal else None,
            "attribution_days": effort.attribution_days,
        }
        for effort_id, effort in efforts
    ]
    return {name: pa.array([row[name] for row in rows], kind) for name, kind in _EFFORT.items()}


def _service_rows(rules: Rules) -> pa.Table:
    spans = [
        (community, span)
        for community, described in rules.communities.items()
        for span in described.service_hours or ()
    ]
    return pa.table(
        {
            "community_id": pa.array([community for community, _ in spans], pa.string()),
            "weekday": pa.array([span.weekday + 1 for _, span in spans], pa.uint8()),
            "start_minute": pa.array([span.start_minute for _, span in spans], pa.uint16()),
            "end_minute": pa.array([span.end_minute for _, span in spans], pa.uint16()),
        }
    )


def definition_rows(rules: Rules, lateness_seconds: int) -> pa.Table:
    """Whole numbers by name; those of a section are named after it, a list is a row of 1 for each of its words."""
    values = dict(rules.definitions.model_dump()) | {"allowed_lateness_seconds": lateness_seconds}
    for section, said in (("tier", rules.tiers), ("lifecycle", rules.lifecycle), ("points", rules.points)):
        numbers = {name: value for name, value in said.model_dump().items() if isinstance(value, int)}
        values |= {f"{section}_{name}": value for name, value in numbers.items()}
    values |= {f"tier_key_opinion_role_{role}": 1 for role in rules.tiers.key_opinion_roles}
    return pa.table({"name": pa.array(list(values), pa.string()), "value": pa.array(list(values.values()), pa.int64())})


def move_rows(rules: Rules) -> pa.Table:
    """A row for each rule, in the order of the file; an empty list stands for anything."""
    words = pa.list_(pa.string())
    return pa.table(
        {
            "number": pa.array(range(1, len(rules.moves) + 1), pa.uint16()),
            "to_type": pa.array([move.to for move in rules.moves], pa.string()),
            "stages": pa.array([move.stages for move in rules.moves], words),
            "buyer_stages": pa.array([move.buyer_stages for move in rules.moves], words),
            "tiers": pa.array([move.tiers for move in rules.moves], words),
            "value_tiers": pa.array([move.value_tiers for move in rules.moves], words),
            "reason": pa.array([move.reason for move in rules.moves], pa.string()),
        }
    )


def _reward_rows(rules: Rules) -> pa.Table:
    rewards = rules.points.rewards
    return pa.table(
        {
            "object_id": pa.array(list(rewards), pa.string()),
            "points": pa.array(list(rewards.values()), pa.uint32()),
        }
    )
