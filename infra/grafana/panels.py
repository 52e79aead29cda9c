"""The panels our dashboards are made of: a few kinds, each with everything a reader needs.

Every panel says what it shows (title), what that means and when to worry (description), and in which unit. Queries come
from `prom` (PromQL) and from `series` and `table` (SQL). Widths are columns of a grid of 24, heights rows of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from grafana_foundation_sdk.builders import barchart, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as parts
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from infra.grafana.clickhouse_query import CLICKHOUSE, ClickHouseQuery

PROMETHEUS: Final = parts.DataSourceRef(type_val="prometheus", uid="qunpulse-prometheus")

Query = prometheus.Dataquery | ClickHouseQuery
Steps = Sequence[tuple[float, str]]
"""Colours from a value on; below the first it is green."""
Unit = Literal["short", "none", "percentunit", "s", "bytes", "cps", "locale"]
Shown = timeseries.Panel | stat.Panel | barchart.Panel | tables.Panel | dashboard.Row
Variable = dashboard.QueryVariable | dashboard.ConstantVariable
Word = tuple[float, str, str]
"""A value, the word shown instead of it, its colour."""

_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, barchart.Panel, tables.Panel)

_LETTERS: Final = "ABCDEFGHIJ"
RUNBOOKS: Final = "/public/runbooks"
"""Where Grafana itself serves infra/runbooks, which docker-compose.yml mounts there. `--runbooks URL`: elsewhere."""


def prom(expression: str, legend: str = "", instant: bool = False) -> prometheus.Dataquery:
    """A PromQL query; `legend` may name labels as `{{topic}}`. An instant one gives the values as they are now."""
    query = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(PROMETHEUS)
    query.format(PromQueryFormat.TIME_SERIES)
    return query.instant() if instant else query.range()


def series(sql: str) -> ClickHouseQuery:
    """SQL over time: column `time` first and in order, then either a number a line, or the line's name and a `value`.

    With names there is one column of text, called `series`.
    """
    return ClickHouseQuery(_flush_left(sql), "series")


def table(sql: str) -> ClickHouseQuery:
    """SQL whose rows are shown as they are."""
    return ClickHouseQuery(_flush_left(sql), "table")


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: Unit,
    width: int = 12,
    height: int = 8,
    runbook: str | None = None,
    limits: Steps = (),
    bars: bool = False,
    stacked: bool = False,
    decimals: int | None = None,
) -> timeseries.Panel:
    """Curves over time, or bars; `limits` are drawn as lines across."""
    panel = _about(timeseries.Panel(), title, description, queries, width, height, runbook)
    panel.unit(unit).legend(_legend()).tooltip(_tooltip())
    panel.line_width(1).fill_opacity(70 if bars else 8).show_points(shapes.VisibilityMode.NEVER).span_nulls(True)
    panel.draw_style(shapes.GraphDrawStyle.BARS if bars else shapes.GraphDrawStyle.LINE)
    panel.axis_soft_min(0)
    if decimals is not None:
        panel.decimals(decimals)
    if any(isinstance(query, ClickHouseQuery) and _names_its_lines(query) for query in queries):
        panel.display_name("${__field.labels.series}")
    if stacked:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(_steps(limits))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED))
    return panel


def number(
    title: str,
    description: str,
    query: Query,
    unit: Unit,
    width: int = 3,
    height: int = 4,
    runbook: str | None = None,
    limits: Steps = (),
    words: Sequence[Word] = (),
    decimals: int | None = None,
    falling: bool = False,
) -> stat.Panel:
    """One figure in large type, coloured by `limits`; with `falling` it is bad to be below one, not above."""
    panel = _about(stat.Panel(), title, description, [query], width, height, runbook)
    panel.unit(unit).graph_mode(shapes.BigValueGraphMode.NONE).color_mode(
        shapes.BigValueColorMode.VALUE if limits or words else shapes.BigValueColorMode.NONE
    )
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.thresholds(_steps(limits, "red" if falling else "green"))
    if words:
        options = {f"{value:g}": parts.ValueMappingResult(text=word, color=colour) for value, word, colour in words}
        panel.mappings([parts.ValueMap(options=options)])
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def bars(
    title: str,
    description: str,
    query: Query,
    unit: Unit,
    width: int = 8,
    height: int = 8,
    runbook: str | None = None,
    stacked: bool = False,
    decimals: int | None = None,
) -> barchart.Panel:
    """Lying bars, one for each row: the first column names it, every other one is a length."""
    panel = _about(barchart.Panel(), title, description, [query], width, height, runbook)
    panel.unit(unit).orientation(shapes.VizOrientation.HORIZONTAL).legend(_legend()).tooltip(_tooltip())
    panel.show_value(shapes.VisibilityMode.AUTO).fill_opacity(70).axis_soft_min(0)
    panel.x_tick_label_max_length(24)
    if stacked:
        panel.stacking(shapes.StackingMode.NORMAL)
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def rows(
    title: str,
    description: str,
    query: Query,
    units: dict[str, Unit] | None = None,
    widths: dict[str, int] | None = None,
    width: int = 12,
    height: int = 8,
    runbook: str | None = None,
    colours: dict[str, Steps] | None = None,
) -> tables.Panel:
    """A table; `units`, `widths` (pixels) and `colours` (limits) by column."""
    panel = _about(tables.Panel(), title, description, [query], width, height, runbook)
    panel.unit("none").filterable(True)
    for column in sorted({*(units or {}), *(widths or {}), *(colours or {})}):
        properties: list[parts.DynamicConfigValue] = []
        if column in (units or {}):
            properties.append(parts.DynamicConfigValue(id_val="unit", value=(units or {})[column]))
        if column in (widths or {}):
            properties.append(parts.DynamicConfigValue(id_val="custom.width", value=(widths or {})[column]))
        if column in (colours or {}):
            cell = {"type": "color-text"}
            properties.append(
                parts.DynamicConfigValue(id_val="thresholds", value=_steps((colours or {})[column]).build())
            )
            properties.append(parts.DynamicConfigValue(id_val="custom.cellOptions", value=cell))
        panel.override_by_name(column, properties)
    return panel


def row(title: str) -> dashboard.Row:
    """A headline across the dashboard; what follows stands under it."""
    return dashboard.Row(title)


def board(
    name: str,
    title: str,
    description: str,
    since: str,
    variables: Sequence[Variable],
    shown: Sequence[Shown],
    runbooks: str,
    timezone: str = "utc",
    refresh: str = "5m",
) -> dashboard.Dashboard:
    """A dashboard whose panels fill the grid from left to right, each headline's under it."""
    made = (
        dashboard.Dashboard(title)
        .uid(f"qunpulse-{name}")
        .description(description)
        .tags(["qunpulse"])
        .time(since, "now")
        .timezone(timezone)
        .refresh(refresh)
        .tooltip(parts.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in variables:
        made.with_variable(variable)
    made.with_variable(dashboard.ConstantVariable("runbooks").value(runbooks).label("Where runbooks are"))
    others = dashboard.DashboardLink("qunpulse").type(parts.DashboardLinkType.DASHBOARDS).tags(["qunpulse"])
    made.link(others.keep_time(True).include_vars(True).as_dropdown(False))
    for number_, one in enumerate(shown, 1):
        if isinstance(one, dashboard.Row):
            made.with_row(one.id(number_))
        else:
            made.with_panel(one.id(number_))
    return made


def _about(
    panel: _Panel, title: str, description: str, queries: Sequence[Query], width: int, height: int, runbook: str | None
) -> _Panel:
    panel.title(title).description(description).span(width).height(height)
    source = CLICKHOUSE if isinstance(queries[0], ClickHouseQuery) else PROMETHEUS
    panel.datasource(source)
    for reference_id, query in zip(_LETTERS, queries, strict=False):
        panel.with_target(query.ref_id(reference_id))
    if runbook is not None:
        link = dashboard.DashboardLink(f"Runbook: {runbook}").url(f"${{runbooks}}/{runbook}.md").target_blank(True)
        panel.links([link])
    return panel


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)


def _steps(limits: Steps, below: str = "green") -> dashboard.ThresholdsConfig:
    steps = [parts.Threshold(value=None, color=below)]
    steps += [parts.Threshold(value=value, color=colour) for value, colour in limits]
    return dashboard.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps)


def _names_its_lines(query: ClickHouseQuery) -> bool:
    return " AS series" in query.build().sql


def _flush_left(sql: str) -> str:
    return textwrap.dedent(sql).strip()
