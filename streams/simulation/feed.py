"""A whole simulated feed: events in the order of their arrival, the truth behind them, the rules that go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from streams.errors import InputError
from streams.simulation.chatter import add_chatter, talk_weights
from streams.simulation.disorder import arrive
from streams.simulation.happenings import Happenings
from streams.simulation.lives import ENDS, Accounts, Lives, live
from streams.simulation.moments import moments, written
from streams.simulation.plan import Plan
from streams.simulation.purchases import add_purchases
from streams.simulation.roster import add_roster
from streams.simulation.world import make_communities, rules_document

EVENTS_PER_LIFE: Final = 40
"""How many events a member has on average; fixes how many people a feed of a given size has."""

_FORMAT: Final = 3  # raised whenever the same plan gives other bytes


@dataclass(frozen=True)
class SimulatedFeed:
    """What was simulated. `lines` have no line break; `truth` and `rules` are plain values for JSON."""

    lines: list[bytes]
    truth: list[dict[str, Any]]
    rules: dict[str, Any]
    broken_lines: dict[int, str]  # by position in `lines`
    duplicates: int


def simulate(plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None) -> SimulatedFeed:
    """Simulate a feed; the same plan gives the same bytes. `progress` is told (events made, all)."""
    communities = make_communities(plan, max(plan.events // EVENTS_PER_LIFE, plan.communities * 4))
    accounts = Accounts()
    encode = msgspec.json.Encoder().encode
    worlds: list[tuple[Happenings, Lives]] = []
    truth: list[dict[str, Any]] = []
    for community in communities:
        lives = live(plan, community, accounts)
        happenings = Happenings(plan, community)
        add_roster(happenings, lives, plan)
        truth += add_purchases(happenings, lives, plan)
        truth += _churned(happenings, lives)
        worlds.append((happenings, lives))

    made = sum(len(happenings.events) for happenings, _ in worlds)
    weights = [talk_weights(lives, float(happenings.community.clock.hours)) for happenings, lives in worlds]
    shares = np.concatenate(weights)
    counts = plan.chance(8).multinomial(max(plan.events - made, 0), shares / shares.sum())
    lines: list[bytes] = []
    times: list[int] = []
    taken = 0
    for (happenings, lives), of_community in zip(worlds, weights, strict=True):
        add_chatter(happenings, lives, counts[taken : taken + len(of_community)], plan)
        taken += len(of_community)
        lines += map(encode, happenings.events)
        times += happenings.at_ms
        progress(min(len(lines), plan.events), plan.events)
        happenings.events.clear()

    at_ms = np.array(times, np.int64)
    order = np.argsort(at_ms, kind="stable")[: plan.events]  # a short feed of many communities ends early
    arrivals = arrive([lines[i] for i in order.tolist()], at_ms[order], plan)
    duplicates = int(arrivals.repeats.sum())
    summary = {
        "truth": "feed",
        "format": _FORMAT,
        "seed": plan.seed,
        "events": len(order),
        "duplicates": duplicates,
        "broken": len(arrivals.broken),
        "communities": len(communities),
        "memberships": sum(len(lives) for _, lives in worlds),
    }
    broken = [{"truth": "broken", "line": place + 1, "broken": what} for place, what in arrivals.broken.items()]
    return SimulatedFeed(
        lines=arrivals.lines,
        truth=[summary, *truth, *broken],
        rules=rules_document(communities),
        broken_lines=arrivals.broken,
        duplicates=duplicates,
    )


def write_feed(
    path: Path, plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None
) -> SimulatedFeed:
    """Simulate into `path`, with `<path>.truth.ndjson` and `<path>.rules.yaml` beside it; InputError if it cannot."""
    feed = simulate(plan, progress)
    encode = msgspec.json.encode
    contents = {
        path: b"".join(line + b"\n" for line in feed.lines),
        truth_path(path): b"".join(encode(entry) + b"\n" for entry in feed.truth),
        # JSON is YAML.
        rules_path(path): msgspec.json.format(encode(feed.rules)) + b"\n",
    }
    for target, content in contents.items():
        beside = target.with_name(f"{target.name}.part")
        try:
            beside.write_bytes(content)
            beside.replace(target)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror}") from None
    return feed


def truth_path(path: Path) -> Path:
    """Where the truth about the feed in `path` is written."""
    return path.with_name(f"{path.name}.truth.ndjson")


def rules_path(path: Path) -> Path:
    """Where the rules file for the feed in `path` is written."""
    return path.with_name(f"{path.name}.rules.yaml")


def _churned(happenings: Happenings, lives: Lives) -> list[dict[str, Any]]:
    """Who is gone for good, since when and how: no event of theirs is later (a snapshot may still list the silent)."""
    community = happenings.community
    rows = np.flatnonzero(lives.end != 0)
    at_ms = moments(community, lives.until(float(community.clock.hours))[rows])
    return [
        {
            "truth": "churn",
            "community_id": community.community_id,
            "member_id": lives.member_ids[row],
            "churned_at": text,
            "how": ENDS[lives.end[row]],
        }
        for row, text in zip(rows.tolist(), written(community, at_ms), strict=True)
    ]
