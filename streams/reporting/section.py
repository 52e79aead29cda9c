"""What a section of the page consists of. Values stay beside their words: a test compares them with the views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.reporting import wording

Row = Mapping[str, Any]
Form = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure: `name` says which, `value` is the view's own, `shown` what people read, `before` last month's."""

    name: str
    label: str
    value: Any
    shown: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: which field of the rows, its heading with the unit, how values are written."""

    field: str
    title: str
    form: Form | None = None  # None: text, to the left

    @property
    def number(self) -> bool:
        """Whether its cells stand to the right."""
        return self.form is not None and self.form is not wording.words and self.form is not wording.text

    def shown(self, row: Row) -> str:
        """What the cell says."""
        return (self.form or wording.text)(row[self.field])


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a view under a caption; `name` says which."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG, and what it shows in one sentence."""

    caption: str
    svg: str


@dataclass(slots=True)
class Section:
    """A part of the page. Without facts, plots and tables it says `nothing` instead."""

    name: str
    title: str
    about: str
    nothing: str
    facts: list[Fact] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.facts or self.plots or self.tables)

    def fact(self, name: str, label: str, value: Any, form: Form, before: Any = None) -> None:
        """Add a figure, and beside it what it was a month before."""
        was = form(before) if before is not None else ""
        self.facts.append(Fact(f"{self.name}.{name}", label, value, form(value), was))

    def table(self, name: str, caption: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Add a table, unless it has no rows."""
        if rows:
            self.tables.append(Table(f"{self.name}.{name}", caption, columns, rows))

    def plot(self, caption: str, svg: str) -> None:
        """Add a picture."""
        self.plots.append(Plot(caption, svg))
