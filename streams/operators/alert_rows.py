"""Alert records and verdicts as rows of their base tables."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from schemas.alerts import AlertRecord, CommandRecord

_TIME = pa.timestamp("ms", "UTC")
_KINDS: dict[str, pa.DataType] = {
    "revision": pa.uint32(),
    "opened_at": _TIME,
    "updated_at": _TIME,
    "resolved_at": _TIME,
    "value_at_risk": pa.float64(),
    "replay": pa.uint8(),
}


def alert_table(records: list[AlertRecord]) -> pa.Table:
    """Rows for ``alerts``; the evidence stands in them as JSON."""

    def value(record: AlertRecord, name: str) -> Any:
        found = getattr(record, name)
        if name == "evidence":
            return msgspec.json.encode(found).decode()
        return int(found) if name == "replay" else found

    return pa.table(
        {
            name: pa.array([value(record, name) for record in records], _KINDS.get(name, pa.string()))
            for name in AlertRecord.__struct_fields__
        }
    )


def verdict_table(commands: list[CommandRecord]) -> pa.Table:
    """Rows for ``alert_verdicts``; the kind is the first part of an alert's id."""
    return pa.table(
        {
            "alert_id": pa.array([one.alert_id for one in commands], pa.string()),
            "kind": pa.array([(one.alert_id or "").rpartition("-")[0] for one in commands], pa.string()),
            "community_id": pa.array([one.community_id for one in commands], pa.string()),
            "verdict": pa.array([one.verdict for one in commands], pa.string()),
            "reason": pa.array([one.reason for one in commands], pa.string()),
            "issued_by": pa.array([one.issued_by for one in commands], pa.string()),
            "issued_at": pa.array([one.issued_at for one in commands], _TIME),
        }
    )
