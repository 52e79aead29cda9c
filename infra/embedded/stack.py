"""The embedded stack: one Kafka broker and one ClickHouse on a data folder, for as long as a `with` block lasts.

    with EmbeddedStack(Path("data"), print) as stack:
        …  # stack.kafka_bootstrap_servers, stack.clickhouse_host, stack.clickhouse_port

Both listen on 127.0.0.1 only and end with the process that started them, even when that is killed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.embedded import clickhouse, kafka
from infra.embedded.clickhouse import ClickHouseServer
from infra.embedded.data_folder import RUNNING_FREE_BYTES, FolderLock, RunningStack, check_space, find_running
from infra.embedded.java import find_java
from infra.embedded.kafka import KafkaBroker
from infra.embedded.maven import kafka_jars
from streams.errors import EmbeddedError

__all__ = ["EmbeddedStack", "RunningStack", "find_running", "open_clickhouse"]

_OPEN_PATIENCE_SECONDS = 15.0
_Start = Callable[[threading.Event], None]


class EmbeddedStack:
    """Context manager that runs broker and ClickHouse on `data_dir`; `report` gets a line per step.

    Raises EmbeddedError with one clear sentence when the folder is taken or not writable, the disk is full, there is
    no Java, or one of the two does not start; nothing is left running then.
    """

    def __init__(
        self,
        data_dir: Path,
        report: Callable[[str], None] = lambda _: None,
        kafka_port: int = kafka.STANDARD_PORT,
        clickhouse_port: int = clickhouse.STANDARD_PORT,
        bi_password: str = "",
    ) -> None:
        self.data_dir = data_dir
        self._report = report
        self._broker = KafkaBroker(data_dir, kafka_port)
        self._server = ClickHouseServer(data_dir, clickhouse_port, bi_password=bi_password)
        self._lock: FolderLock | None = None

    @property
    def kafka_bootstrap_servers(self) -> str:
        """Address of the broker for clients."""
        return self._broker.bootstrap_servers

    @property
    def clickhouse_host(self) -> str:
        """Host of ClickHouse's HTTP interface."""
        return clickhouse.HOST

    @property
    def clickhouse_port(self) -> int:
        """Port of ClickHouse's HTTP interface."""
        return self._server.port

    @property
    def running(self) -> RunningStack:
        """What other processes find on this folder."""
        return RunningStack(
            pid=os.getpid(),
            kafka_host=kafka.HOST,
            kafka_port=self._broker.port,
            kafka_pid=self._broker.process.pid,
            clickhouse_host=clickhouse.HOST,
            clickhouse_port=self._server.port,
            clickhouse_pid=self._server.process.pid,
        )

    def check(self) -> None:
        """Raise EmbeddedError with the cause when one of the two has ended by itself, or the disk is full."""
        check_space(self.data_dir, RUNNING_FREE_BYTES)
        for process in (self._broker.process, self._server.process):
            if process.exit_code is not None:
                raise EmbeddedError(f"{process.name} has ended: {process.reason()}")

    def start(self) -> None:
        """Start both, side by side, and wait until they answer."""
        self._lock = FolderLock(self.data_dir, "stack")
        try:
            # Here and not beside the other start: Ctrl-C in a long download reaches the main thread only.
            java, jars = find_java(), kafka_jars(report=self._report)
            held = (self._lock.descriptor,)
            self._start_both(
                lambda cancelled: self._broker.start(self._report, cancelled, java, jars, held),
                lambda cancelled: self._server.start(cancelled, held),
            )
            self._lock.announce(self.running)
        except OSError as error:
            self.stop()
            raise EmbeddedError(f"the data folder {self.data_dir} cannot be used: {error.strerror}") from error
        except BaseException:
            self.stop()
            raise

    def _start_both(self, start_broker: _Start, start_server: _Start) -> None:
        began = time.monotonic()
        # When one fails, the other's start is given up at once instead of being waited for.
        cancelled = threading.Event()

        def started(name: str, start: _Start, address: Callable[[], str]) -> None:
            try:
                start(cancelled)
            except BaseException:
                cancelled.set()
                raise
            self._report(f"{name} answers on {address()} ({time.monotonic() - began:.1f} s)")

        self._report("starting Kafka and ClickHouse")
        with ThreadPoolExecutor(2) as pool:
            starts = [
                pool.submit(started, "Kafka", start_broker, lambda: self.kafka_bootstrap_servers),
                pool.submit(started, "ClickHouse", start_server, lambda: f"{clickhouse.HOST}:{self.clickhouse_port}"),
            ]
            try:
                failures = [failure for future in starts if (failure := future.exception()) is not None]
            except BaseException:  # Ctrl-C while waiting
                cancelled.set()
                raise
        if failures:
            # The one that was given up only followed the other.
            raise min(failures, key=lambda failure: "was given up" in str(failure))

    def stop(self) -> None:
        """Stop both cleanly, side by side, and let go of the folder."""
        if self._lock is None:
            return
        with ThreadPoolExecutor(2) as pool:
            stops = [pool.submit(self._broker.stop), pool.submit(self._server.stop)]
        self._lock.release()
        self._lock = None
        for stop in stops:
            stop.result()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def open_clickhouse(data_dir: Path) -> Iterator[ClickHouseServer]:
    """Run ClickHouse alone on a data folder on which nothing runs, to ask it something.

    Another process that does the same is waited for. Raises EmbeddedError when the folder is not there, or a stack
    runs on it (see `find_running`).
    """
    if not (data_dir / "clickhouse").is_dir():
        raise EmbeddedError(f"there is no data in {data_dir} yet; run `qunpulse demo`, or name the folder with --data")
    lock = FolderLock(data_dir, "query", _OPEN_PATIENCE_SECONDS)
    server = ClickHouseServer(data_dir, port=0)
    try:
        server.start(keeps_open=(lock.descriptor,))
        yield server
    finally:
        server.stop()
        lock.release()
