"""Secrets, tokens, grants: what starts, what is shown, who is let in. No server but our own small ones is needed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import requests
from chdb.session import Session

from infra.embedded.bi_login import LIMITS
from infra.embedded.clickhouse_sql import quote
from sinks.migrate import migrations
from sinks.sql_script import statements
from streams.cli.main import main
from streams.delivery.channels import open_channel
from streams.delivery.secrets import Mask
from streams.errors import ConfigError
from streams.metrics import WorkerMetrics
from streams.observability import ObservabilityServer
from streams.rules_delivery import ChannelRules
from streams.settings import Settings
from streams.settings_secrets import EXAMPLE_SECRET, SECRETS, variable_of
from tests.operations.rights_of_statements import GRANTS, grants_of

ROOT = Path(__file__).parents[2]
CANARY = "Kanarienvogel"
SASL = {"QUNPULSE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "QUNPULSE_KAFKA_USER": "worker"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("QUNPULSE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `qunpulse …` in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["qunpulse", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file_and_no_output_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    file = tmp_path / "秘密"
    file.write_text(f"{CANARY}-{name}\n", encoding="utf-8")
    for variable, value in {**SASL, "QUNPULSE_KAFKA_PASSWORD": CANARY, f"{variable_of(name)}_FILE": str(file)}.items():
        monkeypatch.setenv(variable, value)
    if name == "kafka_password":
        monkeypatch.delenv("QUNPULSE_KAFKA_PASSWORD")
    loaded = Settings.load()
    assert getattr(loaded.settings, name).get_secret_value() == f"{CANARY}-{name}"
    assert loaded.origins[name] == f"file {file}"
    for arguments in (["config"], ["config", "--json"]):
        assert run(monkeypatch, *arguments) == 0
        shown = capsys.readouterr()
        assert CANARY not in shown.out + shown.err
        assert "********" in shown.out
    assert CANARY not in repr(loaded) + str(loaded.settings) + repr(loaded.settings.kafka())
    assert f"{CANARY}-{name}" not in str(loaded.settings.environment()), "a child reads the file itself"


@pytest.mark.parametrize("name", SECRETS)
def test_no_program_starts_with_a_secret_of_the_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    for value in (EXAMPLE_SECRET, f"{EXAMPLE_SECRET}-{CANARY}", "Change-Me"):
        file.write_text(value)
        for variable, given in ((variable_of(name), value), (f"{variable_of(name)}_FILE", str(file))):
            with monkeypatch.context() as patch:
                patch.setenv(variable, given)
                for command in (["worker"], ["topics", "apply"], ["migrate"], ["alerts", "deliver"], ["config"]):
                    assert run(patch, *command) == 2
                    said = capsys.readouterr().err
                    assert said.startswith("error: ")
                    assert said.count("\n") == 1
                    assert variable_of(name) in said
                    assert "still the example's" in said
                    assert CANARY not in said


def test_a_channel_with_a_secret_of_the_example_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(EXAMPLE_SECRET)
    for url in ("json://127.0.0.1/${TOKEN}", "json://127.0.0.1/${file:token}"):
        rules = ChannelRules(url=url)
        with pytest.raises(ConfigError, match=r"channel ops: .*still holds the example"):
            open_channel("ops", rules, tmp_path, {"TOKEN": "change-me-please"}, Mask())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"KAFKA_PASSWORD": CANARY, "KAFKA_PASSWORD_FILE": "x"}, "keep one of them"),
        ({"KAFKA_PASSWORD_FILE": "nowhere"}, "kafka_password_file nowhere cannot be read: No such file"),
        ({"KAFKA_PASSWORD_FILE": "empty"}, "kafka_password_file empty is empty"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USER": "w"}, "needs kafka_user and kafka_password"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_PASSWORD": CANARY}, "needs kafka_user and kafka_password"),
        ({"KAFKA_USER": "w", "KAFKA_PASSWORD": CANARY}, "asks nobody for a password"),
        ({"KAFKA_CA_FILE": "ca.pem"}, "does not encrypt"),
        ({"CLICKHOUSE_CA_FILE": "ca.pem"}, "clickhouse_secure is off"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "kafka_security_protocol = 'TLS'"),
        ({"METRICS_TOKEN": f"{CANARY} 秘密"}, "metrics_token travels in an HTTP header"),
    ],
)
def test_settings_that_would_be_less_safe_than_they_look_are_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str
) -> None:
    Path("empty").write_text("\n")
    for name, value in given.items():
        monkeypatch.setenv(f"QUNPULSE_{name}", value)
    with pytest.raises(ConfigError) as caught:
        Settings.load()
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)


# -- /metrics ----------------------------------------------------------------------------------------------------------


def test_endpoints_are_for_this_machine_unless_somebody_says_otherwise() -> None:
    assert Settings().metrics_host == "127.0.0.1"


def test_with_a_token_only_who_shows_it_sees_metrics_and_readiness() -> None:
    registry = WorkerMetrics().registry
    with ObservabilityServer(registry, heartbeat_age=lambda: 0, missing=list, port=0, token=CANARY) as server:
        for path in ("/metrics", "/readyz", "/healthz", "/"):
            for header, lets_in in (
                ({}, path == "/healthz"),
                ({"Authorization": f"Bearer {CANARY}x"}, path == "/healthz"),
                ({"Authorization": f"Basic {CANARY}"}, path == "/healthz"),
                ({"Authorization": "Bearer"}, path == "/healthz"),
                ({"Authorization": f"Bearer {CANARY}"}, True),
            ):
                answer = requests.get(f"http://127.0.0.1:{server.port}{path}", headers=header, timeout=5)
                assert (answer.status_code != 401) == lets_in, (path, header)
                if not lets_in:
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
                    assert "qunpulse_" not in answer.text


# -- ClickHouse's grants -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> list[str]:
    return list(statements(GRANTS.read_text(encoding="utf-8")))


def test_every_statement_of_the_grants_script_is_one_for_the_engines_own_parser(script: list[str]) -> None:
    engine = Session()
    passwords = {f"{user}_password": CANARY for user in ("owner", "writer", "bi")}
    roots = set()
    for statement in script:
        tree = engine.query(f"EXPLAIN AST {statement}", "TabSeparatedRaw", params=passwords).bytes().decode()
        roots.add(tree.split()[0])
        assert engine.query(f"SELECT formatQuerySingleLine({quote(statement)})").bytes()
        with pytest.raises(RuntimeError, match="SYNTAX_ERROR"):
            engine.query(f"EXPLAIN AST {statement} AND MORE", "TabSeparatedRaw", params=passwords)
    engine.close()
    assert roots == {"CreateUserQuery", "GrantQuery", "CreateSettingsProfileQuery", "CreateQuotaQuery"}


def test_bi_may_read_the_views_and_nothing_else() -> None:
    assert grants_of("bi") == {("SELECT", "qunpulse.*")}


def test_no_limit_of_bi_can_be_lifted_not_even_by_zero_and_the_embedded_login_has_the_same(script: list[str]) -> None:
    (profile,) = [statement for statement in script if statement.startswith("CREATE SETTINGS PROFILE")]
    assert "readonly = 2" in profile
    limits = dict(re.findall(r"(max_\w+) = (\d+) MIN 1 MAX \2\b", profile))
    assert limits == LIMITS
    unbound = re.findall(r"(\w+) = \S+(?=,|$)", re.sub(r"\w+ = \S+ (?:CONST|MIN 1 MAX \d+)", "", profile))
    assert unbound == ["readonly"]
    (quota,) = [statement for statement in script if statement.startswith("CREATE QUOTA")]
    assert quota.endswith("TO bi")
    for counted in ("queries", "errors", "result_rows", "read_rows", "execution_time"):
        assert re.search(rf"\b{counted} = [1-9]", quota)


def test_no_password_stands_in_the_script(script: list[str]) -> None:
    users = [statement for statement in script if statement.startswith("CREATE USER")]
    assert len(users) == 3
    assert all(re.search(r"BY \{\w+_password:String\}", statement) for statement in users)


def test_the_only_table_engine_that_migrations_use_is_granted_to_the_owner() -> None:
    engines = {found for one in migrations() for found in re.findall(r"ENGINE = (\w+)", one.text)}
    assert {name for right, name in grants_of("owner") if right == "TABLE ENGINE"} == engines


# -- the threat model --------------------------------------------------------------------------------------------------


def test_every_test_that_the_threat_model_names_exists_and_every_row_names_one() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text))
    assert len(named) > 25
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| who") and "---" not in line
    ]
    assert rows
    for row in rows:
        assert "`tests/" in row or "not stopped" in row, row


def test_the_rows_of_config_are_json_with_every_secret_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(variable_of(name), f"{CANARY}-{name}")
    for variable, value in SASL.items():
        monkeypatch.setenv(variable, value)
    assert run(monkeypatch, "config", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert {name: shown[name]["value"] for name in SECRETS} == dict.fromkeys(SECRETS, "********")
