"""The feed all view tests share: simulated communities, what a simulator leaves out, and the hand-made examples."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import dataclass, field
from typing import Any

from streams.simulation import Plan, simulate
from tests.oracle import TOPIC_OF, milliseconds
from tests.views.examples import EXAMPLES, Event

# From before the clocks of Berlin and New York go forward until after they go back: days of 23 and 25 hours.
PLAN = Plan(
    events=22_000,
    seed=6,
    communities=8,
    days=270,
    start=dt.date(2024, 2, 20),
    duplicates=0.02,
    out_of_order=0.2,
    max_displacement_seconds=12 * 3600,
)
EMPTY = "empty:空群"
"""A community that is in the rules and has no event."""


@dataclass
class Feed:
    """`events` in the order they are sent; `late` are sent when all of them have landed, and come too late."""

    events: list[Event]
    late: list[Event] = field(default_factory=list)
    communities: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def zones(self) -> dict[str, str]:
        """Time zones by community."""
        return {community: rules.get("timezone", "UTC") for community, rules in self.communities.items()}


def shared_feed() -> Feed:
    """The feed; equal bytes every time, but for the examples."""
    simulated = simulate(PLAN)
    events = [json.loads(line) for line in simulated.lines]
    sent_at = _arrivals(events)
    odd = _oddities(events, random.Random(6))
    made = [event for example in EXAMPLES.values() for event in example.events]
    keyed = [*zip(sent_at, events, strict=True), *((milliseconds(one["occurred_at"]), one) for one in odd + made)]
    keyed.sort(key=lambda entry: entry[0])  # stable: the simulated feed keeps its disorder
    communities = dict(simulated.rules["communities"]) | {EMPTY: {"timezone": "Asia/Shanghai"}}
    communities |= {community: example.rules for community, example in EXAMPLES.items()}
    return Feed([event for _, event in keyed], _late_copies(events), communities)


def with_topics(events: list[Event]) -> list[tuple[str, Event]]:
    """Each event with its topic."""
    return [(TOPIC_OF[event["event_type"]], event) for event in events]


def _arrivals(events: list[Event]) -> list[int]:
    """When each event is sent, ms: the latest time seen so far."""
    latest, times = 0, []
    for event in events:
        latest = max(latest, milliseconds(event["occurred_at"]))
        times.append(latest)
    return times


def _oddities(events: list[Event], chance: random.Random) -> list[Event]:
    """What real feeds bring and the simulator does not, on the simulated communities."""
    found: list[Event] = []
    orders = [event for event in events if event["event_type"] == "order" and event["status"] == "paid"]
    staff = [event for event in events if event.get("sender_role") == "staff"]
    homes = sorted({event["community_id"] for event in orders})

    def add(event: Event, **changes: Any) -> None:
        found.append(event | changes | {"event_id": f"odd-{len(found)}"})

    for paid in orders:
        roll = chance.random()
        later = _later(paid, minutes=chance.randint(1, 600))
        if roll < 0.03:  # the connector tells the same order again under another event id
            add(paid, occurred_at=later)
        elif roll < 0.06:  # … or in a second group of the same shop
            add(paid, occurred_at=later, community_id=chance.choice(homes))
        elif roll < 0.09:  # a coupon used, claimed before, once or twice
            code = f"SAVE{chance.randint(10, 30)}"
            add(paid, order_id=f"{paid['order_id']}K", coupon_codes=[code, code] if roll < 0.065 else [code])
            for hours in (30, 20)[: chance.randint(1, 2)]:
                common = {"event_type": "message", "schema_version": 1, "platform": paid["platform"]}
                who = {"community_id": paid["community_id"], "member_id": paid["member_id"]}
                claimed = {"kind": "coupon_claim", "object_id": code, "occurred_at": _later(paid, minutes=-60 * hours)}
                add(common | who | claimed)
                if chance.random() < 0.3:
                    add(common | who | claimed, kind="coupon_use", occurred_at=later)
        elif roll < 0.12:  # another currency
            add(paid, order_id=f"{paid['order_id']}U", currency="USD", occurred_at=later)
        elif roll < 0.14 and staff:  # an employee buys
            clerk = chance.choice(staff)
            who = {"community_id": clerk["community_id"], "member_id": clerk["member_id"]}
            add(paid, order_id=f"{paid['order_id']}S", occurred_at=_later(clerk, minutes=5), **who)
    return found


def _late_copies(events: list[Event]) -> list[Event]:
    """Events of the feed's first half under new ids: when they are sent their communities' clocks are months ahead."""
    old = [event for event in events[: len(events) // 2] if event["event_type"] in ("message", "order", "join")]
    return [event | {"event_id": f"late-{place}"} for place, event in enumerate(old[::100])]


def _later(event: Event, minutes: int) -> str:
    at = dt.datetime.fromisoformat(event["occurred_at"]) + dt.timedelta(minutes=minutes)
    return at.isoformat()
