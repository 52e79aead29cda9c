"""Drawing in pixels from the top left corner, on matplotlib."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.errors import ConfigError

PALETTE: Final = (
    "#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0", "#508642", "#CCA300",
    "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477", "#B7DBAB", "#F4D598", "#70DBED", "#F9BA8F",
)  # fmt: skip
"""Grafana's classic palette, so that a line has the colour it has there."""
COLOURS: Final = {"green": "#37872D", "orange": "#FA6400", "red": "#C4162A"}
INK, MUTED, _GRID, _EDGE, _PAPER = "#24292e", "#6e7580", "#e6e8eb", "#d8dbdf", "#f4f5f5"
_DPI: Final = 100
_POINT: Final = _DPI / 72  # pixels
Points = tuple[tuple[float, float], ...]


class Canvas:
    """A picture of so many pixels."""

    def __init__(self, width: int, height: int) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ConfigError("pictures need matplotlib; install it with `pip install 'qunpulse[analysis]'`") from None
        self._width, self._height = width, height
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_PAPER)

    def save(self, path: Path) -> None:
        """Write it as PNG; the same picture has the same bytes."""
        self._figure.savefig(path, dpi=_DPI, facecolor=_PAPER, metadata={"Software": None})

    def box(self, left: float, top: float, width: float, height: float) -> None:
        """The white ground of a panel."""
        from matplotlib.patches import Rectangle

        corner = (left / self._width, 1 - (top + height) / self._height)
        size = (width / self._width, height / self._height)
        ground = Rectangle(corner, *size, facecolor="white", edgecolor=_EDGE, linewidth=0.8)
        ground.set_transform(self._figure.transFigure)
        ground.set_zorder(-1)  # axes are drawn at 0 and would be hidden
        self._figure.add_artist(ground)

    def text(
        self, x: float, y: float, text: str, *, size: float = 8, colour: str = INK, bold: bool = False,
        centred: bool = False, right: bool = False,
    ) -> None:  # fmt: skip
        """Text whose base line is at y. A sign that is `$` begins no formula."""
        self._figure.text(
            x / self._width, 1 - y / self._height, text.replace("$", r"\$"), fontsize=size, color=colour,
            fontweight="bold" if bold and not _wide(text) else "normal", va="baseline",
            ha="center" if centred else "right" if right else "left",
        )  # fmt: skip

    def cut(self, text: str, room: float, size: float) -> str:
        """The beginning of a text that fits into so many pixels."""
        text = " ".join(text.split())
        if width_of(text, size) <= room:
            return text
        while text and width_of(text + "…", size) > room:
            text = text[:-1]
        return text.rstrip() + "…"

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Axes that cover a place."""
        room = (left / self._width, 1 - (top + height) / self._height, width / self._width, height / self._height)
        axes = self._figure.add_axes(room)
        axes.set_facecolor("white")
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0, labelsize=7, colors=MUTED)
        axes.grid(True, color=_GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        return axes

    def time_axis(self, axes: Any, start: float, end: float) -> None:
        """Time from left to right, UTC."""
        from matplotlib import dates

        axes.set_xlim(_moment(start), _moment(end))
        locator = dates.AutoDateLocator(minticks=3, maxticks=8, tz=UTC)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC, show_offset=False))

    def value_axis(self, axes: Any, words: Callable[[float], str]) -> None:
        """Values from below upwards; 0 is always in sight."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0), high if high > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))

    def time_lines(self, axes: Any, lines: Sequence[Points], stacked: bool) -> None:
        """A line each; stacked ones stand on each other."""
        if stacked and lines:
            times = sorted({at for line in lines for at, _ in line})
            heights = [np.interp(times, [at for at, _ in line], [v for _, v in line], 0, 0) for line in lines]
            colours = [PALETTE[place % len(PALETTE)] for place in range(len(lines))]
            axes.stackplot([_moment(at) for at in times], heights, colors=colours, alpha=0.75)
            return
        for place, line in enumerate(lines):
            colour = PALETTE[place % len(PALETTE)]
            alone = "." if len(line) == 1 else None
            axes.plot([_moment(at) for at, _ in line], [v for _, v in line], marker=alone, color=colour, linewidth=1.1)

    def time_bars(self, axes: Any, lines: Sequence[Points], stacked: bool) -> None:
        """Bars at their times; stacked ones away from 0, up and down."""
        times = sorted({at for line in lines for at, _ in line})
        gap = min((b - a for a, b in pairwise(times)), default=86_400.0) / 86_400
        up, down = dict.fromkeys(times, 0.0), dict.fromkeys(times, 0.0)
        for place, line in enumerate(lines):
            wide = gap * (0.85 if stacked else 0.85 / len(lines))
            shift = 0.0 if stacked else (place - (len(lines) - 1) / 2) * wide
            below = [(up if value >= 0 else down)[at] if stacked else 0.0 for at, value in line]
            places = np.array([_days(at) for at, _ in line]) + shift
            axes.bar(places, [v for _, v in line], wide, below, color=PALETTE[place % len(PALETTE)], linewidth=0)
            for at, value in line:
                (up if value >= 0 else down)[at] += value

    def lying_bars(
        self,
        axes: Any,
        names: Sequence[str],
        columns: Sequence[Sequence[float]],
        stacked: bool,
        words: Callable[[float], str],
    ) -> None:
        """One bar or group of bars a name, from above downwards, with its length in words behind it."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        places = np.arange(len(names))
        thick = 0.72 if stacked else 0.72 / max(len(columns), 1)
        ends = np.zeros(len(names))
        for number, lengths in enumerate(columns):
            shift = 0.0 if stacked else (number - (len(columns) - 1) / 2) * thick
            axes.barh(
                places + shift, lengths, thick, ends if stacked else 0, color=PALETTE[number % len(PALETTE)], alpha=0.9
            )
            ends = ends + lengths if stacked else np.maximum(ends, lengths)
        for place, end in zip(places, ends, strict=True):
            axes.annotate(
                words(float(end)),
                (max(end, 0), place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=INK,
            )
        axes.set_yticks(places, [name.replace("$", r"\$") for name in names], color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
        axes.grid(False, axis="y")

    def legend_rows(self, names: Sequence[str], width: float, most: int) -> list[list[tuple[int, str]]]:
        """Names with their numbers in as many rows as they need, or `most`; what is left out is counted."""
        rows: list[list[tuple[int, str]]] = [[]]
        used = 0.0
        for number, name in enumerate(names):
            short = self.cut(name, 190, 7)
            needs = width_of(short, 7) + 24
            if used + needs > width and rows[-1]:
                if len(rows) == most:
                    rows[-1][-1] = (-1, f"+{len(names) - number + 1} more")
                    return rows
                rows.append([])
                used = 0.0
            rows[-1].append((number, short))
            used += needs
        return rows if rows[0] else []

    def legend(self, rows: Sequence[Sequence[tuple[int, str]]], left: float, top: float) -> None:
        """The rows of a legend, their colours before the names."""
        for line, row in enumerate(rows):
            at = left
            for number, name in row:
                y = top + line * 15
                if number >= 0:
                    self.text(at, y, "■", size=7, colour=PALETTE[number % len(PALETTE)])
                self.text(at + 11, y, name, size=7, colour=INK)
                at += width_of(name, 7) + 24


def width_of(text: str, size: float) -> float:
    """About how many pixels a text takes: a Chinese sign is twice as wide as a letter."""
    return (len(text) + _wide(text)) * size * _POINT * 0.61


def _wide(text: str) -> int:
    """How many of its signs are as wide as Chinese ones; fonts with those have no bold."""
    return sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _days(at: float) -> float:
    return at / 86_400  # matplotlib's dates are days since 1970
