"""Restore: a partition's state from its rows in ClickHouse, and what the last flush may not have brought out."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from streams.engine.accounts import TopicAccount
from streams.engine.checkpoint import (
    CHECKPOINT,
    CLOCKS,
    OUTBOX,
    REDO,
    Checkpoint,
    Landing,
    generation_of,
    outbox_records,
    redo_table,
)
from streams.engine.dedup import DedupIndex
from streams.engine.partition_state import PartitionState
from streams.errors import ConfigError


def restore(state: PartitionState, table: pa.Table) -> Landing:
    """Take back what ``sinks.state.read_state`` gives.

    Returns:
        Step 3 of the last checkpoint, to be done again before anything else.

    Raises:
        ConfigError: the lateness was raised since, or another version of qunpulse wrote rows that this one cannot read.
    """
    rows, versions = _by_operator(table, state.settings.generation)
    if CHECKPOINT not in rows:
        return Landing({}, [])
    checkpoint = msgspec.msgpack.decode(rows[CHECKPOINT][1][0].as_py(), type=Checkpoint)
    lateness_ms = state.settings.lateness_ms
    if lateness_ms > checkpoint.lateness_ms:
        # What a larger lateness would let in again has left the state: it would be counted anew from nothing.
        raise ConfigError(
            f"allowed_lateness_seconds was raised from {checkpoint.lateness_ms // 1000} to "
            f"{lateness_ms // 1000}, but partition {state.number} has its state for the smaller; "
            "set it back, or rebuild under a higher QUNPULSE_GENERATION"
        )
    state.checkpoint_number = checkpoint.number
    for topic, numbers in checkpoint.accounts.items():
        state.accounts[topic] = TopicAccount(*numbers)
        state.next_offset[topic] = state.accounts[topic].next_offset
        state.fetched.start(topic, state.accounts[topic].consumed, state.next_offset[topic])
    state.merge.restore(checkpoint.merged_ms)
    state.reference_ms = checkpoint.reference_ms
    if CLOCKS in rows:
        for key, payload in zip(*(column.to_pylist() for column in rows[CLOCKS]), strict=True):
            number, clock_ms = msgspec.msgpack.decode(payload)
            state.directory.restore_community(number, key.decode())
            state.clocks.advance(np.array([number]), np.array([clock_ms]))
    try:
        state.operators.restore(rows)
        if DedupIndex.name in rows:
            state.index.restore(*rows[DedupIndex.name])
        for program in state.programs:
            program.restore({name: rows[name] for name in program.names if name in rows})
    except (ValueError, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"partition {state.number} has its state from another version of qunpulse ({error}); "
            "start that version again, or rebuild under a higher QUNPULSE_GENERATION"
        ) from error
    version = int(versions[CHECKPOINT][0].as_py())
    landing = Landing({}, [])
    for name in (REDO, OUTBOX):
        if name not in rows:
            continue
        for key, payload, written in zip(
            *(column.to_pylist() for column in rows[name]), versions[name].to_pylist(), strict=True
        ):
            if written != version:
                continue  # of an earlier checkpoint, whose step 3 was over before the last one was written
            if name == REDO:
                landing.derived[key.decode()] = redo_table(payload)
            else:
                landing.outbox.extend(outbox_records(payload))
    return landing


def _by_operator(state: pa.Table, generation: int) -> tuple[dict[str, tuple[pa.Array, pa.Array]], dict[str, pa.Array]]:
    """Keys and payloads by operator, and their versions; rows of other generations are left out."""
    state = state.combine_chunks()
    operators = state["operator"].cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
    versions = state["version"].to_numpy()
    mine = np.fromiter((generation_of(int(v)) == generation for v in versions), np.bool_, len(versions))
    rows, found = {}, {}
    for name in np.unique(operators[mine]).tolist():
        part = state.filter(pa.array(mine & (operators == name))).combine_chunks()
        rows[name] = tuple(part[column].cast(pa.large_binary()).combine_chunks() for column in ("key", "payload"))
        found[name] = part["version"]
    return rows, found
