"""`qunpulse demo`: everything on this machine, from files to exact figures, in one command."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigFile, DataDir, Json, RulesFile, load_settings
from streams.errors import InputError, QunpulseError

if TYPE_CHECKING:
    from rich.console import Console

    from streams.accounts import Account
    from streams.cli.session import Session
    from streams.settings import Settings

SIMULATED_EVENTS = 200_000
SIMULATED_COMMUNITIES = 20
SIMULATED_DAYS = 365
SIMULATED_SEED = 7
LEDGER = "feed.json"


def demo(
    events: Annotated[
        list[Path] | None,
        typer.Option("--events", metavar="FILE…", help="Event files (.ndjson, .gz); several after one flag."),
    ] = None,
    data: DataDir = None,
    config_file: ConfigFile = None,
    rules: RulesFile = None,
    as_json: Json = False,
) -> None:
    """Start an own Kafka and ClickHouse, feed events, land everything, print the figures, stop.

    Without files it simulates a year of 20 communities.
    A second run goes on from the same data folder and feeds nothing twice.
    Ask it questions meanwhile and afterwards with `qunpulse sql`.

      qunpulse demo

      qunpulse demo --events messages.ndjson.gz joins.ndjson.gz --data ./mine

      qunpulse sql "SELECT * FROM qunpulse.activity_now" --data ./mine
    """
    from streams.cli.console import stderr, stdout
    from streams.cli.session import running_stack, stopped_by_signals
    from streams.cli.summary import print_summary
    from streams.cli.worker_process import WorkerProcess

    files = [_readable(path) for path in events or []]
    # History is replayed: its own times decide what "now" is, and silence in it is no signal.
    settings = load_settings(config_file, data_dir=data, rules_file=rules, clock_mode="event", metrics_port=0).settings
    console = stderr()
    with stopped_by_signals():
        if not files:
            files = [_simulated_year(settings.data_dir, console)]
            if settings.rules_file is None:  # the simulated communities' names and time zones
                settings = settings.model_copy(update={"rules_file": _rules_beside(files[0])})
        with running_stack(settings, console) as session:
            with WorkerProcess(session.settings, settings.data_dir) as worker:
                with _step(console, "waiting for the worker"):
                    worker.wait_until_ready()
                before = sum(account.consumed for account in _accounts(session).values())
                started = time.perf_counter()
                _feed(session, files, console, lambda: session.check(worker))
                with _step(console, "landing") as progress:
                    session.wait_until_landed(worker, progress.at)
                elapsed = time.perf_counter() - started
                accounts = _accounts(session)
            landed = sum(account.consumed for account in accounts.values()) - before
            rate = landed / elapsed if elapsed > 0 else 0.0
            if as_json:
                sys.stdout.write(_as_json(accounts, rate, elapsed, settings.data_dir))
            else:
                out = stdout()
                print_summary(out, session.clickhouse, accounts)
                out.print()
                out.print(_closing_words(landed, rate, elapsed, settings), markup=False, soft_wrap=True)
    sys.stdout.flush()
    broken = [topic for topic, account in accounts.items() if not account.balanced]
    if broken:
        raise QunpulseError(f"the books of {', '.join(broken)} do not balance; keep {settings.data_dir} and report it")


def _step(console: Console, text: str) -> Any:
    from streams.cli.console import step

    return step(console, text)


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"event file {path} does not exist")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"event file {path} cannot be read: {error.strerror}") from None
    return path


def _accounts(session: Session) -> dict[str, Account]:
    from streams.accounts import by_topic

    return by_topic(session.books())


def _simulated_year(data_dir: Path, console: Console) -> Path:
    """The simulated year's file, made once per data folder, its rules beside it."""
    from streams.simulation import Plan, write_feed

    path = data_dir / f"simulated-{SIMULATED_EVENTS}-{SIMULATED_SEED}.ndjson"
    if not path.exists():
        _make_folder(data_dir)
        plan = Plan(
            events=SIMULATED_EVENTS, seed=SIMULATED_SEED, communities=SIMULATED_COMMUNITIES, days=SIMULATED_DAYS
        )
        with _step(console, f"simulating a year of {SIMULATED_COMMUNITIES} communities") as progress:
            write_feed(path, plan, progress.at)
    return path


def _rules_beside(path: Path) -> Path:
    from streams.simulation.feed import rules_path

    return rules_path(path)


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the data folder {data_dir} cannot be made: {error.strerror}; choose another with --data"
        ) from None


def _feed(session: Session, files: list[Path], console: Console, check: Callable[[], None]) -> None:
    from streams.cli.feed import feed_with_progress

    names = ", ".join(path.name for path in files)
    feed_with_progress(files, session.settings, session.settings.data_dir / LEDGER, console, f"feeding {names}", check)


def _as_json(accounts: dict[str, Account], rate: float, elapsed: float, data_dir: Path) -> str:
    report = {
        "topics": {topic: account.counters() for topic, account in accounts.items()},
        "events_per_second": round(rate, 1),
        "elapsed_seconds": round(elapsed, 3),
        "data": str(data_dir),
    }
    return json.dumps(report) + "\n"


def _closing_words(landed: int, rate: float, elapsed: float, settings: Settings) -> str:
    from streams.cli.console import command_name

    if landed == 0:
        head = "nothing new: these files were fed into this folder before"
    else:
        head = f"{landed:,} events landed in {elapsed:.1f} s, {rate:,.0f} events/s from feeding to landed"
    folder = "" if settings.data_dir == Path("data") else f" --data {settings.data_dir}"
    return f"{head}\nask it: {command_name()} sql \"SELECT * FROM qunpulse.activity_now WHERE window = '7d'\"{folder}"
