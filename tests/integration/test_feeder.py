"""Files into a real broker: every line once, in the order of time, and no second time."""

import gc
import json
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from infra.embedded.kafka import KafkaBroker
from infra.embedded.stack import EmbeddedStack
from schemas.partitioning import partition_for
from schemas.topics import EVENT_TOPICS, JOINS, MESSAGES, topic_specs
from streams.errors import InputError, KafkaUnavailable
from streams.kafka_cluster import KafkaCluster
from streams.settings import Settings
from streams.sources import feeder
from streams.sources.feeder import feed_files
from streams.sources.files import MAX_LINE_BYTES
from streams.sources.ledger import FeedLedger

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000


class Broker:
    """What the topics hold beyond what they held when the test began: other tests use the same ones."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.settings = Settings(kafka_bootstrap_servers=bootstrap_servers)
        with KafkaCluster(bootstrap_servers) as cluster:
            cluster.apply(topic_specs(4))
            self._before = {place: span.end for place, span in cluster.spans(EVENT_TOPICS).items()}

    def records(self) -> list[Any]:
        """New records, by topic and partition and in offset order."""
        with KafkaCluster(self.settings.kafka_bootstrap_servers) as cluster:
            ends = {place: span.end for place, span in cluster.spans(EVENT_TOPICS).items()}
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap_servers, enable_auto_commit=False)
        found: list[Any] = []
        for (topic, partition), end in sorted(ends.items()):
            place, begin = TopicPartition(topic, partition), self._before.get((topic, partition), 0)
            if begin == end:
                continue
            consumer.assign([place])
            consumer.seek(place, begin)
            while consumer.position(place) < end:
                for records in consumer.poll(timeout_ms=1000).values():
                    found += records
        consumer.close()
        return found


@pytest.fixture
def broker(stack: EmbeddedStack) -> Iterator[Broker]:
    return Broker(stack.kafka_bootstrap_servers)


def event(number: int, event_type: str, community_id: str, hours: float) -> dict[str, Any]:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp((START_MS + hours * HOUR_MS) / 1000, UTC).isoformat(timespec="milliseconds")
    return {"event_id": f"{number}", "event_type": event_type, "occurred_at": at, "community_id": community_id}


def written(path: Path, *events: dict[str, Any] | bytes) -> Path:
    lines = [event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode() for event in events]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def test_lines_arrive_once_as_they_are_at_their_partition_in_order_of_time(broker: Broker, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    communities = [f"{run}-{name}" for name in ("读书会", "b", "c")]
    messages = [event(n, "message", communities[n % 3], hours=(n * 37 % 500) * 0.7) for n in range(500)]
    joins = [event(n, "join", communities[n % 3], hours=(n * 53 % 300) * 1.1) for n in range(300)]
    broken = f"{run} is no JSON".encode()
    files = [
        written(tmp_path / "messages.ndjson", *messages),
        written(tmp_path / "joins.ndjson", *joins[:100], broken, *joins[100:]),
    ]
    told: list[tuple[int, int]] = []
    ledger = FeedLedger(tmp_path / "feed.json")
    result = feed_files(files, broker.settings, ledger, lambda sent, total: told.append((sent, total)))
    assert (result.sent, result.skipped) == (801, 0)
    assert told[-1] == (801, 801)

    records = broker.records()
    expected = {json.dumps(e, ensure_ascii=False).encode() for e in (*messages, *joins)} | {broken}
    assert len(records) == 801
    assert {record.value for record in records} == expected
    times: dict[tuple[str, int], list[str]] = defaultdict(list)
    for record in records:
        if record.value == broken:
            assert (record.topic, record.key) == (JOINS, b"")
            continue
        sent = json.loads(record.value)
        assert record.topic == (MESSAGES if sent["event_type"] == "message" else JOINS)
        assert record.key == sent["community_id"].encode()
        assert record.partition == partition_for(record.key, 4)
        times[record.topic, record.partition].append(sent["occurred_at"])
    assert all(of_place == sorted(of_place) for of_place in times.values())

    again = feed_files(files, broker.settings, FeedLedger(tmp_path / "feed.json"))
    assert (again.sent, again.skipped) == (0, 801)
    assert len(broker.records()) == 801


def test_an_interrupted_feed_goes_on_even_beside_other_files(broker: Broker, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    first = written(tmp_path / "a.ndjson", *(event(n, "message", run, hours=n) for n in range(400)))
    second = written(tmp_path / "b.ndjson", *(event(n, "join", run, hours=n + 0.5) for n in range(400)))
    third = written(tmp_path / "c.ndjson", *(event(n, "order", run, hours=n) for n in range(50)))
    path = tmp_path / "feed.json"

    def stop(sent: int, total: int) -> None:
        if sent > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feed_files([first, second], broker.settings, FeedLedger(path), stop)
    fed = FeedLedger(path)
    assert feed_files([second, third], broker.settings, fed).sent < 450
    assert feed_files([first, second, third, first], broker.settings, fed).sent < 400
    records = [(record.topic, json.loads(record.value)["event_id"]) for record in broker.records()]
    assert len(set(records)) == 850
    assert len(records) == 850, "what was on its way when it was interrupted came again"


def test_topics_of_one_community_never_part_by_the_lateness(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a record leaves, everything older by the lateness or more has been acknowledged."""
    from aiokafka import AIOKafkaProducer

    run = uuid.uuid4().hex[:8]
    files = [
        written(tmp_path / f"{kind}.ndjson", *(event(n, kind, run, hours=n * 0.9 + shift) for n in range(300)))
        for kind, shift in (("message", 0.0), ("join", 0.4))
    ]
    on_their_way: dict[int, float] = {}
    spans: list[float] = []
    plain_create, plain_send = AIOKafkaProducer.create_batch, AIOKafkaProducer.send_batch
    hours_of: dict[int, list[float]] = defaultdict(list)

    def create(self: Any) -> Any:
        batch = plain_create(self)
        plain_append = batch.append

        def append(*, key: bytes, value: bytes, timestamp: int) -> Any:
            sent = json.loads(value)
            hours_of[id(batch)].append(int(sent["event_id"]) * 0.9 + (0.4 if sent["event_type"] == "join" else 0.0))
            return plain_append(key=key, value=value, timestamp=timestamp)

        batch.append = append
        return batch

    async def send(self: Any, batch: Any, topic: str, *, partition: int) -> Any:
        hours = hours_of.pop(id(batch))  # ids are used again
        token = len(spans)
        on_their_way[token] = min(hours)
        spans.append(max(hours) - min(on_their_way.values()))
        future = await plain_send(self, batch, topic, partition=partition)
        future.add_done_callback(lambda _: on_their_way.pop(token))
        return future

    monkeypatch.setattr(AIOKafkaProducer, "create_batch", create)
    monkeypatch.setattr(AIOKafkaProducer, "send_batch", send)
    feed_files(files, broker.settings, FeedLedger(tmp_path / "feed.json"))
    assert len(broker.records()) == 600
    assert max(spans) < 24
    assert max(spans) > 12  # two windows are on their way at a time: one waits for no round trip


def test_the_largest_line_goes_through_and_a_larger_one_is_refused_before_anything_is_sent(
    broker: Broker, tmp_path: Path
) -> None:
    small = event(1, "message", uuid.uuid4().hex, hours=0)
    large = json.dumps(small | {"pad": ""}).encode()
    fits = large[:-2] + b"x" * (MAX_LINE_BYTES - len(large)) + large[-2:]
    path = written(tmp_path / "a.ndjson", small, fits, small)
    assert feed_files([path], broker.settings, FeedLedger(tmp_path / "feed.json")).sent == 3
    assert sorted(len(record.value) for record in broker.records())[-1] == MAX_LINE_BYTES
    path = written(tmp_path / "b.ndjson", small, fits + b" x")
    with pytest.raises(InputError, match="line 2"):
        feed_files([path], broker.settings, FeedLedger(tmp_path / "feed.json"))


# kafka-python leaves the sockets of its failed attempts to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_broker_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ndjson", event(1, "message", "c", hours=0))
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        feed_files([path], settings, FeedLedger(tmp_path / "feed.json"))
    assert not (tmp_path / "feed.json").exists()
    gc.collect()


@pytest.mark.long  # two starts of a broker of its own
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_broker_that_goes_away_ends_the_feed_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "PATIENCE_SECONDS", 2)
    path = written(tmp_path / "a.ndjson", *(event(n, "message", "c", hours=n) for n in range(30_000)))
    ledger = tmp_path / "feed.json"
    broker = KafkaBroker(tmp_path / "broker", 0)
    broker.start()
    settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
    stopped: list[int] = []

    def stop_the_broker(sent: int, total: int) -> None:
        if not stopped:
            stopped.append(sent)
            broker.stop()

    try:
        with KafkaCluster(broker.bootstrap_servers) as cluster:
            cluster.apply(topic_specs(4))
        with pytest.raises(KafkaUnavailable, match="feed again: it goes on where it stopped"):
            feed_files([path], settings, FeedLedger(ledger), stop_the_broker)

        broker = KafkaBroker(tmp_path / "broker", 0)
        broker.start()
        again = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        result = feed_files([path], again, FeedLedger(ledger))
        assert 0 < result.sent < 30_000
        assert result.sent + result.skipped == 30_000
        with KafkaCluster(broker.bootstrap_servers) as cluster:
            assert sum(span.end for span in cluster.spans([MESSAGES]).values()) >= 30_000
    finally:
        broker.stop()
    gc.collect()
