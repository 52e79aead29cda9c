"""`qunpulse worker`: one worker process until it is told to stop."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread
from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, RulesFile, load_settings

LAST_WORDS_SECONDS = 30.0  # a worker whose parent died gets this long to flush before it is ended


def worker(
    config_file: ConfigFile = None,
    data: DataDir = None,
    rules: RulesFile = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka brokers.")] = None,
    clickhouse_host: Annotated[str | None, typer.Option(metavar="HOST", help="ClickHouse host.")] = None,
    clickhouse_port: Annotated[int | None, typer.Option(metavar="PORT", help="ClickHouse HTTP port.")] = None,
    worker_id: Annotated[str | None, typer.Option(metavar="NAME", help="Name in claims and logs.")] = None,
    metrics_port: Annotated[int | None, typer.Option(metavar="PORT", help="Port of /metrics; 0: a free one.")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run one worker against your Kafka and ClickHouse until SIGTERM or Ctrl-C.

    Start as many as you like, on as many machines: Kafka shares the partitions out among them.

      QUNPULSE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 QUNPULSE_CLICKHOUSE_HOST=clickhouse qunpulse worker
    """
    settings = load_settings(
        config_file,
        data_dir=data,
        rules_file=rules,
        kafka_bootstrap_servers=kafka,
        clickhouse_host=clickhouse_host,
        clickhouse_port=clickhouse_port,
        worker_id=worker_id,
        metrics_port=metrics_port,
        log_level=log_level,
    ).settings
    if with_parent:
        Thread(target=_stop_with_parent, args=(os.getppid(),), name="parent watch", daemon=True).start()

    from streams.app import run_worker

    run_worker(settings)


def _stop_with_parent(parent: int) -> None:
    """A demo that is killed outright cannot stop its worker; the worker notices that it was orphaned."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_WORDS_SECONDS)
    os._exit(1)
