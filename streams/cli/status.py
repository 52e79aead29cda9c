"""`qunpulse status`: do the books balance, how far behind is it, is the worker ready."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigFile, DataDir, Json, load_settings
from streams.errors import InputError, KafkaRefused, KafkaUnavailable, QunpulseError

if TYPE_CHECKING:
    from sinks.kafka_login import KafkaLogin
    from streams.accounts import Books


def status(
    data: DataDir = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
    watching: Annotated[bool, typer.Option("--watch", help="Redraw every second until Ctrl-C.")] = False,
) -> None:
    """Show the accounting line of each topic, the lag, the event clocks and the worker's readiness.

    The exit code is 1 when a topic's equation does not hold.

      qunpulse status --json

      qunpulse status --watch
    """
    from schemas.topics import READ_TOPICS
    from streams.accounts import by_topic, read_books
    from streams.cli.reach import clickhouse, running, running_or_error
    from streams.cli.status_watch import watch

    loaded = load_settings(config_file, data_dir=data)
    if watching:
        if as_json:
            raise InputError("--watch is for people and --json for programs; leave one of them out")
        with clickhouse(loaded) as connection:
            watch(running_or_error(loaded), connection)
        return
    with clickhouse(loaded) as connection:
        books = read_books(connection)
    accounts = by_topic(books)
    settings = running(loaded)
    lag = _lag(settings.kafka(), books) if settings else None
    missing = worker_missing(loaded.settings) if settings else ["nothing runs"]
    consumed = sum(account.consumed for account in accounts.values())
    dead = sum(account.dead_lettered for account in accounts.values())
    clocks = {str(partition): max(part.event_clock for part in parts) for partition, parts in _clocks(books).items()}
    report: dict[str, Any] = {
        "topics": {topic: account.counters() | {"balanced": account.balanced} for topic, account in accounts.items()},
        "lag_records": lag,
        "event_clocks": {partition: clock.isoformat() for partition, clock in clocks.items()},
        "last_checkpoint": max((part.checkpoint_at for part in books.values()), default=None),
        "dead_letter_share": dead / consumed if consumed else 0.0,
        "worker_ready": not missing,
        "worker_missing": missing,
    }
    if as_json:
        json.dump(report, sys.stdout, default=lambda moment: moment.isoformat())
        print()
    else:
        _print(report, accounts)
    broken = [topic for topic, account in by_topic(books, READ_TOPICS).items() if not account.balanced]
    if broken:
        raise QunpulseError(f"the books of {', '.join(broken)} do not balance; keep the data folder and report it")


def _print(report: dict[str, Any], accounts: Any) -> None:
    from streams.cli.console import stdout
    from streams.cli.summary import print_books

    console = stdout()
    print_books(console, accounts)
    lag = report["lag_records"]
    if lag is None:
        print("lag: unknown, Kafka is not running")
    else:
        shown = ", ".join(f"{topic} {count:,}" for topic, count in lag.items() if count)
        print(f"lag: {shown or 'none, every record is landed'}")
    for partition, clock in report["event_clocks"].items():
        print(f"event clock of partition {partition}: {clock}")
    print(f"last checkpoint: {report['last_checkpoint'] or 'none yet'}")
    print(f"dead letters: {report['dead_letter_share']:.2%} of all records")
    print("worker: ready" if report["worker_ready"] else f"worker: not ready ({', '.join(report['worker_missing'])})")


def _clocks(books: Books) -> dict[int, list[Any]]:
    clocks: dict[int, list[Any]] = {}
    for (_, partition), part in sorted(books.items()):
        if part.event_clock is not None:
            clocks.setdefault(partition, []).append(part)
    return clocks


def _lag(login: KafkaLogin, books: Books) -> dict[str, int] | None:
    from schemas.topics import READ_TOPICS
    from streams.accounts import backlog
    from streams.kafka_cluster import KafkaCluster

    try:
        with KafkaCluster(login, timeout_seconds=3) as cluster:
            behind = backlog(books, cluster.spans(READ_TOPICS))
    except KafkaRefused:
        raise
    except KafkaUnavailable:
        return None
    lag = dict.fromkeys(READ_TOPICS, 0)
    for (topic, _), count in behind.items():
        lag[topic] += count
    return lag


def worker_missing(settings: Any) -> list[str]:
    """Readiness of the worker that `up` noted in the data folder, else of the one on the configured port."""
    from streams.cli.worker_process import noted_port, readiness

    port = noted_port(settings.data_dir) or settings.metrics_port
    return readiness(settings.metrics_host, port, settings.metrics_token.get_secret_value())
