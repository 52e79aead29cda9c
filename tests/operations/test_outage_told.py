"""An outage of ClickHouse from end to end: it is told to whoever is on call, once, with its end, and loses nothing.

Broker, ClickHouse's engine, worker, alert delivery, Prometheus and Alertmanager are real processes; rules, routes and
inhibitions are those of infra/, with shorter durations (hastened.py). ClickHouse is stopped as an administrator stops
it, in the middle of the work, and started again on its data and port.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from ruamel.yaml import YAML

from infra.embedded.clickhouse import HOST, ClickHouseServer
from infra.embedded.kafka import free_port, is_free
from infra.embedded.stack import EmbeddedStack
from schemas.topics import MESSAGES
from streams.accounts import by_topic, read_books
from tests.batches import event
from tests.forked import Forked, Running
from tests.operations.hastened import INFRA, hastened, hastened_alertmanager, hastened_prometheus, hastened_rules
from tests.operations.monitoring import Alertmanager, Prometheus, program, wait_until
from tests.pipeline import Pipeline
from tests.receivers import Got, HttpReceiver, http_receiver

TOKEN = "Kanarienvogel-receiver"
TOLD = "ClickHouseInsertsFailing"
FOLLOWS = "LagGrowing"
"""Fires too, for a worker that cannot write falls behind; the inhibitions hold it back."""
RULES = INFRA / "compose" / "rules" / "rules.yaml"
MANY = 2_000
"""More than the worker of this test takes into memory: it holds on, and Kafka keeps the rest."""


@dataclass(frozen=True)
class Servers:
    """The shared broker, and a ClickHouse that this test may stop."""

    kafka_bootstrap_servers: str
    clickhouse_port: int
    clickhouse_host: str = HOST


@dataclass
class Scene:
    """Everything that docker-compose.yml starts, but Grafana; `fed` counts the events."""

    clickhouse: ClickHouseServer
    pipeline: Pipeline
    worker: Running
    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: HttpReceiver
    fed: int = 0

    def feed(self, number: int) -> None:
        """Messages of 20 communities, of an hour ago: what is not landed of them is late enough to be told."""
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        self.pipeline.send(
            (MESSAGES, event("message", f"e{n}", start_ms + n, f"群{n % 20}", member_id=f"王芳{n % 50}"))
            for n in range(self.fed, self.fed + number)
        )
        self.fed += number

    def firing(self) -> set[str]:
        """Alerts that fire in Prometheus."""
        return {one["labels"]["alertname"] for one in self.prometheus.alerts() if one["state"] == "firing"}

    def held_back(self) -> set[str]:
        """Alerts that Alertmanager knows of and tells nobody, since another one says it already."""
        return {one["labels"]["alertname"] for one in self.alertmanager.alerts() if one["status"]["inhibitedBy"]}

    def state(self) -> str:
        """For whoever reads why the test failed."""
        log = self.pipeline.log_of(self.worker)[-2000:]
        scraped = [(one["labels"]["job"], one["health"], one["lastError"]) for one in self.prometheus.targets()]
        return f"scraped: {scraped}, fires: {self.firing()}, held back: {self.held_back()}, worker:\n{log}"


@pytest.fixture
def scene(stack: EmbeddedStack, tmp_path: Path) -> Iterator[Scene]:
    for name in ("prometheus", "alertmanager"):
        program(name)
    with ExitStack() as ended, http_receiver() as receiver:
        clickhouse = ClickHouseServer(tmp_path / "data", _lasting_port())
        clickhouse.start()
        ended.callback(clickhouse.stop)
        servers = Servers(stack.kafka_bootstrap_servers, clickhouse.port)
        pipeline = Pipeline(servers, tmp_path)
        ended.callback(pipeline.close)
        ports = {"worker": free_port(), "alerts": free_port()}
        worker = pipeline.start_worker(
            metrics_port=ports["worker"], clock_mode="live", rules_file=RULES,
            flush_max_events=MANY // 10, batch_max_records=MANY // 10, buffer_max_records=MANY // 10,
        )  # fmt: skip
        delivery = _start_delivery(servers, ports["alerts"], receiver, tmp_path / "delivery.log")
        ended.callback(delivery.wait)
        ended.callback(delivery.kill)
        alertmanager = ended.enter_context(hastened_alertmanager(tmp_path / "alertmanager", receiver.port, TOKEN))
        pipeline.wait_ready(worker)
        wait_until(lambda: _delivers(ports["alerts"]), (tmp_path / "delivery.log").read_text)
        prometheus = ended.enter_context(hastened_prometheus(tmp_path / "prometheus", ports, alertmanager))
        prometheus.wait_scraped()
        prometheus.follow_rules(hastened_rules())
        prometheus.wait_heard()  # it forgets whom it knows when it reads its configuration again
        yield Scene(clickhouse, pipeline, worker, prometheus, alertmanager, receiver)


def _lasting_port() -> int:
    """A free port that no outgoing connection is given, here or on other systems, while the server is away."""
    return next(port for port in random.sample(range(20_000, 32_000), 100) if is_free(port))


def _start_delivery(servers: Servers, port: int, receiver: HttpReceiver, log: Path) -> Running:
    settings = {
        "QUNPULSE_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "QUNPULSE_CLICKHOUSE_HOST": servers.clickhouse_host,
        "QUNPULSE_CLICKHOUSE_PORT": str(servers.clickhouse_port),
        "QUNPULSE_GROUP_ID": f"outage-{time.time_ns()}",
        "QUNPULSE_METRICS_PORT": str(port),
        "QUNPULSE_RULES_FILE": str(RULES),
        "ALERT_URL": receiver.url("alerts"),
    }
    return Forked(["alerts", "deliver"], os.environ | settings, log)


def _delivers(port: int) -> bool:
    with suppress(requests.ConnectionError):
        return (
            "\nqunpulse_alert_delivery_active_bool 1.0" in requests.get(f"http://{HOST}:{port}/metrics", timeout=5).text
        )
    return False


def _told(got: list[Got]) -> list[tuple[str, str]]:
    """Which alerts the receivers of Alertmanager were told of, and whether they fire."""
    return [
        (alert["labels"]["alertname"], alert["status"])
        for one in got
        if one.path in {"/page", "/ticket"}
        for alert in one.body["alerts"]
    ]


def _to_be_held_back() -> set[str]:
    """Alerts that infra/alertmanager holds back while an outage of ClickHouse is told."""
    rules = YAML(typ="safe").load((INFRA / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    following = [rule["target_matchers"] for rule in rules["inhibit_rules"] if TOLD in str(rule["source_matchers"])]
    return set(re.findall(r"[A-Z]\w+", str(following)))


def test_an_outage_is_told_once_with_its_end_and_no_event_is_lost(scene: Scene) -> None:
    scene.feed(MANY)
    scene.pipeline.wait_landed()
    assert not scene.pipeline.missing(scene.worker)
    assert TOLD not in scene.firing(), scene.state()

    port = scene.clickhouse.port
    scene.feed(MANY)  # not waited for: the server stops in the middle of it
    scene.clickhouse.stop()
    assert scene.clickhouse.process.exit_code is not None
    scene.feed(MANY)
    got = scene.receiver.wait(lambda got: (TOLD, "firing") in _told(got), seconds=60)
    assert scene.pipeline.missing(scene.worker) == ["ClickHouse does not answer"]
    (page,) = [one for one in got if (TOLD, "firing") in _told([one])]
    assert page.path == "/page"
    assert page.authorization == f"Bearer {TOKEN}"
    (alert,) = page.body["alerts"]
    assert alert["labels"]["severity"] == "page"
    assert alert["annotations"]["runbook"] == "infra/runbooks/clickhouse-inserts-failing.md"
    assert "events wait in Kafka, nothing is lost" in alert["annotations"]["summary"]
    log = scene.pipeline.log_of(scene.worker)
    assert "clickhouse_waited_for: rows wait for ClickHouse, try 2 in" in log
    assert "urllib3" not in log

    scene.feed(MANY)  # more than is taken into memory: Kafka keeps it, and the worker falls behind
    wait_until(lambda: {TOLD, FOLLOWS} <= scene.firing() and FOLLOWS in scene.held_back(), scene.state)
    told = _told(scene.receiver.got)
    assert FOLLOWS in _to_be_held_back()
    assert not _to_be_held_back() & {name for name, _ in told}
    assert told.count((TOLD, "firing")) == 1, told
    scene.clickhouse.start()
    assert scene.clickhouse.port == port
    scene.feed(MANY)
    scene.receiver.wait(lambda got: (TOLD, "resolved") in _told(got), seconds=60)
    scene.pipeline.wait_landed()
    wait_until(lambda: not scene.pipeline.missing(scene.worker), scene.state)
    assert scene.worker.poll() is None

    account = by_topic(read_books(scene.pipeline.clickhouse))[MESSAGES]
    assert account.counters() == {
        "consumed": scene.fed, "applied": scene.fed, "duplicate": 0, "late": 0, "dead_lettered": 0, "misrouted": 0,
    }  # fmt: skip
    assert account.balanced
    landed = scene.pipeline.clickhouse.rows(
        "SELECT count(), uniqExact(event_id) FROM qunpulse.events UNION ALL "
        "SELECT sum(messages), sum(messages) FROM qunpulse.activity_1d"
    )
    assert [tuple(map(int, row)) for row in landed] == [(scene.fed, scene.fed)] * 2


def test_nothing_but_durations_is_changed_to_hasten_it() -> None:
    text = "for: 2m\nexpr: rate(x[10m]) > bool 60 and qunpulse:stale:ratio_5m > 14.4 * 0.01  # 60 seconds, 15s"
    assert hastened(text) == (
        "for: 2000ms\nexpr: rate(x[10000ms]) > bool 60 and qunpulse:stale:ratio_5m > 14.4 * 0.01  # 60 seconds, 250ms"
    )
