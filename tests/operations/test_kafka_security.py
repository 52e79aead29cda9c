"""Kafka with TLS, passwords and ACLs, on the real broker: who gets in, who does not, and what each is told."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePatternFilter,
    ResourceType,
)

from infra.kafka.acls import script
from schemas.topics import DEADLETTERS, MESSAGES
from sinks.clickhouse import ClickHouse
from streams.kafka_cluster import KafkaCluster
from streams.kafka_rights import ROLES, Right, rights_of
from streams.simulation import Plan, SimulatedFeed, write_feed
from tests.operations.clickhouse_front import clickhouse_front
from tests.operations.rights_of_statements import Parse, grants_of, rights_of_statements
from tests.operations.secured_stack import CANARY, SecuredStack, start_secured_stack

ROOT = Path(__file__).parents[2]
ACLS = ROOT / "infra" / "kafka" / "acls.sh"
COMMUNITY = "群-早起"
USERS = ("owner", "writer")
OTHER_RULES = {
    "alerts": {"channels": {"ops": {"url": "${OPS}"}}, "routes": [{"channels": ["ops"]}]},
    "touches": {"enabled": True, "kinds": ["thanks"], "hold_out_share": 0.5, "community_per_day": 1000},
}


EVENTS = "".join(
    json.dumps(
        {
            "event_id": f"e{number}", "event_type": "message", "schema_version": 1, "kind": "text",
            "occurred_at": f"2026-01-05T08:0{number}:00Z", "community_id": COMMUNITY, "member_id": f"王芳{number}",
        },
        ensure_ascii=False,
    ) + "\n"
    for number in range(3)
) + f'{{"event_type": "message", "community_id": "{COMMUNITY}"}}\n'  # fmt: skip

Ended = subprocess.CompletedProcess[str]
Refused = Mapping[tuple[str, str], Future[Ended]]
KAFKA_PROGRAMS = {
    "worker": ("worker", ["worker"], "group qunpulse"),
    "apply": ("admin", ["topics", "apply"], "community.alerts.v1"),
    "feed": ("feeder", ["feed", "{folder}/events.ndjson"], MESSAGES),
    "mute": (
        "operator",
        ["alerts", "mute", "--community", COMMUNITY, "--for", "1h", "--reason", "节日"],
        "community.commands.v1",
    ),
    "deliver": ("deliver", ["alerts", "deliver", "--rules", "{folder}/rules.yaml"], "community.alerts.v1"),
}
"""Each with its user, its command line, and what it may not do when nobody allows it anything."""
SLOW_TO_START = {"worker", "deliver"}
"""They are refused by the same check as the others: what is said of a password or a CA is shown by those."""
KAFKA_TROUBLES = {
    "password": "refused the password of user {user}",
    "authority": "is not vouched for by the CA",
    "rights": "does not allow user stranger",
}
CLICKHOUSE_PROGRAMS = {"worker": "worker", "status": "operator"}
CLICKHOUSE_TROUBLES = {
    "own authority": "QUNPULSE_CLICKHOUSE_CA_FILE",
    "own password": "QUNPULSE_CLICKHOUSE_PASSWORD",
    "plain HTTP": "QUNPULSE_CLICKHOUSE_CA_FILE",
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredStack]:
    """The secured broker with topics and ACLs as its administrators make them, by our own commands."""
    stack = start_secured_stack(tmp_path_factory.mktemp("secured"))
    try:
        for user, command in (("root", ("topics", "acls", "--apply")), ("admin", ("topics", "apply"))):
            done = stack.run(*command, env=stack.settings(user))
            assert done.returncode == 0, done.stderr
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def parse(secured: SecuredStack) -> Iterator[Parse]:
    """ClickHouse's own parser, as the embedded server has it."""
    clickhouse = ClickHouse.connect("127.0.0.1", secured.clickhouse.port)
    yield lambda quoted: str(clickhouse.scalar(f"SELECT parseQueryToJSON({quoted})"))
    clickhouse.close()


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file of three events and a broken line, in Chinese."""
    path = tmp_path / "events.ndjson"
    path.write_text(EVENTS, encoding="utf-8")
    return path


def test_the_shipped_script_is_the_list_that_programs_check() -> None:
    assert ACLS.read_text() == script("qunpulse")
    said = subprocess.run(
        ["sh", ACLS], env={"KAFKA_ACLS": "echo", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout
    granted = set()
    for line in said.splitlines():
        words = shlex.split(line)
        user = words[words.index("--allow-principal") + 1].removeprefix("User:")
        kind = "topic" if "--topic" in words else "group"
        for place, word in enumerate(words):
            if word == "--operation":
                operation = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words[place + 1]).upper()
                granted.add((user, kind, words[words.index(f"--{kind}") + 1], operation))
    listed = {(role, r.resource, r.name, r.operation) for role in ROLES for r in rights_of(role, "qunpulse")}
    assert granted == listed


def test_acls_are_applied_once_and_nothing_is_granted_to_anybody_else(secured: SecuredStack) -> None:
    again = secured.run("topics", "acls", "--apply", env=secured.settings("root"))
    assert again.stdout.count("nothing to do") == len(ROLES), again
    listed = {(f"User:{role}", r.name, r.operation) for role in ROLES for r in rights_of(role, "qunpulse")}
    with KafkaAdminClient(**secured.login("root").options()) as admin:
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        found, _ = admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything))
    assert {(acl.principal, acl.resource_pattern.resource_name, acl.operation.name) for acl in found} == listed


@pytest.fixture(scope="module")
def refused(
    secured: SecuredStack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Refused]:
    """Every program in every trouble that a test asks for, some at a time, beside the tests."""
    asked = [one.callspec.params for one in request.session.items if "refused" in getattr(one, "fixturenames", ())]
    folder = tmp_path_factory.mktemp("refused")
    (folder / "events.ndjson").write_text(EVENTS, encoding="utf-8")
    (folder / "rules.yaml").write_text(json.dumps({"alerts": OTHER_RULES["alerts"]}), encoding="utf-8")
    with ThreadPoolExecutor(3) as pool:
        yield {
            (program, trouble): pool.submit(
                _refused_by_kafka if trouble in KAFKA_TROUBLES else _refused_by_clickhouse,
                secured, folder, program, trouble,
            )
            for program, trouble in ((params["program"], params["trouble"]) for params in asked)
        }  # fmt: skip


def _refused_by_kafka(secured: SecuredStack, folder: Path, program: str, trouble: str) -> Ended:
    user, arguments, _ = KAFKA_PROGRAMS[program]
    env = secured.settings("stranger" if trouble == "rights" else user) | {"OPS": "json://127.0.0.1:9/"}
    if trouble == "password":
        env.pop("QUNPULSE_KAFKA_PASSWORD_FILE")
        env["QUNPULSE_KAFKA_PASSWORD"] = f"{CANARY}-wrong"
    elif trouble == "authority":
        env["QUNPULSE_KAFKA_CA_FILE"] = str(secured.certificates / "other-ca.pem")
    return secured.run(*(str(word).format(folder=folder) for word in arguments), env=env)


def _refused_by_clickhouse(secured: SecuredStack, _: Path, program: str, trouble: str) -> Ended:
    with clickhouse_front(
        secured.clickhouse.port, secured.certificates / "broker.pem", {"writer": _password("writer")}
    ) as front:
        env = secured.settings(
            CLICKHOUSE_PROGRAMS[program],
            clickhouse_port=secured.clickhouse.port if trouble == "plain HTTP" else front.server_port,
            clickhouse_secure=True,
            clickhouse_ca_file=secured.certificates / ("other-ca.pem" if trouble == "own authority" else "ca.pem"),
            clickhouse_user="writer",
            clickhouse_password=f"{CANARY}-wrong" if trouble == "own password" else _password("writer"),
        )
        return secured.run(program, env=env)


@pytest.mark.parametrize(
    ("program", "trouble"),
    [
        pytest.param(program, trouble, marks=[pytest.mark.long] * (program in SLOW_TO_START and trouble != "rights"))
        for program in KAFKA_PROGRAMS
        for trouble in KAFKA_TROUBLES
    ],
)
def test_a_refusal_is_one_sentence_and_an_exit_code(refused: Refused, program: str, trouble: str) -> None:
    user, _, lacks = KAFKA_PROGRAMS[program]
    said = _only_sentence(refused[program, trouble].result())
    assert KAFKA_TROUBLES[trouble].format(user=user) in said
    assert trouble != "rights" or lacks in said
    assert trouble != "authority" or "other-ca.pem" in said


@pytest.mark.parametrize(
    ("program", "trouble"),
    [
        pytest.param(program, trouble, marks=[pytest.mark.long] * (program == "worker" and trouble != "own password"))
        for program in CLICKHOUSE_PROGRAMS
        for trouble in CLICKHOUSE_TROUBLES
    ],
)
def test_clickhouse_that_does_not_let_us_in_is_one_sentence(refused: Refused, program: str, trouble: str) -> None:
    assert CLICKHOUSE_TROUBLES[trouble] in _only_sentence(refused[program, trouble].result())


def _only_sentence(done: Ended) -> str:
    assert done.returncode == 1, done
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr
    return said


def test_a_missing_write_right_is_named_before_the_first_record_is_read(secured: SecuredStack) -> None:
    needed = rights_of("worker", "qunpulse")
    lacking = Right("topic", DEADLETTERS, "WRITE")
    with KafkaCluster(secured.login("root")) as root:
        root.allow("nobody", [right for right in needed if right != lacking])
    try:
        done = secured.run("worker", env=secured.settings("nobody"))
    finally:
        _take_away(secured, "nobody")
    assert done.returncode == 1
    assert f"does not allow user nobody {lacking};" in done.stderr


# What a day without an expiry, a held event, a message that went out or a fit does not come to: where it is asked for.
NOT_MET_IN_THIS_RUN = {
    ("ALTER DELETE", "qunpulse_store.state"): ("sinks/state.py", "DELETE FROM {STATE} IN PARTITION"),
    ("INSERT", "qunpulse_store.alert_deliveries"): ("sinks/alert_deliveries.py", "insert_arrow(ALERT_DELIVERIES"),
    ("INSERT", "qunpulse_store.event_spans"): ("streams/business_rules.py", "_land(clickhouse, EVENT_SPANS"),
    ("INSERT", "qunpulse_store.point_rewards"): ("streams/business_rules.py", "_land(clickhouse, POINT_REWARDS"),
    ("INSERT", "qunpulse_store.service_hours"): ("streams/business_rules.py", "_land(clickhouse, SERVICE_HOURS"),
    ("INSERT", "qunpulse_store.touches"): ("streams/operators/touches.py", '{"touches": pa.table('),
    ("SELECT", "qunpulse_store.events"): ("streams/model_fit.py", "FROM qunpulse_store.events"),
    ("SELECT", "qunpulse_store.member_days"): ("streams/model_fit.py", "FROM qunpulse_store.member_days"),
    ("SELECT", "qunpulse_store.members"): ("sinks/whereabouts.py", "FROM {MEMBERS}"),
}


def _password(user: str) -> str:
    return f"{CANARY}-clickhouse-{user}"


def _as(user: str) -> dict[str, str]:
    return {"clickhouse_user": user, "clickhouse_password": _password(user)}


@dataclass
class Run:
    """What a whole day of all our programs left behind: the feed, what they printed, what they asked of ClickHouse."""

    feed: SimulatedFeed
    printed: str
    statements: dict[str, list[str]]  # by ClickHouse user


@pytest.fixture(scope="module")
def run(secured: SecuredStack, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every program once, each as its own user, Kafka and ClickHouse both through TLS with a CA of our own."""
    folder = tmp_path_factory.mktemp("run")
    feed = write_feed(folder / "feed.ndjson", Plan(seed=7, events=3000, communities=5, days=60, broken=0.01))
    rules = folder / "rules.yaml"
    rules.write_text(json.dumps(feed.rules | OTHER_RULES, ensure_ascii=False), encoding="utf-8")
    accounts = folder / "accounts.csv"
    accounts.write_text("platform,member_id,person_id\nwecom,王芳,p1\n", encoding="utf-8")
    certificate = secured.certificates / "broker.pem"
    with clickhouse_front(secured.clickhouse.port, certificate, {user: _password(user) for user in USERS}) as front:
        https = {
            "clickhouse_port": front.server_port, "clickhouse_secure": True, "rules_file": rules,
            "clickhouse_ca_file": secured.certificates / "ca.pem",
        }  # fmt: skip
        printed = []

        def do(user: str, *command: str | Path) -> str:
            done = secured.run(
                *command, env=secured.settings(user, **https, **_as("owner" if user == "admin" else "writer"))
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            printed.append(done.stdout + done.stderr)
            return done.stdout

        do("admin", "migrate")
        log, env = folder / "worker.log", secured.settings("worker", **https, **_as("writer"))
        worker = secured.start("worker", env=env, log=log)
        secured.wait_ready(worker, env, log)
        assert do("feeder", "feed", folder / "feed.ndjson", "--ledger", folder / "fed.json").startswith("fed ")
        clickhouse = ClickHouse.connect("127.0.0.1", secured.clickhouse.port)
        while (clickhouse.scalar("SELECT sum(consumed) FROM qunpulse.accounting") or 0) < len(feed.lines):
            assert worker.poll() is None, log.read_text()[-3000:]
        told, delivery = (
            folder / "delivery.log",
            secured.settings("deliver", **https, **_as("writer")) | {"OPS": "json://127.0.0.1:9/"},
        )
        delivering = secured.start("alerts", "deliver", env=delivery, log=told)
        secured.wait_ready(delivering, delivery, told)
        (alert,) = clickhouse.rows("SELECT alert_id FROM qunpulse.alerts WHERE state = 'opened' LIMIT 1")[0]
        (campaign, member) = clickhouse.rows("SELECT campaign_id, member_id FROM qunpulse.referral_nodes LIMIT 1")[0]
        place = clickhouse.rows("SELECT topic, partition, offset FROM qunpulse.dead_letters LIMIT 1")[0]
        clickhouse.close()
        with ThreadPoolExecutor(3) as pool:
            for done in [
                pool.submit(do, *command)
                for command in (
                    ("operator", "alerts", "mute", "--community", COMMUNITY, "--for", "1h", "--reason", "节日"),
                    ("operator", "alerts", "verdict", alert, "useful"),
                    ("operator", "alerts", "show", alert),
                    ("operator", "alerts", "list"),
                    ("operator", "deadletters", "show", "/".join(map(str, place))),
                    ("operator", "referrals", "explain", campaign, member),
                    ("admin", "identities", "import", accounts),
                    ("operator", "status"),
                )
            ]:
                done.result()
        do("admin", "doctor")
        for program, printed_to in ((worker, log), (delivering, told)):
            program.send_signal(signal.SIGTERM)
            assert program.wait(60) == 0, printed_to.read_text()[-3000:]
            printed.append(printed_to.read_text())
    return Run(feed, "\n".join(printed), front.statements)


def test_events_go_from_a_file_to_figures_through_tls_alone(secured: SecuredStack, run: Run) -> None:
    clickhouse = ClickHouse.connect("127.0.0.1", secured.clickhouse.port)
    landed = clickhouse.scalar("SELECT count() FROM qunpulse.events")
    assert landed == len(run.feed.lines) - len(run.feed.broken_lines) - run.feed.duplicates
    assert clickhouse.scalar("SELECT sum(dead_lettered) FROM qunpulse.accounting") == len(run.feed.broken_lines)
    clickhouse.close()


@pytest.mark.parametrize("operation", ["READ", "WRITE"])
def test_a_right_that_is_taken_away_ends_the_worker_with_one_sentence(
    secured: SecuredStack, events: Path, tmp_path: Path, operation: str
) -> None:
    with KafkaCluster(secured.login("root")) as root:
        root.allow("nobody", rights_of("worker", "qunpulse"))
    log, env = tmp_path / "worker.log", secured.settings("nobody", worker_id="nobody")
    worker = secured.start("worker", env=env, log=log)
    try:
        secured.wait_ready(worker, env, log)
        _take_away(secured, "nobody", MESSAGES if operation == "READ" else DEADLETTERS)
        fed = secured.run("feed", events, "--ledger", tmp_path / "fed.json", env=secured.settings("feeder"))
        assert fed.returncode == 0, fed.stderr
        assert worker.wait(60) == 1, log.read_text()[-3000:]
    finally:
        _take_away(secured, "nobody")
    said = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert len(said) == 1, log.read_text()[-3000:]
    assert "does not allow user nobody" in said[0]
    assert "Traceback" not in log.read_text(), log.read_text()[-5000:]


def test_programs_need_exactly_what_the_grants_script_gives_the_writer(run: Run, parse: Parse) -> None:
    granted = grants_of("writer")
    needed = rights_of_statements(run.statements["writer"], parse)
    assert needed - granted == set(), "programs would be refused"
    assert granted - needed <= NOT_MET_IN_THIS_RUN.keys(), "nothing needs these"
    for (_, table), (path, word) in NOT_MET_IN_THIS_RUN.items():
        assert word in (ROOT / path).read_text(encoding="utf-8"), f"{path} does not use {table} any more"


def test_migrations_and_imports_need_exactly_what_the_script_gives_the_owner(run: Run, parse: Parse) -> None:
    granted = grants_of("owner")
    needed = {
        (right, "qunpulse_store.*" if right == "SELECT" and table.startswith("qunpulse_store.") else table)
        for right, table in rights_of_statements(run.statements["owner"], parse)
    }
    assert needed - granted == set(), "programs would be refused"
    assert granted - needed == set(), "nothing needs these"


def test_nothing_that_was_printed_holds_a_password(run: Run) -> None:
    assert len(run.printed) > 1000
    assert CANARY not in run.printed


def _take_away(secured: SecuredStack, user: str, topic: str | None = None) -> None:
    pattern = ResourcePatternFilter(
        ResourceType.TOPIC if topic else ResourceType.ANY, topic, ACLResourcePatternType.ANY
    )
    with KafkaAdminClient(**secured.login("root").options()) as admin:
        admin.delete_acls([ACLFilter(f"User:{user}", None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)])
