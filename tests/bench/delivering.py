"""The delivery agent as a process of its own, for benchmarks that wait for its messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.embedded.kafka import free_port
from infra.embedded.stack import EmbeddedStack

PATIENCE_SECONDS = 60.0
ACTIVE = "qunpulse_alert_delivery_active_bool 1.0"


@contextmanager
def delivering(stack: EmbeddedStack, rules: Path) -> Iterator[None]:
    """`qunpulse alerts deliver` under the rules, delivering while the block runs; its log stands beside them."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "CLICKHOUSE_HOST": stack.clickhouse_host,
        "CLICKHOUSE_PORT": str(stack.clickhouse_port),
        "METRICS_PORT": str(port),
    }
    with rules.with_name("deliver.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli.main", "alerts", "deliver", "--rules", str(rules)],
            env=os.environ | {f"QUNPULSE_{name}": value for name, value in settings.items()},
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_active(process, port)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_until_active(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            if ACTIVE in answer.read().decode().splitlines():
                return
        time.sleep(0.1)
    raise SystemExit(f"delivery did not begin within {PATIENCE_SECONDS:.0f} s; deliver.log says why")
