"""ClickHouse's own engine (chdb) as the HTTP server uses it: one connection a request, results as bytes.

A chdb connection serialises its statements, while connections to the same folder share one engine and run side by
side; opening one costs about 2 ms. So each request opens its own, sets its database and settings there, and leaves
nothing behind for the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from infra.embedded.clickhouse_sql import quote

_CODE = re.compile(r"Code:\s*(\d+)\.")
_SETTING_NAME = re.compile(r"[A-Za-z_][\w.]*\Z")
_MIB = 1 << 20

# Results are built in memory: a SELECT beyond this fails with code 396 instead of taking the machine's memory.
MAX_RESULT_BYTES = 2048 * _MIB
UNKNOWN_SETTING = 115
UNKNOWN_EXCEPTION = 1002


class StatementError(Exception):
    """The engine refused a statement; `code` is ClickHouse's error number, the text is the engine's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement gave back. `body` is the formatted result; the counters go into the response headers."""

    body: bytes | memoryview
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    elapsed_seconds: float
    keep_alive: Any = field(default=None, repr=False)  # owns the memory that `body` looks at


class Engine:
    """The engine on one data folder. Only one process may hold a folder; `EmbeddedStack` sees to that."""

    def __init__(self, folder: Path) -> None:
        from chdb.state.sqlitelike import Connection

        half_of_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        options = {
            "max_server_memory_usage": half_of_memory,
            "mark_cache_size": 256 * _MIB,
            "primary_index_cache_size": 256 * _MIB,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._address = f"{folder}?{urlencode(options)}"
        self._connect = Connection
        # The engine shuts down with its last connection and would start anew with every request.
        self._held_open = Connection(self._address)
        self.version, self.timezone = str(self.run("SELECT version(), timezone()").body, "utf-8").split()

    def run(
        self,
        sql: str,
        *,
        output_format: str = "TabSeparated",
        database: str = "",
        parameters: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        readonly: int = 0,
    ) -> Outcome:
        """Run one statement on a connection of its own; `readonly` as ClickHouse's setting: 1 and 2 refuse to write,
        1 also to change settings.

        Raises StatementError with ClickHouse's code when the engine refuses it.
        """
        connection = self._connect(self._address)
        try:
            connection.query(_set_statement(settings or {}, readonly))
            if database:
                connection.query(f"USE {_identifier(database)}")
            result = connection.query(sql, output_format, params=dict(parameters or {}))
        except RuntimeError as error:
            text = str(error)
            code = _CODE.search(text)
            raise StatementError(int(code.group(1)) if code else UNKNOWN_EXCEPTION, text) from None
        finally:
            connection.close()
        view: bytes | memoryview = b""
        if result.size():
            view = result.get_memview().view()
        return Outcome(
            body=view,
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            elapsed_seconds=result.elapsed(),
            keep_alive=result,
        )

    def close(self) -> None:
        """Shut the engine down; statements that still run must have ended."""
        self._held_open.close()


def _set_statement(settings: Mapping[str, str], readonly: int) -> str:
    # implicit_select is on in the embedded engine: a mistyped word would be read as an expression to select.
    assignments = ["implicit_select = 0", f"max_result_bytes = {MAX_RESULT_BYTES}"]
    for name, value in settings.items():
        if not _SETTING_NAME.match(name):
            raise StatementError(
                UNKNOWN_SETTING, f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)"
            )
        assignments.append(f"{name} = {quote(value)}")
    if readonly:
        assignments.append(f"readonly = {readonly}")  # the last one: nothing can be set after it
    return "SET " + ", ".join(assignments)


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
