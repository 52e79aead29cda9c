"""Every query of every dashboard, on a real Prometheus that scraped a real worker and on ClickHouse's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded.stack import EmbeddedStack
from infra.grafana.asking import NAMES, Answer, Table, ask, load, panels, variable_values, with_choices
from infra.grafana.contact_sheet import contact_sheet
from infra.grafana.substitution import Asked
from tests.operations.dashboard_scene import HOSTILE, Scene, dashboard_scene, plan_until_today
from tests.operations.monitoring import program

BUSIEST = "SELECT community_id FROM qunpulse.orders GROUP BY community_id ORDER BY count() DESC, community_id LIMIT 1"
ZERO_IS_HEALTH = {
    "Behind", "Freshness", "Books", "Records without an outcome, or with two", "Inserts and sends tried again",
    "Fetches that stalled, batches dropped as stale",
}  # fmt: skip
"""Panels where a line that lies on 0 is what one hopes for; such a line must be there all the same."""


@pytest.fixture(scope="module")
def scene(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    program("prometheus")
    plan = plan_until_today(events=8_000, communities=8, days=120)
    with dashboard_scene(stack, tmp_path_factory.mktemp("dashboards"), plan) as running:
        yield running


def is_empty(answer: Answer) -> bool:
    return not answer.rows if isinstance(answer, Table) else not any(line.points for line in answer)


def is_all_zero(answer: Answer) -> bool:
    if isinstance(answer, Table):
        return all(value in (0, None, "") for row in answer.rows for value in row)
    return not any(value for line in answer for _, value in line.points)


def complaints(name: str, asked: Asked, scene: Scene) -> list[str]:
    """Queries of a dashboard whose answer is empty, or has nothing in it but zeros where that says nothing."""
    found = []
    for panel in panels(load(name)):
        for target, answer in zip(panel["targets"], ask(panel, asked, scene.sources), strict=True):
            query = target.get("expr") or target["rawSql"]
            if is_empty(answer):
                found.append(f"{panel['title']}: no data: {query}")
            elif is_all_zero(answer) and panel["title"] not in ZERO_IS_HEALTH:
                found.append(f"{panel['title']}: nothing but 0: {query}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_a_dashboard_has_an_answer_with_something_in_it(scene: Scene, name: str) -> None:
    asked = with_choices(load(name), scene.looking_at(name), scene.sources)
    assert not complaints(name, asked, scene)


def test_books_balance_on_the_dashboard(scene: Scene) -> None:
    asked = with_choices(load("pipeline"), scene.looking_at("pipeline"), scene.sources)
    by_title = {panel["title"]: panel for panel in panels(load("pipeline"))}
    (books,) = ask(by_title["The books"], asked, scene.sources)
    assert isinstance(books, Table)
    assert [row[-1] for row in books.rows] == [0] * len(books.rows)
    totals = dict(zip(books.columns[1:], map(sum, zip(*(row[1:] for row in books.rows), strict=True)), strict=True))
    assert all(totals[outcome] > 0 for outcome in ("applied", "duplicate", "late", "dead-lettered", "misrouted"))
    (imbalance,) = ask(by_title["Records without an outcome, or with two"], asked, scene.sources)
    assert isinstance(imbalance, list)
    assert {value for line in imbalance for _, value in line.points} == {0.0}


def test_one_worker_can_be_chosen(scene: Scene) -> None:
    dashboard, asked = load("pipeline"), scene.looking_at("pipeline")
    (instance,) = variable_values(dashboard["templating"]["list"][0], asked, scene.sources)
    chosen = with_choices(dashboard, asked, scene.sources, {"instance": [instance]})
    assert not complaints("pipeline", chosen, scene)


@pytest.mark.parametrize("name", ["communities", "business"])
def test_no_query_is_refused_for_one_community_whatever_its_id(scene: Scene, name: str) -> None:
    dashboard, asked = load(name), scene.looking_at(name)
    variable: dict[str, Any] = dashboard["templating"]["list"][0]
    values = variable_values(variable, asked, scene.sources)
    assert HOSTILE.replace("\\", "\\\\") in values
    busiest = str(scene.sources.clickhouse.query(BUSIEST).result_rows[0][0])
    both = with_choices(dashboard, asked, scene.sources, {"community": [busiest, HOSTILE.replace("\\", "\\\\")]})
    answers = {panel["title"]: ask(panel, both, scene.sources) for panel in panels(dashboard)}
    if name == "communities":
        (week,) = answers["Last 7 days"]
        assert isinstance(week, Table)
        assert len(week.rows) == 2
        assert "名字带引号'的群" in {row[0] for row in week.rows}


@pytest.mark.parametrize(
    "name", ["communities", *(pytest.param(name, marks=pytest.mark.long) for name in ("pipeline", "business"))]
)
def test_a_contact_sheet_is_a_picture_as_large_as_the_grid(scene: Scene, tmp_path: Path, name: str) -> None:
    asked = scene.looking_at(name)
    path = contact_sheet(
        name, asked.start, asked.end, scene.sources, tmp_path, ["DejaVu Sans"], scrape_seconds=asked.scrape_seconds
    )
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in load(name)["panels"])
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (24 * 66, 64 + rows * 36 + 8)
