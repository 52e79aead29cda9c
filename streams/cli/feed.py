"""`qunpulse feed`: event files into Kafka, in the order of their events' times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings

CHECK_SECONDS = 0.5

if TYPE_CHECKING:
    from rich.console import Console

    from streams.settings import Settings


def feed(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Event files (.ndjson, .gz).")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka brokers.")] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Remembers what was fed, so that nothing is fed twice. (default: DIR/feed.json)"
        ),
    ] = None,
) -> None:
    """Send event files to Kafka, merged by the events' times.

    A broken line goes along, for the worker to refuse.
    It remembers what it fed, by content and position: run again, it goes on where it stopped.

      qunpulse feed messages.ndjson.gz joins.ndjson.gz

      qunpulse feed export.ndjson --kafka kafka:9092 --ledger export.fed.json
    """
    from streams.cli.console import stderr
    from streams.cli.reach import running_or_error

    loaded = load_settings(config_file, data_dir=data, kafka_bootstrap_servers=kafka)
    settings = running_or_error(loaded)
    sent = feed_with_progress(
        files, settings, ledger or settings.data_dir / "feed.json", stderr(), f"feeding {len(files)} files"
    )
    print(f"fed {sent:,} records" if sent else "nothing to feed: these files were fed before")


def feed_with_progress(
    files: Sequence[Path],
    settings: Settings,
    ledger: Path,
    console: Console,
    text: str,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Feed with a progress bar; `check` is called now and then and may raise to end it. Returns records sent."""
    from streams.cli.console import step
    from streams.sources.feeder import feed_files
    from streams.sources.ledger import FeedLedger

    with step(console, text) as line:
        checked_at = 0.0

        def progress(sent: int, total: int) -> None:
            nonlocal checked_at
            line.at(sent, total)
            if time.monotonic() - checked_at > CHECK_SECONDS:
                checked_at = time.monotonic()
                check()

        return feed_files(files, settings, FeedLedger(ledger), progress).sent
