"""Docs are tested: every command the README, the compose file and the help texts show exists with its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from streams.cli import main as command_line
from streams.cli.many_values import spread_values

ROOT = Path(__file__).parents[2]
README = "\n".join(
    page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
)  # read as one page
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _documented() -> list[str]:
    """Every `qunpulse …` and `make …` of the README: in code blocks, and between backticks in its text."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    commands = [line.strip().removeprefix(".venv/bin/") for line in lines]
    return sorted({c for c in commands if c.startswith(("qunpulse ", "make "))})


def _find(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = get_command(command_line.app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def _check_arguments(words: list[str]) -> None:
    command, rest = _find(words)
    assert command is not get_command(command_line.app)
    known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    for word in spread_values(rest):
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, (words, word)
    if not hasattr(command, "commands") and rest and "--help" not in rest:
        command.make_context("qunpulse", list(rest))  # parses as the real thing does, without running it


def test_the_readme_shows_commands_at_all() -> None:
    assert len(_documented()) > 12
    assert {"make demo", "make test"} <= {" ".join(c.split()[:2]) for c in _documented()}


def check_command(line: str) -> None:
    """Fail unless this `qunpulse …` or `make …` exists with the options it is shown with."""
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        assert words[0] in TARGETS
    elif words and words != ["--help"]:
        _check_arguments(words)


@pytest.mark.parametrize("line", _documented())
def test_every_command_in_the_readme_exists(line: str) -> None:
    check_command(line)


def test_every_example_in_a_help_text_exists() -> None:
    found = 0
    for source in (ROOT / "streams" / "cli").glob("*.py"):
        for line in re.findall(
            r"^ {6}((?:QUNPULSE_\S+ )*qunpulse .+)$", source.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = shlex.split(line)
            words = words[words.index("qunpulse") + 1 :]
            _check_arguments(words[: words.index(">")] if ">" in words else words)
            found += 1
    assert found > 10


def test_the_compose_file_runs_commands_that_exist_with_settings_that_exist() -> None:
    from streams.settings import Settings

    compose = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for name in ("migrate", "topics", "worker"):
        service = compose["services"][name]
        _check_arguments(list(service["command"]))
        for variable in service["environment"]:
            assert variable.removeprefix("QUNPULSE_").lower() in Settings.model_fields
    for service in compose["services"].values():
        assert re.search(r":v?\d", service["image"]), "images are pinned"


def test_the_targets_of_the_issue_are_there() -> None:
    assert {"demo", "test", "test-long", "bench", "lint", "lock"} <= TARGETS


def test_no_package_index_is_named_anywhere() -> None:
    for name in ("requirements.lock", "pyproject.toml", "Makefile", "infra/setup_venv.sh", "infra/Dockerfile"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "index-url" not in text.replace("--no-emit-index-url", "")
        assert "https://" not in text
