"""`qunpulse status --watch`: rates, lag, books, clocks, dead letters and open alerts, redrawn until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.accounts import Account, Books, backlog, by_topic, read_books
from streams.errors import InputError, QunpulseError

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from streams.kafka_cluster import KafkaCluster
    from streams.settings import Settings

SEVERITIES = ("critical", "high", "medium", "low")
NEWEST_ALERTS = 5
_OPEN = "state IN ('opened', 'acknowledged')"
_COUNTS = f"SELECT severity, count() FROM qunpulse.alerts WHERE {_OPEN} GROUP BY severity"
_NEWEST = f"""
SELECT updated_at, severity, kind, community_id, member_id, reason FROM qunpulse.alerts WHERE {_OPEN}
ORDER BY updated_at DESC, alert_id LIMIT {NEWEST_ALERTS}
"""


@dataclass(frozen=True)
class Alert:
    """One line of the newest open alerts."""

    at: datetime
    severity: str
    kind: str
    subject: str
    reason: str


@dataclass(frozen=True)
class Glance:
    """Everything as of one moment; `lag` is None while Kafka does not answer."""

    at: datetime
    books: Books
    lag: Mapping[tuple[str, int], int] | None
    open_alerts: Mapping[str, int]
    newest_alerts: tuple[Alert, ...]
    worker_missing: tuple[str, ...]

    @property
    def accounts(self) -> dict[str, Account]:
        """The books of each event topic."""
        return by_topic(self.books)


def watch(settings: Settings, clickhouse: ClickHouse, every_seconds: float = 1.0) -> None:
    """Redraw until Ctrl-C. Raises InputError where stdout is no terminal."""
    from rich.live import Live

    from streams.cli.console import stdout
    from streams.cli.session import stopped_by_signals

    console = stdout()
    if not console.is_terminal:
        raise InputError("--watch needs a terminal; programs ask `qunpulse status --json`")
    cluster: KafkaCluster | None = None
    before: Glance | None = None
    try:
        with stopped_by_signals(), Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                try:
                    cluster = cluster or _connect(settings)
                    now = take(settings, clickhouse, cluster)
                    if now.lag is None and cluster is not None:
                        cluster.close()
                        cluster = None
                    live.update(drawn(now, before), refresh=True)
                    before = now
                except QunpulseError as error:  # it may come back: the view stays open and says what it waits for
                    live.update(Text(f"{datetime.now(UTC):%H:%M:%S} {error}", style="bold red"), refresh=True)
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        return
    finally:
        if cluster is not None:
            cluster.close()


def take(settings: Settings, clickhouse: ClickHouse, cluster: KafkaCluster | None) -> Glance:
    """One look at ClickHouse, Kafka and the worker. Raises SinkError."""
    from schemas.topics import EVENT_TOPICS
    from streams.cli.status import worker_missing
    from streams.errors import KafkaUnavailable

    books = read_books(clickhouse)
    lag: Mapping[tuple[str, int], int] | None = None
    if cluster is not None:
        try:
            lag = backlog(books, cluster.spans(EVENT_TOPICS))
        except KafkaUnavailable:
            lag = None
    newest = tuple(
        Alert(at, severity, kind, member or community, reason)
        for at, severity, kind, community, member, reason in clickhouse.rows(_NEWEST)
    )
    counts = {severity: int(count) for severity, count in clickhouse.rows(_COUNTS)}
    return Glance(datetime.now(UTC), books, lag, counts, newest, tuple(worker_missing(settings)))


def drawn(now: Glance, before: Glance | None) -> RenderableType:
    """The whole view; rates are what was landed since the glance before."""
    return Group(_headline(now), Text(), _topics(now, before), Text(), _partitions(now), Text(), _alerts(now))


def _headline(now: Glance) -> Text:
    accounts = now.accounts.values()
    consumed = sum(account.consumed for account in accounts)
    share = sum(account.dead_lettered for account in accounts) / consumed if consumed else 0.0
    line = Text(f"qunpulse {now.at:%Y-%m-%d %H:%M:%S} UTC   worker ")
    line.append(*(("ready", "green") if not now.worker_missing else (", ".join(now.worker_missing), "bold red")))
    line.append(f"   dead letters {share:.2%}", "bold red" if share > 0.01 else "")
    if now.lag is None:
        line.append("   Kafka does not answer", "bold red")
    return line.append("   Ctrl-C ends", "dim")


def _topics(now: Glance, before: Glance | None) -> Table:
    table = _table("topic", "events/s", "consumed", "lag", "late", "duplicate", "dead-lettered", "misrouted", "books")
    seconds = (now.at - before.at).total_seconds() if before else 0.0
    for topic, account in now.accounts.items():
        landed = account.consumed - (before.accounts[topic].consumed if before else account.consumed)
        rate = f"{landed / seconds:,.0f}" if seconds > 0 else "–"
        behind = sum(count for (name, _), count in now.lag.items() if name == topic) if now.lag is not None else None
        table.add_row(
            topic,
            rate,
            f"{account.consumed:,}",
            Text("?" if behind is None else f"{behind:,}", "yellow" if behind else ""),
            f"{account.late:,}",
            f"{account.duplicate:,}",
            f"{account.dead_lettered:,}",
            f"{account.misrouted:,}",
            Text("OK", "green") if account.balanced else Text("BROKEN", "bold red"),
        )
    return table


def _partitions(now: Glance) -> Table:
    table = _table("partition", "event clock (UTC)", "checkpoint", "lag")
    for partition in sorted({number for _, number in now.books}):
        parts = [part for (_, number), part in now.books.items() if number == partition]
        clocks = [part.event_clock for part in parts if part.event_clock is not None]
        lag = sum(count for (_, number), count in now.lag.items() if number == partition) if now.lag is not None else 0
        age = (now.at - max(part.checkpoint_at for part in parts)).total_seconds()
        clock = f"{max(clocks):%Y-%m-%d %H:%M:%S}" if clocks else "no event yet"
        table.add_row(str(partition), clock, f"{max(age, 0):,.0f} s ago", f"{lag:,}")
    return table


def _alerts(now: Glance) -> RenderableType:
    counts = ", ".join(f"{now.open_alerts[name]:,} {name}" for name in SEVERITIES if now.open_alerts.get(name))
    title = Text(f"open alerts: {counts or 'none'}")
    if not now.newest_alerts:
        return title
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for alert in now.newest_alerts:
        at = f"{alert.at:%m-%d %H:%M}"
        subject = Text(alert.subject, overflow="ellipsis", no_wrap=True)
        table.add_row(at, alert.severity, alert.kind, subject, Text(alert.reason, overflow="ellipsis", no_wrap=True))
    return Group(title, table)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, no_wrap=True, justify="left" if title in {"topic", "partition", "books"} else "right")
    return table


def _connect(settings: Settings) -> KafkaCluster | None:
    from streams.errors import KafkaRefused, KafkaUnavailable
    from streams.kafka_cluster import KafkaCluster

    try:
        return KafkaCluster(settings.kafka(), timeout_seconds=2)
    except KafkaRefused:
        raise
    except KafkaUnavailable:
        return None
