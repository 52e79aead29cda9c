"""Simulated communities through real Kafka: out of order, with duplicates and broken records, in local days."""

import json
from pathlib import Path

import pytest

from schemas.topics import MESSAGES
from streams.simulation import Plan, SimulatedFeed, write_feed
from tests.oracle import TOPIC_OF, Oracle
from tests.pipeline import Pipeline

# A flush each 100 events keeps the topics within 4 hours; with 19 hours of displacement nothing may come late.
PLAN = {"events": 25_000, "communities": 12, "days": 40, "max_displacement_seconds": 19 * 3600}
DISORDER = {"duplicates": 0.03, "out_of_order": 0.3, "broken": 0.02}
FLUSH_EVERY = 100


def records_of(feed: SimulatedFeed) -> list[tuple[str, bytes, bytes]]:
    """Every line in the order of arrival as (topic, key, value)."""
    records = []
    for place, line in enumerate(feed.lines):
        if place in feed.broken_lines:
            records.append((MESSAGES, b"", line))
            continue
        event = json.loads(line)
        records.append((TOPIC_OF[event["event_type"]], event["community_id"].encode(), line))
    return records


def oracle_of(feed: SimulatedFeed) -> Oracle:
    """The oracle of the feed's valid lines, with the time zones of its rules."""
    valid = [json.loads(line) for place, line in enumerate(feed.lines) if place not in feed.broken_lines]
    zones = {community: rules["timezone"] for community, rules in feed.rules["communities"].items()}
    return Oracle([(TOPIC_OF[event["event_type"]], event) for event in valid], timezones=zones)


@pytest.mark.parametrize(("seed", "batch_max_records"), [(1, 5_000), (2, 300)])
def test_a_disorderly_feed_lands_exactly(pipeline: Pipeline, tmp_path: Path, seed: int, batch_max_records: int) -> None:
    path = tmp_path / "feed.ndjson"
    feed = write_feed(path, Plan(seed=seed, **PLAN, **DISORDER))  # type: ignore[arg-type]
    oracle = oracle_of(feed)
    pipeline.start_worker(
        rules_file=f"{path}.rules.yaml", batch_max_records=batch_max_records, dead_letter_stop_share=1
    )
    pipeline.send_records(records_of(feed), FLUSH_EVERY)
    pipeline.wait_landed()

    pipeline.check(oracle)
    pipeline.check_now(oracle)
    accounts = pipeline.accounts()
    assert accounts[MESSAGES]["dead_lettered"] == len(feed.broken_lines) == 500
    for topic, expected in oracle.accounting.items():
        assert accounts[topic]["applied"] == expected["applied"]
        assert accounts[topic]["duplicate"] == expected["duplicate"]
        assert accounts[topic]["late"] == 0
