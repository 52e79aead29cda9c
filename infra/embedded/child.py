"""A process of the embedded stack: in a session of its own, tied to its starter, with a log of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from streams.errors import EmbeddedError

_POLL_SECONDS = 0.02
_TAIL_BYTES = 64 << 10


class ChildProcess:
    """Starts `command` with its output in `log`.

    It gets no Ctrl-C from the terminal, because it runs in a session of its own: a worker must land what it holds
    before broker and database go. It ends with its starter, because it watches its standard input, which stays open
    here (see parent_watch.py, guard.py). `keeps_open` are file descriptors it inherits, such as that of the lock on the
    data folder: the folder is not free before the last process on it has ended.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        keeps_open: Sequence[int] = (),
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    pass_fds=keeps_open,
                    cwd=folder,
                    start_new_session=True,
                )
        except OSError as error:
            raise EmbeddedError(f"{name} could not be started: {error.strerror}: {error.filename}") from error

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._process.poll()

    def tail(self) -> str:
        """The end of what it has printed."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode(errors="replace")
        return ""

    def wait_until(
        self, ready: Callable[[], bool], timeout_seconds: float, cancelled: threading.Event | None = None
    ) -> None:
        """Wait until `ready()`; raise EmbeddedError when the process ends first, or the time is over."""

        def ready_or_ended() -> bool:
            if ready():
                return True
            if self.exit_code is not None:
                raise EmbeddedError(f"{self.name} ended at once: {self.reason()}")
            return False

        self._poll(ready_or_ended, timeout_seconds, cancelled)

    def wait_until_ended(self, timeout_seconds: float, cancelled: threading.Event | None = None) -> None:
        """Wait until it ends by itself; raise EmbeddedError when the time is over first."""
        self._poll(lambda: self.exit_code is not None, timeout_seconds, cancelled)

    def _poll(self, done: Callable[[], bool], timeout_seconds: float, cancelled: threading.Event | None) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not done():
            if cancelled is not None and cancelled.is_set():
                raise EmbeddedError(f"the start of {self.name} was given up")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} does not answer after {timeout_seconds:.0f} s; its log is {self.log}")
            time.sleep(_POLL_SECONDS)

    def reason(self) -> str:
        """Why it ended, as one sentence for people: known causes first, else the last words of its log."""
        text = self.tail()
        if "No space left on device" in text or f"errno: {errno.ENOSPC}" in text:
            return "the disk is full; free some space or choose another folder with --data"
        if "OutOfMemoryError" in text or "Cannot allocate memory" in text:
            return "there is not enough memory"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if "Exception" in line or "rror" in line]
        last = (telling or lines or [f"exit code {self.exit_code}"])[-1]
        return f"{last[:300]} (log: {self.log})"

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """Ask it to stop, wait, and kill it and what it started when it takes too long."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
