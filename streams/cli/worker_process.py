"""A worker as a child process of `demo` and `up`: started, watched, and always stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streams.errors import QunpulseError
from streams.logs import error_in

if TYPE_CHECKING:
    from streams.settings import Settings

READY_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 30.0
WORKER_NOTE = "worker.json"  # in the data folder while a worker runs: where `qunpulse status` finds it


class WorkerProcess:
    """One worker; leaving the context stops it (SIGTERM, then SIGKILL after 30 s).

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only us and we decide the order:
    worker first, then the stack it writes to.
    """

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self.log = data_dir / "logs" / "worker.log"
        from infra.embedded.kafka import free_port

        self.metrics_port = settings.metrics_port or free_port()
        self._settings = settings.model_copy(update={"metrics_port": self.metrics_port})
        self._host = settings.metrics_host
        self._process: subprocess.Popen[bytes] | None = None
        self._note = data_dir / WORKER_NOTE
        self._written_at = 0  # where this run's lines begin in the log

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUNPULSE_")}
        with self.log.open("ab") as log:
            self._written_at = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli.main", "worker", "--with-parent"],
                env=inherited | self._settings.environment() | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._note.write_text(json.dumps({"pid": self.pid, "metrics_port": self.metrics_port}))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The child's process id."""
        if self._process is None:
            raise RuntimeError("the worker was not started")
        return self._process.pid

    def check(self) -> None:
        """Raise QunpulseError with the worker's last words if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise QunpulseError(
                f"the worker ended with code {self._process.returncode}: {self.last_words()} (its log: {self.log})"
            )

    def missing(self) -> list[str]:
        """What the worker lacks to be ready, empty when it is ready."""
        return readiness(self._host, self.metrics_port, self._settings.metrics_token.get_secret_value())

    def wait_until_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> None:
        """Until partitions are assigned and restored; raises QunpulseError when it ends or takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while missing := self.missing():
            self.check()
            if time.monotonic() > deadline:
                raise QunpulseError(
                    f"the worker was not ready after {timeout_seconds:.0f} s: {', '.join(missing)} "
                    f"(its log: {self.log})"
                )
            time.sleep(0.05)

    def last_words(self) -> str:
        """Its last clear error, or else the last line it wrote."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._written_at)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            errors = [error for line in lines if (error := error_in(line)) is not None]
            return (errors or lines or ["it said nothing"])[-1]
        return "it said nothing"

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        self._note.unlink(missing_ok=True)


def readiness(host: str, port: int, token: str = "") -> list[str]:
    """What the worker behind this address lacks to be ready; says so when there is none."""
    asked = urllib.request.Request(f"http://{host}:{port}/readyz", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=2):  # noqa: S310 - http stands above
            return []
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 401:
                given = "is another one" if token else "is not set here"
                return [f"it tells only who shows its metrics_token; QUNPULSE_METRICS_TOKEN {given}"]
            missing: list[str] = json.load(error).get("missing", ["ready state"])
            return missing
    except (OSError, ValueError):
        return ["worker does not answer"]


def noted_port(data_dir: Path) -> int | None:
    """Metrics port of the worker that runs for this data folder, None when there is no note of one."""
    try:
        return int(json.loads((data_dir / WORKER_NOTE).read_text())["metrics_port"])
    except (OSError, ValueError, KeyError):
        return None
