"""The metrics file keeps its promises: names, help, bounded labels; and the HTTP face tells the truth."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import pytest
from prometheus_client import generate_latest

from schemas.refusals import CODES
from schemas.topics import OUTBOX_TOPICS, READ_TOPICS
from streams.errors import ConfigError
from streams.metrics import WorkerMetrics
from streams.observability import ObservabilityServer

NAME = re.compile(r"qunpulse_[a-z0-9_]+")
LABELS = {"topic", "partition", "code", "field", "stage", "table", "operator", "le", "version", "python"}


def _filled() -> WorkerMetrics:
    metrics = WorkerMetrics()
    metrics.records("community.messages.v1", "consumed").inc(10)
    metrics.records("community.messages.v1", "applied").inc(9)
    metrics.dead_letters("invalid_json").inc()
    metrics.sent_records("community.alerts.v1").inc(3)
    metrics.unknown_words("kind").inc()
    for partition in (0, 1):
        metrics.lag_records("community.messages.v1", partition).set(5)
        metrics.lag_seconds(partition).set(1.5)
        metrics.event_clock(partition).set(1_700_000_000)
        metrics.freshness_seconds(partition).set(0.5)
        metrics.imbalance_records("community.messages.v1", partition).set(0)
        metrics.claim_epoch(partition).set(3)
        metrics.paused(partition).set(0)
        metrics.checkpointed(partition)
    metrics.stage("decode").observe(0.01)
    metrics.insert_seconds("events").observe(0.2)
    metrics.insert_retries("events").inc()
    metrics.state_entries("members").set(7)
    return metrics


def test_every_metric_has_our_prefix_a_help_sentence_and_known_labels() -> None:
    families = list(_filled().registry.collect())
    assert len(families) > 20
    for family in families:
        assert NAME.fullmatch(family.name)
        assert len(family.documentation) > 15
        for sample in family.samples:
            assert set(sample.labels) <= LABELS


def test_a_partition_given_away_leaves_no_gauge_behind() -> None:
    metrics = _filled()
    metrics.forget_partition(1)
    metrics.forget_partition(1)
    text = generate_latest(metrics.registry).decode()
    assert 'partition="0"' in text
    assert 'partition="1"' not in text


def test_two_workers_metrics_in_one_process_do_not_mix() -> None:
    _filled()
    text = generate_latest(WorkerMetrics().registry).decode()
    assert 'qunpulse_consumed_records_total{topic="community.messages.v1"} 0.0' in text


def test_counters_of_closed_lists_begin_at_zero_so_that_the_first_records_show_as_a_rise() -> None:
    text = generate_latest(WorkerMetrics().registry).decode()
    for topic in READ_TOPICS:
        assert f'qunpulse_dead_lettered_records_total{{topic="{topic}"}} 0.0' in text
    for code in CODES:
        assert f'qunpulse_dead_letters_total{{code="{code}"}} 0.0' in text
    for topic in OUTBOX_TOPICS:
        assert f'qunpulse_sent_records_total{{topic="{topic}"}} 0.0' in text


def test_a_partition_given_away_takes_all_its_gauges_along() -> None:
    """Every gauge with a label `partition` is among those that `forget_partition` drops."""
    metrics = _filled()
    of_partitions = {
        family.name for family in metrics.registry.collect() for one in family.samples if "partition" in one.labels
    }
    assert len(of_partitions) == 8
    for partition in (0, 1):
        metrics.forget_partition(partition)
    assert not [one for family in metrics.registry.collect() for one in family.samples if "partition" in one.labels]


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_http_face_says_what_is_missing_and_that_the_loop_hangs() -> None:
    age, missing = [0.5], ["ClickHouse does not answer"]
    server = ObservabilityServer(_filled().registry, heartbeat_age=lambda: age[0], missing=lambda: missing, port=0)
    with server:
        assert _get(server.port, "/healthz")[0] == 200
        status, body = _get(server.port, "/readyz")
        assert (status, json.loads(body)) == (503, {"ready": False, "missing": missing})
        missing.clear()
        assert _get(server.port, "/readyz")[0] == 200
        age[0] = 3600.0
        assert _get(server.port, "/healthz")[0] == 503
        status, body = _get(server.port, "/metrics")
        assert status == 200
        assert 'qunpulse_applied_records_total{topic="community.messages.v1"} 9.0' in body
        assert _get(server.port, "/")[0] == 404


def test_a_taken_port_is_one_clear_sentence() -> None:
    registry = WorkerMetrics().registry
    with (
        ObservabilityServer(registry, heartbeat_age=lambda: 0, missing=list, port=0) as first,
        pytest.raises(ConfigError, match="set metrics_port to another port"),
    ):
        ObservabilityServer(registry, heartbeat_age=lambda: 0, missing=list, port=first.port).start()
