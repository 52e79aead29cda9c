"""The sections of a report, in the order of the page. Each reads views through a `Source` and gives a `Section`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.reporting.section import Section
from streams.reporting.sections.activity import activity, participation
from streams.reporting.sections.attention import alerts, touches
from streams.reporting.sections.buying import revenue
from streams.reporting.sections.efforts import campaigns, fatigue
from streams.reporting.sections.growing import funnel, growth, retention
from streams.reporting.sections.health import health
from streams.reporting.sections.standing import leaderboards, lifecycle
from streams.reporting.sections.timing import timing
from streams.reporting.source import Source

SECTIONS: Final[tuple[Callable[[Source], Section], ...]] = (
    activity,
    participation,
    growth,
    funnel,
    retention,
    revenue,
    lifecycle,
    leaderboards,
    timing,
    campaigns,
    fatigue,
    health,
    alerts,
    touches,
)
