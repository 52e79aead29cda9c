"""Feeds made up from a seed: every kind of event, in any order that the allowed lateness permits."""

from __future__ import annotations

import random
from typing import Any

from tests.batches import DAY_MS, HOUR_MS, Event, event
from tests.recount import ms_of

START_MS = 1_711_700_000_000  # two days before clocks in Berlin go forward
KINDS = ["text", "text", "image", "link", "check_in", "reaction", "vote", "no_such_kind"]
SENDERS = ["member", "member", "member", "expert", "owner", "admin", "staff", "bot"]


def made_up_feed(chance: random.Random, count: int, communities: list[str], span_ms: int = 3 * DAY_MS) -> list[Event]:
    """Events by time. A quarter of the times are round, so that panes and days are met at their very edges."""
    members = ["甲", "bo", "cy", "di"]
    feed: list[Event] = []
    for number in range(count):
        at = START_MS + chance.randrange(span_ms)
        if chance.random() < 0.25:
            unit = chance.choice([60_000, HOUR_MS, DAY_MS])
            at = at // unit * unit - chance.choice([0, 0, 1])
        feed.append(_event(chance, f"e{number}", at, chance.choice(communities), chance.choice(members)))
    for number in range(chance.choice([0, 0, 1, 2, 3])):
        feed += _snapshot(
            chance, f"s{number}", START_MS + chance.randrange(span_ms), chance.choice(communities), members
        )
    return sorted(feed, key=lambda one: str(one["occurred_at"]))


def _event(chance: random.Random, event_id: str, at: int, community: str, member: str) -> Event:
    kind = chance.choice(["message", "message", "message", "join", "join", "order", "referral"])
    fields: dict[str, Any] = {}
    if kind == "message":
        fields = {"kind": chance.choice(KINDS), "sender_role": chance.choice(SENDERS)}
        fields["is_promotion"] = chance.random() < 0.2
        if chance.random() < 0.2:
            fields["reply_to"] = "e0"
        if chance.random() < 0.1:
            fields["reply_to_member_id"] = "bo"
    elif kind == "join":
        fields = {"action": chance.choice(["joined", "joined", "left", "removed", "gone", "present"])}
        fields["role"] = chance.choice(SENDERS)
        if chance.random() < 0.3:
            fields["joined_at"] = "2024-01-0" + chance.choice("123") + "T00:00:00+00:00"
    elif kind == "order":
        fields = {"status": chance.choice(["paid", "paid", "refunded", "cancelled"])}
        fields |= {"amount_minor": chance.randrange(10_000), "currency": chance.choice(["CNY", "EUR"])}
    if kind == "referral":
        return event(kind, event_id, at, community, referrer_id=member)
    return event(kind, event_id, at, community, member_id=member, **fields)


def _snapshot(chance: random.Random, name: str, at: int, community: str, members: list[str]) -> list[Event]:
    inside = chance.sample(members, chance.randint(1, len(members)))
    size = len(inside) + chance.choice([0, 0, 0, 1])  # now and then a line never comes
    fields = {"action": "present", "snapshot_id": name, "snapshot_size": size}
    return [
        event("join", f"{name}-{one}", at + line * 500, community, member_id=one, **fields)
        for line, one in enumerate(inside)
    ]


def shuffled_inside(chance: random.Random, feed: list[Event], lateness_ms: int) -> list[Event]:
    """The feed in an order in which no event is late: each is put off by less than the lateness."""
    put_off = [(ms_of(one["occurred_at"]) + chance.randrange(lateness_ms), at) for at, one in enumerate(feed)]
    return [feed[at] for _, at in sorted(put_off)]
