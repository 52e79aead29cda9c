"""The whole way of an alert: event in Kafka → worker → alert in Kafka → delivery → message received.

`python -m tests.bench.alert_path`: a live worker, a delivery process, a real broker, ClickHouse's own engine and a web
receiver, all on this machine. Members leave their communities at a steady pace (each opens an alert) and come back
(each resolves it); each message must arrive exactly once before any time is printed. Times count from the broker's
acknowledgement of the event, and are given for every hop, so that it can be seen where they go:

    event in Kafka → applied by the worker → alert in Kafka (checkpointed by then) → read by delivery → received

`--busy 2` lets two processes spin meanwhile. The last line is one JSON object; the exit code is 1 when 99 of 100
messages take longer than the goal.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from infra.embedded.stack import EmbeddedStack
from schemas.alerts import alert_id, decode_alert
from schemas.partitioning import partition_for
from schemas.topics import ALERTS, JOINS
from sinks.clickhouse import ClickHouse
from streams.settings import Settings
from tests.batches import event
from tests.bench.delivering import delivering
from tests.pipeline import WORKER, Pipeline
from tests.receivers import Got, Reply, http_receiver

GOAL_SECONDS = 3.0
HOPS = ("applied", "raised", "read", "received")
"""What is timed behind the event's acknowledgement, in this order."""
SLOWEST = 3
AS_SHIPPED = ("flush_interval_seconds", "insert_timeout_seconds", "session_timeout_seconds")
"""Settings that tests shorten."""
RULES = """
alerts:
  channels: {{ops: {{url: '{url}', per_minute: 6000}}}}
  routes: [{{channels: [ops]}}]
  new_per_assignee_and_day: 10000
  left: {{at_once_tiers: [ordinary, active, key_opinion, high_value]}}
"""


class Scene:
    """Members who leave and come back, and the messages about them."""

    def __init__(self, pipeline: Pipeline, servers: str, members: int) -> None:
        self._pipeline = pipeline
        self._members = members
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all")
        self._left: dict[int, str] = {}
        self.events: dict[str, tuple[str, int]] = {}
        self.sent: dict[tuple[str, int], float] = {}
        self.arrived: dict[tuple[str, int], float] = {}
        self.everything = threading.Event()

    def note(self, got: Got) -> Reply:
        """A message arrives: an alert opened, or is over."""
        name = next(word for word in got.text.split() if word.startswith("left-"))
        over = "(resolved)" in got.title
        if (name, int(over)) in self.arrived:
            raise SystemExit(f"{name} was told more than once in one state")
        self.arrived[name, int(over)] = time.time()
        # What waited until it was over is told in one message.
        self.arrived.setdefault((name, 0), self.arrived[name, int(over)])
        if len(self.arrived) == 2 * self._members:
            self.everything.set()
        return Reply()

    def move(self, number: int, action: str) -> None:
        """A member joins, leaves or comes back, now."""
        community, member = f"wecom:群{number}", f"成员{number}"
        time_ms = time.time_ns() // 1_000_000
        one = event("join", f"{action}-{time_ms}", time_ms, community, member_id=member, action=action)
        one |= {"platform": f"wecom{number}", "feed": "connector"}
        self._send(one)
        if action == "left":
            self._left[number] = alert_id("left", community, member, fact=time_ms)
        elif number not in self._left:
            return
        place = self._left[number], int(action == "joined")
        self.events[one["event_id"]] = place
        self.sent[place] = time.time()

    def _send(self, one: dict[str, Any]) -> None:
        key = one["community_id"].encode()
        home = partition_for(key, self._pipeline.partitions)
        self._producer.send(JOINS, key=key, value=json.dumps(one).encode(), partition=home).get(10)


def measure(members: int, per_second: float) -> dict[str, Any]:
    """Seconds from the acknowledged event to each hop and to the message; see the module."""
    with (
        tempfile.TemporaryDirectory(prefix="qunpulse-bench-") as name,
        http_receiver() as web,
        EmbeddedStack(Path(name) / "data", lambda line: print(line, file=sys.stderr), kafka_port=0, clickhouse_port=0)
        as stack,
    ):  # fmt: skip
        pipeline = Pipeline(stack, Path(name))
        rules = Path(name) / "rules.yaml"
        rules.write_text(RULES.format(url=web.url()))
        worker = pipeline.start_worker(
            WORKER, clock_mode="live", rules_file=rules, **{name: getattr(Settings(), name) for name in AS_SHIPPED}
        )
        scene = Scene(pipeline, stack.kafka_bootstrap_servers, members)
        web.script = scene.note
        try:
            with delivering(stack, rules):
                pipeline.wait_ready(worker)
                for number in range(members):
                    scene.move(number, "joined")
                pipeline.wait_landed()
                begun = time.monotonic()
                for step in range(2 * members):
                    time.sleep(max(0.0, begun + step / per_second - time.monotonic()))
                    scene.move(step % members, "left" if step < members else "joined")
                complete = scene.everything.wait(120)
            hops = Hops(scene, pipeline.clickhouse, stack.kafka_bootstrap_servers)
            logs = [pipeline.log_of(worker), (Path(name) / "deliver.log").read_text()]
            for line in [*(hops.slowest() if complete else []), *map(remarkable, logs)]:
                print(line, file=sys.stderr)
            if not complete:
                raise SystemExit(
                    f"only {len(scene.arrived)} of {2 * members} messages arrived, {hops.raised} were raised"
                )
        finally:
            pipeline.close()
    return hops.percentiles()


class Hops:
    """When each alert passed each hop, Unix seconds, by alert and turn (0 opened, 1 resolved)."""

    def __init__(self, scene: Scene, clickhouse: ClickHouse, servers: str) -> None:
        applied = clickhouse.rows(
            "SELECT event_id, toUnixTimestamp64Milli(ingested_at) FROM qunpulse.events WHERE event_type = 'join'"
        )
        read = clickhouse.rows(
            "SELECT alert_id, state, toUnixTimestamp64Milli(planned_at) FROM qunpulse.alert_deliveries"
        )
        raised = raised_at(servers)
        self.raised = len(raised)
        self._sent = scene.sent
        self._at: dict[str, dict[tuple[str, int], float]] = {
            "applied": {scene.events[name]: ms / 1000 for name, ms in applied if name in scene.events},
            "raised": raised,
            "read": {(name, int(state != "opened")): ms / 1000 for name, state, ms in read},
            "received": scene.arrived,
        }

    def percentiles(self) -> dict[str, float]:
        """Of the whole way by what was told, and of each hop of all messages."""
        found: dict[str, float] = {}
        for turn, what in enumerate(("opened", "resolved")):
            whole = [self._at["received"][place] - at for place, at in self._sent.items() if place[1] == turn]
            found |= _percentiles(what, whole)
        before = self._sent
        for hop in HOPS:
            found |= _percentiles(f"to_{hop}", [self._at[hop][place] - at for place, at in before.items()])
            before = self._at[hop]
        return found

    def slowest(self) -> list[str]:
        """The ways that took longest, hop by hop."""
        ways = sorted(((self._at["received"][place] - at, place) for place, at in self._sent.items()), reverse=True)
        found = []
        for took, place in ways[:SLOWEST]:
            steps = ", ".join(f"{hop} after {self._at[hop][place] - self._sent[place]:.2f} s" for hop in HOPS)
            sent = time.strftime("%H:%M:%S", time.localtime(self._sent[place]))
            found.append(f"slowest: {took:.2f} s for an event sent at {sent}: {steps}")
        return found


def remarkable(log: str) -> str:
    """Lines of a process's log that explain a delay: warnings, and whatever has to do with who owns a partition."""
    wanted = re.compile(r"WARNING|ERROR|claim|let go|[Rr]ebalanc|[Rr]evoked|rejoin|[Ll]ost")
    return "\n".join([line for line in log.splitlines() if wanted.search(line)][-40:])


def raised_at(servers: str) -> dict[tuple[str, int], float]:
    """When each revision of an alert first stood in Kafka, by alert and revision from 0."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, consumer_timeout_ms=5000)
    places = [TopicPartition(ALERTS, number) for number in consumer.partitions_for_topic(ALERTS) or ()]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    found: dict[tuple[str, int], float] = {}
    for record in consumer:
        one = decode_alert(record.value)
        found.setdefault((one.alert_id, one.revision - 1), record.timestamp / 1000)
    consumer.close()
    return found


def _percentiles(what: str, waits: list[float]) -> dict[str, float]:
    return {f"{what}_p{percent}_seconds": round(float(np.percentile(waits, percent)), 3) for percent in (50, 99, 100)}


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes spin while the block runs."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=4.0)
    parser.add_argument("--busy", type=int, default=0, help="processes that spin meanwhile")
    asked = parser.parse_args()
    with busy(asked.busy):
        found = measure(asked.members, asked.per_second)
    print(json.dumps(vars(asked) | {"goal_p99_seconds": GOAL_SECONDS} | found))
    if max(found["opened_p99_seconds"], found["resolved_p99_seconds"]) > GOAL_SECONDS:
        raise SystemExit("the goal was missed")


if __name__ == "__main__":
    main()
