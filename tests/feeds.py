"""Simulated feeds for tests of the pipeline: their records in order of arrival, and their oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schemas.topics import MESSAGES
from streams.simulation import Plan, SimulatedFeed, write_feed
from tests.oracle import TOPIC_OF, Oracle

# A flush each 40 events keeps the topics within 4 hours; with 19 hours of displacement nothing may come late.
PLAN: dict[str, Any] = {"events": 10_000, "communities": 12, "days": 40, "max_displacement_seconds": 19 * 3600}
DISORDER: dict[str, Any] = {"duplicates": 0.03, "out_of_order": 0.3, "broken": 0.02}
FLUSH_EVERY = 40


def disorderly(path: Path, seed: int, **plan: Any) -> SimulatedFeed:
    """A feed with duplicates, shuffled arrival inside the lateness, broken records; its rules file lies beside it."""
    return write_feed(path, Plan(seed=seed, **(PLAN | DISORDER | plan)))


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


def oracle_of(feed: SimulatedFeed, until: int | None = None) -> Oracle:
    """The oracle of the feed's valid lines, or of the first so many lines, with the time zones of its rules."""
    valid = [json.loads(line) for place, line in enumerate(feed.lines[:until]) if place not in feed.broken_lines]
    zones = {community: rules["timezone"] for community, rules in feed.rules["communities"].items()}
    return Oracle([(TOPIC_OF[event["event_type"]], event) for event in valid], timezones=zones)
