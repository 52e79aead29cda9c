"""Work on one edge that outlasts the Kafka session costs no partition: heartbeats have a thread of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.embedded.stack import EmbeddedStack
from schemas.topics import TOPIC_OF
from tests.batches import event
from tests.pipeline import Feed, Pipeline
from tests.recovery.slow_worker import SLOW

SESSION_SECONDS, BUSY_SECONDS = 6, 15


def invited(event_id: str, number: int) -> Feed:
    """A brings the next one."""
    members = {"referrer_id": f"成员{number}", "referee_id": f"成员{number + 1}"}
    return [(TOPIC_OF["referral"], event("referral", event_id, 1_767_225_600_000 + number, "群", **members))]


@pytest.mark.long
def test_a_worker_that_is_busy_for_longer_than_its_session_keeps_its_partitions(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    pipeline = Pipeline(stack, tmp_path)
    try:
        command = [sys.executable, "-m", "tests.recovery.slow_worker", str(BUSY_SECONDS)]
        workers = [pipeline.start_worker(command, session_timeout_seconds=SESSION_SECONDS) for _ in range(2)]
        for worker in workers:
            pipeline.wait_ready(worker)
        pipeline.send(invited("quick", 0))
        pipeline.wait_landed()
        claims = "SELECT partition, max(claim) FROM qunpulse_store.claims GROUP BY partition ORDER BY partition"
        before = pipeline.clickhouse.rows(claims)
        pipeline.send(invited(SLOW, 1))
        pipeline.wait_landed()
        assert pipeline.clickhouse.rows(claims) == before, "whoever loses a partition sees it claimed by another worker"
        assert pipeline.view("referral_nodes").num_rows == 3
    finally:
        pipeline.close()
