"""Apply: merged records find their outcome, their rows for ``events``, and their way into state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas.topics import EVENT_TOPICS, SIDE_TOPICS
from streams.engine.event_rows import event_rows
from streams.engine.merge import Slice
from streams.engine.outcomes import APPLIED, CONFLICT, DUPLICATE, LATE, Stretch, decide
from streams.engine.partition_state import PartitionState
from streams.operators.base import Batch, Events, Ints, distinct

_CONFLICT_DETAIL = (
    "event_id: an event with this id but another member or time was applied before; give it an id of its own"
)


def apply_side(state: PartitionState) -> int:
    """Hand waiting records of the side topics to the programs; returns how many found their outcome."""
    records = 0
    for topic in SIDE_TOPICS:
        outcome = state.side.apply(topic, state.programs, state.settings.batch_max_records)
        if outcome is None:
            continue
        state.book(topic, outcome.counts(), outcome.next_offset)
        state.unflushed.refused += outcome.refused
        state.unflushed.misrouted += outcome.misrouted
        records += outcome.records
    return records


def apply_events(state: PartitionState, at_end: Mapping[str, int], ingested_at_ms: int) -> int:
    """Merge and apply what nothing older can precede any more; returns how many records found their outcome."""
    with state.metrics.timed("merge"):
        numbered = {EVENT_TOPICS.index(topic): arrivals for topic, arrivals in at_end.items() if topic in EVENT_TOPICS}
        slices = state.merge.release(numbered, state.settings.batch_max_records)
    if not slices:
        return 0
    with state.metrics.timed("apply"):
        _apply(state, slices, ingested_at_ms)
    records = sum(map(len, slices))
    state.metrics.batch_records.observe(records)
    return records


def _apply(state: PartitionState, slices: list[Slice], ingested_at_ms: int) -> None:
    spans = [one.events() for one in slices]
    pairs = list(zip(slices, spans, strict=True))
    key = np.concatenate([one.chunk.merge_key[one.chunk.position[span]] for one, span in pairs])
    order = np.argsort(key, kind="stable")  # slices come by topic, then offset: that settles equal keys
    stretch = Stretch(
        np.concatenate([one.chunk.community[span] for one, span in pairs])[order],
        np.concatenate([one.chunk.occurred_at_ms[span] for one, span in pairs])[order],
        np.concatenate([one.chunk.hashed[span] for one, span in pairs])[order],
        np.concatenate([one.chunk.what[span] for one, span in pairs])[order],
    )
    outcome = np.empty(len(order), np.int64)
    if len(order):
        communities = len(state.directory.community_names)
        outcome[order] = decide(stretch, state.index, state.clocks, state.settings.lateness_ms, communities)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    batch = Batch()
    parts: dict[str, list[Events]] = {}
    start = 0
    for one, span in pairs:
        count = span.stop - span.start
        mine = slice(start, start + count)
        events = _settle_slice(state, one, span, outcome[mine], place[mine], ingested_at_ms)
        start += count
        if len(events):
            parts.setdefault(one.chunk.event_type, []).append(events)
    for event_type, found in parts.items():
        batch.by_type[event_type] = Events.joined(found)
        state.moved_clocks.update(distinct(batch.by_type[event_type].community).tolist())
        state.reference_ms = max(state.reference_ms, int(batch.by_type[event_type].occurred_at_ms.max()))
    state.operators.apply(batch)
    for program in state.programs:
        program.apply(batch)


def _settle_slice(
    state: PartitionState, one: Slice, span: slice, outcome: Ints, place: Ints, ingested_at_ms: int
) -> Events:
    """Book the outcomes of a slice, land its rows for ``events``, and give its applied events."""
    chunk = one.chunk
    topic = EVENT_TOPICS[chunk.topic_number]
    refused = [found for at, found in chunk.refused.items() if one.start <= at < one.stop]
    misrouted = [found for at, found in chunk.misrouted.items() if one.start <= at < one.stop]
    whole = span.stop - span.start == len(chunk.position)
    columns = chunk.columns if whole else chunk.columns.part(span)
    times, community, member = (array[span] for array in (chunk.occurred_at_ms, chunk.community, chunk.member))
    applied = outcome == APPLIED
    late = outcome == LATE
    counts = np.bincount(outcome, minlength=4)
    if counts[CONFLICT]:
        positions = chunk.position[span][outcome == CONFLICT].tolist()
        refused += [chunk.refuse(at, "conflicting_duplicate", _CONFLICT_DETAIL) for at in positions]
    landed = applied | late
    if not landed.all():
        columns = columns.take(np.flatnonzero(landed))
        times, community, member = times[landed], community[landed], member[landed]
        applied, late = applied[landed], late[landed]
    if len(times):
        state.unflushed.events.append(event_rows(chunk.event_type, times, columns, late, ingested_at_ms))
    if late.any():
        columns = columns.take(np.flatnonzero(applied))
        times, community, member = times[applied], community[applied], member[applied]
    counted = {
        "applied": int(counts[APPLIED]),
        "duplicate": int(counts[DUPLICATE]),
        "late": int(counts[LATE]),
        "dead_lettered": len(refused),
        "misrouted": len(misrouted),
    }
    state.book(topic, counted, int(chunk.records.offsets[one.stop - 1]) + 1)
    if len(times):
        account = state.accounts[topic]
        account.event_clock_ms = max(account.event_clock_ms, int(times.max()))
    state.unflushed.refused += refused
    state.unflushed.misrouted += misrouted
    return Events(times, community, member, columns, place if len(times) == len(place) else place[outcome == APPLIED])
