"""Rules and routes, by the real tools: an alert speaks when it must, reaches somebody, its runbook can be followed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streams.metrics import DeliveryMetrics, WorkerMetrics
from tests.unit.test_cli_docs import check_command

ROOT = Path(__file__).parents[2]
PROMETHEUS, ALERTMANAGER = ROOT / "infra/prometheus", ROOT / "infra/alertmanager"
RUNBOOKS = ROOT / "infra/runbooks"
RULES: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = YAML(typ="safe").load((PROMETHEUS / "rules.test.yml").read_text())["tests"]
SERVICES = set(YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"])


def run(program: Path, *arguments: str, folder: Path = PROMETHEUS) -> str:
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_its_configuration_and_rules(promtool: Path) -> None:
    run(promtool, "check", "config", "prometheus.yml")


def test_each_rule_speaks_when_it_must_and_is_silent_when_it_must_be(promtool: Path) -> None:
    run(promtool, "test", "rules", "rules.test.yml")


def test_no_alert_is_without_a_case_in_which_it_speaks() -> None:
    spoken = {case["alertname"] for test in TESTS for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert spoken == set(ALERTS)


def declared() -> set[str]:
    """Names of all samples that workers and alert delivery serve."""
    names = set()
    for metrics in (WorkerMetrics(), DeliveryMetrics()):
        for family in metrics.registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
            names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def test_rules_ask_for_metrics_that_are_served() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    asked = {name for rule in RULES for name in re.findall(r"\bqunpulse[a-z0-9_:]+", rule["expr"])}
    assert asked - recorded <= declared()
    assert recorded <= asked | recorded


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_names_a_runbook_that_is_there(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    runbook = ROOT / rule["annotations"]["runbook"]
    assert runbook.parent == RUNBOOKS
    for heading in ("## Look", "## Do", "## Over when"):
        assert heading in runbook.read_text(encoding="utf-8")


def commands() -> list[tuple[str, str]]:
    """Every command of every runbook: in blocks, and between backticks."""
    found = set()
    for path in sorted(RUNBOOKS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
        inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found |= {(path.stem, line) for line in blocks + inline if line.startswith(("qunpulse ", "docker compose "))}
    return sorted(found)


@pytest.mark.parametrize(("runbook", "line"), commands())
def test_the_commands_of_a_runbook_exist(runbook: str, line: str) -> None:
    if line.startswith("qunpulse "):
        check_command(line)
        return
    words = line.removeprefix("docker compose ").split()
    assert words[0] in {"ps", "logs", "up", "restart"}, runbook
    named = [word.partition("=")[0] for word in words[1:] if not word.startswith("-") and not word.isdigit()]
    assert set(named) <= SERVICES, runbook


def test_runbooks_link_to_each_other_only_where_there_is_one() -> None:
    for path in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert (RUNBOOKS / target).is_file(), (path.name, target)
    assert {Path(rule["annotations"]["runbook"]).stem for rule in ALERTS.values()} == {
        path.stem for path in RUNBOOKS.glob("*.md")
    }


def test_alertmanager_takes_its_configuration_and_wakes_people_for_pages_only(amtool: Path) -> None:
    run(amtool, "check-config", "alertmanager.yml", folder=ALERTMANAGER)
    for alert, rule in ALERTS.items():
        severity = rule["labels"]["severity"]
        told = run(
            amtool, "config", "routes", "test", "--config.file=alertmanager.yml", f"alertname={alert}",
            f"severity={severity}", folder=ALERTMANAGER,
        )  # fmt: skip
        assert told.split() == [severity]


def test_what_follows_from_a_cause_names_alerts_that_there_are() -> None:
    rules = YAML(typ="safe").load((ALERTMANAGER / "alertmanager.yml").read_text())["inhibit_rules"]
    named = {
        name
        for rule in rules
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        for name in re.findall(r"[A-Z]\w+", matcher)
    }
    assert named <= set(ALERTS)
