"""The HTTP face of the embedded engine: as much of ClickHouse's HTTP interface as clients use on a worker's way.

A request goes: authentication → parameters → statement and rows told apart → engine → answer with ClickHouse's
headers. Rows of an insert are spooled to a file that the engine reads, so a big insert costs disk, not memory.
Sessions, external tables and progress headers are not here; clients do without them, or get code 48
(NOT_IMPLEMENTED).
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import json
import logging
import re
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

from infra.embedded import bi_login, block_compression, content_codings
from infra.embedded.bi_login import StatementCheck
from infra.embedded.clickhouse_body import ClientGone, Refusal, RequestBody, read_head
from infra.embedded.clickhouse_engine import Engine, Outcome, StatementError
from infra.embedded.clickhouse_request import Request
from infra.embedded.clickhouse_sql import InsertHead, shape_of, statement_reading_file

log = logging.getLogger(__name__)

# Parameters of the protocol; every other one is a setting of the query.
_NOT_SETTINGS = frozenset(
    [
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "query_id",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "client_protocol_version",
        "role",
        "stacktrace",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "add_http_cors_header",
    ]
)

# What ClickHouse answers for these codes; any other error is 500.
_STATUS_OF_CODE = {
    **dict.fromkeys((26, 27, 36, 41, 47, 50, 53, 62, 69, 70, 72, 115, 117, 164, 396, 456, 457), 400),
    **dict.fromkeys((46, 60, 81, 63), 404),
    **dict.fromkeys((192, 193, 497, 516), 403),
    48: 501,
    159: 408,
}
_VERSION_TRAILER = re.compile(r"\(version [^()]*(?:\([^()]*\))?\)\s*\Z")


_TLS_HANDSHAKE = b"\x16"


class EmbeddedClickHouse(ThreadingHTTPServer):
    """HTTP server on 127.0.0.1 with a thread per connection; threads wait in the engine without the interpreter."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, spool: Path, passwords: Mapping[str, str]) -> None:
        """`passwords` by user: `default`, which may do everything, and `bi`, which reads (see bi_login.py)."""
        self.engine = engine
        self.spool = spool
        self.passwords = passwords
        self.statements_of_bi = StatementCheck(engine)
        self._running = 0
        self._change = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who 127.0.0.1 is, as the base class does."""
        # Connections of the run before linger for a minute: who starts again must not have to take another port.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def count_statement(self, change: int) -> None:
        """Count a statement in or, when its answer has been sent, out again; for `wait_idle`."""
        with self._change:
            self._running += change
            self._change.notify_all()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until no statement runs; False when some still do after the time."""
        with self._change:
            return self._change.wait_for(lambda: self._running == 0, timeout_seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else belongs in the log."""
        del request, client_address
        log.warning("a connection ended with an error", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 20
    server: EmbeddedClickHouse
    _counted = False  # a statement of this request runs or its answer is on its way

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def handle_one_request(self) -> None:
        """Tell who speaks TLS to this port so at once, as ClickHouse does: a hello need not hold the end of a line."""
        if self.rfile.peek(1)[:1] == _TLS_HANDSHAKE:  # type: ignore[attr-defined]  # buffered, see rbufsize
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        log.debug(format, *args)

    # -- one request ----------------------------------------------------------------------------------------

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = RequestBody(self.rfile, self.headers)
        query_id = str(uuid.uuid4())
        try:
            if url.path in {"/ping", "/replicas_status"} or (url.path == "/" and not url.query and not body.present):
                self._send(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
                return
            if url.path not in {"", "/"}:
                self._send(404, f"There is no handle {url.path}\n".encode(), {})
                return
            self._refuse_other_sites()
            asked = dict(parse_qsl(url.query, keep_blank_values=True))
            query_id = asked.get("query_id") or query_id
            user = self._authenticate(asked)
            outcome, output_format = self._run(user, asked, body)
        except (StatementError, content_codings.UnknownCoding, ValueError) as error:
            self._send_error(error, query_id)
        except (BrokenPipeError, ConnectionResetError, ClientGone):
            self.close_connection = True
        except OSError as error:
            full = error.errno == errno.ENOSPC
            code, name = (243, "NOT_ENOUGH_SPACE") if full else (75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR")
            self._send_error(Refusal(code, name, f"the rows could not be kept: {error.strerror}"), query_id)
        else:
            self._send_outcome(outcome, output_format, query_id, asked)
        finally:
            # Rows that nobody read would be taken for the next request on this connection.
            try:
                body.drain()
            except (OSError, ClientGone, ValueError):
                self.close_connection = True
            if self._counted:
                self._counted = False
                self.server.count_statement(-1)

    def _refuse_other_sites(self) -> None:
        """Refuse what a page of some web site sends through the browser of a person on this machine."""
        host = urlsplit("//" + self.headers.get("Host", "localhost")).hostname
        foreign = self.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
        if foreign or host not in {"127.0.0.1", "localhost", "::1"}:
            raise Refusal(497, "ACCESS_DENIED", "the embedded ClickHouse answers programs on this machine only")

    def _authenticate(self, asked: dict[str, str]) -> str:
        user = asked.get("user") or self.headers.get("X-ClickHouse-User")
        password = asked.get("password") or self.headers.get("X-ClickHouse-Key")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if user is None and scheme.lower() == "basic":
            with suppress(binascii.Error, UnicodeDecodeError):
                user, _, password = base64.b64decode(token).decode().partition(":")
        user, password = user or "default", password or ""
        known = self.server.passwords.get(user)
        right = hmac.compare_digest(password.encode(), (known or "").encode())
        if known is None or not right:
            raise Refusal(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return user

    def _run(self, user: str, asked: dict[str, str], body: RequestBody) -> tuple[Outcome, str | None]:
        statement = asked.get("query", "")
        if self.headers.get_content_type() == "multipart/form-data":
            fields = body.form_fields()
            statement = fields.pop("query", statement)
            asked = {**asked, **fields}
            chunks: Iterator[bytes] = iter(())
        else:
            chunks = body.plain()
            if _is_on(asked, "decompress"):
                chunks = block_compression.decompressed(chunks)
        request = Request(
            database=asked.get("database") or self.headers.get("X-ClickHouse-Database") or "",
            default_format=asked.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
            parameters={k.removeprefix("param_"): v for k, v in asked.items() if k.startswith("param_")},
            settings={k: v for k, v in asked.items() if k not in _NOT_SETTINGS and not k.startswith("param_")},
            readonly=2 if self.command == "GET" else 0,
        )
        if user == bi_login.USER:
            request = bi_login.confined(request)
        prefix = statement.encode() + b"\n" if statement else b""
        head, text = read_head(prefix, chunks)
        if head is not None and user == bi_login.USER:
            raise bi_login.refused("nothing can be inserted")
        if head is not None:
            return self._insert_rows(head, text[head.data_start :].encode("latin-1"), chunks, request), None
        if not text.strip():
            raise Refusal(62, "SYNTAX_ERROR", "Syntax error: failed at position 1 (end of query): Empty query")
        if user == bi_login.USER:
            self.server.statements_of_bi.check(_utf8(text).rstrip("; \t\r\n"))
        return self._select(text, request)

    def _select(self, text: str, request: Request) -> tuple[Outcome, str | None]:
        shape = shape_of(text)
        if shape.several:
            raise Refusal(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        if shape.touches_files:
            raise Refusal(1, "UNSUPPORTED_METHOD", "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
        sql = _utf8(text)
        outcome = self._engine_run(sql, request)
        return outcome, (shape.format or request.default_format) if shape.returns_result else None

    def _insert_rows(self, head: InsertHead, first: bytes, rest: Iterator[bytes], request: Request) -> Outcome:
        statement = _utf8(head.statement)
        self.server.spool.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.server.spool, prefix="insert-", suffix=".rows") as rows:
            size = rows.write(first)
            for chunk in rest:
                size += rows.write(chunk)
            rows.flush()
            if not size:
                raise Refusal(108, "NO_DATA_TO_INSERT", "No data to insert.")
            sql = statement_reading_file(InsertHead(statement, head.format, 0), rows.name)
            outcome = self._engine_run(sql, request)
            expected = _rows_in(rows, head.format)
        seen = max(outcome.written_rows, outcome.read_rows)
        if expected is not None and seen < expected:
            # An engine that overlooks rows must not pass for one that stored them.
            raise Refusal(49, "LOGICAL_ERROR", f"the engine read {seen} of the {expected} rows that were sent")
        return outcome

    def _engine_run(self, sql: str, request: Request) -> Outcome:
        self.server.count_statement(1)
        self._counted = True
        return self.server.engine.run(
            sql,
            output_format=request.default_format,
            database=request.database,
            parameters=request.parameters,
            settings=request.settings,
            readonly=request.readonly,
        )

    # -- answers --------------------------------------------------------------------------------------------

    def _send_outcome(self, outcome: Outcome, output_format: str | None, query_id: str, asked: dict[str, str]) -> None:
        summary = {
            "read_rows": str(outcome.read_rows),
            "read_bytes": str(outcome.read_bytes),
            "written_rows": str(outcome.written_rows),
            "written_bytes": str(outcome.written_bytes),
            "elapsed_ns": str(int(outcome.elapsed_seconds * 1e9)),
        }
        headers = {
            "Content-Type": "text/plain; charset=UTF-8" if output_format is None else _content_type(output_format),
            "X-ClickHouse-Server-Display-Name": "qunpulse-embedded",
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self.server.engine.timezone,
            "X-ClickHouse-Summary": json.dumps(summary, separators=(",", ":")),
        }
        if output_format is not None:
            headers["X-ClickHouse-Format"] = output_format
        body = outcome.body
        if _is_on(asked, "compress"):
            body = block_compression.compressed(body)
        elif body and _is_on(asked, "enable_http_compression"):
            coding = content_codings.best_coding(self.headers.get("Accept-Encoding", ""))
            if coding is not None:
                body = content_codings.encoded(body, coding)
                headers["Content-Encoding"] = coding
        self._send(200, body, headers)

    def _send_error(self, error: Exception, query_id: str) -> None:
        if isinstance(error, content_codings.UnknownCoding):
            error = Refusal(48, "NOT_IMPLEMENTED", f"Content-Encoding '{error}' cannot be read here")
        elif not isinstance(error, StatementError):
            error = Refusal(354, "ZLIB_INFLATE_FAILED", str(error))
        text = _VERSION_TRAILER.sub("", str(error)).rstrip()
        body = f"{text} (version {self.server.engine.version} (official build))\n".encode()
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Exception-Code": str(error.code),
        }
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(_STATUS_OF_CODE.get(error.code, 500), body, headers)

    def _send(self, status: int, body: bytes | memoryview, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)


def _rows_in(rows: IO[bytes], format_name: str) -> int | None:
    """Count the rows of a spooled Arrow file from its metadata; None for formats that do not tell."""
    kind = format_name.upper()
    if kind not in {"ARROW", "ARROWSTREAM"}:
        return None
    import pyarrow as pa

    with pa.memory_map(rows.name) as source:
        if kind == "ARROWSTREAM":
            return sum(int(batch.num_rows) for batch in pa.ipc.open_stream(source))
        reader = pa.ipc.open_file(source)
        return sum(int(reader.get_batch(i).num_rows) for i in range(reader.num_record_batches))


def _is_on(asked: dict[str, str], name: str) -> bool:
    return asked.get(name) in {"1", "true"}


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", errors="surrogateescape")


def _content_type(output_format: str) -> str:
    name = output_format.upper()
    if name.startswith("JSON"):
        return "application/json; charset=UTF-8"
    if name.startswith(("TABSEPARATED", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    if name.startswith("CSV"):
        return "text/csv; charset=UTF-8; header=absent"
    if name in {"NATIVE", "ARROW", "ARROWSTREAM", "PARQUET", "ROWBINARY"}:
        return "application/octet-stream"
    return "text/plain; charset=UTF-8"


def free_spool(folder: Path) -> None:
    """Remove what an earlier, killed server left in the spool folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("insert-*.rows"):
        with suppress(FileNotFoundError):
            leftover.unlink()
