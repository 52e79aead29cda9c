"""Simulated communities through real Kafka: out of order, with duplicates and broken records, in local days."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.topics import MESSAGES
from tests.feeds import FLUSH_EVERY, disorderly, oracle_of, records_of
from tests.forked import Running
from tests.oracle import TABLES
from tests.pipeline import Pipeline


@pytest.mark.parametrize(("seed", "batch_max_records"), [(1, 5_000), (2, 300)])
def test_a_disorderly_feed_lands_exactly(pipeline: Pipeline, tmp_path: Path, seed: int, batch_max_records: int) -> None:
    """Every table, `activity_now` as of its own time, and the accounting."""
    path = tmp_path / "feed.ndjson"
    feed = disorderly(path, seed)
    oracle = oracle_of(feed)
    worker = pipeline.start_worker(
        rules_file=f"{path}.rules.yaml", batch_max_records=batch_max_records, dead_letter_stop_share=1
    )
    pipeline.send_records(records_of(feed), FLUSH_EVERY)
    pipeline.wait_landed()

    pipeline.check(oracle)
    pipeline.check_now(oracle)
    accounts = pipeline.accounts()
    assert accounts[MESSAGES]["dead_lettered"] == len(feed.broken_lines) == 200
    for topic, expected in oracle.accounting.items():
        assert accounts[topic]["applied"] == expected["applied"]
        assert accounts[topic]["duplicate"] == expected["duplicate"]
        assert accounts[topic]["late"] == 0
    _check_metrics(pipeline, worker)


def _check_metrics(pipeline: Pipeline, worker: Running) -> None:
    """What is served says the same as what landed, and everything that is promised is there."""
    metrics = pipeline.metrics(worker)
    for topic, counters in pipeline.accounts().items():
        for outcome, count in counters.items():
            assert metrics.values(f"qunpulse_{outcome}_records_total", topic=topic) == [count]
        assert metrics.values("qunpulse_lag_records", topic=topic) == [0] * pipeline.partitions
    assert metrics.sum("qunpulse_dead_letters_total") == 200
    assert metrics.values("qunpulse_lag_seconds") == [0] * pipeline.partitions
    newest = pipeline.clickhouse.scalar("SELECT max(occurred_at) FROM qunpulse.events WHERE late = 0")
    assert max(metrics.values("qunpulse_event_clock_seconds")) == newest.timestamp()
    for stage in ("decode", "merge", "apply", "flush"):
        assert metrics.sum("qunpulse_stage_seconds_count", stage=stage) > 0
    base_tables = {"events", "state", "accounting", "dead_letters", *TABLES} - {"activity_rolling"}  # a view over days
    for table in base_tables:
        assert metrics.sum("qunpulse_insert_seconds_count", table=f"qunpulse_store.{table}") > 0, table
    for name in ("batch_records_count", "restore_seconds_count", "dead_letter_share_ratio", "build_info"):
        assert metrics.sum(f"qunpulse_{name}") > 0, name
    for operator in ("members", "dedup"):
        assert metrics.sum("qunpulse_state_entries", operator=operator) > 0
    assert metrics.sum("qunpulse_unknown_words_total", field="kind") > 0
    assert pipeline.ask(worker, "healthz")[0] == pipeline.ask(worker, "readyz")[0] == 200
