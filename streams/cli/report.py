"""`qunpulse report`: a community's month as one page for a meeting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings
from streams.errors import InputError


def report(
    community: Annotated[str, typer.Argument(metavar="COMMUNITY", help="Its id, or its name in the rules file.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", dir_okay=False, help="The page to write.")],
    month: Annotated[
        str | None,
        typer.Option(metavar="M", help="Month of its own calendar, like 2024-06. (default: the last whole one)"),
    ] = None,
    data: DataDir = None,
    config_file: ConfigFile = None,
) -> None:
    """Write one HTML page with a community's figures and plots: activity, funnel, retention, revenue, alerts, …

    It needs nothing from anywhere: send it, open it, print it. The running ClickHouse is asked, or the data folder
    when nothing runs.

      qunpulse report wecom:门店福利一群 --out june.html --month 2024-06

      qunpulse report 上海读书会 --out report.html

      qunpulse report telegram:qa_load --data ./mine --out qa_load.html
    """
    from streams.cli.console import stderr, step
    from streams.cli.reach import clickhouse
    from streams.reporting.page import report as page

    if not out.absolute().parent.is_dir():
        raise InputError(f"{out} cannot be written: there is no folder {out.parent}; make it, or choose another")
    loaded = load_settings(config_file, data_dir=data)
    with step(stderr(), f"reading {community}") as progress, clickhouse(loaded) as connection:
        html = page(connection, community, month, progress.say)
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}; choose another with --out") from None
    print(f"{out}: {len(html.encode()):,} bytes; open it in a browser")
