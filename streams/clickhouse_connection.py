"""The ClickHouse of the settings, connected to in one place: address, user, certificate."""

from __future__ import annotations

from sinks.clickhouse import ClickHouse
from streams.settings import Settings


def connect(settings: Settings, timeout_seconds: float = 60) -> ClickHouse:
    """Connect and shake hands; `timeout_seconds` as `ClickHouse.connect` has it. Raises SinkError, ConfigError."""
    return ClickHouse.connect(
        settings.clickhouse_host,
        settings.clickhouse_port,
        settings.clickhouse_user,
        settings.clickhouse_password.get_secret_value(),
        settings.clickhouse_secure,
        ca_file=settings.clickhouse_ca_file,
        timeout_seconds=timeout_seconds,
    )
