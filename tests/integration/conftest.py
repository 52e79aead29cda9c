"""Fixtures of the tests that need a running ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate


@pytest.fixture(scope="session")
def store(stack: EmbeddedStack) -> Iterator[ClickHouse]:
    """The stack's ClickHouse with all tables and views. Tests share it: name your own communities and partitions."""
    clickhouse = ClickHouse.connect(stack.clickhouse_host, stack.clickhouse_port)
    migrate(clickhouse)
    yield clickhouse
    clickhouse.close()
