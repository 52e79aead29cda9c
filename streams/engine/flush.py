"""One flush: what is written, in the order that exactness rests on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from sinks.retry import Retry, retry_call
from sinks.schema import EVENTS, STATE, STORE
from sinks.state import delete_expired, insert_state
from streams.engine.checkpoint import FlushPlan
from streams.engine.intake import RefusedRecord
from streams.metrics import WorkerMetrics


class RecordSink(Protocol):
    """Where dead letters and forwarded records go; every send is acknowledged before it returns."""

    def send(self, refused: Sequence[RefusedRecord], misrouted: Sequence[RefusedRecord]) -> None:
        """Send all of them and wait until the brokers have them. Raises RetryableSinkError."""


class Flush:
    """Writes flush plans. Blocks; runs in a thread of its own while the partition goes on."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        records: RecordSink,
        metrics: WorkerMetrics,
        stop: threading.Event,
        insert_timeout_seconds: float,
    ) -> None:
        self._clickhouse = clickhouse
        self._records = records
        self._metrics = metrics
        self._stop = stop
        self._insert_timeout_seconds = insert_timeout_seconds

    def write(self, plan: FlushPlan) -> None:
        """Write a plan.

        A crash before step 2 leaves the last checkpoint in force: steps 1 and 2 come again with the same rows.
        A crash after step 2 leaves step 3 to whoever restores. People never read ahead of a checkpoint.

        Raises:
            ClaimLost: another worker owns the partition; nothing of steps 2 to 4 was written.
            FatalSinkError: a person must act.
            RetryStopped: the worker was told to stop while a server was away.
        """
        with self._metrics.timed("flush"):
            # 1  events, dead letters, forwarded records: each idempotent by its own id
            if plan.events:
                self._insert(EVENTS, pa.concat_tables(plan.events, promote_options="default"))
            if plan.refused or plan.misrouted:
                self._retry("kafka", lambda: self._records.send(plan.refused, plan.misrouted))
            # 2  state, redo rows, offsets and accounts: one atomic insert under the claim
            self._retry(
                STATE,
                lambda: insert_state(
                    self._clickhouse, plan.partition, plan.state, plan.claim, self._insert_timeout_seconds
                ),
            )
            # 3  what people read
            self.land(plan.derived)
            # 4  offsets become committable: the caller hands them to the consumer when this returns

    def land(self, derived: dict[str, pa.Table]) -> None:
        """Step 3 alone: land derived rows, at a flush or again after a restore."""
        for name, rows in derived.items():
            self._insert(f"{STORE}.{name}", rows)

    def clean(self, partition: int) -> None:
        """Delete the keys that have left the state, all their versions together; takes seconds, blocks nobody."""
        delete_expired(self._clickhouse, partition, before_ms=0)

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._retry(table, lambda: self._clickhouse.insert_arrow(table, rows))

    def _retry(self, table: str, call: Callable[[], None]) -> None:
        def note(retry: Retry) -> None:
            self._metrics.insert_retries(table).inc()
            self._metrics.clickhouse_up.set(0)

        with self._metrics.insert_seconds(table).time():
            retry_call(call, on_retry=note, stop=self._stop)
        self._metrics.clickhouse_up.set(1)
