"""The delivery agent as a process of its own, for benchmarks that wait for its messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.embedded.kafka import free_port
from infra.embedded.stack import EmbeddedStack


@contextmanager
def delivering(stack: EmbeddedStack, rules: Path) -> Iterator[None]:
    """Run `qunpulse alerts deliver` under the rules while the block runs; its log stands beside them."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "CLICKHOUSE_HOST": stack.clickhouse_host,
        "CLICKHOUSE_PORT": str(stack.clickhouse_port),
        "METRICS_PORT": str(free_port()),
    }
    with rules.with_name("deliver.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli.main", "alerts", "deliver", "--rules", str(rules)],
            env=os.environ | {f"QUNPULSE_{name}": value for name, value in settings.items()},
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
