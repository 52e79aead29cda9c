"""SQLAlchemy by clickhouse-connect's dialect, pandas, polars and Arrow, unmodified, against the embedded engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from sinks.schema import MEMBER_DAYS

COMMUNITY = "tools:成都火锅群"
DAY = dt.datetime(2024, 3, 30, 16, tzinfo=dt.UTC)
SEEN = dt.datetime(2024, 3, 31, 1, 2, 3, 456000, tzinfo=dt.UTC)


@pytest.fixture(scope="module", autouse=True)
def landed(store: ClickHouse) -> None:
    store.insert_arrow(
        MEMBER_DAYS,
        pa.table(
            {
                "community_id": [COMMUNITY] * 2,
                "day": pa.array([DAY] * 2, pa.timestamp("s", "UTC")),
                "member_id": ["王芳", "李强"],
                "messages": pa.array([3, 4], pa.uint32()),
                "first_at": pa.array([SEEN] * 2, pa.timestamp("ms", "UTC")),
                "last_at": pa.array([SEEN] * 2, pa.timestamp("ms", "UTC")),
            }
        ),
    )


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Iterator[Any]:
    with clickhouse_connect.get_client(host=stack.clickhouse_host, port=stack.clickhouse_port) as client:
        yield client


@pytest.fixture(scope="module")
def engine(stack: EmbeddedStack) -> Iterator[sa.Engine]:
    made = sa.create_engine(f"clickhousedb://default:@{stack.clickhouse_host}:{stack.clickhouse_port}/qunpulse")
    yield made
    made.dispose()


QUERY = f"SELECT * FROM qunpulse.member_days WHERE community_id = '{COMMUNITY}' ORDER BY messages"


# -- SQLAlchemy -------------------------------------------------------------------------------------------------------


def test_sqlalchemy_lists_databases_views_columns_and_comments(engine: sa.Engine, store: ClickHouse) -> None:
    look = sa.inspect(engine)
    assert {"qunpulse", "system"} <= set(look.get_schema_names())
    ours = {name for (name,) in store.rows("SELECT name FROM system.tables WHERE database = 'qunpulse'")}
    assert set(look.get_view_names("qunpulse")) == ours
    assert look.has_table("member_days", schema="qunpulse")
    columns = {column["name"]: column for column in look.get_columns("members", schema="qunpulse")}
    assert columns["last_seen_at"]["nullable"] is True
    assert columns["messages"]["type"].python_type is int
    assert columns["messages"]["comment"].startswith("Messages of speaking kinds")
    assert "Times are UTC" in str(look.get_table_comment("members", schema="qunpulse")["text"])


def test_sqlalchemy_reflects_every_view_and_asks_one_in_its_own_words(engine: sa.Engine) -> None:
    known = sa.MetaData()
    known.reflect(engine, schema="qunpulse", views=True)
    days = known.tables["qunpulse.member_days"]
    question = (
        sa.select(days.c.community_id, sa.func.sum(days.c.messages).label("messages"))
        .where(days.c.community_id == COMMUNITY, days.c.day >= dt.datetime(2024, 3, 1))  # noqa: DTZ001
        .group_by(days.c.community_id)
        .order_by(sa.desc("messages"))
        .limit(10)
    )
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(question)] == [(COMMUNITY, 7)]
        bound = connection.execute(sa.text("SELECT :name AS name"), {"name": "it's 群"}).mappings().one()
    assert bound["name"] == "it's 群"


def test_pandas_reads_through_sqlalchemy(engine: sa.Engine) -> None:
    frame = pd.read_sql(QUERY, engine)
    assert frame["member_id"].tolist() == ["王芳", "李强"]
    assert frame["messages"].sum() == 7


# -- clickhouse-connect -----------------------------------------------------------------------------------------------


def test_a_pandas_frame_has_the_types_of_the_columns(client: Any) -> None:
    frame = client.query_df(QUERY)
    assert frame["member_id"].tolist() == ["王芳", "李强"]
    assert pd.api.types.is_unsigned_integer_dtype(frame["messages"])
    assert pd.api.types.is_datetime64_any_dtype(frame["first_at"])
    assert pd.Timestamp(frame["first_at"][0]).tz_localize(None) == pd.Timestamp(SEEN).tz_localize(None)


def test_a_polars_frame_has_the_types_of_the_columns(client: Any) -> None:
    frame = client.query_df_arrow(QUERY, dataframe_library="polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame["messages"].dtype == pl.UInt32
    assert frame.filter(pl.col("member_id") == "李强")["messages"].to_list() == [4]


def test_an_arrow_table_has_the_types_of_the_columns(client: Any) -> None:
    table = client.query_arrow(QUERY)
    assert table.schema.field("first_at").type == pa.timestamp("ms", "UTC")
    assert table["first_at"][0].as_py() == SEEN
    assert pl.from_arrow(table).height == 2


def test_long_results_stream_in_blocks(client: Any) -> None:
    with client.query_df_stream("SELECT number FROM numbers(200000)") as blocks:
        assert sum(len(block) for block in blocks) == 200_000


def views_with_all_types(store: ClickHouse) -> dict[str, list[str]]:
    """A few views that have a column of every type there is among all views, each with its columns."""
    columns: dict[str, dict[str, str]] = {}
    rows = store.rows(
        "SELECT table, name, type FROM system.columns WHERE database = 'qunpulse' ORDER BY table, position"
    )
    for view, name, type_name in rows:
        columns.setdefault(view, {})[name] = type_name
    left = {type_name for _, _, type_name in rows}
    chosen = {}
    while left:
        view = max(columns, key=lambda one: len(left & set(columns[one].values())))
        chosen[view] = list(columns[view])
        left -= set(columns[view].values())
    return chosen


def test_columns_of_every_type_can_be_read_as_a_frame(client: Any, store: ClickHouse) -> None:
    """All views themselves are read, through Arrow, by tests/views/test_every_view.py."""
    chosen = views_with_all_types(store)
    assert len(chosen) > 3
    for view, columns in chosen.items():
        query = f"SELECT * FROM qunpulse.{view} LIMIT 5"
        assert client.query_arrow(query).column_names == columns
        assert client.query_df_arrow(query, dataframe_library="polars").columns == columns
        assert list(client.query_df(query).columns) in (columns, [])  # the driver drops the names of an empty result
        assert client.query(query).row_count <= 5
