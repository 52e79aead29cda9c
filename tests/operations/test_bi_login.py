"""The login `bi` of the embedded ClickHouse, through clickhouse-connect: it reads every view and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
import requests
from clickhouse_connect.driver.exceptions import DatabaseError

from infra.embedded.bi_login import LIMITS
from infra.embedded.clickhouse import ClickHouseServer
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate, views
from streams.doctor.clickhouse import look_at_disks, look_at_settings

PASSWORD = "Kanarienvogel-bi"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """An embedded ClickHouse with all views, a row behind one of them, and a secret beside them."""
    running = ClickHouseServer(tmp_path_factory.mktemp("bi"), 0, bi_password=PASSWORD)
    running.start()
    try:
        owner = ClickHouse.connect("127.0.0.1", running.port)
        migrate(owner)
        owner.command(
            "INSERT INTO qunpulse_store.community_rules (community_id, name, timezone, version) "
            "VALUES ('g1', '早起打卡群', 'Asia/Shanghai', 1)"
        )
        owner.command("CREATE DATABASE elsewhere")
        owner.command("CREATE TABLE elsewhere.salaries (who String) ENGINE = MergeTree ORDER BY who")
        owner.command(
            "CREATE DICTIONARY elsewhere.words (a UInt64, b String) PRIMARY KEY a "
            "SOURCE(CLICKHOUSE(TABLE 'salaries' DB 'elsewhere')) LAYOUT(FLAT()) LIFETIME(0)"
        )
        owner.command("CREATE TABLE elsewhere.joined (who String, what String) ENGINE = Join(ANY, LEFT, who)")
        owner.close()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def bi(server: ClickHouseServer) -> Iterator[clickhouse_connect.driver.Client]:
    """A BI tool's connection."""
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=server.port, username="bi", password=PASSWORD, database="qunpulse"
    )
    yield client
    client.close()


def asked(server: ClickHouseServer, statement: str, **settings: str) -> tuple[str | None, str]:
    """The error number of the answer, if any, and its text."""
    answer = requests.post(
        f"http://127.0.0.1:{server.port}/",
        statement.encode(),
        params=settings,
        headers={"X-ClickHouse-User": "bi", "X-ClickHouse-Key": PASSWORD},
        timeout=60,
    )
    return answer.headers.get("X-ClickHouse-Exception-Code"), answer.text


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_it_reads_every_view(bi: clickhouse_connect.driver.Client, every: int) -> None:
    for view in views()[::every]:  # dashboards' queries are asked as `bi`, too
        bi.query(f"SELECT * FROM qunpulse.{view.name} LIMIT 1")
    assert bi.query("SELECT name FROM communities WHERE community_id = {id:String}", {"id": "g1"}).result_rows == [
        ("早起打卡群",)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        ("WITH last AS (SELECT max(window_start) AS at FROM activity_1d) SELECT count() FROM qunpulse.activity_1d AS d"
        " JOIN last ON d.window_start = last.at WHERE d.community_id IN (SELECT community_id FROM communities)"),
        ("SELECT community_id, sumIf(messages, messages > 1) AS m, uniqExact(window_start) FROM activity_1h GROUP BY 1"
        " HAVING m >= 0 ORDER BY m DESC LIMIT 10 BY community_id"),
        "SELECT toStartOfMonth(day), avg(messages) OVER (PARTITION BY community_id ORDER BY day) FROM member_days",
        ("SELECT arrayMap(x -> x * 2, [1, 2]), CASE WHEN 1 THEN 'a' ELSE 'b' END, CAST('1' AS UInt8), INTERVAL 1 DAY,"
        " JSONExtractString('{}', 'a'), formatDateTime(now(), '%Y'), if(1, 2, 3), x.1 FROM (SELECT (1, 2) AS x)"),
        "SELECT * EXCEPT (name) FROM communities UNION ALL SELECT * EXCEPT (name) FROM qunpulse.communities",
        "SELECT count() FROM numbers(10) AS n LEFT JOIN communities AS c ON n.number = length(c.name)",
        "SELECT name FROM system.tables WHERE database = 'qunpulse' FORMAT JSON",
        "SELECT column_name FROM INFORMATION_SCHEMA.columns WHERE table_name = 'members'",
        "SHOW TABLES", "SHOW DATABASES", "SHOW TABLES FROM qunpulse LIKE 'act%'", "DESCRIBE TABLE members",
        "DESC qunpulse.`members`", "EXISTS TABLE qunpulse.members", "SHOW CREATE TABLE qunpulse.members",
        "SHOW COLUMNS FROM members", "SELECT version(), timezone(), currentDatabase()",
    ],
)  # fmt: skip
def test_ordinary_questions_of_bi_tools_are_answered(bi: clickhouse_connect.driver.Client, statement: str) -> None:
    bi.raw_query(statement)


@pytest.mark.parametrize(
    "statement",
    [
        # by its name, wherever a table may stand
        "SELECT * FROM qunpulse_store.state",
        "SELECT * FROM `qunpulse_store`.`state`",
        'SELECT * FROM "qunpulse_store"."state"',
        "FROM qunpulse_store.state SELECT 1",
        "SELECT (SELECT count() FROM qunpulse_store.state)",
        "SELECT 1 WHERE 'a' IN qunpulse_store.identities",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM qunpulse_store.state)",
        "SELECT * FROM communities JOIN qunpulse_store.state ON 1 = 1",
        "SELECT * FROM communities, qunpulse_store.state",
        "WITH members AS (SELECT * FROM qunpulse_store.members) SELECT * FROM members",
        "SELECT 1 UNION ALL SELECT 2 FROM qunpulse_store.state",
        "SELECT * FROM (SELECT * FROM (SELECT * FROM qunpulse_store.state))",
        "SELECT arrayMap(x -> (SELECT count() FROM qunpulse_store.state), [1])",
        "SELECT * FROM {t:Identifier}.state",
        "SELECT * FROM communities ORDER BY (SELECT count() FROM qunpulse_store.state)",
        "SELECT * FROM elsewhere.salaries",
        "SELECT * FROM `qunpulse_store.state`",
        # by a function that knows tables, files, dictionaries, other servers, settings
        "SELECT * FROM merge('qunpulse_store', '.*')",
        "SELECT * FROM merge(REGEXP('.*'), '^state$')",
        "SELECT * FROM remote('127.0.0.1', qunpulse_store.state)",
        "SELECT * FROM cluster('default', qunpulse_store.state)",
        "SELECT * FROM mergeTreeIndex(qunpulse_store, state)",
        "SELECT * FROM view(SELECT * FROM qunpulse_store.state)",
        "SELECT * FROM loop(qunpulse_store.state)",
        "SELECT * FROM viewIfPermitted(SELECT 1 AS a ELSE null('a Int'))",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://bucket.127.0.0.1:1/x')",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM python('x')",
        "SELECT * FROM sqlite('/tmp/a', 'b')",
        "SELECT * FROM input('a Int')",
        "SELECT * FROM dictionary('elsewhere.words')",
        "SELECT file('/etc/passwd')",
        "SELECT * APPLY (file) FROM (SELECT '/etc/passwd')",
        "SELECT COLUMNS('x') APPLY (x -> file(x)) FROM (SELECT '/etc/passwd' AS x)",
        "SELECT FILE('/etc/passwd')",
        "SELECT dictGet('elsewhere.words', 'b', 1)",
        "SELECT joinGet('elsewhere.joined', 'what', 'a')",
        "SELECT hasColumnInTable('qunpulse_store', 'state', 'key')",
        "SELECT getServerSetting('path')",
        "SELECT sleep(3)",
        "SELECT showCertificate()",
        # what the server tells about itself and others
        "SELECT * FROM system.query_log",
        "SELECT * FROM system.processes",
        "SELECT * FROM system.parts",
        "SELECT * FROM system.parts_columns",
        "SELECT * FROM system.data_skipping_indices",
        "SELECT * FROM system.dictionaries",
        "SELECT * FROM system.server_settings",
        "SHOW TABLES FROM qunpulse_store",
        "SHOW CREATE TABLE qunpulse_store.state",
        "SHOW PROCESSLIST",
        "SHOW GRANTS",
        "DESCRIBE TABLE qunpulse_store.state",
        "DESCRIBE file('/etc/passwd')",
        "DESCRIBE (SELECT * FROM qunpulse_store.state)",
        "EXISTS TABLE qunpulse_store.state",
        "CHECK TABLE qunpulse_store.state",
        "EXPLAIN SELECT * FROM qunpulse_store.state",
        "EXPLAIN ESTIMATE SELECT * FROM members",
        # anything but reading
        "INSERT INTO qunpulse_store.claims (partition) VALUES (1)",
        "INSERT INTO qunpulse_store.claims SELECT * FROM qunpulse_store.claims",
        "INSERT INTO FUNCTION file('/tmp/x', 'TSV', 'a Int') SELECT 1",
        "CREATE TABLE qunpulse.mine (a Int) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a Int)",
        "CREATE VIEW qunpulse.mine AS SELECT * FROM qunpulse_store.state",
        "CREATE OR REPLACE VIEW qunpulse.members AS SELECT 1",
        "CREATE FUNCTION f AS (x) -> x",
        "CREATE USER evil",
        "ALTER TABLE qunpulse_store.state DELETE WHERE 1",
        "DELETE FROM qunpulse_store.state WHERE 1",
        "DROP VIEW qunpulse.members",
        "TRUNCATE TABLE qunpulse_store.state",
        "RENAME TABLE qunpulse.members TO qunpulse.m2",
        "OPTIMIZE TABLE qunpulse_store.state",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "BACKUP DATABASE qunpulse TO File('x')",
        "ATTACH TABLE qunpulse_store.state",
        "USE qunpulse_store",
        "SET readonly = 0",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW qunpulse.members",
        "SELECT 1 INTO OUTFILE '/tmp/out'",
        "SELECT 1 FORMAT TSV SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT * FROM (SELECT 1 SETTINGS additional_table_filters = {})",
        "EXECUTE AS default SELECT 1",
        "SELECT 1 PARALLEL WITH SELECT 2",
    ],
)
def test_everything_else_is_refused(bi: clickhouse_connect.driver.Client, statement: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        bi.raw_query(statement, parameters={"t": "qunpulse_store"})
    assert caught.value.code in {1, 48, 62, 164, 497}, caught.value  # refused, or no statement at all


def test_of_other_databases_not_even_the_names_are_shown(bi: clickhouse_connect.driver.Client) -> None:
    for statement in (
        "SELECT DISTINCT database FROM system.tables", "SELECT DISTINCT database FROM system.columns",
        "SELECT name FROM system.databases", "SHOW DATABASES", "SELECT schema_name FROM INFORMATION_SCHEMA.schemata",
        "SELECT DISTINCT table_schema FROM information_schema.tables",
        "SELECT arrayJoin(x) FROM (SELECT groupUniqArray(database) AS x FROM system.tables AS t)",
        "WITH t AS (SELECT * FROM system.tables) SELECT DISTINCT database FROM t",
    ):  # fmt: skip
        assert bi.query(statement).result_rows == [("qunpulse",)], statement
    assert bi.query("SELECT 'elsewhere' IN (SELECT database FROM system.tables)").result_rows == [(0,)]


@pytest.mark.parametrize(
    "setting",
    [
        *({name: value} for name in LIMITS for value in ("0", str(int(LIMITS[name]) + 1), "1e9", "-1")),
        {"additional_table_filters": "{}"}, {"readonly": "0", "allow_ddl": "1"}, {"dialect": "prql"},
        {"format_template_row": "/etc/passwd"}, {"format_schema": "/etc/passwd"}, {"use_query_cache": "1"},
        {"result_overflow_mode": "break"}, {"allow_introspection_functions": "1"}, {"database": "qunpulse_store"},
    ],
)  # fmt: skip
def test_no_setting_lifts_a_limit(server: ClickHouseServer, setting: dict[str, str]) -> None:
    # The driver sees that settings are read-only here and would not even send them.
    assert asked(server, "SELECT 1", **setting)[0] in {"164", "452", "497"}


def test_a_limit_may_be_lowered_and_holds(server: ClickHouseServer, bi: clickhouse_connect.driver.Client) -> None:
    assert asked(server, "SELECT number FROM numbers(3)", max_result_rows="3") == (None, "0\n1\n2\n")
    assert asked(server, "SELECT number FROM numbers(4)", max_result_rows="3")[0] == "396"
    assert asked(server, "SELECT sum(sipHash64(number)) FROM numbers(1000000000)", max_execution_time="1")[0] == "159"
    assert asked(server, "SELECT max(number) FROM numbers(1001)", max_rows_to_read="1000")[0] == "158"
    with pytest.raises(DatabaseError, match="TOO_MANY_ROWS"):
        bi.query("SELECT number FROM numbers(1000001)")


def test_nobody_is_bi_without_the_password(server: ClickHouseServer) -> None:
    for password in ("", "Kanarienvogel", PASSWORD + " "):
        with pytest.raises(DatabaseError) as caught:
            clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="bi", password=password)
        assert caught.value.code == 516


def test_the_store_is_as_it_was_after_all_this(server: ClickHouseServer) -> None:
    owner = ClickHouse.connect("127.0.0.1", server.port)
    assert owner.scalar("SELECT count() FROM qunpulse_store.community_rules") == 1
    assert owner.scalar("SELECT count() FROM qunpulse_store.claims") == 0
    assert not Path("/tmp/out").exists()  # noqa: S108
    owner.close()


def test_the_doctor_tells_whoever_looks_as_bi_to_take_another_user(server: ClickHouseServer) -> None:
    reader = ClickHouse.connect("127.0.0.1", server.port, "bi", PASSWORD)
    try:
        found = look_at_settings(reader)
        assert (found.state, found.says) == ("wrong", "the user may only read")
        (finding,) = look_at_disks(reader)
        assert (finding.state, "owner" in finding.says) == ("skipped", True)
    finally:
        reader.close()
