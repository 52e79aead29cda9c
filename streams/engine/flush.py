"""One flush of some partitions: what is written, in the order that exactness rests on."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from sinks.retry import Retry, retry_call
from sinks.schema import ACCOUNTING, EVENTS, STATE, STORE
from sinks.state import delete_expired, insert_state
from streams.engine.checkpoint import FlushPlan, Landing
from streams.engine.intake import RefusedRecord
from streams.errors import ClaimLost
from streams.metrics import WorkerMetrics
from streams.operators.outbox import OutboxRecord

log = logging.getLogger(__name__)

Step = Literal["begun", "events", "state", "outbox", "landed"]


class RecordSink(Protocol):
    """Where dead letters, forwarded and outbox records go; every send is acknowledged before it returns."""

    def send(self, refused: Sequence[RefusedRecord], misrouted: Sequence[RefusedRecord]) -> None:
        """Send all of them and wait until the brokers have them. Raises RetryableSinkError."""

    def send_outbox(self, records: Sequence[OutboxRecord]) -> None:
        """Send them in their order and wait until the brokers have them. Raises RetryableSinkError."""


def _unwatched(_: Step) -> None:
    """Nobody wants to know."""


class Flush:
    """Writes flush plans. Blocks; runs in a thread of its own while the partitions go on."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        records: RecordSink,
        metrics: WorkerMetrics,
        stop: threading.Event,
        insert_timeout_seconds: float,
        reached: Callable[[Step], None] = _unwatched,
    ) -> None:
        """``reached`` is told each time a step is behind us: where tests let a worker die."""
        self._clickhouse = clickhouse
        self._records = records
        self._metrics = metrics
        self._stop = stop
        self._insert_timeout_seconds = insert_timeout_seconds
        self._reached = reached

    def write(self, plans: Sequence[FlushPlan]) -> dict[int, ClaimLost]:
        """Write the plans of some partitions together, so that each table is inserted into once for all of them.

        A crash before a partition's part of step 2 leaves its last checkpoint in force: steps 1 and 2 come again with
        the same rows. A crash after it leaves step 3 to whoever restores the partition. People never read ahead of a
        checkpoint.

        Returns:
            The partitions that another worker owns; nothing of steps 2 to 4 was written of theirs.

        Raises:
            FatalSinkError: a person must act.
            RetryStopped: the worker was told to stop while a server was away.
        """
        with self._metrics.timed("flush"):
            self._reached("begun")
            # 1  events, dead letters, forwarded records: each idempotent by its own id
            events = [rows for plan in plans for rows in plan.events]
            if events:
                self._insert(EVENTS, pa.concat_tables(events, promote_options="default"))
            refused = [record for plan in plans for record in plan.refused]
            misrouted = [record for plan in plans for record in plan.misrouted]
            if refused or misrouted:
                self._send(lambda: self._records.send(refused, misrouted))
            self._reached("events")
            # 2  state, redo rows, outbox, offsets and accounts: one atomic insert a partition, under its claim
            lost = {}
            for plan in plans:
                try:
                    self._insert_state(plan)
                except ClaimLost as error:
                    lost[plan.partition] = error
            self._reached("state")
            # 3  what other consumers and people read
            self.land([plan.landing for plan in plans if plan.partition not in lost])
            # 4  offsets become committable: the caller hands them to the consumer when this returns
            return lost

    def land(self, landings: Sequence[Landing]) -> None:
        """Step 3 alone: send the outboxes and land derived rows, at a flush or again after a restore.

        The accounts come last: who sees there that records are done with sees all that came of them, and whoever asks
        a side topic for its end after that finds in it what these records have put there.
        """
        outbox = [record for landing in landings for record in landing.outbox]
        if outbox:
            self._send(lambda: self._records.send_outbox(outbox))
            for topic, number in Counter(one.topic for one in outbox).items():
                self._metrics.sent_records(topic).inc(number)
        self._reached("outbox")
        tables: dict[str, list[pa.Table]] = {}
        for landing in landings:
            for name, rows in landing.derived.items():
                tables.setdefault(f"{STORE}.{name}", []).append(rows)
        for table in sorted(tables, key=lambda table: table == ACCOUNTING):
            self._insert(table, pa.concat_tables(tables[table]))
        self._reached("landed")

    def clean(self, partition: int) -> None:
        """Delete the keys that have left the state, all their versions together; takes seconds, blocks nobody."""
        delete_expired(self._clickhouse, partition, before_ms=0)

    def _insert_state(self, plan: FlushPlan) -> None:
        def insert() -> None:
            insert_state(self._clickhouse, plan.partition, plan.state, plan.claim, self._insert_timeout_seconds)

        self._into(STATE, insert)

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._into(table, lambda: self._clickhouse.insert_arrow(table, rows))

    def _send(self, call: Callable[[], None]) -> None:
        with self._metrics.send_seconds.time():
            retry_call(call, on_retry=lambda _: self._metrics.send_retries.inc(), stop=self._stop)

    def _into(self, table: str, call: Callable[[], None]) -> None:
        retries = self._metrics.insert_retries(table)

        def note(retry: Retry) -> None:
            retries.inc()
            self._metrics.clickhouse_up.set(0)
            log.warning(
                "rows wait for ClickHouse, try %d in %.1f s: %s", retry.attempt + 1, retry.wait_seconds, retry.error,
                extra={"event": "clickhouse_waited_for", "table": table, "attempt": retry.attempt + 1},
            )  # fmt: skip

        with self._metrics.insert_seconds(table).time():
            retry_call(call, on_retry=note, stop=self._stop)
        self._metrics.clickhouse_up.set(1)
