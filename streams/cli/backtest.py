"""`qunpulse backtest`: what the alerts would have said about history, and how often they would have been right."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import Json, RulesFile


def backtest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Event files (.ndjson, .gz), any types.")],
    rules_file: RulesFile = None,
    learn_share: Annotated[
        float,
        typer.Option(min=0.1, max=0.9, help="Share of the events to learn from, the earliest; the rest is scored."),
    ] = 0.5,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Choose the settings of `silent` on the first part.")
    ] = True,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw curves and lead times.")] = None,
    as_json: Json = False,
) -> None:
    """Replay history through the alerts, without Kafka, and say how often they were right.

    The first part of the events is learned from, the second is scored, against "no activity for N days" with as many
    alerts. Precision: stayed silent for the next 30 (90) days. Recall: of those silent for 90 days. Lead: days from the
    last activity to the alert, over those. In brackets: 95 % intervals.

      qunpulse backtest messages.ndjson.gz joins.ndjson.gz --picture backtest.png

      qunpulse backtest orders.ndjson --rules rules.yaml --learn-share 0.7 --json
    """
    from streams.backtest.events import read_feed
    from streams.backtest.picture import draw
    from streams.backtest.report import backtest as run
    from streams.backtest.words import as_json as to_json
    from streams.backtest.words import markdown
    from streams.cli.console import stderr, step
    from streams.operators.alert_words import day_text
    from streams.rules import load_rules

    rules = load_rules(rules_file)
    with step(stderr(), "reading") as progress:
        feed = read_feed(files, progress.say)
        report = run(feed, rules, learn_share, tune, progress.say)
        if picture is not None and report.silent is not None:
            progress.say(f"drawing {picture}")
            draw(report.silent, f"{day_text(report.split_day)} to {day_text(report.last_day)}", picture)
    if as_json:
        json.dump(to_json(report), sys.stdout, ensure_ascii=False)
        print()
    else:
        print(markdown(report))
