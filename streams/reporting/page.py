"""The page itself: one HTML file that needs nothing from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.errors import ConfigError
from streams.reporting.drawing import FONTS
from streams.reporting.scope import Community, Scope, choose_month, find_community
from streams.reporting.section import Section
from streams.reporting.sections import SECTIONS
from streams.reporting.source import Source

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

SUMMARY = (
    ("activity", ("mean_dau", "last_mau", "mean_dau_mau")),
    ("participation", ("participation_rate", "gini")),
    ("growth", ("joins", "leaves")),
    ("revenue", ("net_gmv_minor", "repurchase_rate.90d")),
    ("health", ("zombie_score",)),
    ("alerts", ("still_open",)),
)
"""Figures at the top of the page, by section; of money the one of each currency."""


def report(
    clickhouse: ClickHouse, community: str, month: str | None, say: Callable[[str], None] = lambda _: None
) -> str:
    """The HTML of a community's month.

    Args:
        clickhouse: with the views of database `qunpulse`.
        community: id or name.
        month: `2024-06`; None for the last complete one.
        say: told what is being read.

    Raises:
        InputError: no such community, or no figures of that month.
        ConfigError: a library of the extra `analysis` is missing.
        SinkError: ClickHouse cannot be asked.
    """
    template = _template()
    found = find_community(clickhouse, community)
    scope = choose_month(found, month)
    sections: list[Section] = []
    if scope is not None:
        source = Source(clickhouse, scope)
        for read in SECTIONS:
            say(f"reading {read.__name__}")
            sections.append(read(source))
    return str(template.render(_context(found, scope, sections)))


def _template() -> Any:
    try:
        import jinja2
    except ImportError:
        raise ConfigError("the report needs jinja2; install it with `pip install 'qunpulse[analysis]'`") from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("streams.reporting", "."),
        autoescape=True,  # ids and names come from members: one of them will be called <script>
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _context(community: Community, scope: Scope | None, sections: list[Section]) -> dict[str, Any]:
    by_name = {section.name: section for section in sections}
    tiles = [
        fact
        for name, wanted in SUMMARY
        if name in by_name
        for fact in by_name[name].facts
        if any(fact.name == f"{name}.{one}" or fact.name.startswith(f"{name}.{one}.") for one in wanted)
    ]
    health = by_name.get("health")
    return {
        "community": community,
        "scope": scope,
        "sections": sections,
        "tiles": tiles,
        "diagnosis": health.notes[0] if health is not None and health.notes else "",
        "fonts": FONTS,
    }
