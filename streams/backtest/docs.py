"""Write docs/backtest.md and its pictures from the real event feeds: `make backtest-docs`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from streams.backtest.events import read_feed
from streams.backtest.picture import draw
from streams.backtest.report import backtest
from streams.backtest.tuning import CHANCES, LATEST, STRENGTHS, WANTED_LEAD_PERCENT, Tried, best_for_all
from streams.backtest.words import difference_text, markdown, settings_text
from streams.errors import InputError, QunpulseError
from streams.operators.silent_alerts import limits_of
from streams.rules_model import Rules

DOCS = Path(__file__).parents[2] / "docs"
LEARN_SHARE = 0.5

SETS = (
    ("qa_load", "A Telegram group, 2018 to 2023", ("qa_load/messages.ndjson.gz", "qa_load/joins.ndjson.gz")),
    ("gitter", "freeCodeCamp's chat rooms on Gitter, 2014 to 2016", ("freecodecamp_gitter/messages.ndjson.gz",)),
    ("online_retail", "UCI Online Retail, 2010 to 2011", ("online_retail/orders.ndjson.gz",)),
)

CHATS = ("qa_load", "gitter")
"""The sets on whose first parts the shipped settings of `silent` were chosen."""

BEGIN = "<!-- begin: written by `make backtest-docs` -->"
END = "<!-- end -->"


def main(arguments: list[str]) -> None:
    """Replace the written part of docs/backtest.md.

    Raises:
        InputError: the folder of the feeds was not given, or docs/backtest.md has no place for the tables.
    """
    if len(arguments) != 1:
        raise InputError("name the folder of the real event feeds: python -m streams.backtest.docs FOLDER")
    folder, page = Path(arguments[0]), DOCS / "backtest.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{page} has no part between {BEGIN!r} and {END!r}")
    parts, tried = [], dict[str, list[Tried]]()
    for name, title, files in SETS:
        print(f"{name} …", file=sys.stderr, flush=True)  # noqa: T201  # a tool of the repository, run by hand
        report = backtest(read_feed([folder / file for file in files]), Rules(), LEARN_SHARE, True, lambda _: None)
        parts.append(f"## {title}\n\n`qunpulse backtest {' '.join(files)}`\n\n{markdown(report)}")
        if report.silent is not None:
            tried[name] = report.silent.on_first_part
            draw(report.silent, title, DOCS / "images" / f"backtest-{name}.png")
            parts.append(f"![{title}: precision and recall, lead times](images/backtest-{name}.png)\n")
    parts.append(shipping({name: tried[name] for name in CHATS}))
    page.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{after}", encoding="utf-8")


def shipping(tried: Mapping[str, list[Tried]]) -> str:
    """The settings of `silent` that ship, as the first parts of some sets say, in Markdown."""
    everywhere = set.intersection(*({one.limits for one in of_set if one.early} for of_set in tried.values()))
    best, ships = best_for_all(list(tried.values())), limits_of(Rules().alerts.silent)
    rows = ["| settings | " + " | ".join(tried) + " |", "|---|" + "---|" * len(tried)]
    for limits in dict.fromkeys([*(one.limits for one in best), ships]):
        there = [difference_text(one) for of_set in tried.values() for one in of_set if one.limits == limits]
        mark = " (these ship)" if limits == ships else ""
        rows.append(f"| {settings_text(limits)}{mark} | " + " | ".join(there or ["not tried"]) + " |")
    said = (
        f"Of {len(CHANCES) * len(LATEST) * len(STRENGTHS)} settings {len(everywhere)} come at least "
        f"{-WANTED_LEAD_PERCENT:.0f} % earlier than fixed days at equal volume on the first parts of all chat sets. "
        "The one of them that loses least precision where it loses most, on these first parts:"
    )
    return "\n".join(["## Settings that ship", "", said, "", *rows, ""])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except QunpulseError as error:
        sys.exit(f"error: {error}")
