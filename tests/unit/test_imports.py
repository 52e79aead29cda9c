"""Who may import whom (design: layout): import-linter's contracts in pyproject.toml, and the oracle's independence."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold() -> None:
    answer = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_batch_oracle_shares_no_code_with_what_it_judges() -> None:
    for source in (ROOT / "tests" / "oracle").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in {"streams", "sinks", "infra"}, f"{source}: {name}"


def test_what_works_on_events_reads_no_clock_of_its_own() -> None:
    """Time is an argument; the one object that looks at the wall is `streams.wall_clock.WallClock`."""
    clocks = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
    for source in (*(ROOT / "streams" / "engine").rglob("*.py"), *(ROOT / "streams" / "operators").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert (ast.unparse(node.value).rpartition(".")[2], node.attr) not in clocks, f"{source}:{node.lineno}"


def test_every_folder_of_tests_is_run() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders == set(settings["tool"]["pytest"]["ini_options"]["testpaths"])
