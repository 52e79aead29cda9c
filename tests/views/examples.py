"""Small communities written by hand; all of them land together with the simulated feed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A community, its time zone and further rules, and its events."""

    rules: dict[str, Any]
    events: list[Event]


EXAMPLES: dict[str, Example] = {}
"""By community. Filled while pytest collects, so all test modules' examples are here before the first test."""


def example(community_id: str, events: Iterable[Event], timezone: str = "UTC", **rules: Any) -> str:
    """Have a hand-made community landed; returns its id. Events may come in any order, they are sent by time."""
    named = [event | {"community_id": community_id} for event in events]
    numbered = [{"event_id": f"{number}", "schema_version": 1} | event for number, event in enumerate(named, start=1)]
    known = EXAMPLES.setdefault(community_id, Example({"timezone": timezone} | rules, numbered))
    assert known.events == numbered, f"two examples share the community {community_id}"
    return community_id


RULES: dict[str, dict[str, Any]] = {}
"""Further sections of the rules file: section, then name, then what it says. Filled like `EXAMPLES`."""


def rule(section: str, name: str, /, **said: Any) -> str:
    """Have something said in the rules file, beside the communities; returns its name."""
    known = RULES.setdefault(section, {}).setdefault(name, said)
    assert known == said, f"two rules share the name {name} in {section}"
    return name


def message(at: str, member: str, **fields: Any) -> Event:
    """A message of kind text unless `kind` says otherwise; `at` is RFC 3339, or '2024-03-01 10:00' in UTC."""
    return {"event_type": "message", "occurred_at": _rfc3339(at), "member_id": member, "kind": "text", **fields}


def join(at: str, member: str, action: str = "joined", **fields: Any) -> Event:
    """A join, leave, … of a member."""
    return {"event_type": "join", "occurred_at": _rfc3339(at), "member_id": member, "action": action, **fields}


def order(at: str, member: str, order_id: str, amount_minor: int, status: str = "paid", **fields: Any) -> Event:
    """An order in EUR unless `currency` says otherwise."""
    common = {"event_type": "order", "occurred_at": _rfc3339(at), "member_id": member, "currency": "EUR"}
    return common | {"order_id": order_id, "amount_minor": amount_minor, "status": status, **fields}


def referral(at: str, referrer: str, referee: str, campaign: str = "拉新") -> Event:
    """A referral."""
    ids = {"campaign_id": campaign, "referrer_id": referrer, "referee_id": referee}
    return {"event_type": "referral", "occurred_at": _rfc3339(at), **ids}


def _rfc3339(at: str) -> str:
    if "T" in at:
        return at
    date, _, clock = at.partition(" ")
    return f"{date}T{clock or '12:00'}{':00' if clock.count(':') < 2 else ''}Z"
