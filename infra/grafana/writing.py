"""The dashboards as the JSON that Grafana loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from infra.grafana.business import business
from infra.grafana.communities import communities
from infra.grafana.panels import RUNBOOKS
from infra.grafana.pipeline import pipeline

FOLDER: Final = Path(__file__).parent
"""Where the files are kept, and what Grafana's provider of dashboards is pointed at."""


def dashboards(runbooks: str = RUNBOOKS) -> dict[str, str]:
    """The text of every dashboard's file, by the file's name; `runbooks` is the address its links lead to."""
    made = {
        "pipeline.json": pipeline(runbooks),
        "communities.json": communities(runbooks),
        "business.json": business(runbooks),
    }
    return {name: as_json(dashboard.build()) for name, dashboard in made.items()}


def as_json(dashboard: Dashboard) -> str:
    """In the SDK's order of fields, names of communities and signs as they are."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
