"""`qunpulse simulate`: a realistic feed as a file, the truth about it beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", dir_okay=False, help="The event file to write.")],
    events: Annotated[int, typer.Option(metavar="N", min=1, help="Distinct valid events.")] = 100_000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="The same seed gives the same bytes.")] = 1,
    communities: Annotated[int, typer.Option(metavar="N", min=1, help="Communities.")] = 20,
    days: Annotated[int, typer.Option(metavar="N", min=1, help="Days they take.")] = 365,
    start: Annotated[datetime, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="First day, UTC.")] = datetime(
        2024, 1, 1, tzinfo=UTC
    ),
    duplicates: Annotated[float, typer.Option(metavar="SHARE", help="Share of events that come twice.")] = 0.0,
    out_of_order: Annotated[float, typer.Option(metavar="SHARE", help="Share that arrives up to 6 h late.")] = 0.0,
    broken: Annotated[float, typer.Option(metavar="SHARE", help="Share of broken records on top.")] = 0.0,
) -> None:
    """Write a simulated feed: daily and weekly rhythms, heavy talkers, invitations, buyers, churn.

    Beside FILE it writes what no event tells, for judging figures by it:
    FILE.truth.ndjson (who churned when and how, who buys how, which lines are
    broken), and FILE.rules.yaml with the communities' names and time zones.

      qunpulse simulate --out year.ndjson --events 200000 --seed 7

      qunpulse simulate --out rough.ndjson --duplicates 0.02 --out-of-order 0.1 --broken 0.005
    """
    from streams.cli.console import stderr, step
    from streams.simulation import Plan, write_feed
    from streams.simulation.feed import rules_path, truth_path

    plan = Plan(
        events=events,
        seed=seed,
        communities=communities,
        days=days,
        start=start.date(),
        duplicates=duplicates,
        out_of_order=out_of_order,
        broken=broken,
    )
    with step(stderr(), f"simulating {events:,} events") as progress:
        feed = write_feed(out, plan, progress.at)
    print(f"{out}: {len(feed.lines):,} lines, {feed.duplicates:,} duplicates, {len(feed.broken_lines):,} broken")
    print(f"{truth_path(out)}: the truth behind them")
    print(f"{rules_path(out)}: names and time zones, for --rules")
