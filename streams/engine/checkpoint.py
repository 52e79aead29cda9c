"""What one flush writes: the state rows, the checkpoint row and the redo rows of one consistent cut."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from sinks.claims import Claim
from sinks.state import STATE_SCHEMA
from streams.engine.intake import RefusedRecord
from streams.operators.base import StateRows, binary
from streams.operators.outbox import OutboxRecord

CHECKPOINT = "checkpoint"
CLOCKS = "clocks"
REDO = "redo"
"""Derived rows of the last checkpoint, as Arrow bytes, so that step 3 can be done again after a crash."""

OUTBOX = "outbox"
"""Outbox records of the last checkpoint that had any, for the same reason; one row."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The checkpoint row: where to go on from, and the cumulative accounts.

    ``accounts`` has the numbers of each topic's account; ``merged_ms`` the merge key reached by topic;
    ``reference_ms`` the largest event time applied on the partition.
    """

    number: int
    accounts: dict[str, list[int]]
    merged_ms: list[int]
    reference_ms: int
    lateness_ms: int = 0


@dataclass(frozen=True, slots=True)
class Landing:
    """Step 3 of a flush: rows that people read, by base table, and records for other topics."""

    derived: dict[str, pa.Table]
    outbox: list[OutboxRecord]


@dataclass(slots=True)
class FlushPlan:
    """Everything one flush of a partition writes, taken at one instant.

    ``state`` has the columns of ``sinks.state.STATE_SCHEMA`` and goes in as one block; ``derived`` are absolute rows by
    base table, version included; ``outbox`` is sent once the state is written; ``offsets`` is what this checkpoint
    makes committable, by topic; ``left_keys`` counts the keys that leave the state.
    """

    partition: int
    claim: Claim
    version: int
    events: list[pa.Table]
    refused: list[RefusedRecord]
    misrouted: list[RefusedRecord]
    state: pa.Table
    derived: dict[str, pa.Table]
    outbox: list[OutboxRecord]
    offsets: dict[str, int]
    records: int
    left_keys: int

    @property
    def landing(self) -> Landing:
        """What step 3 brings out."""
        return Landing(self.derived, self.outbox)


def version_of(generation: int, claim: int, checkpoint: int) -> int:
    """The version of rows: a later generation, then claim, then checkpoint always wins."""
    return generation << 56 | claim << 32 | checkpoint


def generation_of(version: int) -> int:
    """The generation a version belongs to."""
    return version >> 56


def state_table(rows: list[StateRows], version: int) -> pa.Table:
    """State rows of all operators as one table."""
    names, keys, payloads, deleted = [], [], [], []
    for one in rows:
        count = len(one)
        names.append(pa.repeat(one.operator, count))
        keys.append(one.keys.cast(pa.binary()))
        payloads.append(one.payloads.cast(pa.binary()))
        deleted.append(pa.repeat(pa.scalar(int(one.deleted), pa.uint8()), count))
    total = sum(map(len, rows))
    columns = [
        pa.chunked_array(names, pa.string()),
        pa.chunked_array(keys, pa.binary()),
        pa.chunked_array(payloads, pa.binary()),
        pa.array(np.zeros(total, np.int64)),
        pa.chunked_array(deleted, pa.uint8()),
        pa.repeat(pa.scalar(version, pa.uint64()), total),
    ]
    return pa.table(columns, schema=STATE_SCHEMA)


def redo_rows(derived: dict[str, pa.Table]) -> StateRows:
    """The derived rows as state rows, one a table."""
    return StateRows(REDO, binary([name.encode() for name in derived]), binary(list(map(_packed, derived.values()))))


def redo_table(payload: bytes) -> pa.Table:
    """The inverse of :func:`redo_rows` for one payload."""
    return pa.ipc.open_stream(payload).read_all()


def outbox_rows(records: list[OutboxRecord]) -> StateRows:
    """The records of one checkpoint as one state row: the next outbox replaces it."""
    columns = {name: pa.array([getattr(one, name) for one in records], kind) for name, kind in _OUTBOX_SCHEMA}
    return StateRows(OUTBOX, binary([b""]), binary([_packed(pa.table(columns))]))


def outbox_records(payload: bytes) -> list[OutboxRecord]:
    """The inverse of :func:`outbox_rows`."""
    return [OutboxRecord(**row) for row in redo_table(payload).to_pylist()]


_OUTBOX_SCHEMA = (
    ("topic", pa.string()),
    ("key", pa.string()),
    ("record_id", pa.string()),
    ("revision", pa.int64()),
    ("value", pa.large_binary()),
)


def _packed(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    packed: bytes = out.getvalue().to_pybytes()
    return packed


def with_version(table: pa.Table, version: int) -> pa.Table:
    """The rows with their version."""
    return table.append_column("version", pa.repeat(pa.scalar(version, pa.uint64()), len(table)))
