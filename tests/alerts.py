"""Alert records for tests."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from schemas.alerts import AlertKind, AlertRecord, alert_id

OPENED_AT = 1_714_500_000_000  # 2024-04-30 18:00 UTC


def alert(kind: AlertKind = "silent", *, fact: int = 1, **fields: Any) -> AlertRecord:
    """An alert about a member of a Chinese reading circle, or whatever the fields say."""
    community = fields.pop("community_id", "wecom:上海读书会")
    member = fields.pop("member_id", "wm-王小明" if kind in ("silent", "lapsed_buyer", "left") else "")
    return AlertRecord(
        **{
            "alert_id": alert_id(kind, community, member, fact=fact),
            "revision": 1 if fields.get("state", "opened") == "opened" else 2,
            "kind": kind,
            "community_id": community,
            "member_id": member,
            "state": "opened",
            "severity": "medium",
            "opened_at": OPENED_AT + fact,
            "updated_at": OPENED_AT + fact,
            "reason": "active every 2 days until now, silent for 9",
            "evidence": {"silent_days": 9.0, "typical_gap_days": 2.0},
            "suggested_action": "Write to them in private.",
        }
        | fields
    )


def landed(*alerts: AlertRecord) -> pa.Table:
    """The alerts as rows of the base table."""
    times = ("opened_at", "updated_at", "resolved_at")
    columns: dict[str, pa.Array] = {}
    for name in AlertRecord.__struct_fields__:
        values = [getattr(one, name) for one in alerts]
        if name == "evidence":
            values = [json.dumps(one) for one in values]
        columns[name] = pa.array(values, pa.timestamp("ms", "UTC")) if name in times else pa.array(values)
    return pa.table(columns | {"version": pa.array([one.revision for one in alerts], pa.uint64())})
