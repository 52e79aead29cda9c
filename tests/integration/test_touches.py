"""Touches of a live worker: on their topic and in their view, those held out in the view alone, none told twice."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from infra.embedded.stack import EmbeddedStack
from schemas import touches
from schemas.topics import ORDERS, TOUCHES
from streams.operators.touches import is_held_out
from tests.pipeline import Pipeline

RULES = {"touches": {"enabled": True, "kinds": ["thanks"], "hold_out_share": 0.5, "community_per_day": 1000}}
HOME = "wecom:福利群"


def send_orders(pipeline: Pipeline, first: int) -> None:
    """Thirty buyers with an order each, paid a minute ago."""
    at = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)).isoformat()
    common = {"event_type": "order", "schema_version": 1, "occurred_at": at, "community_id": HOME, "status": "paid"}
    pipeline.send(
        (
            ORDERS,
            common
            | {"event_id": f"{n}", "member_id": f"买家{n}", "order_id": f"o{n}", "amount_minor": 1, "currency": "CNY"},
        )
        for n in range(first, first + 30)
    )
    pipeline.wait_landed()


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.long)])
def test_buyers_are_thanked_on_the_topic_and_those_held_out_are_not(
    pipeline: Pipeline, stack: EmbeddedStack, tmp_path: Path, killed: bool
) -> None:
    """Also by a worker that takes over from one that was killed (tests/unit/test_touches.py kills them everywhere)."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps(RULES, ensure_ascii=False), encoding="utf-8")
    pipeline.start_worker(rules_file=str(rules), clock_mode="live")
    send_orders(pipeline, 0)
    if killed:
        pipeline.kill_workers()
        pipeline.start_worker(rules_file=str(rules), clock_mode="live")
    send_orders(pipeline, 30)
    pipeline.stop_workers()
    consumer = KafkaConsumer(
        TOUCHES,
        bootstrap_servers=stack.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=3_000,
    )
    records = [(record.key.decode(), touches.decode(record.value)) for record in consumer]
    consumer.close()
    everybody = {f"买家{n}" for n in range(60)}
    held_out = {name for name in everybody if is_held_out("thanks", HOME, name, 0.5)}
    assert 10 < len(held_out) < 50
    assert {key for key, _ in records} == {HOME}
    assert {touch.member_id for _, touch in records} == everybody - held_out
    assert len({touch.touch_id for _, touch in records}) == len(everybody - held_out)  # a repeat has the same id
    rows = pipeline.clickhouse.rows("SELECT member_id, held_out, replay FROM qunpulse.touches")
    assert sorted(rows) == sorted((name, int(name in held_out), 0) for name in everybody)
