"""The command line's arguments: several values after one flag, help everywhere, mistakes in one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from streams.cli import main as command_line
from streams.cli.many_values import spread_values
from streams.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--events a b --json", "--events a --events b --json"),
        ("--events a --events b c", "--events a --events b --events c"),
        ("--json --events a", "--json --events a"),
        ("--events=a b --data d", "--events=a --events b --data d"),
        ("--data d --events a b", "--data d --events a --events b"),
        ("--events", "--events"),
        ("--events --json", "--events --json"),
        ("--events a -- b", "--events a -- b"),
        ("--data d x", "--data d x"),
        ("", ""),
    ],
)
def test_several_files_may_follow_one_flag(given: str, read: str) -> None:
    assert spread_values(given.split()) == read.split()


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(get_command(command_line.app)))


def test_every_promised_command_is_there() -> None:
    names = {" ".join(path) for path in COMMANDS}
    promised = (
        "demo, up, worker, feed, simulate, validate, topics apply, migrate, status, sql, schema export, schema check, "
        "deadletters list, deadletters show, deadletters replay, config, version"
    )
    assert set(promised.split(", ")) <= names


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for option in command.params:
        assert getattr(option, "help", None) or option.name == "help" or getattr(option, "hidden", False), option.name


def test_every_command_takes_a_data_folder_but_those_that_read_files_alone() -> None:
    without = {
        " ".join(path)
        for path, command in COMMANDS.items()
        if not hasattr(command, "commands") and not any("--data" in option.opts for option in command.params)
    }
    of_files = {"simulate", "validate", "backtest", "schema export", "schema check", "version"}
    assert without == of_files | {"alerts test"}, "which only asks a channel"


def _qunpulse(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


def test_a_mistake_is_one_sentence_on_stderr_and_no_traceback() -> None:
    answer = _qunpulse("config", QUNPULSE_PARTITION="3", PATH="/usr/bin:/bin")
    assert answer.returncode == ConfigError.exit_code
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: unknown environment variable QUNPULSE_PARTITION; did you mean")
    assert answer.stderr.count("\n") == 1


def test_help_loads_neither_kafka_nor_clickhouse_nor_faust() -> None:
    code = (
        "import sys, streams.cli.main; "
        "print([m for m in ('kafka', 'clickhouse_connect', 'faust', 'chdb', 'pyarrow', 'polars', 'pydantic', 'numpy', "
        "'aiohttp') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "[]\n"
