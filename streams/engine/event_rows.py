"""Rows of the table ``events``: every applied or late event, as it came."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Columns
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
    "snapshot_size": pa.uint32(),
    "joined_at": pa.timestamp("ms", "UTC"),
}
_NULLABLE = frozenset({"is_question", "value", "snapshot_size", "discount_minor", "joined_at"})
"""Columns in which absent stays absent; in the others it is the empty text or list."""


def event_rows(event_type: str, occurred_at_ms: Ints, columns: Columns, late: Mask, ingested_at_ms: int) -> pa.Table:
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
    for name in columns:
        array = columns.arrow(name)
        if array.null_count < count and (name in _NULLABLE or not _all_zero(array)):
            landed[name] = _as_landed(name, array)  # else the table's own default says the same
    if "member_id" not in landed:
        landed["member_id"] = landed[ACTOR[event_type]]
    landed["late"] = pa.array(late.astype(np.uint8))
    landed["version"] = pa.array(np.where(late, LATE_VERSION, APPLIED_VERSION).astype(np.uint64))
    landed["ingested_at"] = _constant(ingested_at_ms, count).cast(pa.timestamp("ms", "UTC"))
    return pa.table(landed)


def _constant(value: object, count: int) -> pa.Array:
    return pa.repeat(value, count)


def _all_zero(array: pa.Array) -> bool:
    if not (pa.types.is_integer(array.type) or pa.types.is_boolean(array.type)):
        return False
    return not array.to_numpy(zero_copy_only=False).any()


def _as_landed(name: str, array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if name == "items":
        return _items(array)
    if name in _TYPES:
        array = array.cast(_TYPES[name])
    if array.null_count and name not in _NULLABLE:
        return array.fill_null("") if pa.types.is_string(array.type) else _without_nulls(array)
    return array


def _items(array: pa.Array) -> pa.Array:
    """Lists of items as the table has them: no list and no category are empty ones."""
    array = _without_nulls(array)
    flat = array.flatten()
    fields = [flat.field(at).cast(_ITEM.field(at).type) for at in range(_ITEM.num_fields)]
    fields[1] = pc.fill_null(fields[1], "")
    lengths = np.concatenate(([0], np.cumsum(array.value_lengths().to_numpy()))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(lengths), pa.StructArray.from_arrays(fields, fields=list(_ITEM)))


def _without_nulls(lists: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), lists.flatten())
