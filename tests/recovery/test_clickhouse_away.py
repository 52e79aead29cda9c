"""ClickHouse that swallows its answers and then goes away: Kafka holds the events, nothing is lost or counted twice."""

from __future__ import annotations

import json
import time
from pathlib import Path

from infra.embedded.stack import EmbeddedStack
from schemas.topics import EVENT_TOPICS
from tests.feeds import FLUSH_EVERY, disorderly, oracle_of, records_of
from tests.operations.relay import relay
from tests.pipeline import Pipeline

FLUSH_MAX_EVENTS, BATCH_MAX_RECORDS = 200, 100
LOST_ANSWERS = 4


def test_what_clickhouse_does_not_take_waits_in_kafka_and_what_it_took_unheard_is_sent_again(
    pipeline: Pipeline, stack: EmbeddedStack, tmp_path: Path
) -> None:
    feed = disorderly(tmp_path / "feed.ndjson", seed=13, events=6_000, days=24, broken=0.0)
    records = records_of(feed)
    third = len(records) // 3
    with relay(stack.clickhouse_port) as wire:
        worker = pipeline.start_worker(
            rules_file=tmp_path / "feed.ndjson.rules.yaml",
            clickhouse_port=wire.port,
            flush_max_events=FLUSH_MAX_EVENTS,
            batch_max_records=BATCH_MAX_RECORDS,
            buffer_max_records=BATCH_MAX_RECORDS,
        )
        pipeline.send_records(records[:third], FLUSH_EVERY)
        pipeline.wait_consumed(500)
        wire.lose_answers(LOST_ANSWERS)
        pipeline.send_records(records[third : 2 * third], FLUSH_EVERY)
        pipeline.wait_landed()
        assert wire.answers_to_lose == 0
        assert pipeline.metrics(worker).sum("qunpulse_insert_retries_total") > 0

        wire.cut()
        pipeline.send_records(records[2 * third :], FLUSH_EVERY)
        pipeline.wait(
            lambda: pipeline.metrics(worker).sum("qunpulse_partition_paused_bool") > 0, "no partition holds on"
        )
        pipeline.wait(lambda: "ClickHouse does not answer" in _missing(pipeline), "it is ready without ClickHouse")
        assert pipeline.metrics(worker).sum("qunpulse_clickhouse_up_bool") == 0
        time.sleep(1)  # for as long as it likes: no more piles up
        metrics = pipeline.metrics(worker)
        waiting = sum(metrics.sum("qunpulse_consumed_records_total", topic=topic) for topic in EVENT_TOPICS) - 2 * third
        assert waiting <= 2 * (FLUSH_MAX_EVENTS + pipeline.partitions * BATCH_MAX_RECORDS) < third, (
            "memory is not bounded"
        )
        assert pipeline.consumed() == 2 * third
        assert worker.poll() is None

        wire.mend()
        pipeline.wait_landed()
        oracle = oracle_of(feed)
        pipeline.check(oracle)
        pipeline.check_now(oracle)
        for topic, counters in pipeline.accounts().items():
            assert {name: counters[name] for name in ("applied", "duplicate")} == {
                name: oracle.accounting[topic][name] for name in ("applied", "duplicate")
            }
        pipeline.wait(lambda: _missing(pipeline) == [], "it did not become ready again")
        assert pipeline.metrics(worker).sum("qunpulse_partition_paused_bool") == 0
        assert pipeline.metrics(worker).sum("qunpulse_clickhouse_up_bool") == 1
        pipeline.stop_workers()


def _missing(pipeline: Pipeline) -> list[str]:
    """What /readyz says the worker lacks."""
    return list(json.loads(pipeline.ask(pipeline.workers[0], "readyz")[1])["missing"])
