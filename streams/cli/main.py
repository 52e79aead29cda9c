"""`qunpulse`: the commands in one list, and what happens to an error on its way out.

Command modules import what they need inside their functions: `qunpulse --help` must not wait for Kafka,
ClickHouse or Faust to load.
"""

from __future__ import annotations

import logging
import sys

import typer

from streams.cli import (
    alerts,
    backtest,
    config,
    deadletters,
    demo,
    doctor,
    feed,
    identities,
    migrate,
    model,
    referrals,
    report,
    schema,
    simulate,
    sql,
    status,
    topics,
    up,
    validate,
    version,
    worker,
)
from streams.cli.many_values import ManyValuesCommand
from streams.errors import QunpulseError
from streams.logs import say_error

app = typer.Typer(
    name="qunpulse",
    help="Real-time analytics for online communities: Kafka in, exact activity windows in ClickHouse out.\n\n"
    "Start with `qunpulse demo`: it brings its own Kafka and ClickHouse and needs no set-up.",
    epilog="Settings come from flags, QUNPULSE_… variables and qunpulse.toml: see `qunpulse config`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TRY, RUN, LOOK, SET_UP = "Try it", "Run it", "Look", "Set up"

app.command("demo", cls=ManyValuesCommand, rich_help_panel=TRY)(demo.demo)
app.command("up", rich_help_panel=TRY)(up.up)
app.command("simulate", rich_help_panel=TRY)(simulate.simulate)
app.command("worker", rich_help_panel=RUN)(worker.worker)
app.command("feed", rich_help_panel=RUN)(feed.feed)
app.command("doctor", rich_help_panel=LOOK)(doctor.doctor)
app.command("status", rich_help_panel=LOOK)(status.status)
app.command("sql", rich_help_panel=LOOK)(sql.sql)
app.command("report", rich_help_panel=LOOK)(report.report)
app.add_typer(alerts.app, name="alerts", rich_help_panel=LOOK)
app.add_typer(deadletters.app, name="deadletters", rich_help_panel=LOOK)
app.add_typer(referrals.app, name="referrals", rich_help_panel=LOOK)
app.command("validate", rich_help_panel=LOOK)(validate.validate)
app.command("backtest", rich_help_panel=LOOK)(backtest.backtest)
app.command("migrate", rich_help_panel=SET_UP)(migrate.migrate)
app.add_typer(identities.app, name="identities", rich_help_panel=SET_UP)
app.add_typer(model.app, name="model", rich_help_panel=SET_UP)
app.add_typer(topics.app, name="topics", rich_help_panel=SET_UP)
app.add_typer(schema.app, name="schema", rich_help_panel=SET_UP)
app.command("config", rich_help_panel=SET_UP)(config.config)
app.command("version", rich_help_panel=SET_UP)(version.version)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence on stderr, a bug in a traceback."""
    for restated in ("kafka", "clickhouse_connect"):  # their warnings reach the user in our own sentences
        logging.getLogger(restated).setLevel(logging.CRITICAL)
    try:
        app()
    except QunpulseError as error:
        say_error(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
