"""A made-up feed in which communities suffer all that alerts on communities speak of."""

from __future__ import annotations

import random
from typing import Any

from tests.alert_replay import at, says
from tests.batches import DAY_MS, HOUR_MS, Event, event, rfc3339
from tests.recount import ms_of

COMMUNITIES = {"群": "企微", "sp": "企微", "c": "telegram"}
"""Communities and their feeds."""


def troubled(chance: random.Random, days: int = 75) -> list[Event]:
    """Events of all types by time, each at a millisecond of its own."""
    feed: list[Event] = []
    for community, name in COMMUNITIES.items():
        feed += _community(chance, community, {"platform": name, "feed": name}, days)
    outages = []
    for name in sorted(set(COMMUNITIES.values())):
        day = chance.uniform(20, 70)
        if chance.random() < 0.7:
            outages.append((name, day, day + chance.choice([0.5, 1.5, 3])))
    feed = [one for one in feed if not _lost(one, outages)]
    unique = {(one["community_id"], one["event_type"], one["event_id"]): one for one in feed}
    feed = sorted(unique.values(), key=lambda one: ms_of(one["occurred_at"]))
    taken: set[int] = set()
    for one in feed:
        time_ms = ms_of(one["occurred_at"])
        while time_ms in taken:
            time_ms += 1
        taken.add(time_ms)
        one["occurred_at"] = rfc3339(time_ms)
    return sorted(feed, key=lambda one: ms_of(one["occurred_at"]))


def _lost(one: Event, outages: list[tuple[str, float, float]]) -> bool:
    return any(
        one["feed"] == name and at(first, 0) <= ms_of(one["occurred_at"]) < at(last, 0) for name, first, last in outages
    )


def _community(chance: random.Random, community: str, feed: dict[str, Any], days: int) -> list[Event]:
    found = [says("店长", 0, 0.001, community, sender_role="staff", **feed)]
    members = [f"成员{number}" for number in range(chance.randint(5, 12))]
    weak = chance.uniform(35, 70)
    replies = chance.random() < 0.5
    for day in range(days):
        often = 0.1 if weak <= day < weak + chance.choice([3, 10]) else 1.0
        for member in members:
            if chance.random() > 0.8 * often:
                continue
            hour = chance.uniform(0, 24)
            extra: dict[str, Any] = {}
            if chance.random() < 0.05:
                extra["is_promotion"] = True
            if chance.random() < 0.05:
                extra["kind"] = "link"
            asks = chance.random() < 0.06
            if asks:
                extra["is_question"] = True
            found.append(says(member, day, hour, community, **{**feed, **extra}))
            if asks and chance.random() < 0.6:
                later = hour + chance.choice([0.1, 0.4, 2, 6, 30])
                to: dict[str, Any] = {}
                if replies:
                    to = chance.choice([{"reply_to": found[-1]["event_id"]}, {"reply_to_member_id": member}])
                author = chance.choice([*members, "店长"])
                found.append(
                    says(
                        author,
                        day,
                        later,
                        community,
                        sender_role="staff" if author == "店长" else "member",
                        **{**feed, **to},
                    )
                )
        if chance.random() < 0.3:
            found += [
                says("店长", day, 10 + n / 10, community, sender_role="staff", is_promotion=True, **feed)
                for n in range(chance.randint(1, 6))
            ]
        if chance.random() < 0.03:
            found += [says(chance.choice(members), day, 12 + n / 5000, community, **feed) for n in range(25)]
        if chance.random() < 0.05:
            who = chance.choice(members)
            found += [says(who, day, 13 + n / 50, community, kind="link", **feed) for n in range(12)]
    found += _moves(chance, community, feed, days, members)
    return found


def _moves(chance: random.Random, community: str, feed: dict[str, Any], days: int, members: list[str]) -> list[Event]:
    found: list[Event] = []
    version, number = 0, 0
    for day in range(days):
        count = chance.choice([0, 0, 1, 2] if day < 35 else [0, 0, 0, 1])
        actions = ["joined"] * count
        if chance.random() < 0.15:
            actions.append("left")
        if chance.random() < 0.04:
            actions += ["left"] * chance.randint(4, 9)
        for action in actions:
            number += 1
            who = (
                f"新人{number}"
                if action == "joined"
                else chance.choice([*members, *(f"新人{n}" for n in range(number))])
            )
            versions = {"roster_version_before": f"v{version}", "roster_version_after": f"v{version + 1}"}
            version += 1
            time_ms = at(day, 0) + chance.randrange(DAY_MS)
            if chance.random() < 0.04:
                if chance.random() < 0.5:
                    continue  # this change is lost
                time_ms += chance.choice([HOUR_MS // 4, 3 * HOUR_MS, 2 * DAY_MS])  # it comes when others have come
            found.append(
                event(
                    "join",
                    f"{community}-{number}-{action}",
                    time_ms,
                    community,
                    member_id=who,
                    action=action,
                    **{**feed, **versions},
                )
            )
    return found
