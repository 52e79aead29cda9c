"""Where a worker's time goes, without Kafka and ClickHouse: `python -m tests.bench.stages`.

A busy day of chat goes through one partition in memory: take (decode), apply, collect (what a flush writes). The answer
is checked against a count of the raw events before any time is printed. The last line is one JSON object: microseconds
of processor time an event.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid

from schemas.codec import Decoder
from schemas.topics import EVENT_TOPICS, MESSAGES
from sinks.claims import Claim
from streams.engine.partition import Partition, PartitionSettings
from streams.engine.record_block import Record
from streams.metrics import WorkerMetrics
from tests.bench.backlog import KINDS, chat

_APPENDED_MS = 4_000_000_000_000
_BATCH, _BATCHES_A_FLUSH = 20_000, 5


def _new_partition() -> Partition:
    settings = PartitionSettings(
        partitions=1, generation=1, lateness_ms=86_400_000, batch_max_records=_BATCH, worker_version="bench"
    )
    return Partition(0, settings, Decoder(1 << 18), lambda community, platform: "UTC", WorkerMetrics())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    made = list(chat(asked.events, asked.seed))
    records = [Record(n, _APPENDED_MS, b"", value) for n, (_, _, _, value) in enumerate(made)]
    talk = sum(KINDS[kind] not in ("reaction", "check_in") for _, _, kind, _ in made)
    claim = Claim(1, uuid.UUID(int=1))
    warm = _new_partition()  # what is compiled is loaded when it is first called
    warm.take(MESSAGES, records[:_BATCH])
    warm.apply(dict.fromkeys(EVENT_TOPICS, warm.arrivals), 0)
    warm.collect(claim, warm.reference_ms, 0)

    partition, spent = _new_partition(), dict.fromkeys(("take", "apply", "collect"), 0.0)
    landed: dict[tuple[str, int], int] = {}
    for number, start in enumerate(range(0, len(records), _BATCH), 1):
        clock = time.process_time()
        partition.take(MESSAGES, records[start : start + _BATCH])
        spent["take"] += time.process_time() - clock
        clock = time.process_time()
        partition.apply(dict.fromkeys(EVENT_TOPICS, partition.arrivals), 0)
        spent["apply"] += time.process_time() - clock
        if number % _BATCHES_A_FLUSH == 0 or start + _BATCH >= len(records):
            clock = time.process_time()
            plan = partition.collect(claim, partition.reference_ms, 0)
            spent["collect"] += time.process_time() - clock
            rows = plan.derived["activity_1d"].select(["community_id", "local_date", "messages"]).to_pylist()
            landed |= {(row["community_id"], row["local_date"]): row["messages"] for row in rows}
    if sum(landed.values()) != talk:
        raise SystemExit(f"wrong answer: {sum(landed.values())} messages landed of {talk}")
    each = {name: round(seconds / len(records) * 1e6, 2) for name, seconds in spent.items()}
    print(json.dumps({**each, "microseconds_per_event": round(sum(each.values()), 2), "events": len(records)}))


if __name__ == "__main__":
    main()
