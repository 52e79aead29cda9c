"""Which Kafka and ClickHouse a command talks to.

* `--data DIR` was given: the embedded stack of that folder (running, or for reading its data opened on the spot).
* addresses were set by flag, environment or file: those.
* neither: the embedded stack of the default data folder if it runs or has data, else the default addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streams.errors import EmbeddedError, InputError

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from streams.settings import LoadedSettings, Settings


def connect(settings: Settings) -> ClickHouse:
    """The ClickHouse that the settings name."""
    from sinks.clickhouse import ClickHouse

    return ClickHouse.connect(
        settings.clickhouse_host,
        settings.clickhouse_port,
        settings.clickhouse_user,
        settings.clickhouse_password.get_secret_value(),
        settings.clickhouse_secure,
    )


def running(loaded: LoadedSettings) -> Settings | None:
    """The settings with a running stack's addresses in them: the data folder's, or the configured one's."""
    from infra.embedded.stack import find_running

    if _configured(loaded, "clickhouse_host", "clickhouse_port", "kafka_bootstrap_servers") and not _named(loaded):
        return loaded.settings
    stack = find_running(loaded.settings.data_dir)
    if stack is not None:
        return addressed(loaded.settings, stack)
    if _named(loaded) or loaded.settings.data_dir.is_dir():
        return None
    return loaded.settings


def addressed(settings: Settings, stack: object) -> Settings:
    """The settings with the stack's addresses instead of the configured ones."""
    return settings.model_copy(
        update={
            name: getattr(stack, name) for name in ("kafka_bootstrap_servers", "clickhouse_host", "clickhouse_port")
        }
        | {"clickhouse_user": "default", "clickhouse_secure": False}
    )


def running_or_error(loaded: LoadedSettings) -> Settings:
    """As `running`; raises EmbeddedError when nothing runs."""
    settings = running(loaded)
    if settings is None:
        raise EmbeddedError(
            f"nothing runs in {loaded.settings.data_dir}; start it with `qunpulse up --data "
            f"{loaded.settings.data_dir}`, or set kafka_bootstrap_servers and clickhouse_host to your own"
        )
    return settings


@contextmanager
def clickhouse_address(loaded: LoadedSettings) -> Iterator[Settings]:
    """Settings whose ClickHouse answers; the embedded data folder is opened for as long when nothing runs."""
    settings = running(loaded)
    if settings is not None:
        yield settings
        return
    from infra.embedded.stack import open_clickhouse

    _must_hold_data(loaded.settings.data_dir)
    with open_clickhouse(loaded.settings.data_dir) as opened:
        yield addressed_clickhouse(loaded.settings, opened)


def addressed_clickhouse(settings: Settings, opened: object) -> Settings:
    """The settings with the opened ClickHouse's address; Kafka stays out of reach."""
    return settings.model_copy(
        update={name: getattr(opened, name) for name in ("clickhouse_host", "clickhouse_port")}
        | {"clickhouse_user": "default", "clickhouse_secure": False}
    )


@contextmanager
def clickhouse(loaded: LoadedSettings) -> Iterator[ClickHouse]:
    """A connection to whichever ClickHouse `clickhouse_address` finds."""
    with clickhouse_address(loaded) as settings:
        connection = connect(settings)
        try:
            yield connection
        finally:
            connection.close()


def _must_hold_data(data_dir: Path) -> None:
    if not data_dir.is_dir() or not any(data_dir.iterdir()):
        raise InputError(f"{data_dir} holds no data; run `qunpulse demo --data {data_dir}` first")


def _named(loaded: LoadedSettings) -> bool:
    """Whether the data folder was named on the command line, which beats every configured address."""
    return loaded.origins["data_dir"].startswith("flag")


def _configured(loaded: LoadedSettings, *names: str) -> bool:
    return any(loaded.origins[name] != "default" for name in names)
