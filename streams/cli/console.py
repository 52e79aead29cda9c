"""What people see while they wait: always on stderr, so that stdout stays for results."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

PIPE_WIDTH = 120  # a pipe or file has no width of its own; 80 would cut tables


def stderr() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """The console for results meant for people."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def command_name() -> str:
    """How the user can type this program: its name where it is on the PATH, else its path."""
    if shutil.which("qunpulse"):
        return "qunpulse"
    program = Path(sys.argv[0])
    return os.path.relpath(program) if program.name == "qunpulse" else "qunpulse"


class Step:
    """One line of progress: a text, and a bar once its total is known."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def say(self, text: str) -> None:
        """Replace the line's text."""
        self._progress.update(self._task, description=text)

    def at(self, completed: int, total: int | None = None) -> None:
        """Set how far it is; the bar appears with the first total."""
        self._progress.update(self._task, completed=completed, total=total)


@contextmanager
def step(console: Console, text: str) -> Iterator[Step]:
    """A spinner with a text while something runs; leaves one line behind, also where stderr is no terminal."""
    if not console.is_terminal:
        console.print(text, markup=False)
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        _BarWhenCounted(),
        _CountWhenCounted(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)
        yield Step(progress, task)
        total = progress.tasks[0].total
        progress.update(task, total=total if total is not None else 1, completed=total if total is not None else 1)


class _BarWhenCounted(BarColumn):
    """A bar, once there is a count to show."""

    def render(self, task: Task) -> Any:
        """Nothing while the total is unknown."""
        return super().render(task) if (task.total or 0) > 1 else ""


class _CountWhenCounted(MofNCompleteColumn):
    """`n/total`, once there is a count to show."""

    def render(self, task: Task) -> Any:
        """Nothing while the total is unknown."""
        return super().render(task) if (task.total or 0) > 1 else ""
