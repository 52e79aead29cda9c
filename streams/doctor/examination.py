"""The whole examination, in the order that a person would go: Kafka, ClickHouse, then what lies between them.

What cannot be looked at because something else is wrong is left out: that other finding says what to do first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from schemas.topics import READ_TOPICS
from sinks.clickhouse import ClickHouse
from streams.accounts import read_books
from streams.clickhouse_connection import connect
from streams.doctor import clickhouse as ch
from streams.doctor import kafka as ka
from streams.doctor.claims import look_at_claims, read_claims
from streams.doctor.findings import Finding, ok, wrong
from streams.errors import ConfigError, KafkaUnavailable, QunpulseError, SinkError
from streams.kafka_cluster import KafkaCluster
from streams.settings import Settings

_PATIENCE_SECONDS = 5.0
_MEND = "mend what the message says, then look again"


def examine(settings: Settings, embedded: bool) -> Iterator[Finding]:
    """Everything, each finding as soon as it is known; `embedded` looks at the data folder's disk too."""
    if embedded:
        yield look_at_folder(settings.data_dir)
    with _kafka(settings) as (cluster, finding):
        yield finding
        if cluster is not None:
            yield from _examine_kafka(settings, cluster)
        yield from _examine_clickhouse(settings, cluster)


def _examine_kafka(settings: Settings, cluster: KafkaCluster) -> Iterator[Finding]:
    try:
        yield from ka.look_at_topics(cluster, settings)
        yield ka.look_at_clock(cluster)
    except KafkaUnavailable as error:
        yield wrong("Kafka", str(error), _MEND)


def _examine_clickhouse(settings: Settings, cluster: KafkaCluster | None) -> Iterator[Finding]:
    try:
        connected = connect(settings, _PATIENCE_SECONDS)
    except (SinkError, ConfigError) as error:
        away = isinstance(error, SinkError) and error.code is None
        advice = "start it, or set clickhouse_host and clickhouse_port" if away else _MEND
        yield wrong("ClickHouse", str(error), advice)
        return
    with closing(connected):
        try:
            yield ch.look_at_version(connected)
            yield ch.look_at_settings(connected)
            yield ch.look_at_clock(connected)
            yield from ch.look_at_disks(connected)
            migrations = ch.look_at_migrations(connected)
            yield migrations
            if migrations.state == "ok":
                yield from _examine_work(settings, connected, cluster)
        except SinkError as error:
            yield wrong("ClickHouse", str(error), _MEND)


def _examine_work(settings: Settings, clickhouse: ClickHouse, cluster: KafkaCluster | None) -> Iterator[Finding]:
    if cluster is None:
        return
    try:
        claims, books = read_claims(clickhouse), read_books(clickhouse)
        spans = cluster.spans(READ_TOPICS)
        workers, members = ka.look_at_group(cluster, settings)
        yield workers
        yield ka.look_at_retention(books, spans)
        yield from look_at_claims(claims, books, spans, members, datetime.now(UTC), settings)
    except KafkaUnavailable as error:
        yield wrong("Kafka", str(error), _MEND)


def look_at_folder(folder: Path) -> Finding:
    """The disk under the embedded stack's data folder."""
    check = f"data folder {folder}"
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return wrong(check, f"it cannot be looked at: {error.strerror}", "name another folder with --data")
    return ch.judge_disk(check, usage.free, usage.total)


@contextmanager
def _kafka(settings: Settings) -> Iterator[tuple[KafkaCluster | None, Finding]]:
    try:
        cluster = KafkaCluster(settings.kafka(), timeout_seconds=_PATIENCE_SECONDS)
    except QunpulseError as error:
        yield None, wrong("Kafka", str(error), "start it, or set kafka_bootstrap_servers")
        return
    with cluster:
        yield cluster, ok("Kafka", f"answers at {settings.kafka_bootstrap_servers}")
