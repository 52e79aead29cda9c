"""What dashboards are shown on: a simulated year that ends today, a worker, alert delivery, Prometheus over both.

Besides what the simulation brings, something of everything an SRE may meet happens: records that are broken, late, on
the wrong partition and in words nobody knows; a ClickHouse that does not answer for some seconds; a channel whose
receiver is away; members who leave just now; operators who judge alerts. So no panel has a reason to be empty.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
from kafka import KafkaProducer

from infra.embedded.kafka import HOST, free_port
from infra.embedded.stack import EmbeddedStack
from infra.grafana.asking import ClickHouseSource, PrometheusSource, Sources, span
from infra.grafana.substitution import Asked
from schemas.alerts import CommandRecord, encode
from schemas.partitioning import partition_for
from schemas.topics import COMMANDS, JOINS, MESSAGES
from streams.settings import Settings
from streams.simulation import Plan, write_feed
from streams.simulation.feed import rules_path
from streams.sources.feeder import feed_files
from streams.sources.ledger import FeedLedger
from tests.batches import event
from tests.fixtures_stack import BI_PASSWORD
from tests.forked import Forked, Running
from tests.operations.monitoring import Prometheus, scrape_all, wait_until
from tests.operations.relay import Relay, relay
from tests.pipeline import Pipeline
from tests.receivers import HttpReceiver, http_receiver

SCRAPE_SECONDS = 1
AWAY_SECONDS = 3
HOSTILE = "群'聊\\"
"""Id of a community that would end a string in SQL too early, and escape the quote that ends it."""


@dataclass(frozen=True)
class Scene:
    """What runs, and the span of time that there is something to see of. ClickHouse is asked as the user `bi`."""

    sources: Sources
    simulated: Plan
    begun: float
    pipeline: Pipeline

    def looking_at(self, dashboard: str) -> Asked:
        """The time range a person would choose: the simulated days, or since the worker began."""
        if dashboard == "pipeline":
            return span(int(self.begun), int(time.time()), SCRAPE_SECONDS)
        start = datetime.combine(self.simulated.start, datetime.min.time(), UTC)
        return span(int(start.timestamp()), int(time.time()))


@contextmanager
def dashboard_scene(
    stack: EmbeddedStack, folder: Path, plan: Plan, calm_seconds: float = 0, flush_max_events: int = 2_500
) -> Iterator[Scene]:
    """Play it all and keep it running; `calm_seconds` is a pause between acts, for uncrowded pictures.

    `flush_max_events` is small enough for a full buffer to hold fetching back now and then.
    """
    feed = folder / "feed.ndjson"
    write_feed(feed, plan)
    with http_receiver() as web, relay(stack.clickhouse_port) as wire:
        rules = _rules(feed, web)
        pipeline = Pipeline(stack, folder)
        worker_port, delivery_port = free_port(), free_port()
        settings = {
            "clock_mode": "live",
            "rules_file": rules,
            "clickhouse_port": wire.port,
            "flush_max_events": flush_max_events,
        }
        delivery = _start_delivery(stack, rules, folder / "deliver.log", delivery_port)
        clickhouse = clickhouse_connect.get_client(
            host=stack.clickhouse_host,
            port=stack.clickhouse_port,
            username="bi",
            password=BI_PASSWORD,
            autogenerate_session_id=False,
        )
        targets = {"qunpulse-worker": worker_port, "qunpulse-delivery": delivery_port}
        try:
            with Prometheus(folder / "prometheus", scrape_all(targets, SCRAPE_SECONDS)) as prometheus:
                begun = time.time()
                worker = pipeline.start_worker(metrics_port=worker_port, **settings)
                pipeline.wait_ready(worker)
                counted = "count(qunpulse_dead_lettered_records_total)"  # a rate is the difference of two looks
                wait_until(lambda: bool(prometheus.query(counted)), lambda: "Prometheus has not seen the worker")
                feed_files([feed], _settings(stack), FeedLedger(folder / "fed.json"))
                pipeline.wait_landed()
                time.sleep(calm_seconds)
                _odd_records(stack, pipeline, plan)
                time.sleep(calm_seconds)
                _clickhouse_away(wire, pipeline, worker)
                _leavers(pipeline)
                pipeline.wait_landed()
                _wait_told(web, clickhouse)
                _judge(pipeline)
                time.sleep(calm_seconds)
                pipeline.wait_landed()
                _wait_seen(prometheus)
                yield Scene(Sources(clickhouse, PrometheusSource(prometheus.url)), plan, begun, pipeline)
        finally:
            delivery.send_signal(signal.SIGTERM)
            delivery.wait(30)
            clickhouse.close()
            pipeline.close()


def plan_until_today(events: int, communities: int, days: int, seed: int = 7) -> Plan:
    """A plan of so many days that end today, with what goes wrong on the way."""
    start = datetime.now(UTC).date() - timedelta(days=days)
    return Plan(
        events=events,
        seed=seed,
        communities=communities,
        days=days,
        start=start,
        duplicates=0.01,
        out_of_order=0.02,
        broken=0.003,
    )


def _rules(feed: Path, web: HttpReceiver) -> Path:
    """The simulation's rules, one more community, and where alerts go: to people, and to a receiver that is away."""
    document: dict[str, Any] = json.loads(rules_path(feed).read_text(encoding="utf-8"))
    document["communities"][HOSTILE] = {"name": "名字带引号'的群", "timezone": "Asia/Shanghai"}
    document["alerts"] = document.get("alerts", {}) | {
        "channels": {
            "运营": {"url": web.url(), "per_minute": 6000},
            "away": {"url": f"json://{HOST}:{free_port()}/hook", "per_minute": 6000},
        },
        "routes": [{"channels": ["运营", "away"]}],
        "new_per_assignee_and_day": 10_000,
        "left": {"at_once_tiers": ["ordinary", "active", "key_opinion", "high_value"]},
    }
    path = feed.with_name("rules.yaml")
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def _settings(stack: EmbeddedStack) -> Settings:
    return Settings(
        kafka_bootstrap_servers=stack.kafka_bootstrap_servers,
        clickhouse_host=stack.clickhouse_host,
        clickhouse_port=stack.clickhouse_port,
    )


def _start_delivery(stack: EmbeddedStack, rules: Path, log: Path, port: int) -> Running:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "CLICKHOUSE_HOST": stack.clickhouse_host,
        "CLICKHOUSE_PORT": str(stack.clickhouse_port),
        "GROUP_ID": f"dashboards-{time.time_ns()}",
        "METRICS_PORT": str(port),
    }
    environment = os.environ | {f"QUNPULSE_{name}": value for name, value in settings.items()}
    return Forked(["alerts", "deliver", "--rules", str(rules)], environment, log)


def _odd_records(stack: EmbeddedStack, pipeline: Pipeline, plan: Plan) -> None:
    """Records that are late, misrouted, and in words outside the contract; and a community with a hostile id."""
    now_ms = time.time_ns() // 1_000_000
    community = str(
        pipeline.clickhouse.rows("SELECT community_id FROM qunpulse.communities ORDER BY members DESC LIMIT 1")[0][0]
    )
    long_ago = now_ms - plan.days * 86_400_000 // 2
    odd = [event("message", f"late-{n}", long_ago + n, community, member_id="迟到者") for n in range(40)]
    odd += [event("message", f"dance-{n}", now_ms - n, community, member_id="舞者", kind="跳舞") for n in range(40)]
    odd += [event("message", f"here-{n}", now_ms - n, HOSTILE, member_id=f"成员{n}") for n in range(40)]
    pipeline.send((MESSAGES, one) for one in odd)
    producer = KafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers)
    for n in range(20):
        stray = event("message", f"stray-{n}", now_ms - n, community, member_id="迷路者")
        elsewhere = (partition_for(community.encode(), pipeline.partitions) + 1) % pipeline.partitions
        producer.send(MESSAGES, key=community.encode(), value=json.dumps(stray).encode(), partition=elsewhere)
    producer.flush()
    producer.close()
    pipeline.wait_landed()


def _clickhouse_away(wire: Relay, pipeline: Pipeline, worker: Running) -> None:
    """The worker cannot reach ClickHouse for some seconds, while messages come in."""
    wire.cut()
    try:
        now_ms = time.time_ns() // 1_000_000
        waiting = [event("message", f"meanwhile-{n}", now_ms, "wecom:等待", member_id="m") for n in range(3_001)]
        # A flush that is under way takes along what is there: the first one must wait before the others come.
        pipeline.send([(MESSAGES, waiting[0])])
        pipeline.wait(
            lambda: pipeline.metrics(worker).sum("qunpulse_clickhouse_up_bool") == 0, "the worker misses no ClickHouse"
        )
        # More than may wait in memory for one flush, in one community: fetching is held back for as long.
        pipeline.send((MESSAGES, one) for one in waiting[1:])
        time.sleep(AWAY_SECONDS)
    finally:
        wire.mend()


def _leavers(pipeline: Pipeline) -> None:
    """Members join and leave just now: alerts that are told at once."""
    now_ms = time.time_ns() // 1_000_000
    for number, action in ((0, "joined"), (1, "left")):
        pipeline.send(
            (
                JOINS,
                event("join", f"{action}-{n}", now_ms + number, HOSTILE, member_id=f"离开者{n}", action=action)
                | {"platform": f"wecom{n}"},
            )
            for n in range(12)
        )


def _wait_told(web: HttpReceiver, clickhouse: ClickHouseSource) -> None:
    """Somebody has been told, and what the receiver that is away owes is known."""
    web.wait(lambda got: len(got) >= 5, seconds=60)
    failed = "SELECT count() FROM qunpulse.alert_deliveries WHERE outcome = 'failed'"
    wait_until(
        lambda: clickhouse.query(failed).result_rows[0][0] > 0,
        lambda: "no delivery to the receiver that is away failed",
    )


def _judge(pipeline: Pipeline) -> None:
    """Operators say of some alerts whether they were useful."""
    told = pipeline.clickhouse.rows(
        "SELECT alert_id, community_id FROM qunpulse.alerts WHERE state != 'expired' AND NOT replay AND community_id "
        "!= '' "
        "ORDER BY kind, alert_id LIMIT 2 BY kind"
    )
    commands = [
        CommandRecord(
            command_id=f"verdict-{number}",
            community_id=str(community_id),
            issued_at=time.time_ns() // 1_000_000,
            issued_by="王芳",
            action="verdict",
            alert_id=str(alert_id),
            verdict="noise" if number % 3 == 0 else "useful",
        )
        for number, (alert_id, community_id) in enumerate(told)
    ]
    pipeline.send_records((COMMANDS, one.community_id.encode(), encode(one)) for one in commands)


def _wait_seen(prometheus: Prometheus) -> None:
    """Until Prometheus has scraped what happened last, and often enough after it for rates."""
    enough = time.time() + 3 * SCRAPE_SECONDS
    wait_until(lambda: time.time() > enough, lambda: "time stands still")
    failing = 'max(qunpulse_alert_delivery_overdue_seconds{channel="away"}) > 0'
    wait_until(lambda: bool(prometheus.query(failing)), lambda: f"nothing is overdue: {prometheus.log()[-500:]}")
