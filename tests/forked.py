"""`qunpulse …` as a process of its own, forked from one that has loaded modules and machine code already.

A worker's start costs seconds of processor time, nearly all of it for what is the same each time; the suite starts
about a hundred. That the commands start by themselves is shown where they are run as a user runs them: the demo,
`qunpulse up` and Compose's services.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import connection, get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from streams.cli.main import main

_PRELOADED = "tests.preloaded"
_ONE_AT_A_TIME = Lock()
"""Whoever starts a process looks after all the others too, and an exit code can be read once."""


class Forked:
    """A running command; answers what tests ask of a `subprocess.Popen`."""

    def __init__(
        self, arguments: Sequence[str | Path], environment: Mapping[str, str], log: Path, errors: Path | None = None
    ) -> None:
        """Start it; what it prints is appended to ``log``, and with ``errors`` stderr there."""
        self.args = [str(argument) for argument in arguments]
        self._process = _server().Process(
            target=_run, args=(self.args, dict(environment), log, errors or log), daemon=True
        )
        with _ONE_AT_A_TIME:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired` after so many seconds."""
        connection.wait([self._process.sentinel], timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


Running = subprocess.Popen[bytes] | Forked
"""A process under test."""


def run_forked(
    arguments: Sequence[str | Path], environment: Mapping[str, str], patience_seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `qunpulse …` to its end, as `subprocess.run` does; raises `subprocess.TimeoutExpired`."""
    with TemporaryDirectory() as folder:
        printed, errors = Path(folder, "stdout"), Path(folder, "stderr")
        running = Forked(arguments, environment, printed, errors)
        try:
            code = running.wait(patience_seconds)
        finally:
            running.kill()
        return subprocess.CompletedProcess(running.args, code, printed.read_text(), errors.read_text())


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def _run(arguments: list[str], environment: dict[str, str], log: Path, errors: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((1, log), (2, errors)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    sys.argv = ["qunpulse", *arguments]
    main()
