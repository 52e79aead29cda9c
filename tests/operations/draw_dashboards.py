"""Draw the pictures of docs/dashboards.md anew: `make dashboard-pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from infra.embedded.stack import EmbeddedStack
from infra.grafana.asking import NAMES
from infra.grafana.contact_sheet import contact_sheet
from infra.grafana.fonts import families
from infra.programs import find_program
from streams.errors import QunpulseError
from tests.fixtures_stack import BI_PASSWORD
from tests.operations.dashboard_scene import SCRAPE_SECONDS, dashboard_scene, plan_until_today

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CALM_SECONDS = 15.0


def main() -> None:
    """Play a simulated year of 20 communities until today, then draw every dashboard."""
    find_program("prometheus", report=_say)
    fonts = families(_say)
    plan = plan_until_today(events=200_000, communities=20, days=365)
    with (
        tempfile.TemporaryDirectory(prefix="qunpulse-dashboards-") as name,
        EmbeddedStack(Path(name) / "data", _say, kafka_port=0, clickhouse_port=0, bi_password=BI_PASSWORD) as stack,
        dashboard_scene(stack, Path(name), plan, CALM_SECONDS, flush_max_events=15_000) as scene,
    ):
        for dashboard in NAMES:
            asked = scene.looking_at(dashboard)
            _say(str(contact_sheet(
                dashboard, asked.start, asked.end, scene.sources, IMAGES, fonts, scrape_seconds=SCRAPE_SECONDS
            )))  # fmt: skip


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        main()
    except QunpulseError as error:
        sys.exit(f"error: {error}")
