"""Which Kafka and ClickHouse a command talks to.

* `--data DIR` was given: the embedded stack of that folder (running, or for reading its data opened on the spot).
* addresses were set by flag, environment or file: those.
* neither: the embedded stack of the default data folder if it runs or has data, else the default addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streams.errors import EmbeddedError, RetryableSinkError

if TYPE_CHECKING:
    from infra.embedded.stack import EmbeddedStack, RunningStack
    from sinks.clickhouse import ClickHouse
    from streams.settings import LoadedSettings, Settings


def connect(settings: Settings) -> ClickHouse:
    """The ClickHouse that the settings name. Raises SinkError."""
    from streams import clickhouse_connection

    try:
        return clickhouse_connection.connect(settings)
    except RetryableSinkError as error:
        if error.code is None:
            raise unreachable(settings) from None
        raise


def unreachable(settings: Settings) -> RetryableSinkError:
    """One sentence for a ClickHouse that does not answer, without the network library's own."""
    return RetryableSinkError(
        f"no ClickHouse answers at {settings.clickhouse_host}:{settings.clickhouse_port}; start one with "
        "`qunpulse demo` or `qunpulse up`, or set clickhouse_host and clickhouse_port to yours"
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


def addressed(settings: Settings, stack: EmbeddedStack | RunningStack) -> Settings:
    """The settings with the stack's addresses instead of the configured ones."""
    return _embedded(settings, stack.clickhouse_host, stack.clickhouse_port).model_copy(
        update={
            "kafka_bootstrap_servers": stack.kafka_bootstrap_servers,
            "kafka_security_protocol": "PLAINTEXT",
            "kafka_ca_file": None,
            "kafka_user": "",
        }
    )


def _embedded(settings: Settings, host: str, port: int) -> Settings:
    """The embedded ClickHouse's user `default` has no password, and its server no certificate."""
    from pydantic import SecretStr

    return settings.model_copy(
        update={
            "clickhouse_host": host,
            "clickhouse_port": port,
            "clickhouse_user": "default",
            "clickhouse_password": SecretStr(""),
            "clickhouse_password_file": None,
            "clickhouse_secure": False,
            "clickhouse_ca_file": None,
        }
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
    from infra.embedded.clickhouse import HOST
    from infra.embedded.stack import open_clickhouse

    with open_clickhouse(loaded.settings.data_dir) as server:
        yield _embedded(loaded.settings, HOST, server.port)


@contextmanager
def clickhouse(loaded: LoadedSettings) -> Iterator[ClickHouse]:
    """A connection to whichever ClickHouse `clickhouse_address` finds."""
    with clickhouse_address(loaded) as settings:
        connection = connect(settings)
        try:
            yield connection
        finally:
            connection.close()


def _named(loaded: LoadedSettings) -> bool:
    """Whether the data folder was named on the command line, which beats every configured address."""
    return loaded.origins["data_dir"].startswith("flag")


def _configured(loaded: LoadedSettings, *names: str) -> bool:
    return any(loaded.origins[name] != "default" for name in names)
