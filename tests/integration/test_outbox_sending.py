"""The outbox on its way to a real broker: order, partitions, and a record that no topic takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from infra.embedded.stack import EmbeddedStack
from schemas.partitioning import partition_for
from sinks.kafka import KafkaSink
from streams.errors import FatalSinkError
from streams.operators.outbox import OutboxRecord

TOPIC = "test.outbox.v1"
PARTITIONS = 3


@pytest.fixture
def sink(stack: EmbeddedStack) -> Iterator[KafkaSink]:
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    if TOPIC not in admin.list_topics():
        limit = {"max.message.bytes": str(2**20)}
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, topic_configs=limit)])
    admin.close()
    sending = KafkaSink(stack.kafka_bootstrap_servers, PARTITIONS, "test")
    yield sending
    sending.close()


def record(key: str, revision: int, value: bytes = b"{}") -> OutboxRecord:
    return OutboxRecord(TOPIC, key, f"{key}-{revision}", revision, value)


def test_records_of_a_key_arrive_in_their_order_on_the_partition_of_the_key(
    stack: EmbeddedStack, sink: KafkaSink
) -> None:
    keys = ["春季裂变", "organic:读书会🌱", "c"]
    sink.send_outbox([record(key, revision, str(revision).encode()) for revision in range(500) for key in keys])
    reader = KafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers, auto_offset_reset="earliest")
    reader.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
    found: dict[str, list[int]] = {}
    while sum(map(len, found.values())) < 500 * len(keys):
        for place, records in reader.poll(timeout_ms=1_000).items():
            for one in records:
                assert place.partition == partition_for(one.key, PARTITIONS)
                found.setdefault(one.key.decode(), []).append(int(one.value))
    reader.close()
    assert found == {key: list(range(500)) for key in keys}


@pytest.mark.parametrize("megabytes", [1.5, 3], ids=["for the topic", "for the producer"])
def test_a_record_too_large_stops_with_its_name_instead_of_being_tried_for_ever(
    sink: KafkaSink, megabytes: float
) -> None:
    with pytest.raises(FatalSinkError, match=rf"record c-7 of \d+ bytes is larger than {TOPIC} takes"):
        sink.send_outbox([record("c", 1), record("c", 7, b"x" * int(megabytes * 2**20)), record("c", 8)])
