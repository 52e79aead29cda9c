"""Plots as SVG text: letters stay letters, so that the reader's browser brings the font for Chinese names.

Each function takes figures and returns one `<svg>`; the same figures give the same bytes. Missing values (None) are
gaps, never zeros.
"""

from __future__ import annotations

import datetime as dt
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streams.errors import ConfigError

FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'PingFang SC', 'Hiragino Sans GB', "
    "'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'WenQuanYi Micro Hei', sans-serif"
)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: told apart by everybody
_GREY = "#8a8f98"
_WIDTH, _HEIGHT = 10.0, 2.9  # inches of 72 points
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Values = Sequence[float | None]


class Drawing:
    """A figure with one axis, and after the block its SVG."""

    def __init__(self, axes: Any) -> None:
        self.axes = axes
        self.svg = ""


@contextmanager
def _drawing(label: str, height: float = _HEIGHT) -> Iterator[Drawing]:
    """Axes in the page's style. Raises ConfigError when matplotlib is not installed."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("plots need matplotlib; install it with `pip install 'qunpulse[analysis]'`") from None
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "qunpulse",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _GREY,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e6e8eb",
        "legend.frameon": False,
        "date.converter": "concise",
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        # The letters are drawn by the browser; that the font they are measured with lacks some of them is no harm.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        drawing = Drawing(figure.subplots())
        yield drawing
        found = io.StringIO()
        figure.savefig(found, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing.svg = _plain(found.getvalue(), label)


def _plain(svg: str, label: str) -> str:
    """The picture without prologue, at the width of its place, with ids of its own and the page's fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Two plots of one page must not share ids, or the second is clipped by the first one's frame.
    mark = re.sub(r"\W+", "-", label.casefold()).strip("-")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{mark}-", svg)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)  # inside a page the names are known; see `standalone`
    named = f'role="img" aria-label="{_escaped(label)}"'
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"([^>]*?)height="[^"]*"', rf"<svg {named} \1\2", svg, count=1)
    if (_open := re.match(r"<svg [^>]*>", svg)) is None:
        raise AssertionError("matplotlib wrote no <svg>")
    style = f"<style>text {{ font-family: {FONTS} !important }}</style>"
    return f"{_open.group()}{style}{svg[_open.end() :]}".strip()


def standalone(svg: str) -> str:
    """The picture as a file of its own."""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace("<svg ", f"<svg {names} ", 1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _gaps(values: Values) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _dress(axes: Any, unit: str, share: bool, series: int) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

    axes.set_ylabel(unit)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), max(high, 1e-3 if share else 1.0))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=high >= 5))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}" if high >= 5 else "{x:,.1f}"))
    if series > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.17), ncols=min(series, 5), borderaxespad=0)


def lines(
    label: str,
    x: Sequence[Any],
    series: Mapping[str, Values],
    unit: str,
    *,
    share: bool = False,
    band: tuple[dt.date, dt.date] | None = None,
    x_label: str = "",
) -> str:
    """Lines over dates, numbers or names; `band` shades days [from, to)."""
    with _drawing(label) as drawing:
        axes = drawing.axes
        if band is not None:
            axes.axvspan(band[0], band[1], color="#eef3f8", zorder=0)
        marker = "o" if len(x) <= 40 else ""
        for (name, values), colour in zip(series.items(), COLOURS, strict=False):
            axes.plot(x, _gaps(values), color=colour, label=name, linewidth=1.6, marker=marker, markersize=3)
        axes.set_xlabel(x_label)
        _dress(axes, unit, share, len(series))
    return drawing.svg


def bars(
    label: str,
    names: Sequence[str],
    series: Mapping[str, Values],
    unit: str,
    *,
    share: bool = False,
    stacked: bool = False,
    x_label: str = "",
) -> str:
    """Upright bars, one group (or stack) a name."""
    with _drawing(label) as drawing:
        axes = drawing.axes
        width = 0.75 if stacked else 0.8 / max(len(series), 1)
        base = [0.0] * len(names)
        for place, ((name, values), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
            heights = [0.0 if math.isnan(value) else value for value in _gaps(values)]
            shift = 0.0 if stacked else (place - (len(series) - 1) / 2) * width
            at = [number + shift for number in range(len(names))]
            axes.bar(at, heights, width, bottom=base if stacked else 0, color=colour, label=name)
            base = [under + height for under, height in zip(base, heights, strict=True)]
        shown = range(0, len(names), max(1, math.ceil(len(names) / 13)))
        letters = 11 if len(shown) <= 10 else 8  # that stand side by side
        axes.set_xticks(list(shown), [textwrap.fill(names[at], letters, break_long_words=False) for at in shown])
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(x_label)
        _dress(axes, unit, share, len(series))
        if share and stacked:
            axes.set_ylim(0, 1)
    return drawing.svg


def steps(label: str, names: Sequence[str], series: Mapping[str, Values], unit: str) -> str:
    """Lying bars from the top, with their counts and their share of the first one: a funnel."""
    with _drawing(label, 0.5 * len(names) + 0.9) as drawing:
        axes = drawing.axes
        height = 0.8 / len(series)
        most = max((value or 0.0 for values in series.values() for value in values), default=0.0) or 1.0
        for place, ((name, values), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
            at = [number + (place - (len(series) - 1) / 2) * height for number in range(len(names))]
            lengths = [value or 0.0 for value in values]
            axes.barh(at, lengths, height * 0.92, color=colour, label=name)
            first = lengths[0] or 1.0
            for y, length in zip(at, lengths, strict=True):
                axes.text(length + most * 0.008, y, f"{length:,.0f}  ({length / first:.0%})", va="center", fontsize=8)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, most * 1.17)
        axes.set_xlabel(unit)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
        if len(series) > 1:
            axes.legend(loc="lower right")
    return drawing.svg


def heat_map(label: str, cells: Mapping[tuple[int, int], float], unit: str) -> str:
    """Hours of the week: `cells` by weekday (1 Monday to 7 Sunday) and hour (0 to 23)."""
    with _drawing(label, 2.9) as drawing:
        axes = drawing.axes
        rows = [[float(cells.get((weekday, hour), 0.0)) for hour in range(24)] for weekday in range(1, 8)]
        # Cells are paths and not one embedded bitmap: they stay sharp on paper.
        mesh = axes.pcolormesh(rows, cmap="YlGnBu", vmin=0, edgecolors="white", linewidth=0.5)
        axes.set_yticks([number + 0.5 for number in range(7)], WEEKDAYS)
        axes.set_xticks(range(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
        axes.invert_yaxis()
        axes.set_xlabel("hour of the community's own day")
        axes.grid(visible=False)
        axes.figure.colorbar(mesh, ax=axes, label=unit, pad=0.01)
    return drawing.svg


def intervals(
    label: str,
    names: Sequence[str],
    middle: Values,
    low: Values,
    high: Values,
    unit: str,
    *,
    share: bool = False,
) -> str:
    """A point and its interval per name, the name above it: names may be long, and Chinese."""
    from matplotlib.ticker import PercentFormatter

    with _drawing(label, 0.5 * len(names) + 0.8) as drawing:
        axes = drawing.axes
        for y, (name, at, least, most) in enumerate(zip(names, _gaps(middle), _gaps(low), _gaps(high), strict=True)):
            sure = least > 0 or most < 0
            colour = COLOURS[0] if sure else _GREY
            axes.plot([least, most], [y, y], color=colour, linewidth=2)
            axes.plot([at], [y], "o", color=colour, markersize=6)
            axes.text(0.01, y - 0.22, name, transform=axes.get_yaxis_transform(), fontsize=8, va="bottom")
        axes.axvline(0, color="#333", linewidth=1)
        axes.set_yticks([])
        axes.set_ylim(len(names) - 0.5, -0.9)
        axes.set_xlabel(unit)
        if share:
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            axes.xaxis.set_major_formatter("{x:,.0f}")
    return drawing.svg


def points(
    label: str,
    x: Sequence[float] | Sequence[str],
    middle: Values,
    low: Values,
    high: Values,
    unit: str,
    *,
    share: bool = False,
    x_label: str = "",
    mark: float | None = None,
) -> str:
    """Points with upright intervals over numbers or names; `mark` draws a line at one of them."""
    with _drawing(label) as drawing:
        axes = drawing.axes
        centre, least, most = _gaps(middle), _gaps(low), _gaps(high)
        reach = [
            [max(0.0, a - b) for a, b in zip(centre, least, strict=True)],
            [max(0.0, b - a) for a, b in zip(centre, most, strict=True)],
        ]
        axes.errorbar(x, centre, yerr=reach, fmt="o", color=COLOURS[0], ecolor="#9cc4e0", markersize=4, capsize=2)
        if mark is not None:
            axes.axvline(mark, color=COLOURS[1], linewidth=1.5)
        axes.set_xlabel(x_label)
        _dress(axes, unit, share, 1)
    return drawing.svg
