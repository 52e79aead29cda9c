"""Checkpointed state in ClickHouse: written whole or not at all, by the newest claim only, read as columns.

Rows are `STATE_SCHEMA`: operator, key, payload, expires_at (event time in ms, 0 = never), deleted, version.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from sinks.claims import Claim, is_newest
from sinks.clickhouse import BLOCK_BYTES, BLOCK_ROWS, ClickHouse, Setting
from sinks.schema import STATE

STATE_SCHEMA: Final = pa.schema(
    [
        ("operator", pa.string()),
        ("key", pa.binary()),
        ("payload", pa.binary()),
        ("expires_at", pa.int64()),
        ("deleted", pa.uint8()),
        ("version", pa.uint64()),
    ]
)


def insert_state(ch: ClickHouse, partition: int, rows: pa.Table, claim: Claim, timeout_seconds: float = 30) -> None:
    """Write one checkpoint of `partition` as one atomic block, if `claim` is still the newest one.

    Raises ClaimLost (nothing was written) when it is not, or was released. After a RetryableSinkError the
    outcome is unknown: send the same rows with the same version again, which changes nothing if they had
    arrived. `timeout_seconds` bounds how long the statement may run after its claim was looked at; whoever
    takes the partition over waits longer than that. Raises ValueError when the rows are more than one block.
    """
    if rows.num_rows > BLOCK_ROWS or rows.nbytes > BLOCK_BYTES:
        raise ValueError(
            f"{rows.num_rows} state rows of {rows.nbytes} bytes are more than one atomic block "
            f"({BLOCK_ROWS} rows, {BLOCK_BYTES} bytes); cap the dirty rows of a flush"
        )
    if rows.num_rows == 0:
        return
    rows = rows.add_column(0, "partition", pa.repeat(pa.scalar(partition, pa.uint16()), rows.num_rows))
    settings: dict[str, Setting] = {
        "max_execution_time": timeout_seconds,
        "timeout_overflow_mode": "throw",  # never "break", which would keep the rows that came so far
        "http_receive_timeout": max(1, int(timeout_seconds)),  # a body that stalls counts too
    }
    ch.insert_select(STATE, rows, where=is_newest(partition, claim), settings=settings)


def read_state(ch: ClickHouse, partition: int) -> pa.Table:
    """The newest version of every key of `partition` that is not deleted, without the partition column.

    `key` and `payload` are binary, `operator` is a dictionary. What has expired is still here: only the
    caller knows the event clocks it counts from.
    """
    return ch.query_arrow(
        f"""
        SELECT operator, key, payload, expires_at, version FROM {STATE} FINAL
        WHERE partition = {{partition:UInt16}} AND deleted = 0
        """,
        {"partition": partition},
        binary=True,
    )


def delete_expired(ch: ClickHouse, partition: int, before_ms: int) -> None:
    """Delete what expired before `before_ms` (event time) or is marked deleted, with all its versions.

    Whenever it breaks off, and whatever is inserted meanwhile, no older version comes back to life: a
    deletion works part by part, so versions that are not gone by themselves leave first, while the newest,
    which says that the key is gone, still stands; rows newer than the start are not touched. `before_ms`
    must not be ahead of the checkpointed event clocks.

    Lightweight deletes (they mask rows and rewrite one small column) and confined to the partition, so
    restores and inserts of other partitions do not wait. Returns when both are done, which takes seconds:
    ClickHouse does them in the background. Not for the flush's own thread.
    """
    here = f"partition = {int(partition)}"
    newest_version = int(ch.scalar(f"SELECT max(version) FROM {STATE} WHERE {here}"))
    gone = f"(deleted = 1 OR (expires_at > 0 AND expires_at < {int(before_ms)}))"
    outlived = f"""
        NOT {gone} AND version < {newest_version}
        AND (operator, key) IN (SELECT operator, key FROM {STATE} FINAL WHERE {here} AND {gone})
    """
    if not ch.scalar(f"SELECT count() FROM {STATE} WHERE {here} AND {gone}"):
        return
    for condition in (outlived, f"{gone} AND version <= {newest_version}"):
        # a mutation goes through every part even when it hits no row; look first
        if ch.scalar(f"SELECT count() FROM {STATE} WHERE {here} AND {condition}"):
            ch.command(f"DELETE FROM {STATE} IN PARTITION {int(partition)} WHERE {condition}", settings=_AND_WAIT)


_AND_WAIT: Final[dict[str, Setting]] = {"lightweight_deletes_sync": 2, "mutations_sync": 1}
