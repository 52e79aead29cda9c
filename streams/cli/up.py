"""`qunpulse up`: Kafka, ClickHouse, a worker and a live feed on this machine, until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, RulesFile, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from streams.cli.live_feed import LiveFeed
    from streams.cli.session import Session
    from streams.cli.worker_process import WorkerProcess

REFRESH_SECONDS = 1.0


def up(
    data: DataDir = None,
    config_file: ConfigFile = None,
    rules: RulesFile = None,
    no_feed: Annotated[bool, typer.Option("--no-feed", help="Feed nothing; your own producers do.")] = False,
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, help="Simulated events a second.")] = 20.0,
) -> None:
    """Run Kafka, ClickHouse and a worker until Ctrl-C, with a live simulated feed.

    The addresses it prints are for your own producers and BI tools; all of
    them listen on this machine only.

      qunpulse up

      qunpulse up --no-feed --data ./mine
    """
    from streams.cli.console import stderr, step
    from streams.cli.live_feed import LiveFeed
    from streams.cli.session import running_stack, stopped_by_signals
    from streams.cli.worker_process import WorkerProcess

    settings = load_settings(config_file, data_dir=data, rules_file=rules).settings
    console = stderr()
    with stopped_by_signals(), ExitStack() as running:
        session = running.enter_context(running_stack(settings, console))
        worker = running.enter_context(WorkerProcess(session.settings, settings.data_dir))
        with step(console, "waiting for the worker"):
            worker.wait_until_ready()
        feed = None if no_feed else running.enter_context(LiveFeed(session.settings, rate))
        _say_where(console, session, worker)
        try:
            _watch(console, session, worker, feed)
        except KeyboardInterrupt:
            console.print("stopping; Ctrl-C was heard, this takes a few seconds", style="dim")


def _say_where(console: Console, session: Session, worker: WorkerProcess) -> None:
    from streams.cli.console import command_name

    settings = session.settings
    folder = settings.data_dir
    console.print(f"Kafka       {settings.kafka_bootstrap_servers}", markup=False)
    console.print(f"ClickHouse  http://{settings.clickhouse_host}:{settings.clickhouse_port}", markup=False)
    console.print(f"metrics     http://{settings.metrics_host}:{worker.metrics_port}/metrics", markup=False)
    console.print(
        f"ask         {command_name()} sql \"SELECT * FROM qunpulse.activity_now WHERE window = '1h'\" --data {folder}",
        markup=False,
        soft_wrap=True,
    )
    console.print("Ctrl-C stops everything")


def _watch(console: Console, session: Session, worker: WorkerProcess, feed: LiveFeed | None) -> None:
    """A line that says what was consumed and how far behind it is, until something ends."""
    from streams.accounts import by_topic

    with console.status("waiting for the first events") as line:
        last, since = -1, time.monotonic()
        while True:
            session.check(worker)
            if feed is not None:
                feed.check()
            consumed = sum(account.consumed for account in by_topic(session.books()).values())
            behind, _ = session.behind()
            now = time.monotonic()
            rate = (consumed - last) / (now - since) if last >= 0 else 0.0
            last, since = consumed, now
            line.update(f"{consumed:,} events landed, {rate:,.0f}/s, {behind:,} behind")
            time.sleep(REFRESH_SECONDS)
