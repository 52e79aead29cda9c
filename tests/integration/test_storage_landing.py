"""Columns going in over HTTP: types, versions, atomic blocks, and what users read when it fails."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from infra.embedded.clickhouse import ClickHouseServer
from schemas.figures import FIGURES
from sinks.clickhouse import ClickHouse, IpcCompression
from sinks.migrate import migrate
from sinks.schema import ACTIVITY_1D, ACTIVITY_1H, COMMUNITIES, COMMUNITY_RULES, DEAD_LETTERS, EVENTS
from streams.errors import FatalSinkError, RetryableSinkError

MILLIS = pa.timestamp("ms", "UTC")
SECONDS = pa.timestamp("s", "UTC")
AT = dt.datetime(2023, 11, 14, 22, 13, 20, 123_000, dt.UTC)

ITEM = pa.struct(
    [("sku", pa.string()), ("category", pa.string()), ("quantity", pa.uint32()), ("amount_minor", pa.int64())]
)


def events(community: str, ids: list[str], *, late: int, version: int) -> pa.Table:
    return pa.table(
        {
            "event_id": ids,
            "event_type": pa.array(["message"] * len(ids)).dictionary_encode(),
            "occurred_at": pa.array([AT] * len(ids), MILLIS),
            "community_id": [community] * len(ids),
            "late": pa.array([late] * len(ids), pa.uint8()),
            "version": pa.array([version] * len(ids), pa.uint64()),
        }
    )


def test_every_arrow_type_lands_as_it_was(store: ClickHouse) -> None:
    rows = pa.table(
        {
            "event_id": ["a", "b"],
            "event_type": pa.array(["message", "order"]).dictionary_encode(),
            "occurred_at": pa.array([AT, AT + dt.timedelta(milliseconds=1)], MILLIS),
            "community_id": ["群-types"] * 2,
            "labels": pa.array([["x", "y"], []], pa.list_(pa.string())),
            "value": pa.array([None, 1.5]),
            "is_question": pa.array([None, True]),
            "is_promotion": pa.array([True, False]),
            "amount_minor": pa.array([0, -(2**53)], pa.int64()),
            "items": pa.array([[], [{"sku": "s", "category": "", "quantity": 2, "amount_minor": 5}]], pa.list_(ITEM)),
            "joined_at": pa.array([None, AT], MILLIS),
            "version": pa.array([2, 2], pa.uint64()),
        }
    )
    store.insert_arrow(EVENTS, rows)
    read = store.query_arrow(
        f"SELECT {', '.join(rows.column_names)} FROM {EVENTS} WHERE community_id = {{c:String}} ORDER BY event_id",
        {"c": "群-types"},
    )
    mine = read.to_pylist()
    assert mine == rows.to_pylist()


def test_columns_that_are_left_out_take_their_defaults(store: ClickHouse) -> None:
    store.insert_arrow(EVENTS, events("defaults", ["a"], late=0, version=2))
    (row,) = store.query_arrow("SELECT * FROM qunpulse.events WHERE community_id = 'defaults'").to_pylist()
    assert (row["member_id"], row["kind"], row["value"], row["labels"], row["items"]) == ("", "", None, [], [])
    assert row["occurred_at"] == AT
    assert abs(row["ingested_at"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_days_and_seconds_land_as_dates_and_times(store: ClickHouse) -> None:
    start = dt.datetime(2024, 3, 30, 23, tzinfo=dt.UTC)
    rows = pa.table(
        {
            "community_id": ["times"],
            "window_start": pa.array([start], SECONDS),
            "local_date": pa.array([dt.date(2024, 3, 31)], pa.date32()),
            **{name: pa.array([number], pa.uint32()) for number, name in enumerate(FIGURES)},
            "version": pa.array([1], pa.uint64()),
        }
    )
    store.insert_arrow(ACTIVITY_1D, rows)
    assert store.rows(f"SELECT window_start, local_date FROM {ACTIVITY_1D} WHERE community_id = 'times'") == [
        (start, dt.date(2024, 3, 31))
    ]
    ((_, _, *figures),) = store.rows("SELECT * FROM qunpulse.activity_1d WHERE community_id = 'times'")
    assert figures == list(range(len(FIGURES)))


@pytest.mark.parametrize("order", [("late", "applied"), ("applied", "late")])
def test_an_applied_copy_wins_over_a_late_one_whichever_was_written_last(
    store: ClickHouse, order: tuple[str, str]
) -> None:
    community = f"copies-{order[0]}"
    copies = {"late": {"late": 1, "version": 1}, "applied": {"late": 0, "version": 2}}
    for which in order:
        store.insert_arrow(EVENTS, events(community, ["a"], **copies[which]))
    found = store.rows("SELECT event_id, late FROM qunpulse.events WHERE community_id = {c:String}", {"c": community})
    assert found == [("a", 0)]


def test_bytes_that_are_no_text_come_back_as_they_were(store: ClickHouse) -> None:
    value = bytes(range(256))
    rows = pa.table(
        {
            "topic": ["bytes"],
            "partition": pa.array([0], pa.uint16()),
            "offset": pa.array([7], pa.int64()),
            "key": pa.array([b"\xff\x00"], pa.binary()),
            "value": pa.array([value], pa.binary()),
            "received_at": pa.array([AT], MILLIS),
            "version": pa.array([1], pa.uint64()),
        }
    )
    store.insert_arrow(DEAD_LETTERS, rows)
    read = store.query_arrow(
        f"SELECT key, value FROM {DEAD_LETTERS} FINAL WHERE topic = {{topic:String}}", {"topic": "bytes"}, binary=True
    )
    assert read.to_pylist() == [{"key": b"\xff\x00", "value": value}]


def test_an_empty_insert_is_no_insert(store: ClickHouse) -> None:
    store.insert_arrow("qunpulse_store.no_such_table", pa.table({"x": pa.array([], pa.int64())}))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_every_compression_lands_the_same_rows(
    store: ClickHouse, compression: IpcCompression, stack_address: tuple[str, int]
) -> None:
    clickhouse = ClickHouse.connect(*stack_address, ipc_compression=compression)
    community = f"compressed-{compression}"
    clickhouse.insert_arrow(EVENTS, events(community, [str(n) for n in range(1000)], late=0, version=2))
    count = clickhouse.scalar("SELECT count() FROM qunpulse.events WHERE community_id = {c:String}", {"c": community})
    assert count == 1000
    clickhouse.close()


@pytest.fixture
def stack_address(store: ClickHouse) -> tuple[str, int]:
    host, port = store.where.split(":")
    return host, int(port)


def test_one_insert_of_200_000_rows_of_a_year_is_one_part(store: ClickHouse) -> None:
    count = 200_000
    starts = np.datetime64("2021-01-01T00:00:00") + np.arange(count) % 8760 * np.timedelta64(3600, "s")
    rows = pa.table(
        {
            "community_id": [f"one-part-{n // 8760}" for n in range(count)],
            "window_start": pa.array(starts).cast(pa.timestamp("s")).cast(SECONDS),
            **{name: pa.array(np.arange(count, dtype=np.uint32)) for name in FIGURES},
            "version": pa.array(np.ones(count, np.uint64)),
        }
    )
    sizes = (
        "SELECT max(rows) FROM system.parts WHERE database = 'qunpulse_store' AND table = 'activity_1h' "
        "AND partition = '2021' AND min_block_number = max_block_number"
    )
    store.insert_arrow(ACTIVITY_1H, rows)
    assert store.scalar(sizes) == count


def test_a_condition_that_holds_inserts_and_one_that_throws_inserts_nothing(store: ClickHouse) -> None:
    rows = events("conditional", ["a", "b"], late=0, version=2)
    store.insert_select(EVENTS, rows, where="throwIf(1 = 2, 'never') = 0")
    assert store.scalar("SELECT count() FROM qunpulse.events WHERE community_id = 'conditional'") == 2


def test_parameters_are_values_and_never_sql(store: ClickHouse) -> None:
    evil = "x' OR 1 = 1 --{community:String}"
    assert store.scalar("SELECT {text:String}", {"text": evil}) == evil


def test_communities_are_what_the_rules_say_and_what_the_worker_knows(store: ClickHouse) -> None:
    versions = pa.array([1, 1], pa.uint64())
    store.insert_arrow(
        COMMUNITY_RULES,
        pa.table(
            {
                "community_id": ["both-known", "rules-only"],
                "name": ["茶友群", "Planned"],
                "capacity": pa.array([200, None], pa.uint32()),
                "timezone": ["Asia/Shanghai", "Europe/Berlin"],
                "version": versions,
            }
        ),
    )
    store.insert_arrow(
        COMMUNITIES,
        pa.table(
            {
                "community_id": ["both-known", "worker-only"],
                "timezone": ["UTC", "UTC"],  # fixed by the first event, before the rules said otherwise
                "members": pa.array([12, 3], pa.uint32()),
                "resync_needed": pa.array([1, 0], pa.uint8()),
                "version": versions,
            }
        ),
    )
    found = store.rows(
        "SELECT community_id, name, capacity, timezone, opened_at, members, resync_needed FROM qunpulse.communities "
        "WHERE community_id IN ('both-known', 'rules-only', 'worker-only') ORDER BY community_id"
    )
    assert found == [
        ("both-known", "茶友群", 200, "UTC", None, 12, 1),
        ("rules-only", "Planned", None, "Europe/Berlin", None, 0, 0),
        ("worker-only", "", None, "UTC", None, 3, 0),
    ]


# What a user reads. A server of its own: it has a password, and nobody has migrated it.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    server = ClickHouseServer(folder, port=0, password="open sesame")
    server.start()
    yield server
    server.stop()


def test_a_wrong_password_stops_and_names_the_setting(guarded: ClickHouseServer) -> None:
    with pytest.raises(FatalSinkError, match="QUNPULSE_CLICKHOUSE_PASSWORD") as caught:
        ClickHouse.connect("127.0.0.1", guarded.port, password="let me in")
    assert f"127.0.0.1:{guarded.port}" in str(caught.value)
    assert "let me in" not in str(caught.value)


def test_a_missing_table_stops_and_names_the_command(guarded: ClickHouseServer) -> None:
    clickhouse = ClickHouse.connect("127.0.0.1", guarded.port, password="open sesame")
    with pytest.raises(FatalSinkError, match=r"insert into qunpulse_store.events.*qunpulse migrate"):
        clickhouse.insert_arrow(EVENTS, events("c", ["a"], late=0, version=2))
    migrate(clickhouse)
    with pytest.raises(FatalSinkError, match="qunpulse migrate"):
        clickhouse.insert_arrow(EVENTS, pa.table({"no_such_column": [os.getpid()]}))
    with pytest.raises(FatalSinkError, match="no column no_such_column"):
        clickhouse.insert_select(EVENTS, pa.table({"no_such_column": [1]}))
    clickhouse.close()


def test_a_server_that_has_gone_is_worth_a_retry_and_does_not_answer_pings(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path, port=0)
    server.start()
    clickhouse = ClickHouse.connect("127.0.0.1", server.port, timeout_seconds=5)
    assert clickhouse.ping()
    server.stop()
    assert not clickhouse.ping()
    with pytest.raises(RetryableSinkError):
        clickhouse.scalar("SELECT 1")
