"""The embedded stack with everything a run needs on it: tables, views, topics, and a worker."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from streams.errors import QunpulseError

if TYPE_CHECKING:
    from rich.console import Console

    from infra.embedded.stack import EmbeddedStack
    from sinks.clickhouse import ClickHouse
    from streams.accounts import Books
    from streams.cli.worker_process import WorkerProcess
    from streams.kafka_cluster import KafkaCluster
    from streams.settings import Settings

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Session:
    """What runs, and how to reach it."""

    settings: Settings  # with the stack's addresses
    clickhouse: ClickHouse
    cluster: KafkaCluster
    stack: EmbeddedStack

    def check(self, worker: WorkerProcess) -> None:
        """Raise QunpulseError with the cause when Kafka, ClickHouse or the worker has ended by itself."""
        self.stack.check()
        worker.check()

    def books(self) -> Books:
        """The books as of each partition's last checkpoint."""
        from streams.accounts import read_books

        return read_books(self.clickhouse)

    def behind(self) -> tuple[int, int]:
        """(records in Kafka that are not landed yet, records in Kafka); side topics included.

        The books are read before the end offsets: a worker forwards a misrouted record before it checkpoints
        past the original, and lands the books of a checkpoint after it sent its outbox. So whatever the books cover
        has put all that comes of it into Kafka by now.
        """
        from schemas.topics import READ_TOPICS
        from streams.accounts import backlog

        books = self.books()
        spans = self.cluster.spans(READ_TOPICS)
        return sum(backlog(books, spans).values()), sum(span.end - span.begin for span in spans.values())

    def wait_until_landed(self, worker: WorkerProcess, progress: Callable[[int, int], None]) -> None:
        """Until every record in Kafka is landed; `progress` is told (landed, all). Raises when the worker ends."""
        while True:
            remaining, total = self.behind()
            progress(total - remaining, total)
            if remaining == 0:
                return
            self.check(worker)
            time.sleep(POLL_SECONDS)


@contextmanager
def running_stack(settings: Settings, console: Console) -> Iterator[Session]:
    """Start the embedded stack, bring tables, views and topics up to date, stop everything at the end."""
    from infra.embedded.stack import EmbeddedStack
    from sinks.migrate import migrate
    from streams.cli.console import step
    from streams.cli.reach import addressed, connect
    from streams.cli.topics import apply_topics
    from streams.kafka_cluster import KafkaCluster

    with step(console, "starting Kafka and ClickHouse") as progress:
        stack = EmbeddedStack(settings.data_dir, progress.say)
        stack.start()
    try:
        ours = addressed(settings, stack)
        with step(console, "preparing tables and topics"):
            clickhouse = connect(ours)
            migrate(clickhouse)
            cluster = KafkaCluster(ours.kafka())
            apply_topics(cluster, ours)
        try:
            yield Session(ours, clickhouse, cluster, stack)
        except QunpulseError:
            stack.check()  # what it stood on may be the cause: a full disk, a broker that has ended
            raise
        finally:
            cluster.close()
            clickhouse.close()
    finally:
        with step(console, "stopping"):
            stack.stop()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a block as Ctrl-C does, so that everything it started is stopped."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before: list[Any] = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
