"""The ClickHouse JDBC driver from Maven Central, unmodified and with its defaults, against the embedded engine."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.embedded.maven import default_cache_folder, listed_jars, read_jar_list
from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from sinks.schema import ACTIVITY_1D

JARS = Path(__file__).with_name("jdbc_jars.txt")


@pytest.fixture(scope="module")
def answers(stack: EmbeddedStack, store: ClickHouse) -> dict[str, Any]:
    day = pa.array([dt.datetime(2024, 3, 30, 16, tzinfo=dt.UTC)], pa.timestamp("s", "UTC"))
    store.insert_arrow(
        ACTIVITY_1D,
        pa.table({"community_id": ["jdbc:上海群"], "window_start": day, "messages": pa.array([7], pa.uint32())}),
    )
    jars = listed_jars(read_jar_list(JARS), default_cache_folder().with_name("jdbc-0.11.0"), "the JDBC driver")
    url = f"jdbc:clickhouse://{stack.clickhouse_host}:{stack.clickhouse_port}/qunpulse"
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.jdbc_session", url, *map(str, jars)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TZ": "Asia/Shanghai"},  # a desk in Shanghai: what is UTC must not be moved twice
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_driver_connects_and_knows_the_server(answers: dict[str, Any]) -> None:
    product, version = answers["product"]
    assert product == "ClickHouse"
    assert int(version.split(".")[0]) >= 25
    assert answers["valid"] is True


def test_databases_and_views_are_listed(answers: dict[str, Any], store: ClickHouse) -> None:
    assert {"qunpulse", "system"} <= {row["TABLE_SCHEM"] for row in answers["schemas"]}
    listed = [row["TABLE_NAME"] for row in answers["views"]]
    assert sorted(listed) == [
        name for (name,) in store.rows("SELECT name FROM system.tables WHERE database = 'qunpulse' ORDER BY name")
    ]
    assert {row["TABLE_TYPE"] for row in answers["views"]} == {"VIEW"}


def test_columns_come_with_type_nullability_and_comment(answers: dict[str, Any]) -> None:
    columns = {row["COLUMN_NAME"]: row for row in answers["columns"]}
    assert list(columns)[:3] == ["community_id", "member_id", "status"]
    assert columns["last_seen_at"]["IS_NULLABLE"] == "YES"
    assert columns["community_id"]["IS_NULLABLE"] == "NO"
    assert columns["messages"]["TYPE_NAME"] == "UInt32"
    assert columns["last_seen_at"]["REMARKS"].startswith("Last message, interaction or paid order (UTC")
    assert all(row["REMARKS"] for row in answers["columns"])
    assert all("Times are UTC" in row["comment"] for row in answers["comments"])


def test_a_sample_of_a_view_is_read(answers: dict[str, Any]) -> None:
    (row,) = answers["sample"]
    assert (row["community_id"], row["messages"]) == ("jdbc:上海群", "7")
    assert row["window_start"].startswith("2024-03-30 16:00:00")


def test_prepared_statements_limits_and_long_results_work(answers: dict[str, Any]) -> None:
    assert answers["prepared"] == [{"name": "it's 上海'群 \\ ?", "rows": "42"}]
    assert answers["limited"] == 7
    assert answers["many"] == 300_000


def test_a_wrong_question_gets_clickhouse_s_own_answer(answers: dict[str, Any]) -> None:
    assert answers["refused"].startswith("60 ")
    assert "no_such_view" in answers["refused"]
