"""The troubled feed with members whose role and tier change, and communities that change their feed, in the middle."""

from __future__ import annotations

import random
from typing import Any

from tests.alert_replay import START_MS, buys
from tests.batches import DAY_MS, HOUR_MS, Event, event
from tests.health_feed import COMMUNITIES, troubled
from tests.properties.test_health_alerts import disordered
from tests.recount import ms_of

DAYS = 75
_FEEDS = sorted(set(COMMUNITIES.values()))
_LATENESS_MS = DAY_MS


def restless(chance: random.Random) -> list[Event]:
    """Events in the order in which they come: mostly that of their times, but a community may bring days at once."""
    feed = _absences(chance, troubled(chance, DAYS))
    feed += _orders(chance, feed) + _referrals(chance, feed) + _elsewhere(chance, feed) + _snapshots(chance, feed)
    feed = [one for _, one in sorted(_by_id(feed).items(), key=lambda item: ms_of(item[1]["occurred_at"]))]
    _change_roles(chance, feed)
    _change_feeds(chance, feed)
    _forget_platforms(chance, feed)
    if chance.random() < 0.3:
        feed = disordered(chance, feed, 10 * HOUR_MS)
    for community in COMMUNITIES:
        if chance.random() < 0.3:
            feed = _backlog(chance, feed, community)
    return feed


def _by_id(feed: list[Event]) -> dict[Any, Event]:
    return {(one["community_id"], one["event_type"], one["event_id"]): one for one in feed}


def _who(feed: list[Event]) -> dict[tuple[str, str], list[int]]:
    """When each member said something (ms), by community and member."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in feed:
        if one["event_type"] == "message" and one["member_id"] != "店长":
            found.setdefault((one["community_id"], one["member_id"]), []).append(ms_of(one["occurred_at"]))
    return found


def _absences(chance: random.Random, feed: list[Event]) -> list[Event]:
    """The feed without what some members would have said in days or weeks in which they are away."""
    away: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for who, times in _who(feed).items():
        if chance.random() < 0.6:
            starts = chance.sample(times, min(len(times), chance.choice([1, 2, 4])))
            away[who] = [(start, start + chance.choice([4, 6, 9, 20, 75]) * DAY_MS) for start in starts]

    def is_away(one: Event) -> bool:
        spans = away.get((one["community_id"], one["member_id"]), ())
        return any(start < ms_of(one["occurred_at"]) < end for start, end in spans)

    return [one for one in feed if one["event_type"] != "message" or not is_away(one)]


def _orders(chance: random.Random, feed: list[Event]) -> list[Event]:
    found = []
    for (community, member), times in _who(feed).items():
        if chance.random() < 0.3:
            continue
        platform = COMMUNITIES[community]
        some = times[: len(times) // 3 + 1] if chance.random() < 0.6 else times  # most lapse
        for time_ms in chance.sample(some, min(len(some), chance.choice([1, 3, 7]))):
            day = (time_ms + chance.randrange(-HOUR_MS, DAY_MS)) / DAY_MS - START_MS / DAY_MS - 0.5
            order = f"o-{community}-{member}-{time_ms}"
            amount = chance.choice([0, 100, 9_000, 150_000])
            fields: dict[str, Any] = {"platform": platform, "feed": platform, "amount_minor": amount}
            if chance.random() < 0.3:
                fields["staff_id"] = chance.choice(["小李", "小张"])
            found.append(buys(member, day, order, community, **fields))
            if chance.random() < 0.3:
                later = day + chance.choice([0.01, 1, 25, 45])
                status = chance.choice(["refunded", "cancelled"])
                found.append(buys(member, later, order, community, status=status, **fields))
    return found


def _referrals(chance: random.Random, feed: list[Event]) -> list[Event]:
    found = []
    for (community, member), times in _who(feed).items():
        if chance.random() < 0.3:
            platform = COMMUNITIES[community]
            for number, said_ms in enumerate(chance.sample(times, min(len(times), 6))):
                time_ms = said_ms + chance.randrange(8 * DAY_MS)
                who = {"referrer_id": member, "referee_id": f"{member}-{number}"}
                name = f"r-{member}-{number}"
                found.append(event("referral", name, time_ms, community, platform=platform, feed=platform, **who))
    return found


def _elsewhere(chance: random.Random, feed: list[Event]) -> list[Event]:
    """Members who are for some days in another community of the platform, too."""
    found = []
    for (community, member), times in _who(feed).items():
        others = [one for one in COMMUNITIES if one != community and COMMUNITIES[one] == COMMUNITIES[community]]
        if others and chance.random() < 0.3:
            platform = COMMUNITIES[community]
            for number, action in enumerate(["joined", "left", "joined"]):
                time_ms = chance.choice(times) + chance.randrange(DAY_MS)
                where = {"platform": platform, "feed": platform, "member_id": member, "action": action}
                found.append(event("join", f"e-{community}-{member}-{number}", time_ms, others[0], **where))
    return found


def _snapshots(chance: random.Random, feed: list[Event]) -> list[Event]:
    """Complete lists of members, which miss some who were there."""
    found = []
    for community, platform in COMMUNITIES.items():
        for number in range(chance.choice([0, 0, 1, 4])):
            start_ms = START_MS + chance.randrange(10 * DAY_MS, DAYS * DAY_MS)
            known = [who for (where, who), times in _who(feed).items() if where == community and times[0] < start_ms]
            listed = [who for who in known if chance.random() < 0.8]
            names = {"snapshot_id": f"s{number}", "snapshot_size": len(listed), "platform": platform, "feed": platform}
            for line, who in enumerate(listed):
                where = {"member_id": who, "action": "present", **names}
                found.append(event("join", f"s{number}-{line}", start_ms + line, community, **where))
    return found


def _change_roles(chance: random.Random, feed: list[Event]) -> None:
    """Members get another role for some days; what they do then says so."""
    spans: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for who, times in _who(feed).items():
        if chance.random() < 0.5:
            starts = chance.sample(times, min(len(times), 3))
            spans[who] = [
                (start, start + chance.choice([1, HOUR_MS, DAY_MS, 9 * DAY_MS]), role)
                for start in starts
                for role in [chance.choice(["staff", "staff", "admin", "expert"])]
            ]
    for one in feed:
        name = {"message": "sender_role", "join": "role"}.get(one["event_type"])
        time_ms = ms_of(one["occurred_at"])
        for start, end, role in spans.get((one["community_id"], one.get("member_id", "")), ()):
            if name is not None and start <= time_ms < end:
                one[name] = role


def _change_feeds(chance: random.Random, feed: list[Event]) -> None:
    """Communities move to another feed, and mostly back."""
    for community, first in COMMUNITIES.items():
        if chance.random() < 0.25:
            continue
        moves = sorted(START_MS + chance.randrange(8 * DAY_MS, DAYS * DAY_MS) for _ in range(chance.choice([1, 2, 5])))
        for one in feed:
            if one["community_id"] == community:
                moved = sum(at <= ms_of(one["occurred_at"]) for at in moves)
                one["feed"] = _FEEDS[(_FEEDS.index(first) + moved) % len(_FEEDS)]


def _forget_platforms(chance: random.Random, feed: list[Event]) -> None:
    """In some communities only few of the first events name the platform."""
    for community in COMMUNITIES:
        if chance.random() < 0.5:
            until_ms = START_MS + chance.randrange(50 * DAY_MS)
            for one in feed:
                early = ms_of(one["occurred_at"]) < until_ms
                if one["community_id"] == community and early and chance.random() < 0.999:
                    del one["platform"]


def _backlog(chance: random.Random, feed: list[Event], community: str) -> list[Event]:
    """The feed with some days of a community behind what the others brought in these days."""
    start_ms = START_MS + chance.randrange(10 * DAY_MS, 60 * DAY_MS)
    end_ms = start_ms + chance.choice([_LATENESS_MS // 2, 3 * DAY_MS, 12 * DAY_MS, 40 * DAY_MS])
    ahead = next((at for at, one in enumerate(feed) if ms_of(one["occurred_at"]) >= end_ms), len(feed))

    def is_late(one: Event) -> bool:
        return one["community_id"] == community and start_ms <= ms_of(one["occurred_at"]) < end_ms

    before, behind = ([one for one in part if not is_late(one)] for part in (feed[:ahead], feed[ahead:]))
    return [*before, *(one for one in feed if is_late(one)), *behind]
