"""The tour as a document: what is asked of which feed stands in it, and what follows each SQL block is written anew.

A question is a heading, some words, perhaps `<!-- plot: {…} -->`, and one block of SQL. Whatever stands between that
block and the next heading is its answer. `<!-- feed: NAME -->` says which feed is asked from there on.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from streams.errors import InputError
from streams.reporting import drawing

ROWS_SHOWN = 12

_PART = re.compile(r"^(?=##+ )", re.MULTILINE)
_FEED = re.compile(r"<!-- feed: (\w+) -->")
_PLOT = re.compile(r"<!-- plot: (\{.*?\}) -->", re.DOTALL)
_SQL = re.compile(r"^```sql\n(.*?)^```\n", re.MULTILINE | re.DOTALL)

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the tour: its heading, the feed it is asked of, its SQL, how the answer is drawn, the answer."""

    heading: str
    feed: str
    sql: str
    plot: Mapping[str, Any] | None
    answer: str

    @property
    def picture(self) -> str:
        """File name of its plot."""
        return re.sub(r"\W+", "-", self.heading.casefold()).strip("-")[:48].rstrip("-") + ".svg"


def questions(document: str) -> list[Question]:
    """The questions of the tour in their order. Raises InputError for one without a feed, or two alike."""
    found, feed = [], ""
    for part in _PART.split(document):
        if named := _FEED.search(part):
            feed = named.group(1)
        sql = _SQL.search(part)
        if sql is None:
            continue
        heading = part.splitlines()[0].lstrip("# ")
        if not feed:
            raise InputError(f"the question {heading!r} does not say which feed it is asked of")
        plot = _PLOT.search(part)
        described = YAML(typ="safe").load(plot.group(1)) if plot else None
        found.append(Question(heading, feed, sql.group(1).strip(), described, part[sql.end() :].strip()))
    headings = [question.heading for question in found]
    if repeated := {heading for heading in headings if headings.count(heading) > 1}:
        raise InputError(f"the tour asks twice: {', '.join(sorted(repeated))}")
    return found


def with_answers(document: str, answer: Callable[[Question], str]) -> str:
    """The document with every answer written anew."""
    asked = iter(questions(document))
    parts = []
    for part in _PART.split(document):
        sql = _SQL.search(part)
        parts.append(part if sql is None else f"{part[: sql.end()]}\n{answer(next(asked)).strip()}\n\n")
    return "".join(parts).rstrip() + "\n"


def said(question: Question, rows: Rows) -> str:
    """What is written under the question: whom it was asked of, and the answer."""
    made_up = " (made up)" if question.feed == "simulated" else ""
    return f"On `{question.feed}`{made_up}:\n\n{answer_text(rows)}"


def answer_text(rows: Rows) -> str:
    """Rows as a table in Markdown, the first of them where there are many."""
    if not rows:
        return "No rows."
    names = list(rows[0])
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    lines = [
        "| " + " | ".join(names) + " |",
        "|" + "|".join("---:" if number else "---" for number in numeric) + "|",
        *("| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows[:ROWS_SHOWN]),
    ]
    if len(rows) > ROWS_SHOWN:
        lines += ["", f"… and {len(rows) - ROWS_SHOWN:,} more rows."]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value) or "–"
    return str(value).replace("|", "\\|") or "–"


def _name(value: Any) -> str:
    """What stands below a bar: months without their day, communities without their platform and owner."""
    if isinstance(value, dt.date):
        return f"{value:%Y-%m}"
    return re.sub(r"^\w+:([^/]+/)?", "", _cell(value)).replace("_", " ")


def _of_columns(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The name that several columns give together, such as `Fri 16:00`."""
    spoken: dict[str, Callable[[Any], str]] = {
        "weekday": lambda number: drawing.WEEKDAYS[number - 1],
        "hour": lambda number: f"{number:02d}:00",
        "first_date": str,
    }
    return " ".join(spoken.get(column, _name)(row[column]) for column in columns)


def _pivoted(rows: Rows, x: str, by: str, value: str) -> list[dict[str, Any]]:
    """One row for each `x`, and in it a column for each value of `by`; what is in no row is None."""
    keys = dict.fromkeys(str(row[by]) for row in rows)
    found = {row[x]: {x: row[x], **dict.fromkeys(keys)} for row in rows}
    for row in rows:
        found[row[x]][str(row[by])] = row[value]
    return list(found.values())


def draw(question: Question, rows: Rows) -> str:
    """The SVG of an answer as its question wants it. Raises InputError for a kind of plot that does not exist.

    `y` lists columns, or maps them to what the legend says. `x` is a column, or several for a bar's or point's name;
    without it the columns of the one row stand beside each other. With `by` and `value`, `y` lists values of column
    `by`, and the figures are those of column `value`.
    """
    plot = dict(question.plot or {})
    kind, x, unit, label = plot.pop("kind"), plot.pop("x", None), plot.pop("unit"), question.heading
    ys = plot.pop("y")
    legend = ys if isinstance(ys, Mapping) else {name: name.replace("_", " ") for name in ys}
    if "by" in plot:
        rows = _pivoted(rows, x, plot.pop("by"), plot.pop("value"))
    at: list[Any]
    if x is None:
        at, series = list(legend.values()), {unit: [rows[0][name] for name in legend]}
    else:
        at = [_of_columns(row, x) if isinstance(x, list) else row[x] for row in rows]
        series = {text: [row[name] for row in rows] for name, text in legend.items()}
    if kind == "lines":
        return drawing.lines(label, at, series, unit, **plot)
    if kind == "bars":
        return drawing.bars(label, [_name(value) for value in at], series, unit, **plot)
    if kind == "steps":
        return drawing.steps(label, at, series, unit)
    if kind == "heat_map":
        (values,) = series.values()
        cells = {(row["weekday"], hour): value for row, hour, value in zip(rows, at, values, strict=True)}
        return drawing.heat_map(label, cells, unit)
    if kind in ("intervals", "points"):
        paint: Any = drawing.intervals if kind == "intervals" else drawing.points
        return str(paint(label, at, *series.values(), unit, **plot))
    raise InputError(f"{question.heading!r} wants a plot of kind {kind!r}; there are lines, bars, steps, heat_map, "
                     "intervals and points")  # fmt: skip
