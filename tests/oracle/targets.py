"""Targets of campaigns over all applied events, by their definition: asked anew at every time something happened.

Follows the docstrings of `streams/operators/target_course.py` and `referral_targets.py`; shares no code with them.
Which edges are linked, and what became of their credits, says the referral oracle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.oracle.judging import Event
from tests.oracle.reading import milliseconds
from tests.oracle.referrals import Campaign, ReferralOracle

DAY_MS = 86_400_000

Subject = tuple[str, str, str]
"""Campaign, `member` or `group`, its id."""


@dataclass(frozen=True)
class Asked:
    """What a campaign asks for."""

    kind: str
    count: int
    within_days: int | None
    rules: Campaign = field(default_factory=Campaign)


class Standing(NamedTuple):
    """How a subject stands; times in ms."""

    opened: int
    deadline: int | None
    total: int
    reached: int | None
    taken_back: int | None


def standings(events: Iterable[Event], asked: dict[str, Asked], oracle: ReferralOracle) -> dict[Subject, Standing]:
    """Every subject for whom a target opened."""
    listed = list(events)
    found: dict[Subject, Standing] = {}
    for campaign, one in asked.items():
        if one.kind == "accepted_invitations":
            found |= _invitations(campaign, one, listed, oracle)
        else:
            found |= _group_buys(campaign, one, listed)
    return found


def _invitations(campaign: str, asked: Asked, events: list[Event], oracle: ReferralOracle) -> dict[Subject, Standing]:
    came: dict[tuple[str, str], int] = {}
    for event in events:
        if event["event_type"] == "join" and event["action"] == "joined":
            place, at = (event["community_id"], event["member_id"]), milliseconds(event["occurred_at"])
            came[place] = min(at, came.get(place, at))
    opened: dict[str, int] = {}
    spans: dict[str, list[tuple[int, int | None]]] = defaultdict(list)
    rules = asked.rules
    for (of, edge_id), edge in oracle.edges.items():
        at, referrer = edge["occurred_at"], edge["referrer_id"]
        if of != campaign or edge["reason"] == "self_referral" or rules.outside(at):
            continue
        opened[referrer] = min(at, opened.get(referrer, at))
        joined = came.get((edge["community_id"], edge["referee_id"]))
        if (campaign, edge_id, "rejected") not in oracle.credits and joined is not None:
            reversed_row = oracle.credits.get((campaign, edge_id, "reversed"))
            spans[referrer].append((max(joined, at), reversed_row["changed_at"] if reversed_row else None))
    standing = {}
    for member, at in opened.items():
        times = {moment for span in spans[member] for moment in span if moment is not None}

        def count(now: int, member: str = member) -> int:
            return sum(begin <= now and (end is None or now < end) for begin, end in spans[member])

        standing[campaign, "member", member] = _stand(asked, at, times, count)
    return standing


def _group_buys(campaign: str, asked: Asked, events: list[Event]) -> dict[Subject, Standing]:
    orders: dict[str, dict[str, dict[str, list[Event]]]] = defaultdict(lambda: defaultdict(dict))
    paid = [
        event
        for event in events
        if event["event_type"] == "order" and event["status"] == "paid" and event.get("campaign_id") == campaign
    ]
    for event in paid:
        if event.get("group_buy_id"):
            community, order_id = event["community_id"], event["order_id"]
            about = [one for one in events if one["community_id"] == community and _is_about(one, order_id)]
            # payments of the order under any campaign that asks for group-buy orders would count; here it is one
            about = [one for one in about if one["status"] != "paid" or (one in paid and one.get("group_buy_id"))]
            orders[event["group_buy_id"]][order_id][community] = about
    standing = {}
    for group, by_order in orders.items():
        listed = [event for copies in by_order.values() for about in copies.values() for event in about]
        times = {milliseconds(event["occurred_at"]) for event in listed}
        opened = min(milliseconds(event["occurred_at"]) for event in listed if event["status"] == "paid")

        def count(now: int, by_order: dict[str, dict[str, list[Event]]] = by_order) -> int:
            return sum(any(_counts(about, now) for about in copies.values()) for copies in by_order.values())

        standing[campaign, "group", group] = _stand(asked, opened, times, count)
    return standing


def _is_about(event: Event, order_id: str) -> bool:
    if event["event_type"] != "order":
        return False
    named = event["order_id"] if event["status"] == "paid" else event.get("original_order_id") or event["order_id"]
    return bool(named == order_id)


def _counts(about: list[Event], now: int) -> bool:
    """Whether an order counts at a time: paid, not cancelled since, and not wholly refunded."""
    price = max(event["amount_minor"] for event in about if event["status"] == "paid")
    until_now = [event for event in about if milliseconds(event["occurred_at"]) <= now]
    at = {
        status: [milliseconds(event["occurred_at"]) for event in until_now if event["status"] == status]
        for status in ("paid", "cancelled")
    }
    refunds = [event["amount_minor"] for event in until_now if event["status"] == "refunded"]
    refunded = bool(refunds) and sum(refunds) >= price
    return bool(at["paid"]) and not refunded and (not at["cancelled"] or max(at["paid"]) > max(at["cancelled"]))


def _stand(asked: Asked, opened: int, times: Iterable[int], count: Callable[[int], int]) -> Standing:
    ends = [opened + asked.within_days * DAY_MS] if asked.within_days else []
    ends += [asked.rules.end] if asked.rules.end is not None else []
    deadline = min(ends, default=None)
    before, reached, taken_back = 0, None, None
    for now in sorted({opened, *times}):
        if now < opened or (deadline is not None and now >= deadline):
            continue
        holds = count(now)
        if before < asked.count <= holds:
            reached, taken_back = now, None
        elif holds < asked.count <= before:
            taken_back = now
        before = holds
    return Standing(opened, deadline, before, reached, taken_back)
