"""The one way to ClickHouse: columns in, columns out, over clickhouse-connect's HTTP client.

Synchronous and safe to share between threads (no HTTP session, urllib3 pools connections); every error
leaves as RetryableSinkError, FatalSinkError or ClaimLost (see `sinks.failures`). Nothing is retried here:
who calls decides that (`sinks.retry`).
"""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import Error, OperationalError
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from sinks import failures
from streams.errors import ConfigError

Setting = str | int | float | bool
IpcCompression = Literal["lz4", "zstd"] | None


class ClickHouse:
    """A ClickHouse server and the client that speaks to it."""

    def __init__(self, client: Any, where: str, ipc_compression: IpcCompression = None) -> None:
        self._client = client
        self.where = where
        self._ipc_compression = ipc_compression
        self._types: dict[str, dict[str, str]] = {}
        self._types_lock = threading.Lock()

    @classmethod
    def connect(
        cls,
        host: str,
        port: int,
        user: str = "default",
        password: str = "",
        secure: bool = False,
        *,
        ca_file: Path | None = None,
        database: str | None = None,
        timeout_seconds: float = 60,
        ipc_compression: IpcCompression = None,
    ) -> ClickHouse:
        """Connect and shake hands. Raises RetryableSinkError when unreachable, FatalSinkError otherwise.

        `secure` speaks HTTPS and believes the CA in `ca_file` alone, or those that the system trusts; a certificate is
        never left unchecked. Raises ConfigError when the file is no use.

        `timeout_seconds` bounds how long one answer may be waited for; it must be longer than the
        `max_execution_time` of any statement, or an insert's outcome is unknown more often than needed.
        `ipc_compression` compresses the Arrow buffers of inserts; worth it on a network, not on localhost.
        """
        where = f"{host}:{port}"
        _check_ca(ca_file)
        with _classified(where, "connect"):
            client = clickhouse_connect.get_client(
                host=host,
                port=port,
                username=user,
                password=password,
                interface="https" if secure else "http",
                verify=True,
                ca_cert=str(ca_file) if ca_file else None,
                database=database or "default",
                send_receive_timeout=math.ceil(timeout_seconds),  # the driver cuts fractions off
                connect_timeout=min(10, math.ceil(timeout_seconds)),
                query_retries=0,  # retries are ours to count, log and stop
                tz_mode="aware",
                autogenerate_session_id=False,  # a session would make one thread's statement refuse another's
                compress=ipc_compression or False,
                client_name="qunpulse",
            )
        return cls(client, where, ipc_compression)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._client.close()

    def ping(self) -> bool:
        """Whether the server answers; never raises."""
        return bool(self._client.ping())

    def command(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> Any:
        """Run a statement without rows (DDL, DELETE, …); returns ClickHouse's short answer."""
        with self._classified(_doing(sql)):
            return self._client.command(sql, parameters=_bound(params), settings=dict(settings or {}))

    def query_arrow(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        binary: bool = False,
        settings: Mapping[str, Setting] | None = None,
    ) -> pa.Table:
        """Rows as an Arrow table; `binary` reads String columns as bytes (they need not be UTF-8).

        ClickHouse sends DateTime as uint32 seconds (DateTime64 and Date keep their types): cast where it matters.
        `params` fill `{name:Type}` placeholders on the server, so no value is ever pasted into SQL.
        """
        with self._classified(_doing(sql)):
            return self._client.query_arrow(
                sql, parameters=_bound(params), use_strings=not binary, settings=dict(settings or {})
            )

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows as Python tuples; for small results."""
        with self._classified(_doing(sql)):
            result = self._client.query(sql, parameters=_bound(params))
            return [tuple(row) for row in result.result_rows]

    def scalar(self, sql: str, params: Mapping[str, Any] | None = None) -> Any:
        """First column of the first row, None when there is no row."""
        found = self.rows(sql, params)
        return found[0][0] if found else None

    def insert_arrow(self, table: str, rows: pa.Table, settings: Mapping[str, Setting] | None = None) -> None:
        """Insert rows by column name; columns that the rows lack take the table's defaults.

        All rows of one partition of the table become visible at once as long as they are one block; the
        settings here keep up to `BLOCK_ROWS` rows or `BLOCK_BYTES` together.
        """
        if rows.num_rows == 0:
            return
        columns = ", ".join(f"`{name}`" for name in rows.column_names)
        self._send(table, f"INSERT INTO {table} ({columns}) FORMAT Arrow", rows, settings)

    def insert_select(
        self, table: str, rows: pa.Table, where: str = "1", settings: Mapping[str, Setting] | None = None
    ) -> None:
        """Insert rows through `SELECT … FROM input(…) WHERE <where>`; for inserts with a condition.

        A condition built with throwIf makes the whole insert fail (ClaimLost) before any row is written; a
        plain one would silently insert nothing and report success.
        """
        names = rows.column_names
        columns = ", ".join(f"`{name}`" for name in names)
        structure = self.input_structure(table, names).replace("\\", "\\\\").replace("'", "\\'")
        sql = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM input('{structure}') WHERE {where} FORMAT Arrow"
        self._send(table, sql, rows, settings)

    def input_structure(self, table: str, columns: Sequence[str]) -> str:
        """`name Type, …` of the table's columns, for `input()`; the table is described once."""
        with self._types_lock:
            types = self._types.get(table)
        if types is None:
            types = {row[0]: row[1] for row in self.rows(f"DESCRIBE TABLE {table}")}
            with self._types_lock:
                self._types[table] = types
        unknown = [name for name in columns if name not in types]
        if unknown:
            raise failures.sink_error(
                failures.BY_CODE[16],
                where=self.where,
                doing=f"insert into {table}",
                said=f"no column {', '.join(unknown)}",
                code=16,
            )
        return ", ".join(f"`{name}` {types[name]}" for name in columns)

    def _send(self, table: str, sql: str, rows: pa.Table, settings: Mapping[str, Setting] | None) -> None:
        # raw_insert with the statement inside the body: `command(data=…)` scans all of the body as if it were
        # SQL, which takes longer (0.6 s for 40 MB) than the server's work
        body = b"".join((sql.encode(), b"\n", memoryview(arrow_file(rows, self._ipc_compression))))
        with self._classified(f"insert into {table}"):
            self._client.raw_insert(insert_block=body, settings={**INSERT_SETTINGS, **(settings or {})})

    @contextmanager
    def _classified(self, doing: str) -> Iterator[None]:
        with _classified(self.where, doing):
            yield


def _check_ca(file: Path | None) -> None:
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        said = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"clickhouse_ca_file {file} cannot be used: {said}") from None


# A flush is capped below these, so that each table's rows of one flush and partition are one block.
BLOCK_ROWS = 1_000_000
BLOCK_BYTES = 512 * 1024 * 1024

INSERT_SETTINGS: dict[str, Setting] = {
    "async_insert": 0,  # on by default since 26.x; the answer must mean "written"
    "max_insert_threads": 1,  # several threads would write several parts
    "max_threads": 1,  # a second thread is made and given up with every insert: a fifth of its processor time
    "max_insert_block_size": BLOCK_ROWS,
    "min_insert_block_size_rows": BLOCK_ROWS,
    "min_insert_block_size_bytes": BLOCK_BYTES,
    "input_format_parallel_parsing": 0,
    "optimize_on_insert": 0,  # a flush has one row a key: there is nothing to collapse before it is written
    "throw_on_max_partitions_per_insert_block": 0,  # a backfill of decades touches many years at once
}


def arrow_file(rows: pa.Table, compression: IpcCompression = None) -> pa.Buffer:
    """Rows as one Arrow file with a single record batch (so ClickHouse reads one block)."""
    if rows.num_rows:
        rows = rows.combine_chunks()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def _bound(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(params) if params else None


def _doing(sql: str) -> str:
    words = " ".join(sql.split())
    return f"“{words[:80]}…”" if len(words) > 80 else f"“{words}”"


@contextmanager
def _classified(where: str, doing: str) -> Iterator[None]:
    """Turn whatever the driver raises into one of our three errors."""
    try:
        yield
    except Error as error:
        failure = _failure_of(error)
        raise failures.sink_error(failure, where=where, doing=doing, said=_said(error), code=error.code) from error
    except (HTTPError, OSError) as error:  # a body that breaks off while it is being read
        raise failures.sink_error(failures.UNREACHABLE, where=where, doing=doing, said=str(error), code=None) from error


def _failure_of(error: Error) -> failures.Failure:
    if error.code is not None:
        return failures.BY_CODE.get(error.code, failures.UNKNOWN_CODE)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, SSLError):
        return failures.CERTIFICATE
    if isinstance(cause, HTTPError | OSError) or isinstance(error, OperationalError):
        return failures.UNREACHABLE
    return failures.NOT_CLICKHOUSE


def _said(error: Error) -> str:
    text = str(error)
    marker = "server response: "
    return text.split(marker, 1)[1] if marker in text else text
