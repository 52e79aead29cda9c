"""Simulated communities through real Kafka: out of order, with duplicates and broken records, in local days."""

from pathlib import Path

import pytest

from schemas.topics import MESSAGES
from tests.feeds import FLUSH_EVERY, disorderly, oracle_of, records_of
from tests.pipeline import Pipeline


@pytest.mark.parametrize(("seed", "batch_max_records"), [(1, 5_000), (2, 300)])
def test_a_disorderly_feed_lands_exactly(pipeline: Pipeline, tmp_path: Path, seed: int, batch_max_records: int) -> None:
    """Every table, `activity_now` as of its own time, and the accounting."""
    path = tmp_path / "feed.ndjson"
    feed = disorderly(path, seed)
    oracle = oracle_of(feed)
    pipeline.start_worker(
        rules_file=f"{path}.rules.yaml", batch_max_records=batch_max_records, dead_letter_stop_share=1
    )
    pipeline.send_records(records_of(feed), FLUSH_EVERY)
    pipeline.wait_landed()

    pipeline.check(oracle)
    pipeline.check_now(oracle)
    accounts = pipeline.accounts()
    assert accounts[MESSAGES]["dead_lettered"] == len(feed.broken_lines) == 300
    for topic, expected in oracle.accounting.items():
        assert accounts[topic]["applied"] == expected["applied"]
        assert accounts[topic]["duplicate"] == expected["duplicate"]
        assert accounts[topic]["late"] == 0
