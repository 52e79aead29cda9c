"""`qunpulse …` as a user types it, in this process: a start of Python costs a second."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import QunpulseError


class Answer(NamedTuple):
    """What a command ended with, and what it printed."""

    code: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs commands, all with the same last arguments and settings."""

    def __init__(self, *last: str, **settings: object) -> None:
        self._last = last
        self._settings = settings

    def __call__(self, *arguments: str) -> str:
        """What a command printed that must not fail."""
        answer = self.run(*arguments)
        assert answer.code == 0, answer
        return answer.stdout

    def run(self, *arguments: str) -> Answer:
        """What it printed and ended with."""
        with pytest.MonkeyPatch.context() as patched:
            for name in [name for name in os.environ if name.startswith("QUNPULSE_")]:
                patched.delenv(name)
            for name, value in self._settings.items():
                patched.setenv(f"QUNPULSE_{name.upper()}", str(value))
            result = CliRunner().invoke(app, [*arguments, *self._last])
        if result.exception is not None and not isinstance(result.exception, QunpulseError | SystemExit):
            raise result.exception
        if isinstance(result.exception, QunpulseError):  # as main() words it
            return Answer(result.exception.exit_code, result.stdout, f"error: {result.exception}\n")
        return Answer(result.exit_code, result.stdout, result.stderr)
