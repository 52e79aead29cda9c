"""The picture of a dashboard: every panel's answers drawn where the panel stands, about as Grafana would."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.grafana.asking import Answer, Line, Table, title_of
from infra.grafana.canvas import COLOURS, INK, MUTED, PALETTE, Canvas, width_of
from infra.grafana.substitution import Asked
from infra.grafana.units import shown
from streams.errors import InputError

COLUMN, ROW, HEAD = 66, 36, 64
"""Pixels of one column and one row of the grid, and of the dashboard's own headline."""
_LEGEND_ROW, _TABLE_ROW = 15, 19


@dataclass(frozen=True)
class Sheet:
    """A dashboard and the answers to its queries."""

    dashboard: Mapping[str, Any]
    asked: Asked
    answers: Sequence[tuple[Mapping[str, Any], Sequence[Answer]]]


def draw(sheet: Sheet, path: Path, fonts: Sequence[str]) -> None:
    """Draw it into a PNG. Raises InputError when the file cannot be written."""
    import matplotlib as mpl

    shown_panels = sheet.dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown_panels)
    with (
        mpl.rc_context({"font.family": list(fonts), "font.size": 8, "axes.unicode_minus": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a sign that no font here has
        canvas = Canvas(24 * COLUMN, HEAD + rows * ROW + 8)
        canvas.text(12, 24, sheet.dashboard["title"], size=15, bold=True)
        canvas.text(12, 46, _what_is_looked_at(sheet), size=8.5, colour=MUTED)
        for panel in shown_panels:
            if panel["type"] == "row":
                canvas.text(12, HEAD + panel["gridPos"]["y"] * ROW + 20, panel["title"], size=10.5, bold=True)
        for panel, answers in sheet.answers:
            _draw_panel(canvas, panel, answers, sheet.asked)
        try:
            canvas.save(path)
        except OSError as error:
            raise InputError(f"picture {path} cannot be written: {error.strerror}") from None


def _what_is_looked_at(sheet: Sheet) -> str:
    start, end = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" for at in (sheet.asked.start, sheet.asked.end))
    chosen = [
        f"{name}: {'all' if choice.everything else ', '.join(choice.values)}"
        for name, choice in sheet.asked.choices.items()
        if name != "runbooks"
    ]
    return "   ·   ".join([f"{start} to {end} UTC", *chosen])


def _draw_panel(canvas: Canvas, panel: Mapping[str, Any], answers: Sequence[Answer], asked: Asked) -> None:
    place = panel["gridPos"]
    left, top = place["x"] * COLUMN + 4, HEAD + place["y"] * ROW + 4
    width, height = place["w"] * COLUMN - 8, place["h"] * ROW - 8
    canvas.box(left, top, width, height)
    canvas.text(left + 9, top + 17, canvas.cut(title_of(panel, asked), width - 18, 8.5), size=8.5, bold=True)
    kind = panel["type"]
    inside = (left + 9, top + 28, width - 18, height - 34)
    if kind == "timeseries":
        lines = [line for answer in answers if isinstance(answer, list) for line in answer if line.points]
        _over_time(canvas, panel, lines, asked, inside)
    elif kind == "stat":
        _figure(canvas, panel, answers[0], inside)
    elif kind == "barchart":
        _bars(canvas, panel, _table(answers[0]), inside)
    else:
        _rows(canvas, panel, _table(answers[0]), inside)


def _over_time(
    canvas: Canvas,
    panel: Mapping[str, Any],
    lines: Sequence[Line],
    asked: Asked,
    inside: tuple[float, float, float, float],
) -> None:
    left, top, width, height = inside
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    legend = canvas.legend_rows([line.name for line in lines], width, most=3)
    foot = len(legend) * _LEGEND_ROW
    axes = canvas.axes(left + 44, top + 4, width - 50, height - 28 - foot)
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    canvas.time_axis(axes, asked.start, asked.end)
    if custom["drawStyle"] == "bars":
        canvas.time_bars(axes, [line.points for line in lines], stacked)
    else:
        canvas.time_lines(axes, [line.points for line in lines], stacked)
    if defaults.get("thresholds") and custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for step in defaults["thresholds"]["steps"]:
            if step["value"] is not None:
                axes.axhline(step["value"], color=COLOURS[step["color"]], linewidth=0.8, linestyle="--")
    canvas.value_axis(axes, lambda value: shown(value, defaults["unit"], defaults.get("decimals")))
    canvas.legend(legend, left, top + height - foot + 11)


def _figure(
    canvas: Canvas, panel: Mapping[str, Any], answer: Answer, inside: tuple[float, float, float, float]
) -> None:
    left, top, width, height = inside
    defaults = panel["fieldConfig"]["defaults"]
    values = answer[0].points[-1:] if isinstance(answer, list) and answer else ()
    value = values[0][1] if values else None
    if isinstance(answer, Table) and answer.rows:
        value = answer.rows[0][-1]
    if value is None:
        canvas.text(left + width / 2, top + height / 2 + 8, "No data", size=14, colour=MUTED, centred=True)
        return
    text, colour = shown(float(value), defaults["unit"], defaults.get("decimals")), INK
    if panel["options"]["colorMode"] == "value":
        colour = _colour(float(value), defaults["thresholds"]["steps"])
    for mapping in defaults.get("mappings", ()):
        if word := mapping["options"].get(f"{float(value):g}"):
            text, colour = word["text"], COLOURS[word["color"]]
    canvas.text(
        left + width / 2, top + height / 2 + 12, text, size=22 if len(text) < 9 else 17, colour=colour, centred=True
    )


def _bars(canvas: Canvas, panel: Mapping[str, Any], found: Table, inside: tuple[float, float, float, float]) -> None:
    left, top, width, height = inside
    defaults = panel["fieldConfig"]["defaults"]
    names = [str(row[0]) for row in found.rows]
    columns = [
        [0.0 if row[place] is None else float(row[place]) for row in found.rows]
        for place in range(1, len(found.columns))
    ]
    legend = canvas.legend_rows(list(found.columns[1:]), width, most=1)
    foot = len(legend) * _LEGEND_ROW
    label = min(max((width_of(name, 7) for name in names), default=0) + 8, width * 0.42)
    axes = canvas.axes(left + label, top + 2, width - label - 44, height - 20 - foot)
    stacked = panel["options"].get("stacking") == "normal"
    canvas.lying_bars(
        axes, [canvas.cut(name, label - 6, 7) for name in names], columns, stacked,
        lambda value: shown(value, defaults["unit"], defaults.get("decimals")),
    )  # fmt: skip
    canvas.legend(legend, left, top + height - foot + 11)


def _rows(canvas: Canvas, panel: Mapping[str, Any], found: Table, inside: tuple[float, float, float, float]) -> None:
    left, top, width, height = inside
    properties = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    fixed = [properties.get(column, {}).get("custom.width") for column in found.columns]
    rest = max(width - sum(one for one in fixed if one), 40 * fixed.count(None)) / max(fixed.count(None), 1)
    widths = [float(one or rest) for one in fixed]
    scale = min(1.0, width / sum(widths))
    fitting = max(int((height - _TABLE_ROW) // _TABLE_ROW), 0)
    at = left
    for place, column in enumerate(found.columns):
        room = widths[place] * scale
        numeric = all(isinstance(row[place], int | float | None) for row in found.rows)
        canvas.text(at, top + 13, canvas.cut(column, room - 8, 7.5), size=7.5, colour=PALETTE[5], bold=True)
        for number, row in enumerate(found.rows[:fitting], 1):
            text, colour = _cell(row[place], properties.get(column, {}), numeric)
            canvas.text(at, top + 13 + number * _TABLE_ROW, canvas.cut(text, room - 8, 7.5), size=7.5, colour=colour)
        at += room
    if len(found.rows) > fitting:
        canvas.text(left + width, top - 11, f"{fitting} of {len(found.rows)} rows", size=7, colour=MUTED, right=True)


def _cell(value: Any, properties: Mapping[str, Any], numeric: bool) -> tuple[str, str]:
    if value is None:
        return "-", MUTED
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}", INK
    if not numeric:
        return str(value), INK
    steps = properties.get("thresholds", {}).get("steps")
    return shown(float(value), properties.get("unit", "none")), _colour(float(value), steps) if steps else INK


def _colour(value: float, steps: Sequence[Mapping[str, Any]]) -> str:
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return COLOURS[passed[-1]]


def _table(answer: Answer) -> Table:
    if not isinstance(answer, Table):
        raise InputError("bars and tables are drawn from SQL that gives a table")
    return answer
