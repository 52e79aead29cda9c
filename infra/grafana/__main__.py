"""Write the dashboards as JSON where Grafana loads them from: `python -m infra.grafana [--runbooks URL]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from infra.grafana.panels import RUNBOOKS
from infra.grafana.writing import FOLDER, dashboards


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every dashboard, and say which have changed."""
    parser = argparse.ArgumentParser(prog="python -m infra.grafana", description="Write the dashboards' JSON anew.")
    parser.add_argument(
        "--runbooks", default=RUNBOOKS, metavar="URL", help=f"where infra/runbooks is served ({RUNBOOKS})"
    )
    for name, text in dashboards(parser.parse_args(arguments).runbooks.rstrip("/")).items():
        path = FOLDER / name
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path} {'written' if changed else 'unchanged'}\n")


if __name__ == "__main__":
    main()
