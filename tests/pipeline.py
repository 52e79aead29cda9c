"""The whole pipeline under test: real broker, worker processes, ClickHouse's own engine; compared with the oracle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, Message, Producer
from kafka import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from infra.embedded.kafka import free_port
from schemas.partitioning import partition_for
from schemas.topics import READ_TOPICS, topic_specs
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.accounts import by_topic, read_books
from streams.kafka_cluster import KafkaCluster
from tests.forked import Forked, Running
from tests.oracle import TABLES, Oracle, compare

SHARED = Path(__file__).parents[2] / "shared" / "data"
PATIENCE_SECONDS = 120.0
WORKER = (sys.executable, "-m", "streams.cli.main", "worker")

Feed = Sequence[tuple[str, dict[str, Any]]]
"""Events in the order they are sent, with their topics."""


def shared_data(*names: str) -> list[Path]:
    """Files of the real event feeds; skips the test where they are absent."""
    paths = [SHARED / name for name in names]
    for path in paths:
        if not path.exists():
            pytest.skip(f"the real event feeds are not here: {path} is missing")
    return paths


PARTITIONS = 4


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [one for family in text_string_to_metric_families(text) for one in family.samples]

    def values(self, name: str, **labels: str) -> list[float]:
        """What has this name and these labels."""
        return [one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items()]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of what has this name and these labels."""
        return sum(self.values(name, **labels))


class Servers(Protocol):
    """Where broker and ClickHouse are: the embedded stack, or a test's own of either."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...

    @property
    def clickhouse_host(self) -> str: ...

    @property
    def clickhouse_port(self) -> int: ...


class Pipeline:
    """A stack with empty topics and tables, and the workers started on it."""

    def __init__(self, stack: Servers, logs: Path, partitions: int = PARTITIONS) -> None:
        self._stack = stack
        self._logs = logs
        self.partitions = partitions
        self.clickhouse = ClickHouse.connect(stack.clickhouse_host, stack.clickhouse_port)
        self.workers: list[Running] = []
        self._started = 0
        self._ports: dict[int, int] = {}
        self._reset()

    def _reset(self) -> None:
        """Fresh topics and empty tables: a stack serves one scenario after the other."""
        migrate(self.clickhouse)
        tables = self.clickhouse.rows(
            "SELECT name FROM system.tables WHERE database = 'qunpulse_store' AND name != 'migrations'"
        )
        for (table,) in tables:
            self.clickhouse.command(f"TRUNCATE TABLE qunpulse_store.{table}")
        self.drop_topics()
        with KafkaCluster(self._stack.kafka_bootstrap_servers) as cluster:
            cluster.apply(topic_specs(self.partitions), replication_factor=1)
        self._group = f"test-{time.time_ns()}"

    def drop_topics(self) -> None:
        """Delete the topics, with all that is in them."""
        admin = KafkaAdminClient(bootstrap_servers=self._stack.kafka_bootstrap_servers)
        ours = {spec.name for spec in topic_specs(self.partitions)}
        old = ours & set(admin.list_topics())
        if old:
            admin.delete_topics(sorted(old))
            while ours & set(admin.list_topics()):
                time.sleep(0.05)
        admin.close()

    # -- feeding ------------------------------------------------------------------------------------------------------

    def send(self, feed: Iterable[tuple[str, dict[str, Any]]], flush_every: int = 0) -> int:
        """Send events in their order; ``flush_every`` flushes all topics after so many events."""
        records = (
            (topic, event["community_id"].encode(), json.dumps(event, ensure_ascii=False).encode())
            for topic, event in feed
        )
        return self.send_records(records, flush_every)

    def send_records(self, records: Iterable[tuple[str, bytes, bytes]], flush_every: int = 0) -> int:
        """Send records as they are, each to its key's partition; returns how many."""
        producer = Producer(
            {
                "bootstrap.servers": self._stack.kafka_bootstrap_servers,
                "max.in.flight.requests.per.connection": 1,  # records keep their order when a send is tried again
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 20,
            }
        )
        refused: list[KafkaError] = []

        def note(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                refused.append(error)

        partition_of = cache(lambda key: partition_for(key, self.partitions))
        sent, known = 0, set()
        for topic, key, value in records:
            producer.produce(topic, value, key, partition_of(key), on_delivery=note)
            sent += 1
            if topic not in known or (flush_every and sent % flush_every == 0):
                producer.flush()  # librdkafka may let records overtake others of a topic that it does not know yet
                known.add(topic)
        producer.flush()
        assert not refused, refused[0]
        return sent

    # -- workers ------------------------------------------------------------------------------------------------------

    def start_worker(self, command: Sequence[str] | None = None, **settings: Any) -> Running:
        """Start a worker process, or a command as its own; settings override the test's defaults."""
        self._started += 1
        values = {
            "kafka_bootstrap_servers": self._stack.kafka_bootstrap_servers,
            "clickhouse_host": self._stack.clickhouse_host,
            "clickhouse_port": self._stack.clickhouse_port,
            "partitions": self.partitions,
            "group_id": self._group,
            "worker_id": f"worker-{self._started}",
            "metrics_port": free_port(),
            "clock_mode": "event",
            "insert_timeout_seconds": 2,
            "flush_interval_seconds": 0.3,
            "session_timeout_seconds": 6,
        } | settings
        environment = {f"QUNPULSE_{name.upper()}": str(value) for name, value in values.items()}
        log = self._logs / f"worker-{self._started}.log"
        worker: Running
        if command is None:
            worker = Forked(["worker"], os.environ | environment, log)
        else:
            with log.open("wb") as output:
                worker = subprocess.Popen(list(command), env=os.environ | environment, stdout=output, stderr=output)
        self.workers.append(worker)
        self._ports[worker.pid] = int(environment["QUNPULSE_METRICS_PORT"])
        return worker

    def wait_ready(self, worker: Running) -> None:
        """Wait until a worker owns its partitions and has restored them."""

        def ready() -> bool:
            try:
                return self.ask(worker, "readyz")[0] == 200
            except OSError:
                return False

        self.wait(ready, "the worker did not become ready", look_every=0.02)

    def ask(self, worker: Running, path: str) -> tuple[int, str]:
        """Status and body of /metrics, /healthz or /readyz of a worker."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[worker.pid]}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self, worker: Running) -> Metrics:
        """What a worker counts and measures, by name and labels."""
        return Metrics(self.ask(worker, "metrics")[1])

    def missing(self, worker: Running) -> list[str]:
        """What a worker says on /readyz that it lacks."""
        status, body = self.ask(worker, "readyz")
        missing = list(json.loads(body)["missing"])
        assert (status == 200) == (not missing)
        return missing

    def log_of(self, worker: Running) -> str:
        """What a worker has logged."""
        return (self._logs / f"worker-{self.workers.index(worker) + 1}.log").read_text(errors="replace")

    def wait_log(self, worker: Running, pattern: str) -> None:
        """Wait until a worker logs something new that matches."""
        seen = len(self.log_of(worker))
        self.wait(lambda: re.search(pattern, self.log_of(worker)[seen:]) is not None, f"no log line with {pattern!r}")

    def stop_workers(self) -> None:
        """Stop all workers cleanly; a worker that fails to stop fails the test."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.terminate()
        for worker in self.workers:
            worker.wait(30)

    def kill_workers(self) -> None:
        """End whatever still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def consumed(self) -> int:
        """Records that have found their outcome in a checkpoint."""
        return sum(account.consumed for account in by_topic(read_books(self.clickhouse)).values())

    def wait_consumed(self, at_least: int) -> None:
        """Wait until so many records are checkpointed."""
        self.wait(lambda: self.consumed() >= at_least, f"{at_least} records were not checkpointed")

    def wait_landed(self) -> None:
        """Wait until every record in Kafka is checkpointed and landed, and all that came of it too."""
        self.wait(self._all_landed, "not everything landed")

    def _all_landed(self) -> bool:
        books = read_books(self.clickhouse)  # before the ends: what they cover has sent all that comes of it by now
        with KafkaCluster(self._stack.kafka_bootstrap_servers) as cluster:
            ends = cluster.spans(READ_TOPICS)
        return all(place in books and books[place].next_offset >= span.end for place, span in ends.items() if span.end)

    def wait(self, done: Callable[[], bool], complaint: str, look_every: float = 0.1) -> None:
        """Wait until something is so; fails with the complaint when a worker ends or it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            ended = [worker for worker in self.workers if worker.poll() not in (None, 0, -signal.SIGKILL)]
            if ended:
                raise AssertionError(f"a worker ended with {ended[0].returncode}:\n{self.log_of(ended[0])[-3000:]}")
            if time.monotonic() > deadline:
                logs = "\n".join(self.log_of(worker)[-1500:] for worker in self.workers)
                raise AssertionError(f"{complaint} within {PATIENCE_SECONDS:.0f} s:\n{logs}")
            time.sleep(look_every)

    # -- what landed --------------------------------------------------------------------------------------------------

    def view(self, name: str) -> pa.Table:
        """All rows of a view."""
        rows = self.clickhouse.query_arrow(f"SELECT * FROM qunpulse.{name}")
        for column in rows.column_names:
            if column in {"window_start", "as_of", "day"}:  # ClickHouse gives DateTime as seconds in Arrow
                times = rows[column].cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
                rows = rows.set_column(rows.column_names.index(column), column, times)
        return rows

    def accounts(self) -> dict[str, dict[str, int]]:
        """Counters by topic."""
        return {topic: account.counters() for topic, account in by_topic(read_books(self.clickhouse)).items()}

    def check(self, oracle: Oracle, tables: Iterable[str] = TABLES, may_be_empty: Iterable[str] = ()) -> None:
        """Compare every row of every table with the oracle's, and the accounting with itself."""
        differences = [
            line
            for table in tables
            for line in compare(table, self.view(table), oracle.table(table), may_be_empty=table in may_be_empty)
        ]
        assert not differences, "\n".join(differences[:60])
        for topic, counters in self.accounts().items():
            consumed = counters.pop("consumed")
            assert consumed == sum(counters.values()), f"{topic}: {consumed} consumed, outcomes {counters}"

    def check_now(self, oracle: Oracle) -> None:
        """Compare ``activity_now`` with the raw events of each window."""
        landed = self.view("activity_now")
        asked = [(row["community_id"], row["window"], row["as_of"]) for row in landed.to_pylist()]
        differences = compare("activity_now", landed, oracle.activity_now(asked))
        assert not differences, "\n".join(differences[:60])

    def close(self) -> None:
        """Stop what runs and give the connections back."""
        self.kill_workers()
        if self.partitions != PARTITIONS:  # whoever uses the stack next expects its topics as they usually are
            self.drop_topics()
        self.clickhouse.close()
