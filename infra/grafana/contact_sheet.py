"""One picture of a dashboard: what its queries answer, panels at their places in the grid. No Grafana is needed.

    python -m infra.grafana.contact_sheet communities business --data ./data --from 2024-01-01 --to 2024-12-31
    python -m infra.grafana.contact_sheet pipeline --prometheus http://127.0.0.1:9090

ClickHouse is found as by `qunpulse sql`: the running one, or the one of a data folder on which nothing runs.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.grafana.asking import NAMES, PrometheusSource, Sources, ask, load, panels, span, with_choices
from infra.grafana.drawing import Sheet, draw
from infra.grafana.fonts import families
from streams.errors import InputError, QunpulseError


def contact_sheet(
    name: str,
    start: int,
    end: int,
    sources: Sources,
    folder: Path,
    fonts: Sequence[str],
    chosen: dict[str, list[str]] | None = None,
    scrape_seconds: int = 15,
) -> Path:
    """Ask every panel of a dashboard over a span of Unix seconds and draw the answers into `folder`; its path.

    Raises InputError when a query is refused, or the picture cannot be written.
    """
    dashboard = load(name)
    asked = with_choices(dashboard, span(start, end, scrape_seconds), sources, chosen)
    answers = [(panel, ask(panel, asked, sources)) for panel in panels(dashboard)]
    path = folder / f"dashboard-{name}.png"
    draw(Sheet(dashboard, asked, answers), path, fonts)
    return path


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    options = argparse.ArgumentParser(
        prog="python -m infra.grafana.contact_sheet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("names", nargs="+", choices=NAMES, metavar="DASHBOARD", help=", ".join(NAMES))
    options.add_argument("--data", type=Path, metavar="DIR", help="data folder of the embedded stack")
    options.add_argument("--prometheus", metavar="URL", help="needed for the dashboard pipeline")
    options.add_argument("--scrape", type=int, default=15, metavar="SECONDS", help="Prometheus's scrape interval (15)")
    options.add_argument(
        "--from", dest="start", metavar="DATE", help="beginning, UTC (90 days, for pipeline 3 hours, ago)"
    )
    options.add_argument("--to", dest="end", metavar="DATE", help="end, UTC (now)")
    options.add_argument(
        "--community", action="append", default=[], metavar="ID", help="only this one; may be repeated"
    )
    options.add_argument("--currency", metavar="CODE", help="currency of the dashboard business")
    options.add_argument("--out", type=Path, default=Path("build"), metavar="DIR", help="where pictures go (build)")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the named dashboards."""
    given = parser().parse_args(arguments)
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # said in our own sentence
    now = int(time.time())
    end = _seconds(given.end, now)
    chosen = {"community": given.community} | ({"currency": [given.currency]} if given.currency else {})
    given.out.mkdir(parents=True, exist_ok=True)
    fonts = families(lambda line: print(line, file=sys.stderr))  # noqa: T201  # a tool that is run by hand
    with _clickhouse(given.data) as client:
        prometheus = PrometheusSource(given.prometheus) if given.prometheus else None
        for name in given.names:
            start = _seconds(given.start, end - (3 * 3600 if name == "pipeline" else 90 * 86_400))
            path = contact_sheet(name, start, end, Sources(client, prometheus), given.out, fonts, chosen, given.scrape)
            print(path)  # noqa: T201


@contextmanager
def _clickhouse(data: Path | None) -> Iterator[Any]:
    from streams.cli.options import load_settings
    from streams.cli.reach import clickhouse_address
    from streams.cli.sql import client_of

    with clickhouse_address(load_settings(None, data_dir=data)) as settings:
        client = client_of(settings)
        try:
            yield client
        finally:
            client.close()


def _seconds(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date; write 2024-12-31 or 2024-12-31T18:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


if __name__ == "__main__":
    try:
        main()
    except QunpulseError as error:
        sys.exit(f"error: {error}")
