"""The services of docker-compose.yml with their own configuration and commands, as processes of this machine.

Kafka's environment is turned into a configuration by the image's own program and run by the real broker of the same
version. Our services run their own commands with their own environment, in the order of `depends_on`.
What differs: addresses and ports, and the users of ClickHouse, which the embedded engine does not have.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from chdb import engine_version
from kafka import KafkaProducer
from ruamel.yaml import YAML

from infra.embedded import guard
from infra.embedded.child import ChildProcess
from infra.embedded.clickhouse import ClickHouseServer
from infra.embedded.java import find_java
from infra.embedded.kafka import HOST, answers, free_port
from infra.embedded.maven import KAFKA_VERSION, kafka_jars
from infra.grafana.panels import RUNBOOKS
from schemas.topics import MESSAGES
from sinks.clickhouse import ClickHouse
from streams.doctor.clickhouse import TESTED_VERSION
from tests.pipeline import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
STOP_SECONDS = 60  # stop_grace_period


def _given(text: object, variables: Mapping[str, str]) -> str:
    """A value with its variables filled in, with their defaults where there are none."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda match: variables.get(match[1]) or match[2] or "", str(text))


def test_images_are_of_the_versions_that_the_tests_run_on() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    line = ".".join(engine_version.split(".")[:2])
    for name in ("clickhouse", "users"):
        assert SERVICES[name]["image"].startswith(f"clickhouse/clickhouse-server:{line}."), engine_version
    assert ".".join(map(str, TESTED_VERSION)) == line


def test_prometheus_scrapes_and_tells_the_services_that_there_are() -> None:
    folder = ROOT / "infra" / "prometheus"
    configuration = YAML(typ="safe").load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    for job in configuration["scrape_configs"]:
        for found in job["dns_sd_configs"]:
            for name in found["names"]:
                assert SERVICES[name]["healthcheck"]["test"][-1] == str(found["port"]), "/metrics and /healthz share it"
    (told,) = configuration["alerting"]["alertmanagers"][0]["static_configs"]
    for target in told["targets"]:
        name, _, port = target.partition(":")
        assert any(published.endswith(f":{port}") for published in SERVICES[name]["ports"])


def test_grafana_is_given_what_its_data_sources_ask_for() -> None:
    provisioning = ROOT / "infra" / "grafana" / "provisioning"
    (sources,) = (provisioning / "datasources").glob("*.y*ml")
    asked = set(re.findall(r"\$(QUNPULSE_\w+)", sources.read_text(encoding="utf-8")))
    assert asked
    environment = SERVICES["grafana"]["environment"]
    assert asked == {name for name in environment if name.startswith("QUNPULSE_")}
    address = environment["QUNPULSE_PROMETHEUS_URL"].removeprefix("http://")
    assert address.partition(":")[0] in SERVICES
    assert environment["QUNPULSE_CLICKHOUSE_HOST"] in SERVICES
    (provider,) = (provisioning / "dashboards").glob("*.y*ml")
    path = YAML(typ="safe").load(provider.read_text(encoding="utf-8"))["providers"][0]["options"]["path"]
    assert f"./infra/grafana:{path}:ro" in SERVICES["grafana"]["volumes"]
    assert list((ROOT / "infra" / "grafana").glob("*.json"))
    assert f"./infra/runbooks:/usr/share/grafana{RUNBOOKS}:ro" in SERVICES["grafana"]["volumes"], "panels link there"


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """The port of this machine that stands for each one of Kafka's in the file."""
    return {port: free_port() for port in ("9092", "9093", "19092")}


def _kafka_environment(ports: Mapping[str, int], data: Path) -> dict[str, str]:
    environment = {}
    for name, value in SERVICES["kafka"]["environment"].items():
        text = _given(value, {}).replace("/var/lib/kafka/data", str(data))
        if name in {"KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_CONTROLLER_QUORUM_VOTERS"}:
            text = text.replace("//:", f"//{HOST}:").replace("kafka:", f"{HOST}:")
            text = re.sub(r":(\d+)(?=,|$)", lambda match: f":{ports[match[1]]}", text)
        environment[name] = text
    return environment


@pytest.fixture(scope="module")
def kafka(ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The broker with the file's configuration; its address is that of the EXTERNAL listener."""
    folder = tmp_path_factory.mktemp("kafka")
    for name in ("default", "mounted", "final", "data"):
        (folder / name).mkdir()
    for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        (folder / "default" / name).touch()
    environment = _kafka_environment(ports, folder / "data")
    heap = environment["KAFKA_HEAP_OPTS"].split()
    java, jars = find_java(), ":".join(map(str, kafka_jars()))
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    setting_up = subprocess.run(
        [java.path, *quick, "-cp", jars, "kafka.docker.KafkaDockerWrapper", "setup"]
        + [f"--{name}-configs-dir={folder / name}" for name in ("default", "mounted", "final")],
        env={"PATH": os.environ["PATH"]} | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert setting_up.returncode == 0, setting_up.stdout + setting_up.stderr
    properties = folder / "final" / "server.properties"
    broker = ChildProcess(
        "the broker of docker-compose.yml",
        [sys.executable, "-I", "-S", guard.__file__, java.path, *heap, *quick, "-cp", jars, "kafka.Kafka", properties],
        folder / "kafka.log",
    )
    try:
        broker.wait_until(lambda: answers(HOST, ports["9092"]), 120)
        yield f"{HOST}:{ports['19092']}"
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), 0)
    server.start()
    yield server
    server.stop()


Environment = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def environment(kafka: str, ports: dict[str, int], clickhouse: ClickHouseServer) -> Environment:
    """What a service of ours is given, with the addresses of this machine."""
    assert kafka

    def of(service: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("QUNPULSE_")}
        variables = {"ALERT_URL": "json://127.0.0.1:9/alerts", "QUNPULSE_WRITER_PASSWORD": "w"}
        given = {name: _given(value, variables) for name, value in SERVICES[service]["environment"].items()}
        (rules,) = (one for one in SERVICES[service]["volumes"] if one.endswith(":/etc/qunpulse:ro"))
        folder = _given(rules.removesuffix(":/etc/qunpulse:ro"), {})
        assert given["QUNPULSE_KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
        assert given["QUNPULSE_CLICKHOUSE_HOST"] == "clickhouse"
        return own | given | {
            "QUNPULSE_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{ports['9092']}",
            "QUNPULSE_CLICKHOUSE_HOST": HOST,
            "QUNPULSE_CLICKHOUSE_PORT": str(clickhouse.port),
            "QUNPULSE_CLICKHOUSE_USER": "default",
            "QUNPULSE_CLICKHOUSE_PASSWORD": "",
            "QUNPULSE_RULES_FILE": given["QUNPULSE_RULES_FILE"].replace("/etc/qunpulse", str(ROOT / folder)),
            "QUNPULSE_METRICS_PORT": str(free_port()),
        }  # fmt: skip

    return of


def _command(service: str) -> list[str]:
    return [sys.executable, "-m", "streams.cli.main", *SERVICES[service]["command"]]


def _alive(port: str) -> int:
    """The health check of the file."""
    check, program, *arguments, _ = SERVICES["worker"]["healthcheck"]["test"]
    assert (check, program) == ("CMD", "python")
    return subprocess.run([sys.executable, *arguments, port], capture_output=True, check=False).returncode


def _wait(done: Callable[[], bool], said: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def test_its_services_run_in_their_order_and_take_an_event_from_outside(
    kafka: str, environment: Environment, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    for service in ("topics", "migrate"):
        done = subprocess.run(_command(service), env=environment(service), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (service, done.stderr)
        assert done.stdout.strip(), service
    with ExitStack() as ended:
        running: dict[str, tuple[subprocess.Popen[bytes], Path, str]] = {}
        for name in ("worker", "worker 2", "alerts"):  # as with --scale worker=2
            service = name.split()[0]
            given, log = environment(service), tmp_path / f"{name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(_command(service), env=given, stdout=output, stderr=output)
            ended.callback(process.wait)
            ended.callback(process.kill)
            running[name] = process, log, given["QUNPULSE_METRICS_PORT"]
        for process, log, port in running.values():
            _wait(lambda port=port: _alive(port) == 0, log.read_text)  # type: ignore[misc]
            assert process.poll() is None
        producer = KafkaProducer(bootstrap_servers=kafka)
        producer.send(MESSAGES, key="群".encode(), value=b"{broken").get(30)
        producer.close()
        _wait(lambda: _consumed(clickhouse) == 1, running["worker"][1].read_text)
        for process, _, _ in running.values():
            process.send_signal(signal.SIGTERM)
        for name, (process, log, _) in running.items():
            assert process.wait(STOP_SECONDS) == 0, log.read_text()
            for line in log.read_text().splitlines():
                assert json.loads(line)["level"] in {"info", "warning"}, (name, line)


def _consumed(clickhouse: ClickHouseServer) -> int:
    connected = ClickHouse.connect(HOST, clickhouse.port)
    try:
        return int(connected.scalar("SELECT sum(consumed) FROM qunpulse.accounting") or 0)
    finally:
        connected.close()


def test_a_health_check_of_nobody_fails() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        assert _alive(str(taken.getsockname()[1])) == 1
