"""Sorting ClickHouse's errors, and the words users read. No server is needed for any of it."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from sinks import failures
from sinks.clickhouse import ClickHouse
from streams.errors import ClaimLost, FatalSinkError, RetryableSinkError, SinkError


class Refusing:
    """Stands in for the driver: every statement ends with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def command(self, *_args: object, **_kwargs: object) -> None:
        raise self.error

    def raw_insert(self, **_kwargs: object) -> None:
        raise self.error


def answered(code: int | None, kind: type[DatabaseError] = DatabaseError) -> SinkError:
    clickhouse = ClickHouse(Refusing(kind("server response: Code: its words", code=code)), "ch.example:8123")
    with pytest.raises(SinkError) as caught:
        clickhouse.command("OPTIMIZE TABLE qunpulse_store.events")
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (241, RetryableSinkError),  # memory
        (252, RetryableSinkError),  # too many parts
        (159, RetryableSinkError),  # too slow
        (243, RetryableSinkError),  # disk full
        (999, RetryableSinkError),  # Keeper
        (516, FatalSinkError),  # password
        (60, FatalSinkError),  # table
        (16, FatalSinkError),  # column
        (53, FatalSinkError),  # type
        (395, ClaimLost),
        (424242, FatalSinkError),  # unknown: stop rather than loop
    ],
)
def test_each_code_has_one_reaction(code: int, kind: type[SinkError]) -> None:
    error = answered(code)
    assert type(error) is kind
    assert error.code == code


def test_a_message_says_what_to_which_server_and_table_and_what_next() -> None:
    clickhouse = ClickHouse(Refusing(DatabaseError("server response: no such table", code=60)), "ch.example:8123")
    with pytest.raises(FatalSinkError) as caught:
        clickhouse.insert_arrow("qunpulse_store.events", pa.table({"event_id": ["a"]}))
    message = str(caught.value)
    for word in ("ch.example:8123", "insert into qunpulse_store.events", "qunpulse migrate", "no such table"):
        assert word in message
    assert "QUNPULSE_CLICKHOUSE_PASSWORD" in str(answered(516))


def test_every_reason_to_stop_says_what_to_do() -> None:
    for failure in [*failures.BY_CODE.values(), failures.UNKNOWN_CODE, failures.CERTIFICATE, failures.NOT_CLICKHOUSE]:
        assert failure.reason
        assert failure.reaction != "stop" or failure.next_step


def test_a_gateway_that_is_busy_is_tried_again_and_a_stranger_is_not() -> None:
    assert type(answered(None, OperationalError)) is RetryableSinkError
    assert type(answered(None, DatabaseError)) is FatalSinkError


def test_nobody_listening_is_worth_a_retry() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(RetryableSinkError, match=f"127.0.0.1:{port}"):
        ClickHouse.connect("127.0.0.1", port, timeout_seconds=2)


@contextmanager
def web_server(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  the base class names them so

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, FatalSinkError), (503, RetryableSinkError), (429, RetryableSinkError)]
)
def test_a_server_that_is_not_clickhouse_is_told_apart_from_a_busy_one(status: int, kind: type[SinkError]) -> None:
    with web_server(status) as port, pytest.raises(kind):
        ClickHouse.connect("127.0.0.1", port, timeout_seconds=2)


def test_a_server_that_hangs_is_worth_a_retry() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(RetryableSinkError):
        ClickHouse.connect("127.0.0.1", deaf.getsockname()[1], timeout_seconds=0.5)
