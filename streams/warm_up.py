"""Compile or load the machine code of the hot path ahead of time: `python -m streams.warm_up`.

Numba compiles a function when it is first called with arguments of some types and keeps the result beside the source.
That takes seconds for the scanner; whoever installs pays them once. A worker loads what was kept before it says that it
is ready: neither its first events nor its heartbeats wait.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.codec import Decoder
from schemas.topics import EVENT_TOPICS, MESSAGES, SIDE_TOPICS, TOPIC_OF
from sinks.claims import Claim
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.record_batches import BlockBatch
from streams.engine.record_block import RecordBlock
from streams.metrics import WorkerMetrics
from streams.model_file import load_model
from streams.operators.program import ProgramsOf
from streams.programs import Alerting, programs_of
from streams.rules import RulesFile
from streams.simulation import Plan, simulate

_APPENDED_MS = 4_000_000_000_000  # long after all events: none is from the future
_FEED = Plan(events=1_500, seed=1, communities=3, days=40, duplicates=0.02, out_of_order=0.1, broken=0.01)
_BATCHES = 3
_SETTINGS = PartitionSettings(
    partitions=1, generation=1, lateness_ms=86_400_000, batch_max_records=1000, worker_version="warm-up"
)


def warm_up() -> None:
    """Take a simulated feed through a partition, flush it, and restore another partition from what it wrote."""
    programs = programs_of(RulesFile(None), Alerting(load_model(None), True, lambda: _APPENDED_MS))
    partition = _new_partition(programs)
    lines = simulate(_FEED).lines
    for batch in range(_BATCHES):
        by_topic: dict[str, list[bytes]] = {topic: [] for topic in EVENT_TOPICS}
        for line in lines[batch::_BATCHES]:
            by_topic[_topic_of(line)].append(line)
        for topic, values in by_topic.items():
            partition.take(topic, _fetched(partition.next_offset[topic], values))
        partition.apply(dict.fromkeys(EVENT_TOPICS + SIDE_TOPICS, partition.arrivals), 0)
        plan = partition.collect(Claim(1, uuid.UUID(int=1)), partition.reference_ms, 0)
        if batch == 0:  # later ones write only what changed
            _new_partition(programs).restore(plan.state.filter(pc.equal(plan.state["deleted"], 0)))
        for topic in SIDE_TOPICS:
            records = [(one.key.encode(), one.value) for one in plan.outbox if one.topic == topic]
            keys, values = [key for key, _ in records], [value for _, value in records]
            partition.take(topic, _fetched(partition.next_offset[topic], values, keys))


def _topic_of(line: bytes) -> str:
    try:
        event: dict[str, Any] = json.loads(line)
        return TOPIC_OF[event["event_type"]]
    except (ValueError, KeyError, TypeError):
        return MESSAGES


def _fetched(first: int, values: Sequence[bytes], keys: Sequence[bytes] | None = None) -> Sequence[Any]:
    """Values as records that were just fetched, the first one at an offset."""
    if not values:
        return []
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
    for n, value in enumerate(values):
        builder.append(n, _APPENDED_MS, keys[n] if keys else b"", value, [])
    (block,) = BlockBatch(builder.build())
    return RecordBlock(block.offsets + first, block.timestamps_ms, block.keys, block.values)


def _new_partition(programs: ProgramsOf) -> Partition:
    return Partition(0, _SETTINGS, Decoder(1 << 20), lambda community, platform: "UTC", WorkerMetrics(), programs)


if __name__ == "__main__":
    warm_up()
