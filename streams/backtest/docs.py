"""Write docs/backtest.md and its pictures from the real event feeds: `make backtest-docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from streams.backtest.events import read_feed
from streams.backtest.picture import draw
from streams.backtest.report import backtest
from streams.backtest.words import markdown
from streams.errors import InputError, QunpulseError
from streams.rules_model import Rules

DOCS = Path(__file__).parents[2] / "docs"
LEARN_SHARE = 0.5

SETS = (
    ("qa_load", "A Telegram group, 2018 to 2023", ("qa_load/messages.ndjson.gz", "qa_load/joins.ndjson.gz")),
    ("gitter", "freeCodeCamp's chat rooms on Gitter, 2014 to 2016", ("freecodecamp_gitter/messages.ndjson.gz",)),
    ("online_retail", "UCI Online Retail, 2010 to 2011", ("online_retail/orders.ndjson.gz",)),
)

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
    parts = []
    for name, title, files in SETS:
        print(f"{name} …", file=sys.stderr, flush=True)  # noqa: T201  # a tool of the repository, run by hand
        report = backtest(read_feed([folder / file for file in files]), Rules(), LEARN_SHARE, True, lambda _: None)
        parts.append(f"## {title}\n\n`qunpulse backtest {' '.join(files)}`\n\n{markdown(report)}")
        if report.silent is not None:
            draw(report.silent, title, DOCS / "images" / f"backtest-{name}.png")
            parts.append(f"![{title}: precision and recall, lead times](images/backtest-{name}.png)\n")
    page.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except QunpulseError as error:
        sys.exit(f"error: {error}")
