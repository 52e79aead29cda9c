"""Starts and stops the embedded ClickHouse server process (clickhouse_server.py)."""

from __future__ import annotations

import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from infra.embedded.child import ChildProcess
from streams.errors import EmbeddedError

HOST = "127.0.0.1"
STANDARD_PORT = 8123
_START_SECONDS = 120.0
_LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)$", re.MULTILINE)


class ClickHouseServer:
    """ClickHouse's own engine over HTTP, its data in `data_dir`/clickhouse.

    `port` is taken when it is free, else another one is; after `start` it says which. `password` is that of the user
    `default`, `bi_password` that of `bi`, who only reads the views.
    """

    def __init__(self, data_dir: Path, port: int = STANDARD_PORT, password: str = "", bi_password: str = "") -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._password = password
        self._bi_password = bi_password
        self._process: ChildProcess | None = None

    @property
    def process(self) -> ChildProcess:
        """The running server; raises EmbeddedError before `start`."""
        if self._process is None:
            raise EmbeddedError("the ClickHouse server has not been started")
        return self._process

    def start(self, cancelled: threading.Event | None = None, keeps_open: Sequence[int] = ()) -> None:
        """Start and wait until it answers. Raises EmbeddedError with the cause when it does not."""
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "infra.embedded.clickhouse_server",
            "--data",
            self.data_dir / "clickhouse",
            "--port",
            str(self.port),
            "--or-free-port",
        ]
        process = ChildProcess(
            "the embedded ClickHouse",
            command,
            self.data_dir / "logs" / "clickhouse.log",
            {
                "CLICKHOUSE_PASSWORD": self._password,
                "CLICKHOUSE_BI_PASSWORD": self._bi_password,
                "PYTHONUNBUFFERED": "1",
            },
            keeps_open,
        )
        self._process = process
        try:
            process.wait_until(self._answers, _START_SECONDS, cancelled)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it cleanly (below 1 s when no statement runs); does nothing when it does not run."""
        if self._process is not None:
            self._process.stop()

    def _answers(self) -> bool:
        listening = _LISTENING.search(self.process.tail())
        if listening is None:
            return False
        self.port = int(listening.group(1))
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/ping", timeout=2) as answer:
                return bool(answer.read() == b"Ok.\n")
        except (urllib.error.URLError, OSError):
            return False
