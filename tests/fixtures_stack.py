"""The embedded stack as a fixture, one for the whole test session: a start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.pipeline import Pipeline

BI_PASSWORD = "Pirol-bi"
"""With it `bi` logs in, who only reads the views."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A running broker and ClickHouse on free ports. Tests share it: name your own topics and databases."""
    folder: Path = tmp_path_factory.mktemp("stack")
    with EmbeddedStack(folder, kafka_port=0, clickhouse_port=0, bi_password=BI_PASSWORD) as running:
        yield running


@pytest.fixture
def pipeline(stack: EmbeddedStack, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of its own for each test: fresh topics, empty tables."""
    running = Pipeline(stack, tmp_path)
    yield running
    running.close()
