"""Bad input on its way through the whole pipeline: dead-lettered with a code, nothing lost, the worker alive."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer
from kafka import KafkaConsumer

from infra.embedded.stack import EmbeddedStack
from schemas.deadletter import from_headers
from schemas.partitioning import partition_for
from schemas.refusals import CODES
from schemas.topics import DEADLETTERS, MESSAGES
from tests.broken_payloads import as_bytes, broken_payloads, valid_event
from tests.feeds import disorderly, oracle_of, records_of
from tests.pipeline import Pipeline


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_broken_payloads_are_all_dead_lettered(pipeline: Pipeline, stack: EmbeddedStack, count: int) -> None:
    broken = list(broken_payloads(count, seed=3))
    fine = as_bytes(valid_event("message"))
    worker = pipeline.start_worker(dead_letter_stop_share=1, flush_interval_seconds=1)
    community = valid_event("message")["community_id"].encode()
    pipeline.send_records(broken)
    pipeline.send_records([(MESSAGES, community, fine)])
    pipeline.wait_landed()
    accounts = pipeline.accounts()
    assert sum(account["dead_lettered"] for account in accounts.values()) == count
    assert sum(account["consumed"] for account in accounts.values()) == count + 1
    assert accounts[MESSAGES]["applied"] == 1, "the valid event behind the broken ones was not applied"
    assert worker.poll() is None

    landed = dict(pipeline.clickhouse.rows("SELECT error, count() FROM qunpulse.dead_letters GROUP BY error"))
    assert sum(landed.values()) == count
    assert set(landed) <= set(CODES)
    assert {"invalid_json", "invalid_field", "unknown_schema_version", "future_timestamp", "too_large"} <= set(landed)

    letters, values = _dead_letters(stack.kafka_bootstrap_servers, count)
    assert letters == Counter(landed)
    assert values == Counter(value for _, _, value in broken), "a dead letter does not hold the original bytes"


def _dead_letters(servers: str, wanted: int) -> tuple[Counter[str], Counter[bytes | None]]:
    """Codes and original bytes of the dead letters in Kafka, each place in Kafka counted once."""
    consumer = KafkaConsumer(
        DEADLETTERS, bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    found: dict[tuple[str, int, int], tuple[str, bytes | None]] = {}
    for record in consumer:
        letter = from_headers(record.headers)
        found[(letter.topic, letter.partition, letter.offset)] = (letter.code, record.value)
        if len(found) == wanted:
            break
    consumer.close()
    return Counter(code for code, _ in found.values()), Counter(value for _, value in found.values())


def test_a_broken_feed_stops_the_worker_with_one_clear_sentence(pipeline: Pipeline) -> None:
    worker = pipeline.start_worker(dead_letter_stop_share=0.5, dead_letter_stop_window=1_000)
    pipeline.send_records(broken_payloads(3_000, seed=4))
    assert worker.wait(60) == 1
    words = pipeline.log_of(worker)
    assert "were refused" in words
    assert "QUNPULSE_DEAD_LETTER_STOP_SHARE=1" in words
    assert "Traceback" not in words


def test_records_of_another_partitioner_are_forwarded_and_counted_once(
    pipeline: Pipeline, stack: EmbeddedStack, tmp_path: Path
) -> None:
    """librdkafka (kcat and most clients in other languages) hashes keys with CRC32: most go to a wrong partition."""
    feed = disorderly(
        tmp_path / "feed.ndjson",
        seed=5,
        events=1_200,
        days=3,
        broken=0.0,
        out_of_order=0.0,
        max_displacement_seconds=3600,
    )
    pipeline.start_worker(rules_file=tmp_path / "feed.ndjson.rules.yaml")
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap_servers, "linger.ms": 5})
    right: Counter[bool] = Counter()

    def note(error: KafkaError | None, sent: Message) -> None:
        assert error is None
        right[sent.partition() == partition_for(sent.key(), pipeline.partitions)] += 1

    for number, (topic, key, value) in enumerate(records_of(feed)):
        producer.produce(topic, value, key, on_delivery=note)
        if number % 200 == 199:  # a live feed: forwarded records come back within the lateness
            producer.flush()
            pipeline.wait_consumed(number + 1 + right[False])
    producer.flush()
    pipeline.wait_landed()
    assert right.total() == len(feed.lines)
    assert right[False] > 150, "a producer that hashes as Kafka's own clients do shows nothing"
    accounts = pipeline.accounts()
    assert sum(account["misrouted"] for account in accounts.values()) == right[False]
    assert sum(account["late"] for account in accounts.values()) == 0
    pipeline.check(oracle_of(feed))
