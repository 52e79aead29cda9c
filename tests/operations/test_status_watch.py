"""`qunpulse status --watch` in a terminal, on a real stack with a worker."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from infra.embedded.kafka import free_port
from infra.embedded.stack import EmbeddedStack
from schemas.topics import EVENT_TOPICS, MESSAGES
from streams.accounts import Account, PartitionAccount
from streams.cli.status_watch import Alert, Glance, drawn
from tests.command_line import CommandLine
from tests.integration.test_cli_on_stack import _message
from tests.pipeline import Pipeline

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60.0
TOKEN = "Kanarienvogel"
NOT_SHOWN = "it tells only who shows its metrics_token; QUNPULSE_METRICS_TOKEN"


class Terminal:
    """A command in a terminal of its own; `seen` is all that it has drawn."""

    def __init__(self, pid: int, screen: int) -> None:
        self.pid = pid
        self._screen = screen
        self.seen = ""

    def wait_for(self, pattern: str) -> str:
        """Read until something drawn from now on matches."""
        start, deadline = len(self.seen), time.monotonic() + PATIENCE_SECONDS
        while (found := re.search(pattern, self.seen[start:])) is None:
            assert time.monotonic() < deadline, f"{pattern!r} was not drawn; the last of it: {self.seen[-2000:]!r}"
            self._read()
        return found.group()

    def press_ctrl_c(self) -> None:
        """As a person does: the terminal sends the signal."""
        os.write(self._screen, b"\x03")

    def exit_code(self) -> int:
        """Wait until it has ended."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if select.select([self._screen], [], [], 1)[0]:
            try:
                piece = os.read(self._screen, 65536)
            except OSError:  # Linux: the other end has closed
                return False
            self.seen += piece.decode(errors="replace")
            return bool(piece)
        return True


@contextmanager
def _terminal(*command: str, **environment: str) -> Iterator[Terminal]:
    pid, screen = pty.fork()
    if pid == 0:
        # The width stands in the environment: the terminal is told its own only after the command may have asked.
        os.environ.update(TERM="xterm-256color", PYTHONWARNINGS="default", COLUMNS="160", LINES="50", **environment)
        os.execv(sys.executable, [sys.executable, "-m", "streams.cli.main", *command])  # noqa: S606 - our own command
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    terminal = Terminal(pid, screen)
    try:
        yield terminal
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(screen)


@pytest.mark.filterwarnings("ignore:.*use of forkpty.*:DeprecationWarning")
def test_it_shows_what_is_landed_while_it_is_and_ends_cleanly_on_ctrl_c(
    pipeline: Pipeline, stack: EmbeddedStack
) -> None:
    port = str(free_port())
    pipeline.start_worker(metrics_port=port, metrics_token=TOKEN)
    shown = {"QUNPULSE_METRICS_PORT": port, "QUNPULSE_METRICS_TOKEN": TOKEN}
    with _terminal("status", "--watch", "--data", str(stack.data_dir), **shown) as terminal:
        terminal.wait_for(r"qunpulse \d{4}-\d\d-\d\d .* worker .*ready")
        pipeline.send((MESSAGES, _message(number)) for number in range(200))
        terminal.wait_for(rf"{re.escape(MESSAGES)}\s+[1-9]\d*\s+\d+")  # a rate
        drawn_now = terminal.wait_for(rf"{re.escape(MESSAGES)}\s+0\s+200\s+.*")
        assert "OK" in drawn_now
        terminal.wait_for(r"2024-01-01 00:03:19")  # the event clock
        terminal.press_ctrl_c()
        assert terminal.exit_code() == 0
        for topic in EVENT_TOPICS:
            assert topic in terminal.seen
        assert "open alerts: none" in terminal.seen
        assert "Traceback" not in terminal.seen
        assert terminal.seen.rindex("\x1b[?1049l") > terminal.seen.rindex("qunpulse 20"), "the screen is given back"
        assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l"), "and so is the cursor"
    says = CommandLine("--data", str(stack.data_dir), metrics_port=port)("status")
    assert f"worker: not ready ({NOT_SHOWN} is not set here)" in says
    says = CommandLine("--data", str(stack.data_dir), metrics_port=port, metrics_token=f"{TOKEN}-of-another")("status")
    assert f"worker: not ready ({NOT_SHOWN} is another one)" in says
    assert TOKEN not in says
    assert "--watch needs a terminal" in CommandLine("--data", str(stack.data_dir)).run("status", "--watch").stderr
    assert (
        "leave one of them out" in CommandLine("--data", str(stack.data_dir)).run("status", "--watch", "--json").stderr
    )
    assert json.loads(CommandLine("--data", str(stack.data_dir))("status", "--json"))["worker_ready"] in {True, False}


def _text(now: Glance, before: Glance | None = None) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(drawn(now, before))
    return console.export_text()


def _glance(consumed: int, at: datetime, **changed: object) -> Glance:
    account = Account(consumed=consumed, applied=consumed - 3, late=1, dead_lettered=2)
    books = {(MESSAGES, 2): PartitionAccount(account, consumed, NOW - timedelta(hours=1), NOW - timedelta(seconds=7))}
    alert = Alert(NOW, "high", "activity_drop", "群 one", "fell to a third of its usual self " * 9)
    fields = {
        "lag": {(MESSAGES, 2): 1234},
        "open_alerts": {"high": 3, "low": 1},
        "newest_alerts": (alert,),
        "worker_missing": (),
    } | changed
    return Glance(at, books, **fields)  # type: ignore[arg-type]


def test_rates_are_what_was_landed_between_two_looks() -> None:
    before, now = _glance(100, NOW - timedelta(seconds=2)), _glance(3100, NOW)
    (line,) = (line for line in _text(now, before).splitlines() if line.startswith(MESSAGES))
    assert line.split() == [MESSAGES, "1,500", "3,100", "1,234", "1", "0", "2", "0", "OK"]
    assert "2          2026-03-01 11:00:00     7 s ago  1,234" in _text(now)
    text = _text(now)
    assert "worker ready" in text
    assert "dead letters 0.06%" in text
    assert "open alerts: 3 high, 1 low" in text
    assert "群 one" in text
    assert max(map(len, text.splitlines())) <= 160, "a long reason is cut, not wrapped"


def test_what_is_wrong_is_said_in_words() -> None:
    broken = Account(consumed=9, applied=1)
    books = {(MESSAGES, 0): PartitionAccount(broken, 9, None, NOW)}
    text = _text(Glance(NOW, books, None, {}, (), ("ClickHouse does not answer",)))
    for said in ("BROKEN", "Kafka does not answer", "worker ClickHouse does not answer", "no event yet", "?"):
        assert said in text
