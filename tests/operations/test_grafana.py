"""The dashboards' files: they are what the Python says, complete, and sent as Grafana would send them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.grafana.asking import FOLDER, NAMES, PrometheusSource, load, panels, span
from infra.grafana.contact_sheet import parser
from infra.grafana.substitution import Asked, Choice, promql_as_sent, sql_as_sent, title_as_shown
from infra.grafana.units import shown
from infra.grafana.writing import dashboards
from sinks.migrate import views
from streams.errors import InputError

RUNBOOKS = FOLDER.parent / "runbooks"
ACCESS = FOLDER.parent / "clickhouse" / "access.sql"
ALL_PANELS = [
    pytest.param(name, panel, id=f"{name}: {panel['title']}") for name in NAMES for panel in panels(load(name))
]


def looking(**choices: Choice) -> Asked:
    """A look at the first hundred seconds of 2024."""
    return Asked(1_704_067_200, 1_704_067_300, 10, 15, choices)


def test_the_files_are_what_the_python_says() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert kept == dashboards(), "write them anew: python -m infra.grafana"


@pytest.mark.parametrize(("name", "panel"), ALL_PANELS)
def test_every_panel_says_what_it_shows_and_in_which_unit(name: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 5
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    if name == "pipeline":
        assert [link["url"].startswith("${runbooks}/") for link in panel["links"]] == [True]


@pytest.mark.parametrize("name", NAMES)
def test_panels_cover_the_grid_without_holes_or_overlaps(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in load(name)["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]
    rows = max(y for _, y in taken) + 1
    assert {(x, y) for x in range(24) for y in range(rows)} == taken.keys()


@pytest.mark.parametrize("name", NAMES)
def test_titles_and_ids_are_unique_in_a_dashboard(name: str) -> None:
    everything = load(name)["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    targets = [target for panel in panels(load(name)) for target in panel["targets"]]
    assert all(target["datasource"]["uid"] in ("qunpulse-prometheus", "qunpulse-clickhouse") for target in targets)


@pytest.mark.parametrize("name", NAMES)
def test_runbooks_that_are_linked_exist(name: str) -> None:
    links = [link["url"] for panel in panels(load(name)) for link in panel.get("links", ())]
    missing = {url for url in links if not (RUNBOOKS / url.removeprefix("${runbooks}/")).is_file()}
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_sql_reads_nothing_but_views_of_the_database_for_people(name: str) -> None:
    texts = [target["rawSql"] for panel in panels(load(name)) for target in panel["targets"] if "rawSql" in target]
    texts += [one["query"]["rawSql"] for one in load(name)["templating"]["list"] if isinstance(one["query"], dict)]
    assert texts
    known = {f"qunpulse.{view.name}" for view in views()}
    for text in texts:
        read = re.findall(r"\b(?:FROM|JOIN)\s+([\w.]+)", text)
        assert read
        assert set(read) <= known, text


def test_data_sources_are_the_ones_the_panels_name_and_hold_no_password() -> None:
    text = (FOLDER / "provisioning/datasources/qunpulse.yml").read_text(encoding="utf-8")
    sources = YAML(typ="safe").load(text)["datasources"]
    assert {(one["uid"], one["type"]) for one in sources} == {
        ("qunpulse-prometheus", "prometheus"),
        ("qunpulse-clickhouse", "grafana-clickhouse-datasource"),
    }
    clickhouse = sources[1]
    assert clickhouse["jsonData"]["username"] == "bi"
    assert clickhouse["secureJsonData"] == {"password": "$QUNPULSE_BI_PASSWORD"}
    provider = YAML(typ="safe").load((FOLDER / "provisioning/dashboards/qunpulse.yml").read_text(encoding="utf-8"))
    assert [Path(one["options"]["path"]).name for one in provider["providers"]] == ["qunpulse"]


def test_the_plugin_asks_for_no_more_time_than_the_profile_of_bi_grants() -> None:
    # clickhouse-go, context.go: max_execution_time becomes the seconds until the deadline, and 5.
    text = (FOLDER / "provisioning/datasources/qunpulse.yml").read_text(encoding="utf-8")
    asked_for = int(YAML(typ="safe").load(text)["datasources"][1]["jsonData"]["queryTimeout"]) + 5
    granted = re.search(r"max_execution_time = \d+ MIN \d+ MAX (\d+)", ACCESS.read_text(encoding="utf-8"))
    assert granted
    assert asked_for <= int(granted[1])


def test_a_condition_is_dropped_while_all_is_chosen_and_kept_otherwise() -> None:
    sql = "SELECT 1 WHERE $__conditionalAll(c IN (${community:sqlstring}), $community) AND x"
    assert sql_as_sent(sql, looking(community=Choice(("a",), everything=True))) == "SELECT 1 WHERE 1=1 AND x"
    assert sql_as_sent(sql, looking(community=Choice(("群'a", "b")))) == "SELECT 1 WHERE c IN ('群''a','b') AND x"


def test_macros_of_time_become_what_the_plugin_makes_of_them() -> None:
    sent = sql_as_sent("SELECT 1 WHERE $__timeFilter(at) AND $__dateFilter(day) AND t < $__toTime", looking())
    assert sent == (
        "SELECT 1 WHERE at >= toDateTime(1704067200) AND at <= toDateTime(1704067300) "
        "AND day >= toDate('2024-01-01') AND day <= toDate('2024-01-01') AND t < toDateTime(1704067300)"
    )


def test_names_in_promql_are_taken_literally_and_rates_look_back_over_four_scrapes() -> None:
    expression = 'rate(x{instance=~"$instance"}[$__rate_interval])'
    one = looking(instance=Choice(("w.1:9108",)))
    assert promql_as_sent(expression, one) == r'rate(x{instance=~"w\\.1:9108"}[60s])'
    two = looking(instance=Choice(("w.1:9108", "w2"), all_value=".*"))
    assert promql_as_sent(expression, two) == r'rate(x{instance=~"(w\\.1:9108|w2)"}[60s])'
    everything = looking(instance=Choice(("w1", "w2"), everything=True, all_value=".*"))
    assert promql_as_sent(expression, everything) == 'rate(x{instance=~".*"}[60s])'


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT ${comunity:sqlstring}", "no variable 'comunity'"),
        ("SELECT $__timeFiltr(at)", "no macro"),
        ("SELECT $__conditionalAll(c)", "two arguments"),
        ("SELECT ${community:sqlstrin}", "unknown format"),
        ("SELECT $several", "may have several values"),
    ],
)
def test_a_slip_in_a_query_is_an_error_that_names_it(sql: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        sql_as_sent(sql, looking(community=Choice(("a",)), several=Choice(("a", "b"), multiple=True)))


def test_a_title_shows_what_is_chosen() -> None:
    assert title_as_shown("GMV (${currency})", looking(currency=Choice(("CNY",)))) == "GMV (CNY)"


def test_a_prometheus_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"no Prometheus answers at http://127\.0\.0\.1:9: "):
        PrometheusSource("http://127.0.0.1:9").get("query", query="up")


def test_every_command_of_the_docs_page_takes_the_options_it_is_shown_with() -> None:
    page = (FOLDER.parents[1] / "docs" / "dashboards.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\.venv/bin/python -m infra\.grafana\.contact_sheet (.+)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert set(parser().parse_args(shlex.split(command)).names) <= set(NAMES)
    for name in NAMES:
        assert (FOLDER.parents[1] / "docs" / "images" / f"dashboard-{name}.png").is_file()
        assert f"images/dashboard-{name}.png" in page


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0617, "percentunit", "6.17 %"), (68_228.2, "short", "68.2 K"), (0.0, "short", "0"), (5_400.0, "s", "1.5 h"),
        (0.0123, "s", "12.3 ms"), (3.5 * 2**30, "bytes", "3.5 GiB"), (1234.0, "cps", "1.23 K c/s"),
        (float("nan"), "s", "-"),
        (-1500.0, "short", "-1.5 K"), (1200.0, "none", "1200"),
    ],
)  # fmt: skip
def test_numbers_are_shown_short_with_their_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_span_is_asked_for_in_as_many_points_as_a_panel_can_show() -> None:
    assert span(0, 240 * 60).interval_seconds == 60
    assert span(0, 60).interval_seconds == 15  # never finer than what is scraped
