"""Options that take several values after one flag: `--events a.ndjson b.ndjson --json`.

Click's options take a fixed number of values. A shell expands `--events *.ndjson` to exactly the form it cannot
read, so the arguments are rewritten to `--events a.ndjson --events b.ndjson --json` before Click sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

MANY_VALUES_OPTIONS = frozenset({"--events"})


def spread_values(arguments: Sequence[str], options: frozenset[str] = MANY_VALUES_OPTIONS) -> list[str]:
    """Repeat the option before each of its values; a value is whatever follows until the next `-option`."""
    spread: list[str] = []
    current: str | None = None  # the option whose values we are among
    waiting = False  # it was named and has no value yet
    for index, argument in enumerate(arguments):
        if argument == "--":
            return spread + ([current] if waiting and current else []) + list(arguments[index:])
        name, has_value, _ = argument.partition("=")
        if argument.startswith("-") and argument != "-":
            if waiting and current:
                spread.append(current)  # no value at all: Click says so
            current = name if name in options else None
            waiting = current is not None and not has_value
            if not waiting:
                spread.append(argument)
        elif current:
            spread += [current, argument]
            waiting = False
        else:
            spread.append(argument)
    return spread + ([current] if waiting and current else [])


class ManyValuesCommand(TyperCommand):
    """A command whose `--events` may be followed by several files."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the arguments, then parse them as Click does."""
        return super().parse_args(ctx, spread_values(args))
