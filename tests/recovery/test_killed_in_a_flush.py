"""SIGKILL behind each step of a flush, through a real broker: what programs say to each other arrives once."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from infra.embedded.stack import EmbeddedStack
from schemas.topics import COMMANDS, MESSAGES, READ_TOPICS, REFERRAL_FACTS, TOPIC_OF
from streams.accounts import by_topic, read_books
from streams.engine.flush import Step
from tests.batches import event
from tests.echo_program import CREATE_TABLE, HOUR_MS, campaign_of, expected_echoes
from tests.made_up_feeds import START_MS
from tests.pipeline import Pipeline

COMMUNITIES = [f"群-{number}" for number in range(9)]
EVENTS = 1_200
SETTINGS = {
    "batch_max_records": 50,
    "buffer_max_records": 50,
    "flush_max_events": 150,
    "flush_interval_seconds": 0.1,
    "insert_timeout_seconds": 1,
}


@pytest.mark.parametrize(
    "steps", [("events", "state", "outbox"), pytest.param(get_args(Step), marks=pytest.mark.long)], ids=len
)
def test_a_kill_behind_any_step_of_a_flush_changes_nothing(
    stack: EmbeddedStack, tmp_path: Path, steps: tuple[Step, ...]
) -> None:
    pipeline = Pipeline(stack, tmp_path, partitions=2)
    try:
        pipeline.clickhouse.command(CREATE_TABLE)
        pipeline.clickhouse.command("TRUNCATE TABLE qunpulse_store.echoes")
        chance = random.Random(5)
        times = sorted(START_MS + chance.randrange(3 * HOUR_MS) for _ in range(EVENTS))
        kinds = chance.choices(["message", "join"], [4, 1], k=EVENTS)
        feed = [
            event(kind, f"e{number}", at_ms, chance.choice(COMMUNITIES)) | {"at_ms": at_ms}
            for number, (kind, at_ms) in enumerate(zip(kinds, times, strict=True))
        ]
        broken = [(REFERRAL_FACTS, campaign_of(name).encode(), b'{"fact_id": 5}') for name in COMMUNITIES[:3]]
        records = [
            (TOPIC_OF[one["event_type"]], one["community_id"].encode(), json.dumps(one, ensure_ascii=False).encode())
            for one in feed
        ]
        pipeline.send_records([*records, *broken])
        worker = pipeline.start_worker(
            command=[sys.executable, "-m", "tests.recovery.dying_worker", *steps], **SETTINGS
        )
        pipeline.wait_landed()
        log = pipeline.log_of(worker)
        assert re.findall("killed behind ([a-z]+)", log) == list(steps), log[-3000:]
        landed = pipeline.clickhouse.rows(
            "SELECT campaign_id, facts, total, hours FROM qunpulse_store.echoes FINAL ORDER BY campaign_id"
        )
        assert {name: tuple(counts) for name, *counts in landed} == expected_echoes(feed)
        accounts = by_topic(read_books(pipeline.clickhouse), READ_TOPICS)
        assert all(account.balanced for account in accounts.values()), accounts
        assert accounts[MESSAGES].applied == kinds.count("message")
        assert accounts[COMMANDS].consumed == 0, "and nobody waited for it"
        facts = accounts[REFERRAL_FACTS]
        assert facts.dead_lettered == len(broken)
        assert facts.applied > accounts[MESSAGES].applied
        pipeline.stop_workers()
    finally:
        pipeline.kill_workers()
        pipeline.clickhouse.command("DROP TABLE IF EXISTS qunpulse_store.echoes")
        pipeline.close()
