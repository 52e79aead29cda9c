"""What landed of the shared feed, and how to test a view against it.

The feed (tests/views/feed.py and every `example(…)`) goes once per session through the real pipeline: broker, worker,
ClickHouse. Each test module gets the tables as they were then. A test of a view reads

    def test_my_view(landed: Landed) -> None:
        landed.check("my_view", my_view(landed.raw), keys=["community_id", "local_date"])

where `my_view(raw: RawEvents) -> pd.DataFrame` stands in tests/oracle/views_*.py and computes the figures from the raw
events (`raw.sql("select … from event …")` in DuckDB, or `raw.frame` in pandas), sharing nothing with the view's SQL.
`check` compares every row and every column that the expectation has, over all communities, and complains when the
expectation is empty.

A figure worked out by hand stands in the test as numbers:

    SMALL = example("例:复购", [join("2024-03-01", "王芳"), order("2024-03-02 09:30", "王芳", "o1", 990)], "Asia/Tokyo")

    def test_a_buyer_of_one_day(landed: Landed) -> None:
        assert landed.rows("my_view", SMALL, "local_date, buyers") == [(dt.date(2024, 3, 2), 1)]

Examples are made when the module is imported (not inside tests), each in a community of its own; they land with the
feed. What every view must do (comments, units, no NaN, a community without events) is tested for all views in
test_every_view.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from tests.oracle import compare
from tests.oracle.view_events import RawEvents
from tests.pipeline import Pipeline
from tests.views.feed import Feed, with_topics

PARTITIONS = 2
_KEPT = "views_landed"
"""Database with copies of the base tables: other tests empty the tables, and a copy is quicker than a worker."""


class Landed:
    """The landed feed, its raw events, and the ClickHouse that holds it."""

    def __init__(self, clickhouse: ClickHouse, feed: Feed) -> None:
        self.clickhouse = clickhouse
        self.feed = feed
        self.raw = RawEvents(feed.events, feed.zones)
        self._kept: list[tuple[Any, ...]] = []

    def table(self, name: str, where: str = "") -> pa.Table:
        """Rows of a view; instants as UTC timestamps."""
        types = {row[0]: row[1] for row in self.clickhouse.rows(f"DESCRIBE TABLE qunpulse.{name}")}
        found = self.clickhouse.query_arrow(f"SELECT * FROM qunpulse.{name} {where}")
        for place, column in enumerate(found.column_names):
            if "DateTime(" in types[column]:  # ClickHouse gives DateTime as seconds in Arrow
                times = found[column].cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
                found = found.set_column(place, column, times)
        return found

    def view(self, name: str) -> pd.DataFrame:
        """All rows of a view as a frame."""
        frame: pd.DataFrame = self.table(name).to_pandas()
        return frame

    def rows(self, name: str, community_id: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Rows of one community, ordered by the columns asked for."""
        sql = f"SELECT {columns} FROM qunpulse.{name} WHERE community_id = {{c:String}} ORDER BY ALL"
        return self.clickhouse.rows(sql, {"c": community_id})

    def check(self, view: str, expected: pd.DataFrame, keys: Sequence[str]) -> None:
        """Every row and every expected column of a view, over all communities, equals the expectation."""
        differences = compare(view, self.view(view), expected, keys=list(keys))
        assert not differences, "\n".join(differences[:60])

    def keep(self) -> None:
        """Copy the base tables as they are now, for `restore`."""
        self.clickhouse.command(f"DROP DATABASE IF EXISTS {_KEPT}")
        self.clickhouse.command(f"CREATE DATABASE {_KEPT}")
        for table in _tables(self.clickhouse):
            self.clickhouse.command(f"CREATE TABLE {_KEPT}.{table} AS qunpulse_store.{table}")
            self.clickhouse.command(f"INSERT INTO {_KEPT}.{table} SELECT * FROM qunpulse_store.{table}")
        self._kept = self._rows()

    def _rows(self) -> list[tuple[Any, ...]]:
        """What the base tables hold, told by count and sum of hashes; no merge or change goes unseen."""
        asked = (
            f"SELECT '{table}' AS name, count(), sum(cityHash64(*)) FROM qunpulse_store.{table}"
            for table in _tables(self.clickhouse)
        )
        return self.clickhouse.rows(f"SELECT * FROM ({' UNION ALL '.join(asked)}) ORDER BY name")

    def empty(self) -> None:
        """Empty the base tables."""
        for table in _tables(self.clickhouse):
            self.clickhouse.command(f"TRUNCATE TABLE qunpulse_store.{table}")

    def restore(self) -> None:
        """Put the base tables back to what was kept, where they are not."""
        if self._rows() == self._kept:
            return
        self.empty()
        for table in _tables(self.clickhouse):
            self.clickhouse.command(f"INSERT INTO qunpulse_store.{table} SELECT * FROM {_KEPT}.{table}")
        self._kept = self._rows()  # what was merged by now is merged for good


@contextmanager
def landing(stack: EmbeddedStack, folder: Path, feed: Feed, sections: dict[str, Any]) -> Iterator[Landed]:
    """Send a feed through the pipeline; `sections` of the rules file stand beside its communities."""
    rules = folder / "rules.yaml"
    rules.write_text(json.dumps({"communities": feed.communities} | sections))  # JSON is YAML
    pipeline = Pipeline(stack, folder, PARTITIONS)
    try:
        pipeline.send(with_topics(feed.events))  # all of it before the worker starts: a backlog brings nothing late
        pipeline.start_worker(rules_file=str(rules), flush_interval_seconds=1)
        pipeline.wait_landed()
        if feed.late:
            pipeline.send(with_topics(feed.late))
            pipeline.wait_landed()
        pipeline.stop_workers()
        refused = pipeline.clickhouse.rows("SELECT error, detail FROM qunpulse.dead_letters LIMIT 5")
        assert not refused, refused
        late = {row[0] for row in pipeline.clickhouse.rows("SELECT event_id FROM qunpulse.events WHERE late")}
        assert late == {one["event_id"] for one in feed.late}
        pipeline.drop_topics()  # this one lives as long as the session; others expect topics as they usually are
        yield Landed(pipeline.clickhouse, feed)
    finally:
        pipeline.close()


def _tables(clickhouse: ClickHouse) -> list[str]:
    """Base tables with rows of the feed; who owns which partition stays as it is."""
    found = clickhouse.rows(
        "SELECT name FROM system.tables WHERE database = 'qunpulse_store' AND engine LIKE '%MergeTree' "
        "AND name NOT IN ('migrations', 'state', 'claims') ORDER BY name"
    )
    return [name for (name,) in found]
