"""What BI tools ask first over plain HTTP: databases, tables, columns, types, comments, in the formats they ask for."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse

INFORMATION_SCHEMA_COLUMNS = """
    SELECT column_name, data_type, column_comment FROM information_schema.columns
    WHERE table_schema = 'qunpulse' AND table_name = 'members' ORDER BY ordinal_position
"""


@pytest.fixture(scope="module")
def ask(stack: EmbeddedStack, store: ClickHouse) -> Any:
    del store  # the views must be there

    def ask(query: str, method: str = "POST", **settings: str) -> str:
        values = dict(settings, query=query) if method == "GET" else settings
        url = f"http://{stack.clickhouse_host}:{stack.clickhouse_port}/?{urllib.parse.urlencode(values)}"
        body = query.encode() if method == "POST" else None
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=30) as answer:
            return str(answer.read().decode())

    return ask


def test_a_connection_is_tried_with_what_tools_try(ask: Any) -> None:
    assert ask("SELECT 1", "GET") == "1\n"
    version = ask("SELECT version()").strip()
    assert int(version.split(".")[0]) >= 25
    assert ask("SELECT timezone()").strip() == "UTC"
    assert ask("SELECT currentDatabase()", database="qunpulse").strip() == "qunpulse"
    assert json.loads(ask("SELECT name, value FROM system.settings WHERE name = 'readonly' FORMAT JSON"))["rows"] == 1


@pytest.mark.parametrize(
    "question",
    [
        "SHOW DATABASES",
        "SELECT name FROM system.databases",
        "SELECT schema_name FROM information_schema.schemata",
        "SELECT DISTINCT table_schema FROM information_schema.tables",
    ],
)
def test_the_database_is_listed(ask: Any, question: str) -> None:
    assert "qunpulse" in ask(question).split()


@pytest.mark.parametrize(
    "question",
    [
        "SHOW TABLES FROM qunpulse",
        "SELECT name FROM system.tables WHERE database = 'qunpulse'",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'qunpulse' AND table_type = 'VIEW'",
        "SELECT table_name FROM information_schema.views WHERE table_schema = 'qunpulse'",
        "SELECT name FROM system.tables WHERE database = 'qunpulse' AND engine = 'View'",
    ],
)
def test_every_view_is_listed(ask: Any, store: ClickHouse, question: str) -> None:
    views = [name for (name,) in store.rows("SELECT DISTINCT table FROM system.columns WHERE database = 'qunpulse'")]
    assert sorted(ask(question).split()) == sorted(views)


@pytest.mark.parametrize(
    ("question", "name", "kind", "comment"),
    [
        ("DESCRIBE TABLE qunpulse.members", "name", "type", "comment"),
        (
            "SELECT name, type, comment FROM system.columns WHERE database = 'qunpulse' AND table = 'members'",
            "name",
            "type",
            "comment",
        ),
        (
            INFORMATION_SCHEMA_COLUMNS,
            "column_name",
            "data_type",
            "column_comment",
        ),
        ("SHOW FULL COLUMNS FROM members FROM qunpulse", "field", "type", "comment"),
    ],
)
def test_columns_come_with_types_and_comments(ask: Any, question: str, name: str, kind: str, comment: str) -> None:
    rows = {row[name]: row for row in json.loads(ask(f"{question} FORMAT JSON"))["data"]}
    assert {"community_id", "member_id", "status", "last_seen_at", "typical_gap_days"} <= set(rows)
    assert rows["last_seen_at"][kind] == "Nullable(DateTime64(3, 'UTC'))"
    assert rows["typical_gap_days"][comment].startswith("Median gap between consecutive active local days")
    assert all(row[comment] for row in rows.values())


def test_the_definition_of_a_view_can_be_shown(ask: Any) -> None:
    assert "qunpulse_store.members" in ask("SHOW CREATE VIEW qunpulse.members FORMAT TSVRaw")


def test_answers_come_in_the_formats_tools_ask_for(ask: Any) -> None:
    query = "SELECT '上海群' AS name, toUInt64(5) AS messages, CAST(NULL AS Nullable(Int8)) AS nothing"
    whole = json.loads(ask(query, default_format="JSON"))
    assert [column["type"] for column in whole["meta"]] == ["String", "UInt64", "Nullable(Int8)"]
    assert whole["data"] == [{"name": "上海群", "messages": 5, "nothing": None}]
    assert json.loads(ask(query, default_format="JSONCompact"))["data"] == [["上海群", 5, None]]
    assert ask(f"{query} FORMAT CSVWithNames") == '"name","messages","nothing"\n"上海群",5,\\N\n'
    assert ask(f"{query} FORMAT TabSeparatedWithNamesAndTypes").splitlines()[1] == "String\tUInt64\tNullable(Int8)"
    quoted = json.loads(ask(query, default_format="JSON", output_format_json_quote_64bit_integers="1"))
    assert quoted["data"][0]["messages"] == "5"
