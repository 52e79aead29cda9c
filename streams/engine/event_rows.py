"""Rows of the table ``events``: every applied or late event, as it came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from streams.engine.intake import ACTOR
from streams.operators.base import Ints, Mask

APPLIED_VERSION, LATE_VERSION = 2, 1
"""An applied copy of an event always wins over a late one."""

_ITEM = pa.struct(
    [("sku", pa.string()), ("category", pa.string()), ("quantity", pa.uint32()), ("amount_minor", pa.int64())]
)
_TYPES: dict[str, pa.DataType] = {
    "char_count": pa.uint32(),
    "mentions": pa.uint32(),
    "is_question": pa.bool_(),
    "is_promotion": pa.bool_(),
    "labels": pa.list_(pa.string()),
    "value": pa.float64(),
    "snapshot_size": pa.uint32(),
    "amount_minor": pa.int64(),
    "coupon_codes": pa.list_(pa.string()),
    "discount_minor": pa.int64(),
}
_NULLABLE = frozenset({"is_question", "value", "snapshot_size", "discount_minor"})


def event_rows(
    event_type: str, occurred_at_ms: Ints, columns: dict[str, list[Any]], late: Mask, ingested_at_ms: int
) -> pa.Table:
    """An Arrow table of events of one type; columns without a value in any of them are left out.

    Args:
        event_type: the type of all of them.
        occurred_at_ms: event time of each.
        columns: the other fields by their contract names.
        late: which of them are late.
        ingested_at_ms: now.
    """
    count = len(occurred_at_ms)
    landed: dict[str, pa.Array] = {
        "event_type": _constant(event_type, count),
        "occurred_at": pa.array(occurred_at_ms).cast(pa.timestamp("ms", "UTC")),
    }
    for name, column in columns.items():
        if column.count(column[0]) == count:
            if column[0] is None or (column[0] in (False, 0) and name not in _NULLABLE):
                continue  # the table's own default says the same
            if isinstance(column[0], str):
                landed[name] = _constant(column[0], count)
                continue
        if name == "joined_at":
            landed[name] = pa.array(column, pa.timestamp("ms", "UTC"))
        elif name == "items":
            landed[name] = _items(column)
        else:
            array = pa.array(column, _TYPES.get(name, pa.string()))
            if array.null_count and name not in _NULLABLE:
                array = array.fill_null("") if pa.types.is_string(array.type) else _without_nulls(column, array.type)
            landed[name] = array
    if "member_id" not in landed:
        landed["member_id"] = landed[ACTOR[event_type]]
    landed["late"] = pa.array(late.astype(np.uint8))
    landed["version"] = pa.array(np.where(late, LATE_VERSION, APPLIED_VERSION).astype(np.uint64))
    landed["ingested_at"] = _constant(ingested_at_ms, count).cast(pa.timestamp("ms", "UTC"))
    return pa.table(landed)


def _constant(value: Any, count: int) -> pa.Array:
    return pa.repeat(value, count)


def _items(column: list[list[tuple[Any, ...]] | None]) -> pa.Array:
    lengths = [len(items) if items else 0 for items in column]
    flat = [item for items in column if items for item in items]
    fields = list(zip(*flat, strict=True)) or [(), (), (), ()]
    fields[1] = tuple(category or "" for category in fields[1])
    arrays = [pa.array(values, _ITEM.field(at).type) for at, values in enumerate(fields)]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(arrays, fields=list(_ITEM)))


def _without_nulls(column: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([value if value is not None else [] for value in column], kind)
