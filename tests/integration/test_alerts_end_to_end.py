"""`qunpulse alerts` as processes and people use it: real Kafka, real ClickHouse, a real receiver, SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from infra.embedded.kafka import free_port
from infra.embedded.stack import EmbeddedStack
from schemas.alerts import AlertRecord, CommandRecord, decode_command, encode
from schemas.partitioning import partition_for
from schemas.topics import ALERTS, COMMANDS, topic_specs
from sinks.clickhouse import ClickHouse
from sinks.schema import ALERT_DELIVERIES, ALERT_VERDICTS, STORE
from streams.kafka_cluster import KafkaCluster
from tests.alerts import alert
from tests.alerts import landed as landed_rows
from tests.command_line import CommandLine
from tests.forked import Forked
from tests.receivers import HttpReceiver, Reply, http_receiver

PARTITIONS = 4
ACTIVE = "qunpulse_alert_delivery_active_bool 1.0"
TOKEN = "tok3n-der-Gruppe"
RULES = """
alerts:
  channels:
    ops: {url: "json://127.0.0.1:PORT/${ROBOT_TOKEN}", timeout_seconds: 5}
  routes: [{channels: [ops]}]
  new_per_assignee_and_day: 1000
"""


@pytest.fixture(scope="module")
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def topics(stack: EmbeddedStack) -> EmbeddedStack:
    with KafkaCluster(stack.kafka_bootstrap_servers) as cluster:
        cluster.apply([spec for spec in topic_specs(PARTITIONS) if spec.name in (ALERTS, COMMANDS)])
    return stack


class Delivery:
    """`qunpulse alerts deliver` as a process."""

    def __init__(self, stack: EmbeddedStack, rules: Path, group: str, log: Path, *options: str) -> None:
        self.port = free_port()
        self.log = log
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
            "CLICKHOUSE_HOST": stack.clickhouse_host,
            "CLICKHOUSE_PORT": stack.clickhouse_port,
            "GROUP_ID": group,
            "RULES_FILE": rules,
            "METRICS_PORT": self.port,
            "SESSION_TIMEOUT_SECONDS": 6,
            "LOG_LEVEL": "debug",
        }
        environment = os.environ | {"ROBOT_TOKEN": TOKEN} | {f"QUNPULSE_{k}": str(v) for k, v in settings.items()}
        self.process = Forked(["alerts", "deliver", *options], environment, log)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def end(self, number: int) -> int:
        """Signal it and wait; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def send(stack: EmbeddedStack, alerts: Iterable[AlertRecord]) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers)
    for one in alerts:
        key = one.alert_id.encode()
        producer.send(ALERTS, key=key, value=encode(one), partition=partition_for(key, PARTITIONS))
    producer.flush()
    producer.close()


def told_of(web: HttpReceiver) -> list[str]:
    return [word for one in web.taken for word in one.text.split() if word.startswith("silent-")]


@pytest.mark.parametrize(
    "how",
    [pytest.param(signal.SIGKILL, id="killed"), pytest.param(signal.SIGSTOP, id="paused", marks=pytest.mark.long)],
)
def test_the_process_that_stands_by_takes_over_and_repeats_at_most_the_message_that_was_underway(
    topics: EmbeddedStack, store: ClickHouse, web: HttpReceiver, tmp_path: Path, how: signal.Signals
) -> None:
    rules, log = tmp_path / "rules.yaml", tmp_path / "deliver.log"
    rules.write_text(RULES.replace("PORT", str(web.port)), encoding="utf-8")
    group = f"delivery-{time.time_ns()}"
    facts = range(int(how) * 100, int(how) * 100 + 12)
    told = [alert(fact=n, community_id=f"wecom:群{n}", member_id=f"m{n}") for n in facts]
    replayed = alert(fact=99, community_id="wecom:历史", replay=True)
    store.insert_arrow(ALERT_DELIVERIES, pa.table({"community_id": ["wecom:坏了"]}))  # damaged: it holds nobody up
    web.got.clear()
    seen: set[str] = set()

    # Every third one is refused at first, so that when it ends something is owed, something told, something underway.
    def script(got: Any) -> Reply:
        first_time = got.key not in seen
        seen.add(got.key)
        return Reply(429, {"Retry-After": "0"}) if first_time and len(seen) % 3 == 0 else Reply()

    web.script = script
    first = Delivery(topics, rules, group, log)
    second = None
    try:
        _until(lambda: ACTIVE in first.metrics())
        second = Delivery(topics, rules, group, log)
        _until(lambda: _ready(second))
        assert ACTIVE not in second.metrics()
        send(topics, [*told, replayed])
        web.wait(lambda got: sum(one.acknowledged for one in got) >= 3, 60)
        first.process.send_signal(how)
        before = len(told_of(web))
        web.wait(lambda got: len({one.key for one in got if one.acknowledged}) >= 12, 60)
        _until(lambda: _sent(store, told) == 12)
        assert ACTIVE in second.metrics()
        assert 'qunpulse_alert_deliveries_total{channel="ops",outcome="sent"}' in second.metrics()
        if how == signal.SIGSTOP:
            first.process.send_signal(signal.SIGCONT)
            _until(lambda: ACTIVE not in first.metrics())
            assert first.end(signal.SIGTERM) == 0
        assert second.end(signal.SIGTERM) == 0
    finally:
        for one in (first, second):
            if one is not None:
                one.end(signal.SIGKILL)
    arrived = told_of(web)
    assert set(arrived) == {one.alert_id for one in told}  # and not the one of a replay
    assert before >= 3
    assert len(arrived) - len(set(arrived)) <= 1
    assert len({one.key for one in web.taken}) == 12
    assert _committed(topics, group) == _ends(topics)  # all that was read is settled
    text = log.read_text(encoding="utf-8")
    assert "delivering alerts on ops" in text
    assert TOKEN not in text
    assert f"/{TOKEN}" in web.got[0].path  # it was in use, after all


def _sent(store: ClickHouse, told: list[AlertRecord]) -> int:
    return int(
        store.scalar(
            f"SELECT countIf(outcome = 'sent') FROM {ALERT_DELIVERIES} FINAL WHERE alert_id IN {{ids:Array(String)}}",
            {"ids": [one.alert_id for one in told]},
        )
    )


def _ends(stack: EmbeddedStack) -> int:
    with KafkaCluster(stack.kafka_bootstrap_servers) as cluster:
        return sum(span.end for span in cluster.spans([ALERTS]).values())


def _committed(stack: EmbeddedStack, group: str) -> int:
    consumer = KafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers, group_id=f"{group}-alert-delivery", enable_auto_commit=False
    )
    try:
        return sum(consumer.committed(TopicPartition(ALERTS, number)) or 0 for number in range(PARTITIONS))
    finally:
        consumer.close()


def _ready(delivery: Delivery | None) -> bool:
    assert delivery is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{delivery.port}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)


def _until(done: Any, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if done():
                return
        except OSError:
            pass  # it does not listen yet
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- the command line --------------------------------------------------------------------------------------------------

OPEN = alert(
    "silent", fact=1, community_id="wecom:命令", member_id="wm-1", severity="high", assignee="王芳",
    evidence={"silent_days": 9.0, "typical_gap_days": 2.0, "last_seen_at": 1_714_500_000_000},
)  # fmt: skip
OTHER = alert("exodus", fact=2, community_id="wecom:命令", reason="12 left in a day, usually 1", value_at_risk=5000.0)
OVER = alert("left", fact=3, community_id="wecom:命令", state="resolved", resolved_at=1_714_600_000_000)


@pytest.fixture(scope="module")
def landed(store: ClickHouse) -> ClickHouse:
    store.insert_arrow("qunpulse_store.alerts", landed_rows(OPEN, OTHER, OVER))
    return store


@pytest.fixture
def qunpulse(topics: EmbeddedStack, landed: ClickHouse) -> CommandLine:
    return CommandLine("--data", str(topics.data_dir))


def commands(stack: EmbeddedStack) -> list[tuple[int, CommandRecord]]:
    """What was sent to the workers, with its partition."""
    consumer = KafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers, consumer_timeout_ms=400)
    consumer.assign([TopicPartition(COMMANDS, number) for number in range(PARTITIONS)])
    consumer.seek_to_beginning()
    found = [(record.partition, decode_command(record.value)) for record in consumer]
    consumer.close()
    return sorted(found, key=lambda one: one[1].issued_at)


def test_alerts_are_listed_with_the_severest_first(qunpulse: CommandLine) -> None:
    listed = json.loads(qunpulse("alerts", "list", "--community", "wecom:命令", "--json"))
    assert [one["alert_id"] for one in listed["alerts"]] == [OPEN.alert_id, OTHER.alert_id]
    assert listed["total"] == 2
    text = qunpulse("alerts", "list", "--community", "wecom:命令", "--all")
    assert "12 left in a day" in text
    assert "3 alerts" in text
    assert "no open alerts" in qunpulse("alerts", "list", "--community", "wecom:无")
    assert "is no kind of alert" in qunpulse.run("alerts", "list", "--kind", "silend").stderr


def test_feeds_that_never_mark_questions_are_named_once(qunpulse: CommandLine, landed: ClickHouse) -> None:
    """Whether or not one partition of several has heard a question of the feed."""
    landed.command(f"TRUNCATE TABLE {STORE}.alert_feeds")
    landed.command(
        f"INSERT INTO {STORE}.alert_feeds (feed, partition, last_heard_at, asks_questions) VALUES "
        "('企微', 0, now64(3), 0), ('企微', 1, now64(3), 0), ('telegram', 0, now64(3), 0), ('telegram', 1, now64(3), 1)"
    )
    text = qunpulse("alerts", "list")
    assert text.count("never says which messages are questions (`is_question`)") == 1
    assert "feed 企微 never says" in text
    assert len(json.loads(qunpulse("alerts", "list", "--json"))["resting_rules"]) == 1


def test_an_alert_is_explained_in_words_and_figures(qunpulse: CommandLine, landed: ClickHouse) -> None:
    text = qunpulse("alerts", "show", OPEN.alert_id[:14])
    for words in (
        "member fell silent: active every 2 days until now, silent for 9",
        "away for much longer than they usually are",
        "state      opened, severity high",
        "silent       9 days",
        "typical gap  2 days",
        "last seen    2024-04-30 18:00 UTC",
        "what to do: Write to them in private.",
        "told nobody yet",
    ):
        assert words in text, text
    assert json.loads(qunpulse("alerts", "show", OPEN.alert_id, "--json"))["evidence"]["silent_days"] == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "silent-0000"), "no alert 'silent-0000'; the nearest are silent-"),
        (("ack", "nonsense"), "no alert 'nonsense'"),
        (("ack", OVER.alert_id), f"{OVER.alert_id} is resolved; only an open alert can be acknowledged"),
        (("verdict", OPEN.alert_id, "great"), "'great' is no verdict; say useful or noise"),
        (("mute", OPEN.alert_id, "--for", "7 days", "--reason", "x"), "'7 days' is no span of time"),
        (("mute", OPEN.alert_id, "--for", "7d", "--reason", " "), "say why with --reason"),
        (("mute", "--for", "7d", "--reason", "x"), "say what to mute"),
        (("mute", OPEN.alert_id, "--kind", "left", "--for", "7d", "--reason", "x"), "leave --member and --kind out"),
        (("deliver",), "alerts.channels, so nobody would be told"),
    ],
)
def test_mistakes_are_told_in_one_sentence(qunpulse: CommandLine, arguments: tuple[str, ...], words: str) -> None:
    answer = qunpulse.run("alerts", *arguments)
    assert answer.code != 0
    assert words in answer.stderr


def test_what_operators_say_reaches_the_partition_of_the_community(
    qunpulse: CommandLine, topics: EmbeddedStack
) -> None:
    before = len(commands(topics))
    by = ("--by", "王芳")
    qunpulse("alerts", "ack", OPEN.alert_id[:12], OTHER.alert_id, *by)
    qunpulse("alerts", "resolve", OPEN.alert_id, "--reason", "打过电话", *by)
    qunpulse("alerts", "verdict", OPEN.alert_id, "noise", "--reason", "放假", *by)
    assert "until" in qunpulse("alerts", "mute", OPEN.alert_id, "--for", "7d", "--reason", "放假", *by)
    qunpulse("alerts", "unmute", "--community", "wecom:命令", "--kind", "silent", "--member", "wm-1", *by)
    sent = commands(topics)[before:]
    home = partition_for("wecom:命令".encode(), PARTITIONS)
    assert {place for place, _ in sent} == {home}
    told = [(one.action, one.alert_id, one.kind, one.member_id, one.reason, one.verdict) for _, one in sent]
    assert told == [
        ("acknowledge", OPEN.alert_id, None, None, "", None),
        ("acknowledge", OTHER.alert_id, None, None, "", None),
        ("resolve", OPEN.alert_id, None, None, "打过电话", None),
        ("verdict", OPEN.alert_id, None, None, "放假", "noise"),
        ("mute", None, "silent", "wm-1", "放假", None),
        ("unmute", None, "silent", "wm-1", "", None),
    ]
    mute = sent[4][1]
    assert mute.until is not None
    assert mute.until - mute.issued_at == 7 * 86_400_000
    assert {one.issued_by for _, one in sent} == {"王芳"}
    assert len({one.command_id for _, one in sent}) == 6


def test_failed_deliveries_are_listed_and_end_with_an_error(qunpulse: CommandLine, landed: ClickHouse) -> None:
    landed.command(f"TRUNCATE TABLE {ALERT_DELIVERIES}")
    assert qunpulse("alerts", "failed").strip() == "0 failed"
    landed.command(
        f"INSERT INTO {ALERT_DELIVERIES} (alert_id, state, channel, community_id, outcome, attempts, error, version) "
        f"VALUES ('{OPEN.alert_id}', 'opened', 'ops', 'wecom:命令', 'failed', 3, 'HTTP 503', 3), "
        f"('{OTHER.alert_id}', 'opened', 'ops', 'wecom:命令', 'waiting', 0, '', 1)"
    )
    answer = qunpulse.run("alerts", "failed")
    assert answer.code == 1
    assert "HTTP 503" in answer.stdout
    assert "1 failed" in answer.stdout
    found = json.loads(qunpulse.run("alerts", "failed", "--waiting", "--json").stdout)
    assert [one["outcome"] for one in found["deliveries"]] == ["failed", "waiting"]
    assert "opened on ops: failed" in qunpulse("alerts", "show", OPEN.alert_id)


def test_verdicts_are_counted_by_kind_the_latest_of_an_alert_counting(landed: ClickHouse) -> None:
    rows = [
        (OPEN.alert_id, "silent", "noise", "a", 1), (OPEN.alert_id, "silent", "useful", "b", 2),
        (OTHER.alert_id, "exodus", "noise", "a", 1),
    ]  # fmt: skip
    values = ", ".join(f"('{i}', '{k}', 'wecom:命令', '{v}', '{by}', {at}, 1)" for i, k, v, by, at in rows)
    landed.command(
        f"INSERT INTO {ALERT_VERDICTS} (alert_id, kind, community_id, verdict, issued_by, issued_at, version) "
        f"VALUES {values}"
    )
    quality = landed.rows("SELECT kind, judged, useful, noise, useful_share FROM qunpulse.alert_quality ORDER BY kind")
    found = {kind: tuple(rest) for kind, *rest in quality}
    assert found["silent"] == (1, 1, 0, 1.0)
    assert found["exodus"] == (1, 0, 1, 0.0)
    assert found["left"] == (0, 0, 0, None)


def test_a_test_message_says_what_the_receiver_answered(
    web: HttpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from streams.cli.main import app

    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("PORT", str(web.port)), encoding="utf-8")
    monkeypatch.setenv("ROBOT_TOKEN", TOKEN)
    web.script = lambda _: Reply()
    answer = CliRunner().invoke(app, ["alerts", "test", "ops", "--rules", str(rules)])
    assert "channel ops took the test message" in answer.stdout
    web.script = lambda _: Reply(401)
    answer = CliRunner().invoke(app, ["alerts", "test", "ops", "--rules", str(rules)])
    assert "channel ops did not take the test message" in str(answer.exception)
    assert "401" in str(answer.exception)
    answer = CliRunner().invoke(app, ["alerts", "test", "opps", "--rules", str(rules)])
    assert "did you mean 'ops'?" in str(answer.exception)


def test_the_settings_show_no_secret_of_a_channel(qunpulse: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TOKEN", TOKEN)
    assert TOKEN not in qunpulse("config")
