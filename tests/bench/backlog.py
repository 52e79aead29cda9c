"""Speed of one worker on a backlog of chat events already in Kafka: `python -m tests.bench.backlog`.

The clock runs from the moment the worker owns its partitions until everything has landed. The answer is checked against
a count of the raw events before any time is printed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from kafka import KafkaProducer

from infra.embedded.stack import EmbeddedStack
from schemas.partitioning import partition_for
from schemas.topics import MESSAGES
from tests.pipeline import WORKER, Pipeline

COMMUNITIES, MEMBERS, DAYS = 200, 300, 1
KINDS = ("text", "text", "text", "text", "image", "sticker", "link", "reaction", "reaction", "check_in")
START = np.datetime64("2026-03-02T00:00:00.000")


def chat(events: int, seed: int) -> Iterator[tuple[int, int, int, bytes]]:
    """A busy day of communities of unequal size, by time: community, member, kind, record value."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, DAYS * 86_400_000, events))
    shares = 1 / np.arange(1, COMMUNITIES + 1) ** 0.7
    community = random.choice(COMMUNITIES, events, p=shares / shares.sum())
    member = np.minimum((random.exponential(MEMBERS / 6, events)).astype(np.int64), MEMBERS - 1)
    kind = random.integers(0, len(KINDS), events)
    length = random.integers(1, 200, events)
    stamps = np.datetime_as_string(START + times.astype("timedelta64[ms]"), unit="ms")
    rows = zip(community.tolist(), member.tolist(), kind.tolist(), length.tolist(), stamps.tolist(), strict=True)
    for number, (group, who, what, long, stamp) in enumerate(rows):
        value = (
            f'{{"event_id":"bench-{number:09d}","event_type":"message","schema_version":1,"occurred_at":"{stamp}Z",'
            f'"community_id":"wecom:群-{group:03d}","platform":"wecom","member_id":"wm{group:03d}{who:05d}",'
            f'"kind":"{KINDS[what]}","char_count":{long}}}'
        )
        yield group, who, what, value.encode()


def fill(servers: str, partitions: int, events: int, seed: int) -> tuple[np.ndarray, int]:
    """Send the backlog; returns messages and interactions by community, and the number of distinct members."""
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=50, batch_size=512 * 1024)
    keys = [f"wecom:群-{group:03d}".encode() for group in range(COMMUNITIES)]
    homes = [partition_for(key, partitions) for key in keys]
    counts = np.zeros((COMMUNITIES, 2), np.int64)
    members = set()
    for group, who, what, value in chat(events, seed):
        producer.send(MESSAGES, key=keys[group], value=value, partition=homes[group])
        counts[group, int(KINDS[what] in ("reaction", "check_in"))] += 1
        members.add((group, who))
    producer.flush()
    producer.close()
    return counts, len(members)


def check(pipeline: Pipeline, counts: np.ndarray, members: int, events: int) -> None:
    """Compare what landed with the raw counts; SystemExit names what differs."""
    landed = np.zeros_like(counts)
    for name, messages, interactions in pipeline.clickhouse.rows(
        "SELECT community_id, sum(messages), sum(interactions) FROM qunpulse.activity_1m GROUP BY 1"
    ):
        landed[int(name[-3:])] = messages, interactions
    found_members, rows = pipeline.clickhouse.rows(
        "SELECT (SELECT count() FROM qunpulse.members), (SELECT count() FROM qunpulse.events)"
    )[0]
    if not (landed == counts).all() or found_members != members or rows != events:
        raise SystemExit(f"wrong answer: {(landed != counts).any(axis=1).sum()} communities differ, {found_members} "
                         f"members of {members}, {rows} events of {events}")  # fmt: skip


def _cpu_seconds(pid: int) -> float:
    """Processor time a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="qunpulse-bench-") as folder,
        EmbeddedStack(Path(folder) / "data", say, kafka_port=0, clickhouse_port=0) as stack,
    ):
        pipeline = Pipeline(stack, Path(folder))
        try:
            say(f"sending {asked.events:,} events")
            counts, members = fill(stack.kafka_bootstrap_servers, pipeline.partitions, asked.events, asked.seed)
            begun = time.monotonic()
            worker = pipeline.start_worker(WORKER, flush_interval_seconds=1.0, insert_timeout_seconds=30)
            pipeline.wait_ready(worker)
            ready, cpu = time.monotonic(), _cpu_seconds(worker.pid)
            pipeline.wait_landed()
            seconds, cpu = time.monotonic() - ready, _cpu_seconds(worker.pid) - cpu
            status = Path(f"/proc/{worker.pid}/status").read_text()
            peak_mib = int(status.split("VmHWM:")[1].split()[0]) / 1024
            check(pipeline, counts, members, asked.events)
        finally:
            pipeline.close()
    say(f"{asked.events:,} events landed in {seconds:.1f} s after a start of {ready - begun:.1f} s")
    print(
        json.dumps(
            {
                "backlog_events_per_second": round(asked.events / seconds),
                "events": asked.events,
                "seconds": round(seconds, 2),
                "start_seconds": round(ready - begun, 2),
                "worker_cpu_microseconds_per_event": round(cpu / asked.events * 1e6, 2),
                "worker_peak_mib": round(peak_mib),
            }
        )
    )


if __name__ == "__main__":
    main()
