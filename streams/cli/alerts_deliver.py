"""`qunpulse alerts deliver|test`: telling people of alerts."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, RulesFile, load_settings
from streams.errors import InputError, QunpulseError

DEFAULT_METRICS_PORT = 9109  # a worker on the same machine has 9108


def add_to(app: typer.Typer) -> None:
    """Make the commands of this file commands of `qunpulse alerts`."""
    app.command("deliver")(deliver)
    app.command("test")(send_test_message)


def deliver(
    config_file: ConfigFile = None,
    data: DataDir = None,
    rules: RulesFile = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka brokers.")] = None,
    include_replays: Annotated[
        bool, typer.Option("--include-replays", help="Tell alerts of replays of history as well.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port of /metrics; 0: a free one. (default: 9109)")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = None,
) -> None:
    """Send alerts to the channels of the rules file until SIGTERM or Ctrl-C.

    One process delivers; start a second one if you like, it stands by. What is
    owed is kept in ClickHouse, so nothing is lost whenever it is stopped. The
    rules file's section `alerts` says which alerts go where; secrets of
    channels come from the environment or from files, never from the rules.

      OPS_ROBOT_KEY=… qunpulse alerts deliver --rules rules.yaml
    """
    from streams.cli.reach import running_or_error
    from streams.delivery.run import run_delivery

    loaded = load_settings(
        config_file,
        data_dir=data,
        rules_file=rules,
        kafka_bootstrap_servers=kafka,
        metrics_port=metrics_port,
        log_level=log_level,
    )
    settings = running_or_error(loaded)
    if loaded.origins["metrics_port"] == "default":
        settings = settings.model_copy(update={"metrics_port": DEFAULT_METRICS_PORT})
    run_delivery(settings, include_replays=include_replays)


def send_test_message(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel of the rules file.")],
    config_file: ConfigFile = None,
    rules: RulesFile = None,
) -> None:
    """Send one test message on a channel and say what its receiver answered.

    qunpulse alerts test ops-robot --rules rules.yaml
    """
    import os

    from streams.delivery.channels import open_channel
    from streams.delivery.run import rules_folder
    from streams.delivery.secrets import Mask
    from streams.rules import load_rules
    from streams.rules_parts import did_you_mean

    settings = load_settings(config_file, rules_file=rules).settings
    channels = load_rules(settings.rules_file).alerts.channels
    if channel not in channels:
        known = ", ".join(channels) or "none yet"
        raise InputError(
            f"the rules file has no channel {channel!r}{did_you_mean(channel, list(channels))}; there are {known}"
        )
    receiver = open_channel(channel, channels[channel], rules_folder(settings), os.environ, Mask())
    started = time.monotonic()
    answer = receiver.send("qunpulse: a test", f"This is a test of the channel {channel}. Nothing has happened.")
    seconds = time.monotonic() - started
    if not answer.acknowledged:
        raise QunpulseError(f"channel {channel} did not take the test message after {seconds:.1f} s: {answer.error}")
    print(f"channel {channel} took the test message in {seconds:.1f} s")
