"""The order of a flush: nothing is read by anybody before what it rests on is written."""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from sinks.schema import ACCOUNTING, EVENTS, STATE, STORE
from streams.engine.flush import Flush
from streams.errors import ClaimLost, RetryableSinkError
from streams.metrics import WorkerMetrics
from tests.batches import Replay, event
from tests.echo_program import KEYS, EchoProgram
from tests.made_up_feeds import START_MS


class Journal:
    """Stands where ClickHouse and Kafka stand, and notes in which order they are talked to."""

    def __init__(self, taken_over: Container[int] = ()) -> None:
        self.entries: list[str] = []
        self.rows: dict[str, int] = {}
        self._taken_over = taken_over

    def insert_arrow(self, table: str, rows: Any) -> None:
        self.entries.append(table)
        self.rows[table] = len(rows)

    def insert_select(self, table: str, rows: Any, **_: Any) -> None:
        if rows["partition"][0].as_py() in self._taken_over:
            raise ClaimLost("taken over")
        self.entries.append(table)

    def send(self, refused: Any, misrouted: Any) -> None:
        self.entries.append(f"{len(refused)} refused, {len(misrouted)} misrouted")

    def send_outbox(self, records: Any) -> None:
        self.entries.append(f"{len(records)} sent")


def flush_into(journal: Journal, reached: Any = lambda _: None) -> Flush:
    clickhouse: Any = SimpleNamespace(insert_arrow=journal.insert_arrow, insert_select=journal.insert_select)
    return Flush(clickhouse, journal, WorkerMetrics(), threading.Event(), 1, reached)


def plan_of_everything() -> Any:
    replay = Replay(programs_of=lambda context: [EchoProgram(context)], keys=KEYS)
    replay.send(event("message", "m", START_MS))
    replay.send_record("community.joins.v1", b"c", b"{")
    replay.drain()
    return replay.collect()


def test_events_then_state_then_outbox_then_rows_and_the_accounts_last_of_all() -> None:
    journal = Journal()
    flush_into(journal, lambda step: journal.entries.append(f"<{step}>")).write([plan_of_everything()])
    landed = journal.entries[journal.entries.index("<outbox>") + 1 : -1]
    assert journal.entries[:8] == [
        "<begun>", EVENTS, "1 refused, 0 misrouted", "<events>", STATE, "<state>", "2 sent", "<outbox>",
    ]  # fmt: skip
    assert {f"{STORE}.members", f"{STORE}.dead_letters"} < set(landed)
    assert landed.index(ACCOUNTING) == len(landed) - 1
    assert journal.entries[-1] == "<landed>"


def test_a_kafka_that_is_away_is_not_called_a_clickhouse_that_is_away() -> None:
    journal, tries = Journal(), iter([True, False])

    def send_outbox(_: Any) -> None:
        if next(tries):
            assert flush._metrics.registry.get_sample_value("qunpulse_clickhouse_up_bool") == 1
            raise RetryableSinkError("Kafka does not answer")

    journal.send_outbox = send_outbox  # type: ignore[method-assign]
    flush = flush_into(journal)
    flush.write([plan_of_everything()])
    metric = flush._metrics.registry.get_sample_value
    assert metric("qunpulse_send_retries_total") == 1
    assert metric("qunpulse_send_seconds_count") == 2  # a dead letter, then the outbox
    assert metric("qunpulse_clickhouse_up_bool") == 1
    assert metric("qunpulse_insert_retries_total", {"table": EVENTS}) == 0, "it begins at 0, so that the first shows"


def test_after_a_lost_claim_nothing_is_sent_and_nothing_lands() -> None:
    journal = Journal(taken_over={0})
    lost = flush_into(journal).write([plan_of_everything()])
    assert list(lost) == [0]
    assert journal.entries == [EVENTS, "1 refused, 0 misrouted"]


def test_partitions_go_together_and_only_the_lost_one_stays_behind() -> None:
    journal = Journal(taken_over={1})
    plans = [replace(plan_of_everything(), partition=number) for number in range(3)]
    lost = flush_into(journal).write(plans)
    assert list(lost) == [1]
    assert journal.entries[:5] == [EVENTS, "3 refused, 0 misrouted", STATE, STATE, "4 sent"]
    assert len(journal.entries) == len(set(journal.entries)) + 1, "each table once for all, but the state"
    assert journal.rows[f"{STORE}.members"] == 2 * len(plans[0].derived["members"])
    assert journal.rows[EVENTS] == 3 * sum(map(len, plans[0].events))
