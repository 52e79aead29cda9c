"""The process that delivers alerts: reads `community.alerts.v1` with a consumer group of its own.

A plain Kafka consumer and no Faust agent: alerts are few, one process reads them all, and what matters is when an
offset is committed, which is then one visible line. Offsets are committed once the ledger in ClickHouse holds what
follows from the records; the ledger, not Kafka, is what is still owed after a restart.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from schemas.alerts import decode_alert
from schemas.topics import ALERTS
from sinks.retry import RetryStopped
from streams.delivery.desk import Desk
from streams.delivery.plan import Arrived
from streams.delivery.sole_member import Membership
from streams.errors import ConfigError, KafkaUnavailable
from streams.kafka_rights import delivery_group
from streams.metrics import DeliveryMetrics
from streams.rules_model import Rules
from streams.settings import Settings

log = logging.getLogger(__name__)

POLL_MS = 250
RECORDS_AT_ONCE = 500
COMMIT_MS = 10_000

_GROUP_WENT_ON = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


class DeliveryAgent:
    """Runs until told to stop; `make_desk` makes a desk for rules (ConfigError when a channel cannot be opened)."""

    def __init__(
        self,
        settings: Settings,
        current_rules: Callable[[], Rules],
        make_desk: Callable[[Rules, Callable[[], bool]], Desk],
        metrics: DeliveryMetrics,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._login = settings.kafka()
        self._current_rules = current_rules
        self._make_desk = make_desk
        self._metrics = metrics
        self._stop = stop
        self._rules = current_rules()
        self._membership = Membership(settings.session_timeout_seconds / 2)
        self._desk: Desk | None = None
        self.turned_at = time.monotonic()

    @property
    def joined(self) -> bool:
        """Whether the consumer group has been joined, to deliver or to stand by."""
        return self._membership.joined

    def run(self) -> None:
        """Deliver until `stop` is set. Raises QunpulseError when it cannot go on; what is owed stays in the ledger."""
        consumer = self._consumer()
        try:
            consumer.subscribe([ALERTS], listener=self._membership)
            while not self._stop.is_set():
                self.turned_at = time.monotonic()
                self._turn(consumer)
        except RetryStopped:
            log.info(
                "stopped while ClickHouse was away; what was read since is not committed and is read again",
                extra={"event": "stopped_without_clickhouse"},
            )
        except KafkaError as error:
            refused = self._login.refusal(error, f"to read {ALERTS}")
            if refused is not None:
                raise refused from error
            raise KafkaUnavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} refused the delivery agent: {error}; nothing is "
                "lost, start it again once the broker is well"
            ) from error
        finally:
            self._close_desk()
            consumer.close(autocommit=False)

    def _turn(self, consumer: Any) -> None:
        batches = consumer.poll(timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
        if not self._membership.ours:
            self._close_desk()
            return
        try:
            if self._membership.certain():
                self._membership.seen()
            if self._desk is None:
                self._open_desk(self._make_desk(self._rules, self._membership.certain))
            self._deliver(batches)
            if batches or not self._membership.certain():
                consumer.commit(timeout_ms=COMMIT_MS)  # what follows from every polled record is in the ledger now
                self._membership.seen()  # after a gap only the broker knows
        except KafkaTimeoutError:
            # What was read is in the ledger, and the next commit covers it; nothing is sent until one succeeds.
            log.warning("Kafka does not answer; delivery goes on when it does", extra={"event": "kafka_waited_for"})
        except _GROUP_WENT_ON:
            # Whoever delivers next reads these records again and finds them in the ledger.
            log.warning(
                "the consumer group goes on without this process; it joins again", extra={"event": "group_left"}
            )
            self._membership.on_partitions_lost(())
            self._close_desk()

    def _deliver(self, batches: dict[Any, list[Any]]) -> None:
        self._renew_rules()
        desk = self._desk
        if desk is None:
            return
        if desk.failure is not None:
            raise desk.failure
        arrived = list(_decoded((record for records in batches.values() for record in records), self._metrics))
        if arrived:
            desk.take(arrived)
        desk.report()

    def _renew_rules(self) -> None:
        rules = self._current_rules()
        if rules is self._rules:
            return
        self._rules = rules
        try:
            desk = self._make_desk(rules, self._membership.certain)
        except ConfigError as error:
            log.error(  # noqa: TRY400
                "the changed rules cannot be used, delivery goes on under those before: %s", error,
                extra={"event": "delivery_rules_refused"},
            )  # fmt: skip
            return
        self._close_desk()
        self._open_desk(desk)

    def _open_desk(self, desk: Desk) -> None:
        desk.open()
        self._desk = desk
        self._metrics.active.set(1)
        channels = ", ".join(self._rules.alerts.channels)
        log.info("delivering alerts on %s", channels, extra={"event": "delivery_started"})

    def _close_desk(self) -> None:
        desk, self._desk = self._desk, None
        if desk is not None:
            self._metrics.active.set(0)
            desk.close()

    def _consumer(self) -> Any:
        try:
            return KafkaConsumer(
                **self._login.options(),
                group_id=delivery_group(self._settings.group_id),
                client_id=f"{self._settings.worker_id}-alert-delivery",
                enable_auto_commit=False,
                # The first start tells, in digests, what is open; and offsets that expired lose nothing.
                auto_offset_reset="earliest",
                partition_assignment_strategy=[self._membership.assignor],
                session_timeout_ms=self._settings.session_timeout_seconds * 1000,
                heartbeat_interval_ms=max(self._settings.session_timeout_seconds * 250, 250),
                max_poll_interval_ms=600_000,  # a long outage of ClickHouse is waited for inside of a turn
                allow_auto_create_topics=False,
            )
        except KafkaError as error:
            raise KafkaUnavailable(
                f"Kafka at {self._settings.kafka_bootstrap_servers} does not answer: {error}; check that it runs and "
                "that kafka_bootstrap_servers is right"
            ) from None


def _decoded(records: Iterable[Any], metrics: DeliveryMetrics) -> Iterable[Arrived]:
    for record in records:
        if record.value is None:  # the end of an erased alert
            metrics.records("erased").inc()
            continue
        try:
            yield Arrived(decode_alert(record.value), record.timestamp)
        except ValueError as error:
            metrics.records("unreadable").inc()
            log.error(  # noqa: TRY400 - the trace is that of the decoder
                "record %s/%d/%d cannot be read and is told to nobody: %s; it stays in the topic",
                record.topic, record.partition, record.offset, error,
                extra={"event": "alert_unreadable", "partition": record.partition, "offset": record.offset},
            )  # fmt: skip
