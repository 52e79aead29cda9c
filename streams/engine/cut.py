"""Cut: everything since the last flush as one consistent plan of what the next one writes."""

from __future__ import annotations

from collections import Counter

import msgspec
import pyarrow as pa

from sinks.claims import Claim
from streams.engine.checkpoint import (
    CHECKPOINT,
    CLOCKS,
    Checkpoint,
    FlushPlan,
    outbox_rows,
    redo_rows,
    state_table,
    version_of,
    with_version,
)
from streams.engine.dead_letters import dead_letter_rows
from streams.engine.partition_state import PartitionState, Unflushed
from streams.operators.base import Ints, StateRows, binary
from streams.operators.outbox import OutboxRecord

_MINUTE_MS = 60_000


def cut(state: PartitionState, claim: Claim, now_ms: Ints, checkpoint_at_ms: int) -> FlushPlan:
    """Collect what changed; all that the plan holds counts as written from here on.

    Args:
        state: of the partition; everything dirty in it becomes clean.
        claim: under which it will be written.
        now_ms: *now* by community number.
        checkpoint_at_ms: wall clock.
    """
    state.checkpoint_number += 1
    version = version_of(state.settings.generation, claim.number, state.checkpoint_number)
    clock_ms = state.clock_ms()
    horizon_minute = (clock_ms - state.settings.lateness_ms) // _MINUTE_MS
    for program in state.programs:
        program.advance(now_ms, clock_ms)
        program.settle(clock_ms)
    state.operators.settle(clock_ms)
    state.index.forget(horizon_minute)
    rows, derived = state.operators.take(now_ms)
    rows += state.index.dirty(horizon_minute)
    rows += _clock_rows(state)
    outbox: list[OutboxRecord] = []
    for program in state.programs:
        rows += program.dirty()
        _add(derived, program.derived())
        outbox += program.outbox()
    unflushed, state.unflushed = state.unflushed, Unflushed()
    if unflushed.refused:
        _add(derived, {"dead_letters": dead_letter_rows(unflushed.refused, state.settings.worker_version)})
        for code, number in Counter(one.code for one in unflushed.refused).items():
            state.metrics.dead_letters(code).inc(number)
    _add(derived, {"accounting": _accounting_rows(state, checkpoint_at_ms)})
    derived = {name: with_version(table, version) for name, table in derived.items()}
    rows.append(redo_rows(derived))
    if outbox:
        rows.append(outbox_rows(outbox))
    rows.append(_checkpoint_row(state))
    return FlushPlan(
        partition=state.number,
        claim=claim,
        version=version,
        events=unflushed.events,
        refused=unflushed.refused,
        misrouted=unflushed.misrouted,
        state=state_table(rows, version),
        derived=derived,
        outbox=outbox,
        offsets={topic: account.next_offset for topic, account in state.accounts.items()},
        records=unflushed.records,
        left_keys=sum(len(part) for part in rows if part.deleted),
    )


def _add(derived: dict[str, pa.Table], more: dict[str, pa.Table]) -> None:
    """Two sources of one table would overwrite each other's rows when they are landed again: refuse that."""
    if twice := derived.keys() & more.keys():
        raise ValueError(f"{', '.join(sorted(twice))}: a base table may be filled by one operator or program only")
    derived.update(more)


def _checkpoint_row(state: PartitionState) -> StateRows:
    checkpoint = Checkpoint(
        state.checkpoint_number,
        {topic: account.numbers() for topic, account in state.accounts.items()},
        state.merge.released_ms(),
        state.reference_ms,
        state.settings.lateness_ms,
    )
    return StateRows(CHECKPOINT, binary([b""]), binary([msgspec.msgpack.encode(checkpoint)]))


def _clock_rows(state: PartitionState) -> list[StateRows]:
    if not state.moved_clocks:
        return []
    numbers = sorted(state.moved_clocks)
    state.moved_clocks = set()
    clock_ms = state.clock_ms()
    keys = [state.directory.community_names[number].encode() for number in numbers]
    payloads = [msgspec.msgpack.encode((number, int(clock_ms[number]))) for number in numbers]
    return [StateRows(CLOCKS, binary(keys), binary(payloads))]


def _accounting_rows(state: PartitionState, checkpoint_at_ms: int) -> pa.Table:
    accounts = state.accounts.values()
    columns = {
        name: pa.array([getattr(account, name) for account in accounts], pa.uint64())
        for name in ("consumed", "applied", "duplicate", "late", "dead_lettered", "misrouted")
    }
    clocks = [account.event_clock_ms if account.event_clock_ms >= 0 else None for account in accounts]
    time = pa.timestamp("ms", "UTC")
    return pa.table(
        {
            "topic": pa.array(list(state.accounts), pa.string()),
            "partition": pa.array([state.number] * len(accounts), pa.uint16()),
            **columns,
            "next_offset": pa.array([account.next_offset for account in accounts], pa.int64()),
            "event_clock": pa.array(clocks, time),
            "checkpoint_at": pa.array([checkpoint_at_ms] * len(accounts), time),
        }
    )
