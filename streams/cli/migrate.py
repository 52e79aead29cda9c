"""`qunpulse migrate`: tables and views as this version needs them."""

from __future__ import annotations

from streams.cli.options import ConfigFile, DataDir, load_settings


def migrate(data: DataDir = None, config_file: ConfigFile = None) -> None:
    """Create or update the tables and views in ClickHouse; running it again changes nothing.

    QUNPULSE_CLICKHOUSE_HOST=clickhouse QUNPULSE_CLICKHOUSE_PASSWORD=… qunpulse migrate
    """
    from sinks.migrate import migrate as apply_migrations
    from streams.cli.reach import clickhouse

    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        applied = apply_migrations(connection)
    for name in applied:
        print(f"applied {name}")
    if not applied:
        print("nothing to do: tables and views are up to date")
