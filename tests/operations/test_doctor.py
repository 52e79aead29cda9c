"""`qunpulse doctor` on a real stack: healthy, and with each fault really made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions
from typer.testing import CliRunner

from infra.embedded.kafka import free_port
from infra.embedded.stack import EmbeddedStack
from schemas.topics import ALERTS, DEADLETTERS, EVENT_TOPICS, JOINS, MESSAGES, ORDERS, topic_specs
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.accounts import Account, PartitionAccount
from streams.cli.main import app
from streams.doctor import clickhouse as clickhouse_checks
from streams.doctor import kafka as kafka_checks
from streams.doctor.claims import Held, look_at_claims
from streams.kafka_cluster import KafkaCluster, Span
from streams.settings import Settings
from tests.command_line import CommandLine
from tests.pipeline import PARTITIONS, Pipeline

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Doctor:
    """`qunpulse doctor` as a user calls it, on the stack of the tests."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._run = CommandLine("--data", str(stack.data_dir)).run

    def findings(self, exit_code: int | None) -> dict[str, dict[str, str]]:
        """What it found, by what it looked at; None: whatever that is."""
        answer = self._run("doctor", "--json")
        assert answer.code == (exit_code if exit_code is not None else answer.code), answer
        report = json.loads(answer.stdout)
        assert report["healthy"] is (answer.code == 0)
        return {finding["check"]: finding for finding in report["findings"]}

    def wrong(self, exit_code: int | None = 1) -> dict[str, str]:
        """What is wrong, with its advice."""
        found = {check: one for check, one in self.findings(exit_code).items() if one["state"] == "wrong"}
        assert all(one["advice"] for one in found.values())
        return {check: f"{one['says']} → {one['advice']}" for check, one in found.items()}

    def text(self, exit_code: int = 0) -> str:
        """What a person reads."""
        answer = self._run("doctor")
        assert answer.code == exit_code, answer
        return answer.stdout


@pytest.fixture
def doctor(stack: EmbeddedStack) -> Doctor:
    return Doctor(stack)


@contextmanager
def _admin(stack: EmbeddedStack) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    yield admin
    admin.close()


def test_a_healthy_stack_is_healthy_and_a_killed_worker_leaves_a_stale_claim(
    pipeline: Pipeline, stack: EmbeddedStack, doctor: Doctor
) -> None:
    worker = pipeline.start_worker(group_id="qunpulse", worker_id="worker 群", session_timeout_seconds=2)
    pipeline.send_records([(MESSAGES, "群".encode(), b"{broken")])
    pipeline.wait_consumed(1)
    pipeline.wait_ready(worker)
    found = doctor.findings(0)
    assert {one["state"] for one in found.values()} == {"ok"}, found
    assert {f"topic {spec.name}" for spec in topic_specs(PARTITIONS)} <= found.keys()
    assert {"Kafka", "ClickHouse version", "ClickHouse settings", "migrations", "unread records", "workers"} <= (
        found.keys()
    )
    assert found["claims"]["says"] == "worker 群 holds 0, 1, 2, 3"
    assert "kept 90 days" in found[f"topic {MESSAGES}"]["says"]
    assert "not in the future" in found["clock of Kafka"]["says"]
    assert any(check.startswith("data folder ") for check in found)
    assert any(check.startswith("ClickHouse disk ") for check in found)
    text = doctor.text()
    assert all(line.startswith("OK") for line in text.splitlines()), text
    assert "worker 群 holds 0, 1, 2, 3" in text

    worker.kill()
    deadline = time.monotonic() + 60
    while not _gone(stack):
        assert time.monotonic() < deadline, "Kafka keeps a killed worker in its group"
        time.sleep(0.2)
    stale = doctor.wrong()["claims"]
    assert "worker 群 holds 0, 1, 2, 3, but no worker is in the group" in stale
    assert "start a worker" in stale
    pipeline.clickhouse.command("TRUNCATE TABLE qunpulse_store.claims")
    assert "no partition is held" in doctor.findings(0)["claims"]["says"]
    assert "LOOK   workers: nobody is in the consumer group qunpulse" in doctor.text()


def _gone(stack: EmbeddedStack) -> bool:
    with KafkaCluster(stack.kafka_bootstrap_servers) as cluster:
        return cluster.group("qunpulse")[1] == 0


def test_each_fault_of_a_topic_is_named_with_what_to_do(
    pipeline: Pipeline, stack: EmbeddedStack, doctor: Doctor
) -> None:
    assert pipeline.partitions == PARTITIONS
    with _admin(stack) as admin:
        admin.delete_topics([ORDERS])
        admin.create_partitions({JOINS: NewPartitions(PARTITIONS + 2)})
        for topic, config in {
            MESSAGES: {"retention.ms": "3600000", "message.timestamp.type": "CreateTime"},
            ALERTS: {"cleanup.policy": "delete"},
            DEADLETTERS: {"max.message.bytes": "1000"},
        }.items():
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    faults = {f"topic {topic}" for topic in (ORDERS, JOINS, MESSAGES, ALERTS, DEADLETTERS)}
    deadline = time.monotonic() + 30
    # The broker answers before it has carried a change out: settings and leaders of new partitions come a moment later.
    while (wrong := doctor.wrong(None)).keys() != faults:
        assert time.monotonic() < deadline, wrong
    assert wrong[f"topic {ORDERS}"] == "it does not exist → create the topics with `qunpulse topics apply`"
    assert "it has 6 partitions, the setting `partitions` says 4" in wrong[f"topic {JOINS}"]
    assert "retention.ms is 3600000 instead of 7776000000" in wrong[f"topic {MESSAGES}"]
    assert "message.timestamp.type is CreateTime instead of LogAppendTime" in wrong[f"topic {MESSAGES}"]
    assert "cleanup.policy is delete instead of compact" in wrong[f"topic {ALERTS}"]
    assert "max.message.bytes is 1000 instead of 2097152" in wrong[f"topic {DEADLETTERS}"]
    assert "`qunpulse topics apply` sets it right" in wrong[f"topic {DEADLETTERS}"]
    assert f"WRONG  topic {ORDERS}: it does not exist\n       → create the topics" in doctor.text(1)
    with _admin(stack) as admin:  # the advice is followed, as far as it goes
        admin.delete_topics([JOINS])
    command = CommandLine("--data", str(stack.data_dir))
    command("topics", "apply")
    assert doctor.findings(0)[f"topic {MESSAGES}"]["state"] == "ok"


def test_records_that_kafka_deleted_unread_are_counted(
    pipeline: Pipeline, stack: EmbeddedStack, doctor: Doctor
) -> None:
    key = "群".encode()
    worker = pipeline.start_worker(group_id="qunpulse")
    pipeline.send_records([(MESSAGES, key, b"{broken")])
    pipeline.wait_consumed(1)
    worker.terminate()
    assert worker.wait(30) == 0
    pipeline.send_records([(MESSAGES, key, b"{broken")] * 5)
    with KafkaCluster(stack.kafka_bootstrap_servers) as cluster, _admin(stack) as admin:
        (place,) = (place for place, span in cluster.spans([MESSAGES]).items() if span.end)
        admin.delete_records({TopicPartition(*place): 4})
    assert f"3 of {MESSAGES} partition {place[1]}" in doctor.wrong()["unread records"]


def test_missing_migrations_and_views_are_named_and_an_older_release_says_so(
    pipeline: Pipeline, doctor: Doctor
) -> None:
    ch = pipeline.clickhouse
    ch.command("ALTER TABLE qunpulse_store.migrations DELETE WHERE name = 'accounting'", settings={"mutations_sync": 1})
    try:
        assert "not applied: view accounting → apply them with `qunpulse migrate`" in doctor.wrong()["migrations"]
        ch.command("INSERT INTO qunpulse_store.migrations VALUES ('migration', '9999_of_tomorrow', 'x', now64(6))")
        assert "9999_of_tomorrow" in doctor.wrong()["migrations"]
    finally:
        ch.command("ALTER TABLE qunpulse_store.migrations DELETE WHERE checksum = 'x'", settings={"mutations_sync": 1})
        migrate(ch)
    assert doctor.findings(0)["migrations"]["state"] == "ok"


def test_a_view_that_hangs_on_the_state_is_found(pipeline: Pipeline, doctor: Doctor) -> None:
    ch = pipeline.clickhouse
    ch.command(
        "CREATE MATERIALIZED VIEW default.copy_of_state ENGINE = MergeTree ORDER BY key "
        "AS SELECT key FROM qunpulse_store.state"
    )
    try:
        assert "default.copy_of_state → drop them" in doctor.wrong()["ClickHouse settings"]
    finally:
        ch.command("DROP TABLE default.copy_of_state")


def test_nothing_listening_is_one_clear_line_each(tmp_path: Path) -> None:
    addresses = {
        "QUNPULSE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "QUNPULSE_CLICKHOUSE_HOST": "127.0.0.1",
        "QUNPULSE_CLICKHOUSE_PORT": str(free_port()),
    }
    answer = subprocess.run(  # a process of its own: kafka-python leaves sockets open when nobody answers
        [sys.executable, "-m", "streams.cli.main", "doctor"],
        env=os.environ | addresses, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 1
    lines = answer.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[::2]] == ["WRONG  Kafka", "WRONG  ClickHouse"]
    assert answer.stderr == ""
    assert "kafka_bootstrap_servers" in lines[0] + lines[1]
    assert "clickhouse_port" in lines[2] + lines[3]


def test_a_data_folder_on_which_nothing_runs_says_how_to_start_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "数据"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["doctor", "--data", str(folder), "--json"])
    assert answer.exit_code == 1
    (stack,) = (one for one in json.loads(answer.stdout)["findings"] if one["state"] == "wrong")
    assert stack["says"] == f"nothing runs in {folder}"
    assert f"qunpulse up --data {folder}" in stack["advice"]


# -- what cannot be made on one machine: other clocks, full disks, settings that a server forbids ---------------------


@pytest.fixture
def store(stack: EmbeddedStack) -> Iterator[ClickHouse]:
    clickhouse = ClickHouse.connect(stack.clickhouse_host, stack.clickhouse_port)
    yield clickhouse
    clickhouse.close()


@pytest.mark.parametrize(("off_by", "direction"), [(30.0, "behind"), (-30.0, "ahead of")])
def test_a_clock_that_differs_from_clickhouse_is_wrong(store: ClickHouse, off_by: float, direction: str) -> None:
    finding = clickhouse_checks.look_at_clock(store, lambda: time.time() + off_by)
    assert finding.state == "wrong"
    assert f"s {direction} this machine's" in finding.says
    assert clickhouse_checks.look_at_clock(store).state == "ok"


def test_an_append_time_in_the_future_shows_a_wrong_clock(pipeline: Pipeline, stack: EmbeddedStack) -> None:
    with KafkaCluster(stack.kafka_bootstrap_servers) as cluster:
        assert kafka_checks.look_at_clock(cluster).state == "skipped"
        pipeline.send_records([(MESSAGES, b"c", b"{broken")])
        assert kafka_checks.look_at_clock(cluster).state == "ok"
        assert "2 hours ago" in kafka_checks.look_at_clock(cluster, lambda: time.time() + 7300).says
        finding = kafka_checks.look_at_clock(cluster, lambda: time.time() - 60)
    assert finding.state == "wrong"
    assert "NTP" in finding.advice


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(50 << 30, 100 << 30, "ok"), (9 << 30, 100 << 30, "wrong"), (1 << 30, 4 << 30, "wrong"), (0, 1 << 63, "ok")],
)
def test_a_disk_with_little_left_is_wrong(free: int, total: int, state: str) -> None:
    assert clickhouse_checks.judge_disk("disk", free, total).state == state


def test_settings_that_a_server_forbids_are_named() -> None:
    judge = clickhouse_checks.judge_settings
    free = [("readonly", "0", None, None, 0), ("async_insert", "1", None, None, 0)]
    assert judge(free, []).state == "ok"
    assert "may only read" in judge([("readonly", "2", None, None, 0)], []).says
    assert "async_insert (must be 0)" in judge([("async_insert", "1", None, None, 1)], []).says
    assert judge([("async_insert", "0", None, None, 1)], []).state == "ok", "fixed, but as it must be"
    rows = [("max_insert_block_size", "1048576", "", "65536", 0)]
    assert "max_insert_block_size" in judge(rows, []).says


def test_a_partition_that_stands_still_with_a_backlog_is_stuck() -> None:
    def books(age: timedelta) -> dict[tuple[str, int], PartitionAccount]:
        return {(MESSAGES, 0): PartitionAccount(Account(), 10, None, NOW - age)}

    held, spans = {0: Held("worker-1", released=False)}, {(MESSAGES, 0): Span(0, 30)}
    settings = Settings(partitions=1)
    (fine,) = look_at_claims(held, books(timedelta(seconds=20)), spans, 1, NOW, settings)
    assert (fine.state, fine.says) == ("ok", "worker-1 holds 0")
    _, stuck = look_at_claims(held, books(timedelta(minutes=7)), spans, 1, NOW, settings)
    assert stuck.state == "wrong"
    assert "20 records wait and worker-1 has checkpointed nothing for 7 minutes" in stuck.says
    (landed,) = look_at_claims(held, books(timedelta(days=7)), {(MESSAGES, 0): Span(0, 10)}, 1, NOW, settings)
    assert landed.state == "ok", "a quiet feed is no stuck one"
    (nobody,) = look_at_claims({}, {}, spans, 1, NOW, settings)
    assert (nobody.state, nobody.says) == ("warning", "nobody holds partitions 0")
    assert len(EVENT_TOPICS) == 4
