"""Fixtures that start monitoring programs; a test that asks for one runs against the real thing, or is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.operations.monitoring import Alertmanager, Prometheus, program

StartPrometheus = Callable[[Mapping[str, Any]], Prometheus]
StartAlertmanager = Callable[[Mapping[str, Any]], Alertmanager]


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The tool that checks and tests rules."""
    return program("promtool")


@pytest.fixture(scope="session")
def amtool() -> Path:
    """The tool that checks Alertmanager's configuration and routes."""
    return program("amtool")


@pytest.fixture(scope="module")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Start a Prometheus on a configuration; all of a module's are stopped at its end."""
    with ExitStack() as running:
        yield lambda configuration: running.enter_context(
            Prometheus(tmp_path_factory.mktemp("prometheus"), configuration)
        )


@pytest.fixture(scope="module")
def start_alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAlertmanager]:
    """Start an Alertmanager on a configuration; all of a module's are stopped at its end."""
    with ExitStack() as running:
        yield lambda configuration: running.enter_context(
            Alertmanager(tmp_path_factory.mktemp("alertmanager"), configuration)
        )
