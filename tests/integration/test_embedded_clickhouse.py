"""The embedded ClickHouse through clickhouse-connect's ordinary HTTP client, and through plain HTTP beside it."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import psutil
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from infra.embedded.clickhouse import HOST, ClickHouseServer
from infra.embedded.kafka import is_free

UTC = dt.UTC
ONE_PART_ROWS = 1_050_000
# What an insert that must be one block says, as the checkpoint does.
ONE_BLOCK = {
    "async_insert": "0",
    "max_insert_threads": "1",
    "max_insert_block_size": "2000000",
    "min_insert_block_size_rows": "2000000",
    "min_insert_block_size_bytes": "536870912",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    running = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), port=0)
    running.start()
    yield running
    running.stop()


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(folder, **{"port": 0, **options})
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: ClickHouseServer, **options: Any) -> Any:
    return clickhouse_connect.get_client(host=HOST, port=server.port, **options)


@pytest.fixture
def client(server: ClickHouseServer) -> Iterator[Any]:
    with connect(server) as client:
        client.command("CREATE DATABASE IF NOT EXISTS t")
        yield client


@pytest.fixture
def table(client: Any) -> str:
    client.command(
        "CREATE OR REPLACE TABLE t.rows (part UInt16, key String, note Nullable(String), labels Array(String),"
        " at DateTime64(3, 'UTC'), amount Int64, version UInt64 DEFAULT 7)"
        " ENGINE = ReplacingMergeTree(version) PARTITION BY part ORDER BY key"
    )
    return "t.rows"


def request(
    server: ClickHouseServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def arrow_rows(count: int, part: int = 1) -> pa.Table:
    numbers = np.arange(count, dtype=np.int64)
    return pa.table(
        {
            "part": pa.array(np.full(count, part, np.uint16)),
            "key": pa.array([f"key-{n}" for n in range(count)]),
            "at": pa.array(numbers, pa.timestamp("ms", "UTC")),
            "amount": pa.array(numbers),
        }
    )


def active_parts(client: Any) -> list[int]:
    found = client.query(
        "SELECT rows FROM system.parts WHERE active AND database = 't' AND table = 'rows' ORDER BY name"
    )
    return [row[0] for row in found.result_rows]


# -- asking ---------------------------------------------------------------------------------------------------


def test_ping_and_the_bare_address_say_ok(server: ClickHouseServer) -> None:
    for path in ("/ping", "/"):
        status, _, body = request(server, "GET", path)
        assert (status, body) == (200, b"Ok.\n")
    assert request(server, "GET", "/nothing-here")[0] == 404


def test_who_speaks_tls_is_answered_before_a_line_has_ended(server: ClickHouseServer) -> None:
    with socket.create_connection((HOST, server.port), timeout=10) as client:
        client.sendall(b"\x16\x03\x01\x02\x00")  # how a client says hello
        assert client.recv(64).startswith(b"HTTP/1.1 400 ")


def test_a_server_that_is_started_again_has_its_port_again(tmp_path: Path) -> None:
    port = next(port for port in random.sample(range(20_000, 32_000), 100) if is_free(port))
    running = ClickHouseServer(tmp_path, port)
    running.start()
    with socket.create_connection((HOST, port), timeout=10) as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096)
        running.stop()  # ends the connection first, so that it lingers on that side
        while client.recv(4096):
            pass
    running.start()
    running.stop()
    assert running.port == port


def test_a_query_comes_back_with_its_types(client: Any) -> None:
    found = client.query("SELECT number, toString(number), toDateTime('2024-02-29 12:00:00') FROM numbers(2)")
    assert found.column_names[0] == "number"
    assert found.result_rows[1] == (1, "1", dt.datetime(2024, 2, 29, 12, tzinfo=UTC).replace(tzinfo=None))
    assert client.server_tz.utcoffset(None) == dt.timedelta(0)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("String", "it's \t a \\N \n `test` \\ 群"),
        ("Array(String)", ["a", "it's", ""]),
        ("Nullable(String)", None),
        ("DateTime64(3, 'UTC')", dt.datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("Int64", -(2**53)),
        ("Bool", True),
    ],
)
def test_parameters_arrive_as_they_were_sent(client: Any, type_name: str, value: object) -> None:
    found = client.query(f"SELECT {{v:{type_name}}} AS v", parameters={"v": value}).first_row[0]
    assert found == (value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value)


def test_many_parameters_go_as_a_form(client: Any) -> None:
    long = ["x" * 100] * 500
    assert client.query("SELECT length({v:Array(String)})", parameters={"v": long}).first_row[0] == 500


def test_settings_are_those_of_the_request_alone(client: Any) -> None:
    sql = "SELECT getSetting('max_threads'), getSetting('max_execution_time')"
    assert client.query(sql, settings={"max_threads": 3, "max_execution_time": 17}).first_row == (3, 17)
    assert client.query(sql).first_row[1] == 0


def test_a_time_limit_ends_a_statement(client: Any) -> None:
    with pytest.raises(DatabaseError) as error:
        client.command(
            "SELECT sleepEachRow(0.5) FROM numbers(20) SETTINGS max_block_size = 1", settings={"max_execution_time": 1}
        )
    assert error.value.code == 159


def test_the_database_of_a_request_is_its_own(server: ClickHouseServer, client: Any) -> None:
    with connect(server, database="t") as other:
        assert other.command("SELECT currentDatabase()") == "t"
    assert client.command("SELECT currentDatabase()") == "default"
    with pytest.raises(DatabaseError) as error:
        connect(server, database="nowhere").command("SELECT 1")
    assert error.value.code == 81


def test_formats(client: Any, server: ClickHouseServer) -> None:
    assert client.raw_query("SELECT 1 AS a, 'x' AS b", fmt="CSV") == b'1,"x"\n'
    assert client.query_arrow("SELECT number FROM numbers(3)").column("number").to_pylist() == [0, 1, 2]
    assert client.query_df_arrow("SELECT 1 AS a").a.tolist() == [1]
    status, headers, body = request(server, "POST", "/?default_format=JSONEachRow", b"SELECT 1 AS a")
    assert (status, body) == (200, b'{"a":1}\n')
    assert headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert headers["Content-Type"].startswith("application/json")


def test_an_empty_result_of_a_command_is_not_a_summary(client: Any) -> None:
    assert client.command("SELECT 1 WHERE 0") == ""
    assert client.command("DROP TABLE IF EXISTS t.nothing").query_id()


def test_summary_counts_what_was_read_and_written(client: Any, table: str) -> None:
    written = client.insert_arrow(table, arrow_rows(10))
    assert written.written_rows == 10
    found = client.query(f"SELECT sum(amount) FROM {table}")
    assert int(found.summary["read_rows"]) == 10


def test_get_may_only_read(server: ClickHouseServer) -> None:
    status, headers, _ = request(server, "GET", "/?query=CREATE%20DATABASE%20no")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "164")
    assert request(server, "GET", "/?query=SELECT%201")[2] == b"1\n"


# -- inserting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_native_inserts_in_every_compression(server: ClickHouseServer, table: str, compress: str | bool) -> None:
    at = dt.datetime(2024, 1, 1, tzinfo=UTC)
    rows = [[1, f"k{n}", None if n % 2 else "n", ["a", "é"], at, n] for n in range(50_000)]
    with connect(server, compress=compress) as client:
        client.insert(table, rows, column_names=["part", "key", "note", "labels", "at", "amount"])
        found = client.query(
            f"SELECT count(), sum(amount), countIf(note IS NULL), any(version), any(labels), any(at) FROM {table}"
        )
        assert found.first_row == (50_000, 1_249_975_000, 25_000, 7, ["a", "é"], at.replace(tzinfo=None))
        # read back compressed, too
        assert len(client.query(f"SELECT * FROM {table}").result_rows) == 50_000


def test_arrow_inserts_match_columns_by_name_and_fill_in_defaults(client: Any, table: str) -> None:
    client.insert_arrow(table, arrow_rows(3).select(["amount", "key", "part"]))
    assert client.query(f"SELECT key, amount, version, labels FROM {table} ORDER BY key").result_rows == [
        ("key-0", 0, 7, []),
        ("key-1", 1, 7, []),
        ("key-2", 2, 7, []),
    ]


@pytest.mark.parametrize("coding", [None, "gzip", "deflate", "lz4", "zstd"])
def test_raw_inserts_with_the_statement_in_the_address(client: Any, table: str, coding: str | None) -> None:
    import lz4.frame
    from backports import zstd

    plain = b"".join(b'{"part":1,"key":"%d","amount":%d}\n' % (n, n) for n in range(20_000))
    codings = {"gzip": gzip.compress, "deflate": zlib.compress, "lz4": lz4.frame.compress, "zstd": zstd.compress}
    body = codings[coding](plain) if coding else plain
    pieces = (body[i : i + 10_000] for i in range(0, len(body), 10_000))  # sent chunked
    written = client.raw_insert(table, insert_block=pieces, fmt="JSONEachRow", compression=coding)
    assert written.written_rows == 20_000
    assert client.command(f"SELECT sum(amount) FROM {table}") == 199_990_000


def test_values_and_selects_insert_too(client: Any, table: str) -> None:
    client.command(f"INSERT INTO {table} (part, key, amount) VALUES (1, 'FORMAT CSV;', 5), (1, 'b', 6)")
    client.command(f"INSERT INTO {table} (part, key, amount) SELECT 2, key, amount + 1 FROM {table}")
    client.command(f"INSERT INTO {table} (part, key, amount) FORMAT CSV", data="3,x,7\n")
    assert client.command(f"SELECT sum(amount) FROM {table}") == 5 + 6 + 6 + 7 + 7


def insert_select(client: Any, table: str, rows: pa.Table, where: str = "1", **settings: str) -> Any:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    return client.command(
        f"INSERT INTO {table} (part, key, at, amount) SELECT part, key, at, amount"
        " FROM input('part UInt16, key String, at DateTime64(3, \\'UTC\\'), amount Int64')"
        f" WHERE {where} FORMAT Arrow",
        data=sink.getvalue().to_pybytes(),
        settings={**ONE_BLOCK, **settings},
    )


def test_rows_from_input_are_stored(client: Any, table: str) -> None:
    written = insert_select(client, table, arrow_rows(1000), "amount < 900")
    assert written.written_rows == 900
    assert client.command(f"SELECT sum(amount) FROM {table}") == 899 * 900 // 2


def test_a_condition_that_throws_is_an_error_and_nothing_is_stored(client: Any, table: str) -> None:
    client.command("CREATE OR REPLACE TABLE t.claims (claim UInt32) ENGINE = MergeTree ORDER BY claim")
    client.command("INSERT INTO t.claims VALUES (4)")
    mine = "NOT throwIf((SELECT max(claim) FROM t.claims) != {}, 'claim lost')"
    insert_select(client, table, arrow_rows(10), mine.format(4))
    client.command("INSERT INTO t.claims VALUES (5)")
    with pytest.raises(DatabaseError, match="claim lost") as error:
        insert_select(client, table, arrow_rows(10, part=2), mine.format(4))
    assert (error.value.code, error.value.name) == (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
    assert active_parts(client) == [10]


@pytest.mark.parametrize("through_input", [False, True])
def test_a_large_insert_is_one_part(client: Any, table: str, through_input: bool) -> None:
    rows = arrow_rows(ONE_PART_ROWS)
    client.command(f"SYSTEM STOP MERGES {table}")
    try:
        if through_input:
            insert_select(client, table, rows)
        else:
            client.insert_arrow(table, rows, settings=ONE_BLOCK)
        assert active_parts(client) == [ONE_PART_ROWS]
    finally:
        client.command(f"SYSTEM START MERGES {table}")


def test_a_broken_body_stores_nothing(server: ClickHouseServer, client: Any, table: str) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow_rows(1).schema) as writer:
        for batch in arrow_rows(100_000).to_batches(max_chunksize=10_000):
            writer.write_batch(batch)
    cut = sink.getvalue().to_pybytes()[:-100_000]
    path = f"/?query=INSERT%20INTO%20{table}%20(part,key,at,amount)%20FORMAT%20ArrowStream"
    status, headers, _ = request(server, "POST", path, cut)
    assert status >= 400
    assert headers["X-ClickHouse-Exception-Code"]
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_a_client_that_goes_away_in_the_middle_stores_nothing(
    server: ClickHouseServer, client: Any, table: str
) -> None:
    connection = http.client.HTTPConnection(HOST, server.port)
    connection.putrequest("POST", f"/?query=INSERT%20INTO%20{table}%20(part,key,amount)%20FORMAT%20TSV")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"6\r\n1\ta\t1\n"[:9] + b"\n\r\n")
    connection.close()
    assert client.command("SELECT 1") == 1
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_the_spool_is_empty_when_nothing_runs(server: ClickHouseServer, client: Any, table: str) -> None:
    client.insert_arrow(table, arrow_rows(1000))
    assert list((server.data_dir / "clickhouse" / "spool").iterdir()) == []


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "code", "name", "status"),
    [
        ("SELEC 1", 62, "SYNTAX_ERROR", 400),
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE", 404),
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER", 400),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", 500),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR", 400),
        ("SELECT 1 INTO OUTFILE '/x'", 1, "UNSUPPORTED_METHOD", 500),
        ("", 62, "SYNTAX_ERROR", 400),
        ("INSERT INTO nowhere FORMAT CSV\n1\n", 60, "UNKNOWN_TABLE", 404),
        ("INSERT INTO nowhere FORMAT CSV\n", 108, "NO_DATA_TO_INSERT", 500),
    ],
)
def test_errors_carry_clickhouse_s_code(server: ClickHouseServer, sql: str, code: int, name: str, status: int) -> None:
    found, headers, body = request(server, "POST", "/?max_threads=2", sql.encode())
    assert (found, headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert f"({name}) (version ".encode() in body


def test_an_unknown_setting_is_refused(server: ClickHouseServer) -> None:
    for name in ("no_such_setting", "a%20=%201,%20b"):
        status, headers, _ = request(server, "POST", f"/?{name}=1", b"SELECT 1")
        assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "115")


def test_a_connection_goes_on_after_an_error(server: ClickHouseServer) -> None:
    connection = http.client.HTTPConnection(HOST, server.port)
    for body, status in ((b"SELEC", 400), (b"SELECT 1", 200), (b"x" * 3_000_000, 400), (b"SELECT 1", 200)):
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_users_and_passwords(tmp_path: Path) -> None:
    with running(tmp_path, password="s3cret: x") as server:
        assert connect(server, password="s3cret: x").command("SELECT 1") == 1
        assert request(server, "GET", "/ping")[0] == 200
        basic = "Basic " + base64.b64encode(b"default:nope").decode()
        for path, headers in (
            ("/?query=SELECT%201", {}),
            ("/?query=SELECT%201", {"Authorization": basic}),
            ("/?query=SELECT%201", {"X-ClickHouse-User": "other", "X-ClickHouse-Key": "s3cret: x"}),
            ("/?query=SELECT%201&user=default&password=nope", {}),
        ):
            status, answered, body = request(server, "GET", path, None, headers)
            assert (status, answered["X-ClickHouse-Exception-Code"]) == (403, "516")
            assert b"AUTHENTICATION_FAILED" in body
        with pytest.raises(DatabaseError) as error:
            connect(server)
        assert error.value.code == 516
        keys = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "s3cret: x"}
        assert request(server, "GET", "/?query=SELECT%201", None, keys)[2] == b"1\n"


# -- side by side ---------------------------------------------------------------------------------------------


def test_a_slow_query_holds_up_nobody(server: ClickHouseServer, client: Any, table: str) -> None:
    slow_ended = threading.Event()

    def slow() -> None:
        with connect(server) as own:
            own.command("SELECT sleepEachRow(0.5) FROM numbers(8) SETTINGS max_block_size = 1")
        slow_ended.set()

    thread = threading.Thread(target=slow)
    thread.start()
    while client.command("SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'") < 2:
        time.sleep(0.01)
    client.insert_arrow(table, arrow_rows(1000))
    assert client.command(f"SELECT count() FROM {table}") == 1000
    assert not slow_ended.is_set()
    thread.join()


def test_many_clients_at_once_get_their_own_answers(server: ClickHouseServer, table: str) -> None:
    def work(number: int) -> int:
        with connect(server, autogenerate_session_id=False) as own:
            own.insert_arrow(table, arrow_rows(500, part=number))
            return int(own.command(f"SELECT count() FROM {table} WHERE part = {number}"))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == [500] * 16


def test_results_are_bounded(server: ClickHouseServer) -> None:
    status, headers, _ = request(server, "POST", "/?max_result_bytes=1000000", b"SELECT * FROM numbers(1000000)")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "396")


def test_pages_of_web_sites_are_refused(server: ClickHouseServer) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example:8123"}):
        status, answered, _ = request(server, "POST", "/", b"SELECT 1", headers)
        assert (status, answered["X-ClickHouse-Exception-Code"]) == (403, "497")


def test_a_folder_with_a_strange_name(tmp_path: Path) -> None:
    with running(tmp_path / "群 ab=1&d [1] %20 'q'") as server, connect(server) as client:
        client.command("CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.insert("kept", [[1]], column_names=["a"])
        client.command("INSERT INTO kept SELECT a FROM input('a UInt8') FORMAT CSV", data="2\n")
        assert client.command("SELECT sum(a) FROM kept") == 3


# -- its life -------------------------------------------------------------------------------------------------


def listening_addresses(pid: int) -> set[str]:
    return {c.laddr.ip for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def test_it_listens_on_this_machine_only(server: ClickHouseServer) -> None:
    assert listening_addresses(server.process.pid) == {"127.0.0.1"}


def test_a_taken_port_is_passed_over_and_data_is_kept(server: ClickHouseServer, tmp_path: Path) -> None:
    with running(tmp_path, port=server.port) as other, connect(other) as client:
        assert other.port != server.port
        client.command("CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.command("INSERT INTO kept VALUES (1)")
    assert other.process.exit_code == 0
    with running(tmp_path) as again, connect(again) as client:
        assert client.command("SELECT count() FROM kept") == 1


def test_sigterm_lets_a_running_statement_end(tmp_path: Path) -> None:
    slow_sql = "SELECT count(sleepEachRow(0.2)) FROM numbers(5) SETTINGS max_block_size = 1"
    with running(tmp_path) as server, connect(server) as client, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.command, slow_sql)
        with connect(server) as other:
            while other.command("SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'") < 2:
                time.sleep(0.01)
        os.kill(server.process.pid, signal.SIGTERM)
        assert slow.result() == 5
    assert server.process.exit_code == 0


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from infra.embedded.clickhouse import ClickHouseServer\n"
        "s = ClickHouseServer(Path(sys.argv[1]), 0); s.start(); print(s.process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, check=False)
    orphan = psutil.Process(int(done.stdout)) if psutil.pid_exists(int(done.stdout)) else None
    if orphan is not None:
        orphan.wait(20)
