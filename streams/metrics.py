"""Every metric qunpulse exports, declared here and nowhere else.

Names are `qunpulse_<what>_<unit>[_total]`. Labels are bounded: a topic, a partition number, a table, an
operator, a code from a closed list; never a community, a person or raw error text. Counters count since the
process began (the cumulative truth is the `accounting` table); all calls are made once a batch or flush,
never once an event.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from schemas.refusals import CODES
from schemas.topics import OUTBOX_TOPICS, READ_TOPICS

Outcome = Literal["consumed", "applied", "duplicate", "late", "dead_lettered", "misrouted"]
Stage = Literal["decode", "merge", "apply", "flush"]
WordField = Literal["kind", "via"]

_OUTCOME_HELP: dict[Outcome, str] = {
    "consumed": "Records taken from Kafka; equals the sum of the five outcomes at every checkpoint.",
    "applied": "Events that changed windows and member state.",
    "duplicate": "Events whose id had been applied already; they change nothing.",
    "late": "Events older than the allowed lateness; kept in `events`, in no figure.",
    "dead_lettered": "Records refused and copied to the dead-letter topic with their original bytes.",
    "misrouted": "Records found on the wrong partition and forwarded: a producer partitions otherwise.",
}

# From a millisecond (a quiet second of a small community) to a minute (ClickHouse under pressure).
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RECORDS = (1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 100_000)


class WorkerMetrics:
    """The metrics of one worker process, on a registry of its own so that tests do not share them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._outcomes = {
            outcome: self._counter(f"qunpulse_{outcome}_records", text, "topic")
            for outcome, text in _OUTCOME_HELP.items()
        }
        self._dead_letters = self._counter(
            "qunpulse_dead_letters", "Records dead-lettered, by error code; which producer is broken.", "code"
        )
        self._sent_records = self._counter(
            "qunpulse_sent_records", "Facts, alerts and milestones sent; repeats after a restart count again.", "topic"
        )
        self._unknown_words = self._counter(
            "qunpulse_unknown_words",
            "Events with a `kind` or `via` outside the contract's lists; landed as other/unknown.",
            "field",
        )
        self._lag_records = self._gauge(
            "qunpulse_lag_records", "Records in Kafka behind the end of the partition.", "topic", "partition"
        )
        self._lag_seconds = self._gauge(
            "qunpulse_lag_seconds",
            "Event time between the newest event applied and now; 0 while caught up.",
            "partition",
        )
        self._freshness = self._gauge(
            "qunpulse_freshness_seconds",
            "Time since Kafka took in the oldest record that cannot be read in ClickHouse yet; 0 when there is none.",
            "partition",
        )
        self._imbalance = self._gauge(
            "qunpulse_accounting_imbalance_records",
            "Records of this partition without an outcome or with two, at its last checkpoint; all but 0 is a bug.",
            "topic",
            "partition",
        )
        self._event_clock = self._gauge(
            "qunpulse_event_clock_seconds", "Largest event time applied, unix time.", "partition"
        )
        self._checkpoint_age = self._gauge(
            "qunpulse_checkpoint_age_seconds",
            "Time since this partition's last checkpoint; what a crash now would make us read again.",
            "partition",
        )
        self._claim_epoch = self._gauge(
            "qunpulse_claim_epoch_number", "Claim under which this worker owns the partition.", "partition"
        )
        self._paused = self._gauge(
            "qunpulse_partition_paused_bool",
            "1 while ClickHouse or a full buffer holds fetching back.",
            "partition",
        )
        self.batch_records = Histogram(
            "qunpulse_batch_records",
            "Records applied in one go; small ones mean a quiet feed, full ones a backlog.",
            buckets=_RECORDS,
            registry=self.registry,
        )
        self._stage_seconds = self._histogram(
            "qunpulse_stage_seconds", "Time one batch spends in a stage; where the time goes.", "stage"
        )
        self._insert_seconds = self._histogram(
            "qunpulse_insert_seconds", "Time one ClickHouse insert takes, retries included.", "table"
        )
        self.send_seconds = Histogram(
            "qunpulse_send_seconds",
            "Time dead letters, forwarded or outbox records of one flush take to Kafka, retries included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.send_retries = Counter(
            "qunpulse_send_retries",
            "Sends to Kafka tried again; a steady rise means that flushes wait for it.",
            registry=self.registry,
        )
        self._insert_retries = self._counter(
            "qunpulse_insert_retries",
            "ClickHouse inserts tried again; a steady rise means it is struggling.",
            "table",
        )
        self._state_entries = self._gauge(
            "qunpulse_state_entries",
            "Entries an operator keeps in memory, all partitions together.",
            "operator",
        )
        self.restore_seconds = Histogram(
            "qunpulse_restore_seconds",
            "Time to claim a partition and read its state back.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.dead_letter_share = Gauge(
            "qunpulse_dead_letter_share_ratio",
            "Share of recent records dead-lettered; at dead_letter_stop_share the worker stops.",
            registry=self.registry,
        )
        self.partitions_assigned = Gauge(
            "qunpulse_assigned_partitions", "Partitions this worker owns.", registry=self.registry
        )
        self.configured_partitions = Gauge(
            "qunpulse_configured_partitions",
            "Partitions of each topic by the settings; with fewer assigned over all workers, some are read by nobody.",
            registry=self.registry,
        )
        self.clickhouse_up = Gauge(
            "qunpulse_clickhouse_up_bool",
            "1 if ClickHouse answered last time it was asked.",
            registry=self.registry,
        )
        self.stale_batches = Counter(
            "qunpulse_stale_batches",
            "Fetched batches dropped because the partition was assigned anew meanwhile; harmless.",
            registry=self.registry,
        )
        self.stalled_fetches = Counter(
            "qunpulse_stalled_fetches",
            "Times a partition had lag but no fetch and its consumer was restarted.",
            registry=self.registry,
        )
        build = Info("qunpulse_build", "Version that runs here.", registry=self.registry)
        build.info({"version": installed_version(), "python": platform.python_version()})
        # Memory, processor time, start time and open files, as the library reads them at every scrape.
        ProcessCollector(namespace="qunpulse", registry=self.registry)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Make the counters of closed lists now: one that appears with its first 5 records shows Prometheus no rise."""
        for counter in self._outcomes.values():
            for topic in READ_TOPICS:
                counter.labels(topic)
        for code in CODES:
            self._dead_letters.labels(code)
        for topic in OUTBOX_TOPICS:
            self._sent_records.labels(topic)
        for word_field in get_args(WordField):
            self._unknown_words.labels(word_field)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=_SECONDS, registry=self.registry)

    def records(self, topic: str, outcome: Outcome) -> Counter:
        """Counter of a topic's records with this outcome; `.inc(n)` once a batch."""
        return self._outcomes[outcome].labels(topic)

    def dead_letters(self, code: str) -> Counter:
        """Counter of dead letters with this code of the contract's closed list."""
        return self._dead_letters.labels(code)

    def sent_records(self, topic: str) -> Counter:
        """Counter of outbox records sent to a topic."""
        return self._sent_records.labels(topic)

    def unknown_words(self, field: WordField) -> Counter:
        """Counter of words outside the contract's list; the word itself lands in a column."""
        return self._unknown_words.labels(field)

    def lag_records(self, topic: str, partition: int) -> Gauge:
        """Gauge of records not yet applied."""
        return self._lag_records.labels(topic, str(partition))

    def lag_seconds(self, partition: int) -> Gauge:
        """Gauge of event time not yet applied, seconds."""
        return self._lag_seconds.labels(str(partition))

    def freshness_seconds(self, partition: int) -> Gauge:
        """Gauge of the age of the oldest record that has not landed, seconds."""
        return self._freshness.labels(str(partition))

    def imbalance_records(self, topic: str, partition: int) -> Gauge:
        """Gauge of records for which promise 1 does not hold."""
        return self._imbalance.labels(topic, str(partition))

    def event_clock(self, partition: int) -> Gauge:
        """Gauge of the largest event time applied, unix seconds."""
        return self._event_clock.labels(str(partition))

    def claim_epoch(self, partition: int) -> Gauge:
        """Gauge of the claim's number."""
        return self._claim_epoch.labels(str(partition))

    def paused(self, partition: int) -> Gauge:
        """Gauge, 1 while fetching is held back."""
        return self._paused.labels(str(partition))

    def checkpointed(self, partition: int) -> None:
        """A checkpoint of the partition is durable now; its age counts from here."""
        at = time.monotonic()
        self._checkpoint_age.labels(str(partition)).set_function(lambda: time.monotonic() - at)

    def stage(self, name: Stage) -> Histogram:
        """Histogram of a stage's seconds; `.observe(s)` or `with ….time():` once a batch."""
        return self._stage_seconds.labels(name)

    def insert_seconds(self, table: str) -> Histogram:
        """Histogram of one table's insert time, seconds."""
        return self._insert_seconds.labels(table)

    def insert_retries(self, table: str) -> Counter:
        """Counter of one table's repeated inserts."""
        return self._insert_retries.labels(table)

    def state_entries(self, operator: str) -> Gauge:
        """Gauge of entries in an operator's memory."""
        return self._state_entries.labels(operator)

    @contextmanager
    def timed(self, name: Stage) -> Iterator[None]:
        """Time a block as one stage of a batch."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stage(name).observe(time.perf_counter() - started)

    def forget_partition(self, partition: int) -> None:
        """Drop the gauges of a partition given away: its new owner reports them, ours would stand still."""
        label = str(partition)
        for gauge in (
            self._lag_seconds,
            self._freshness,
            self._event_clock,
            self._checkpoint_age,
            self._claim_epoch,
            self._paused,
        ):
            _remove(gauge, label)
        for topic in READ_TOPICS:
            _remove(self._lag_records, topic, label)
            _remove(self._imbalance, topic, label)


class DeliveryMetrics:
    """The metrics of the process that delivers alerts; `channel` is a channel's name in the rules file."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._records = Counter(
            "qunpulse_alert_records",
            "Alert records read, by what followed: delivered on some channel, or why on none.",
            ("result",),
            registry=self.registry,
        )
        self._deliveries = Counter(
            "qunpulse_alert_deliveries",
            "Tries to deliver an alert on a channel: sent means acknowledged, failed will be tried again.",
            ("channel", "outcome"),
            registry=self.registry,
        )
        self._owed = Gauge(
            "qunpulse_alert_deliveries_owed_number",
            "Deliveries not acknowledged yet: waiting (quiet hours, digest, rate limit) or failed.",
            ("channel", "outcome"),
            registry=self.registry,
        )
        self._overdue = Gauge(
            "qunpulse_alert_delivery_overdue_seconds",
            "Age of the oldest delivery that has failed and is still owed; a person must look when it grows.",
            ("channel",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "qunpulse_alert_delivery_seconds",
            "From reading an alert to its acknowledgement, for messages of their own; quiet hours count.",
            ("channel",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.clickhouse_up = Gauge(
            "qunpulse_clickhouse_up_bool", "1 if ClickHouse answered last time it was asked.", registry=self.registry
        )
        self.active = Gauge(
            "qunpulse_alert_delivery_active_bool",
            "1 in the one process that delivers, 0 in those that stand by.",
            registry=self.registry,
        )

    def records(self, result: str) -> Counter:
        """Counter of alert records with this result: delivered, duplicate, replay, unrouted, …"""
        return self._records.labels(result)

    def deliveries(self, channel: str, outcome: Literal["sent", "failed"]) -> Counter:
        """Counter of tries on a channel."""
        return self._deliveries.labels(channel, outcome)

    def owed(self, channel: str, outcome: Literal["waiting", "failed"]) -> Gauge:
        """Gauge of what a channel owes."""
        return self._owed.labels(channel, outcome)

    def overdue_seconds(self, channel: str) -> Gauge:
        """Gauge of the age of the oldest failed delivery, seconds; 0 when there is none."""
        return self._overdue.labels(channel)

    def seconds(self, channel: str) -> Histogram:
        """Histogram of a channel's delays, seconds."""
        return self._seconds.labels(channel)


def _remove(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # never set on this worker


def installed_version() -> str:
    """Version of the installed package, or `unknown` in a bare checkout."""
    try:
        return version("qunpulse")
    except PackageNotFoundError:
        return "unknown"
