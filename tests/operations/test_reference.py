"""docs/settings.md and docs/metrics.md are what the code says."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from streams.metrics import DeliveryMetrics, WorkerMetrics
from streams.reference import DOCS, pages
from streams.settings import Settings


@pytest.mark.parametrize("page", pages())
def test_the_page_is_what_the_code_says(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == pages()[page], "write it anew with `make reference`"


def test_every_setting_is_there_with_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `QUNPULSE_\w+` \| .* \| (.+) \|$", pages()["settings.md"], re.MULTILINE)
    assert [name for name, _ in rows] == list(Settings.model_fields)
    assert all(len(meaning) > 10 for _, meaning in rows)


@pytest.mark.parametrize("metrics", [WorkerMetrics, DeliveryMetrics])
def test_every_metric_that_is_served_is_there_with_a_meaning(metrics: type[WorkerMetrics | DeliveryMetrics]) -> None:
    served = generate_latest(metrics(CollectorRegistry()).registry).decode()
    names = {name for name in re.findall(r"^# TYPE (\w+) \w+$", served, re.MULTILINE) if "_process_" not in name}
    rows = dict(re.findall(r"^\| `(\w+)` \| \w+ \| .*\| (.+) \|$", pages()["metrics.md"], re.MULTILINE))
    assert names
    assert {name for name in names if not name.endswith("_created")} <= rows.keys()
    assert all(meaning.endswith(".") for meaning in rows.values())
