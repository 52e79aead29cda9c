"""docs/alert-delivery.md is true: rules are valid, commands exist, settings and metrics are those there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from schemas.topics import ALERTS, COMMANDS
from streams.metrics import DeliveryMetrics
from streams.rules import load_rules
from streams.rules_delivery import ChannelRules, NamesRules, RouteRules
from tests.unit.test_cli_docs import _check_arguments

TEXT = (Path(__file__).parents[2] / "docs" / "alert-delivery.md").read_text(encoding="utf-8")
SHELL = [
    line.split("  #")[0] for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]
LABELS = {"channel", "outcome", "result", "le"}


@pytest.mark.parametrize("line", SHELL)
def test_every_command_exists(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "qunpulse"
    _check_arguments(words)


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(example) == 1
    path = tmp_path / "rules.yaml"
    path.write_text(example[0], encoding="utf-8")
    rules = load_rules(path).alerts
    assert set(rules.channels) == {"ops-robot", "wangfang", "crm"}
    assert len(rules.routes) == 4


def test_every_setting_is_explained_with_its_default() -> None:
    for model in (ChannelRules, RouteRules, NamesRules):
        for name in model.model_fields:
            assert f"`{name}`" in TEXT or f"`{name}:" in TEXT, name
    for words in ("| `per_minute` | 20 |", "| `singles_per_hour` | 5 |", "| `timeout_seconds` | 10 |"):
        assert words in TEXT
    shown = ChannelRules(url="x")
    assert (shown.per_minute, shown.singles_per_hour, shown.timeout_seconds) == (20, 5, 10)


def test_every_metric_is_explained_and_has_bounded_labels() -> None:
    metrics = DeliveryMetrics()
    metrics.records("delivered").inc()
    metrics.deliveries("ops", "sent").inc()
    metrics.owed("ops", "failed").set(1)
    metrics.overdue_seconds("ops").set(1)
    metrics.seconds("ops").observe(1)
    for family in metrics.registry.collect():
        assert f"`{family.name}" in TEXT or family.name == "qunpulse_clickhouse_up_bool", family.name
        assert len(family.documentation) > 15
        for sample in family.samples:
            assert set(sample.labels) <= LABELS


def test_topics_are_named() -> None:
    assert f"`{ALERTS}`" in TEXT
    assert f"`{COMMANDS}`" in TEXT
