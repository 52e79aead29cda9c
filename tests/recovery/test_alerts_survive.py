"""Alerts through Kafka, Faust and ClickHouse: the same set whoever is killed and however many workers there are."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from kafka import KafkaConsumer, TopicPartition

from infra.embedded.stack import EmbeddedStack
from schemas.alerts import AlertRecord, decode_alert
from schemas.partitioning import partition_for
from schemas.topics import ALERTS, TOPIC_OF
from streams.engine.flush import Step
from streams.operators.churn import ChurnProgram
from streams.rules_model import Rules
from tests.alert_replay import ALERT_KEYS, alerts, buys, says
from tests.batches import Event, Replay
from tests.health_feed import troubled
from tests.pipeline import PARTITIONS, Pipeline
from tests.properties.test_health_alerts import RULES
from tests.recount import ms_of

QUIET = ["群一", "群二", "读书会", "c-4", "c-5", "c-6"]
"""Communities in which members come and stay away; in those of `troubled` there is everything else."""
DAYS = 100

Said = tuple[str, str, str, str, int, int | None]
"""Kind, community or feed, member, state, and when it opened and was over (ms)."""


def habits(chance: random.Random) -> list[Event]:
    """Members of many habits, of whom most stop for a while or for good, and some buy."""
    feed = []
    for community in QUIET:
        for number in range(6):
            day, often, buyer = chance.random() * 10, chance.choice([0.5, 1, 1, 2, 7]), chance.random() < 0.3
            while day < DAYS:
                feed.append(says(f"成员{number}", day, 0, community))
                if buyer and chance.random() < 0.3:
                    feed.append(buys(f"成员{number}", day, community=community, staff_id="王芳"))
                day += often * chance.choice([1, 1, 1, 0.5, 2])
                if chance.random() < 0.04:
                    day += chance.choice([12, 20, 60])
    return feed


def replayed(feed: list[Event]) -> list[dict[str, Said]]:
    """The alerts of each partition by id, all its events taken at once and by nobody who is killed."""
    rules = Rules.model_validate(RULES)
    found = []
    for number in range(PARTITIONS):
        replay = Replay(
            partitions=PARTITIONS,
            number=number,
            programs_of=lambda context: [ChurnProgram(context, lambda: rules)],
            keys=ALERT_KEYS,
        )
        replay.send(*[one for one in feed if partition_for(one["community_id"].encode(), PARTITIONS) == number])
        replay.drain()
        replay.flush()
        found.append({row["alert_id"]: _said(row) for row in alerts(replay)})
    return found


def _said(row: dict[str, Any]) -> Said:
    def ms(time: Any) -> int | None:
        return None if time is None else round(time.timestamp() * 1000)

    where = row["feed"] or row["community_id"]
    return row["kind"], where, row["member_id"], row["state"], ms(row["opened_at"]) or 0, ms(row["resolved_at"])


def sent(stack: EmbeddedStack) -> list[AlertRecord]:
    """All that the topic has, in its order."""
    consumer = KafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers, enable_auto_commit=False)
    places = [TopicPartition(ALERTS, number) for number in consumer.partitions_for_topic(ALERTS) or ()]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found = []
    while any(consumer.position(place) < end for place, end in ends.items()):
        for records in consumer.poll(timeout_ms=500).values():
            found += [decode_alert(record.value) for record in records]
    consumer.close()
    return found


def check(pipeline: Pipeline, stack: EmbeddedStack, partitions: list[dict[str, Said]]) -> None:
    """What landed and what was sent are the alerts of all partitions, each once."""
    rows = {row["alert_id"]: _said(row) for row in pipeline.view("alerts").to_pylist()}
    latest: dict[str, AlertRecord] = {}
    for one in sent(stack):
        if one.alert_id not in latest or latest[one.alert_id].revision <= one.revision:
            latest[one.alert_id] = one
    told = {name: _of_record(one) for name, one in latest.items()}
    whole = {name: said for found in partitions for name, said in found.items() if said[0] != "feed_silent"}
    for outcome in (rows, told):
        assert {name: said for name, said in outcome.items() if said[0] != "feed_silent"} == whole
    check_feeds(rows, [(one.alert_id, _of_record(one)) for one in sent(stack)], partitions)


def check_feeds(rows: dict[str, Said], told: list[tuple[str, Said]], partitions: list[dict[str, Said]]) -> None:
    """Every partition hears its own part of a feed and speaks of one alert: each says all of what it found, no more."""
    finals = {(name, said) for found in partitions for name, said in found.items() if said[0] == "feed_silent"}
    openings = {(name, (*said[:3], "opened", said[4], None)) for name, said in finals}
    of_feeds = {(name, said) for name, said in told if said[0] == "feed_silent"}
    assert finals <= of_feeds <= finals | openings
    landed = {(name, said) for name, said in rows.items() if said[0] == "feed_silent"}
    assert {name for name, _ in landed} == {name for name, _ in finals}
    assert landed <= finals


def _of_record(one: AlertRecord) -> Said:
    return one.kind, one.feed or one.community_id, one.member_id, one.state, one.opened_at, one.resolved_at


@pytest.fixture(scope="module")
def feed() -> list[Event]:
    """Everything that alerts speak of, in the order of time."""
    chance = random.Random(8)
    return sorted([*troubled(random.Random(5)), *habits(chance)], key=lambda one: ms_of(one["occurred_at"]))


@pytest.fixture(scope="module")
def whole(feed: list[Event]) -> list[dict[str, Said]]:
    """What comes of it."""
    found = replayed(feed)
    every = [said for partition in found for said in partition.values()]
    assert {said[0] for said in every} >= {
        "silent", "lapsed_buyer", "left", "activity_drop", "exodus", "unanswered", "rule_violation", "feed_silent",
    }  # fmt: skip
    assert {said[3] for said in every} == {"opened", "resolved", "expired"}
    return found


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Small batches and flushes, so that much is underway whenever somebody dies."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps(RULES))  # YAML holds JSON
    return {"batch_max_records": 200, "buffer_max_records": 200, "flush_interval_seconds": 0.1, "rules_file": rules}


@pytest.mark.parametrize("steps", [("state", "outbox"), pytest.param(get_args(Step), marks=pytest.mark.long)], ids=len)
def test_alerts_are_the_same_set_when_a_worker_is_killed_behind_steps_of_a_flush(
    pipeline: Pipeline,
    stack: EmbeddedStack,
    settings: dict[str, Any],
    feed: list[Event],
    whole: list[dict[str, Said]],
    steps: tuple[Step, ...],
) -> None:
    pipeline.send([(TOPIC_OF[one["event_type"]], one) for one in feed])
    smaller = {"batch_max_records": 50, "buffer_max_records": 50, "flush_max_events": 100}
    settings |= smaller | {"insert_timeout_seconds": 1}  # all partitions flush together: enough flushes to die behind
    worker = pipeline.start_worker(
        command=[sys.executable, "-m", "tests.recovery.dying_worker", "--own-programs", *steps], **settings
    )
    pipeline.wait_landed()
    assert re.findall("killed behind ([a-z]+)", pipeline.log_of(worker)) == list(steps)
    check(pipeline, stack, whole)


def test_alerts_are_the_same_set_with_three_workers_of_whom_one_is_killed_and_one_leaves(
    pipeline: Pipeline,
    stack: EmbeddedStack,
    settings: dict[str, Any],
    feed: list[Event],
    whole: list[dict[str, Said]],
) -> None:
    """One, two and three workers, one after the other, while the feed comes in."""
    records = [(TOPIC_OF[one["event_type"]], one) for one in feed]
    third = len(records) // 3
    settings |= {"flush_interval_seconds": 0.2}
    together = 5  # flushed so often that no topic is ahead of the others: alerts hang on what is late and what is not
    workers = [pipeline.start_worker(**settings) for _ in range(3)]
    pipeline.send(records[:third], together)
    pipeline.wait_consumed(third // 2)
    workers[0].kill()
    pipeline.send(records[third : 2 * third], together)
    pipeline.wait_consumed(third + third // 2)
    workers[1].terminate()
    pipeline.send(records[2 * third :], together)
    pipeline.wait_landed()
    assert workers[1].wait(30) == 0
    check(pipeline, stack, whole)
    seen = {row["feed"]: row["asks_questions"] for row in pipeline.view("alert_feeds").to_pylist() if row["feed"]}
    assert seen == {"企微": 1, "telegram": 1}
