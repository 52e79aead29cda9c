"""Every figure counted anew from the list of applied events: loops and sets, nothing shared with the operators."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.batches import DAY_MS, HOUR_MS, Event

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FIGURES = (
    *("messages", "speakers", "interactions", "active_members", "staff_messages", "joins", "leaves", "orders"),
    *("refunds", "buyers", "promotions", "links", "check_ins", "replies"),
)
INTERACTIONS = {
    *("reaction", "vote", "check_in", "red_packet", "survey", "lottery", "card"),
    *("coupon_claim", "coupon_use", "attend", "live_view", "click"),
}
ACTIONS = ["present", "joined", "left", "removed", "gone"]
ROLES = ["member", "expert", "owner", "admin", "staff", "bot"]
WINDOWS = {"1h": HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS}
Row = dict[str, Any]


def ms_of(text: str) -> int:
    """RFC 3339 to ms."""
    return (dt.datetime.fromisoformat(text) - EPOCH) // dt.timedelta(milliseconds=1)


def moment(time_ms: int | None) -> dt.datetime | None:
    """The time as Arrow gives it back."""
    return None if time_ms is None else EPOCH + dt.timedelta(milliseconds=time_ms)


def local_date(time_ms: int, zone: str) -> dt.date:
    """The date that a clock on the wall shows."""
    return (EPOCH + dt.timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone)).date()


@cache
def day_start_ms(day: dt.date, zone: str) -> int | None:
    """The first instant with that date, found by looking at every quarter of an hour, then every minute."""
    noon_ms = ms_of(f"{day}T12:00:00+00:00")
    quarters = range(noon_ms - 36 * HOUR_MS, noon_ms + 36 * HOUR_MS, 15 * 60_000)
    first = next((at for at in quarters if local_date(at, zone) == day), None)
    if first is None:
        return None
    return next(at for at in range(first - 15 * 60_000, first + 1, 60_000) if local_date(at, zone) == day)


def is_staff(event: Event) -> bool:
    return event["event_type"] == "message" and event.get("sender_role", "member") in ("staff", "bot")


def interacts(event: Event) -> bool:
    return event["event_type"] == "message" and not is_staff(event) and event["kind"] in INTERACTIONS


def speaks(event: Event) -> bool:
    return event["event_type"] == "message" and not is_staff(event) and event["kind"] not in INTERACTIONS


def paid(event: Event) -> bool:
    return event["event_type"] == "order" and event["status"] == "paid"


def refunded(event: Event) -> bool:
    return event["event_type"] == "order" and event["status"] == "refunded"


def figures(events: Iterable[Event]) -> Row:
    """The figures of any set of events."""
    found: dict[str, int] = dict.fromkeys(FIGURES, 0)
    who: dict[str, set[str]] = {"speakers": set(), "active_members": set(), "buyers": set()}
    for one in events:
        said, did, bought = speaks(one), interacts(one), paid(one)
        found["messages"] += said
        found["interactions"] += did
        found["staff_messages"] += is_staff(one)
        found["joins"] += one.get("action") == "joined"
        found["leaves"] += one.get("action") in ("left", "removed", "gone")
        found["orders"] += bought
        found["refunds"] += refunded(one)
        found["promotions"] += (said or did) and bool(one.get("is_promotion"))
        found["links"] += said and one["kind"] == "link"
        found["check_ins"] += did and one["kind"] == "check_in"
        found["replies"] += said and (one.get("reply_to") is not None or one.get("reply_to_member_id") is not None)
        for name, condition in (("speakers", said), ("active_members", said or did or bought), ("buyers", bought)):
            if condition:
                who[name].add(one["member_id"])
    return found | {name: len(members) for name, members in who.items()}


class Recount:
    """All tables of a list of applied events."""

    def __init__(self, events: Iterable[Event], zones: Mapping[str, str] | None = None) -> None:
        self._zones = zones or {}
        self.events = [one | {"at": ms_of(one["occurred_at"])} for one in events]
        self.communities = sorted({one["community_id"] for one in self.events})

    def zone(self, community: str) -> str:
        return self._zones.get(community, "UTC")

    def of(self, community: str) -> list[Event]:
        return [one for one in self.events if one["community_id"] == community]

    def clock_ms(self, community: str) -> int:
        return max(int(one["at"]) for one in self.of(community))

    def _grouped(self, key: Any) -> dict[Any, list[Event]]:
        groups = defaultdict(list)
        for one in self.events:
            groups[one["community_id"], key(one)].append(one)
        return groups

    def tumbling(self, length_ms: int) -> list[Row]:
        rows = []
        for (community, start_ms), events in self._grouped(lambda one: one["at"] // length_ms * length_ms).items():
            found = figures(events)
            if any(found.values()):
                rows.append({"community_id": community, "window_start": moment(start_ms), **found})
        return rows

    def _days(self) -> dict[tuple[str, dt.date], list[Event]]:
        groups = defaultdict(list)
        for one in self.events:
            groups[one["community_id"], local_date(one["at"], self.zone(one["community_id"]))].append(one)
        return groups

    def activity_1d(self) -> list[Row]:
        rows = []
        for (community, day), events in self._days().items():
            found = figures(events)
            if any(found.values()):
                start = moment(day_start_ms(day, self.zone(community)))
                rows.append({"community_id": community, "window_start": start, "local_date": day, **found})
        return rows

    def community_days(self) -> list[Row]:
        rows = []
        for community in self.communities:
            mine = [row["local_date"] for row in self.activity_1d() if row["community_id"] == community]
            for ahead in range((max(mine) - min(mine)).days + 1 if mine else 0):
                day = min(mine) + dt.timedelta(days=ahead)
                start_ms = day_start_ms(day, self.zone(community))
                if start_ms is not None:
                    rows.append({"community_id": community, "local_date": day, "day": moment(start_ms)})
        return rows

    def member_days(self) -> list[Row]:
        rows = []
        for (community, day), events in self._days().items():
            counted = [one for one in events if speaks(one) or interacts(one) or paid(one) or refunded(one)]
            for member in {one["member_id"] for one in counted}:
                mine = [one for one in counted if one["member_id"] == member]
                rows.append(
                    {
                        "community_id": community,
                        "day": moment(day_start_ms(day, self.zone(community))),
                        "local_date": day,
                        "member_id": member,
                        "messages": sum(map(speaks, mine)),
                        "interactions": sum(map(interacts, mine)),
                        "orders": sum(map(paid, mine)),
                        "refunds": sum(map(refunded, mine)),
                        "first_at": moment(min(one["at"] for one in mine)),
                        "last_at": moment(max(one["at"] for one in mine)),
                    }
                )
        return rows

    def revenue_1d(self) -> list[Row]:
        rows = []
        for (community, day), events in self._days().items():
            orders = [one for one in events if paid(one) or refunded(one)]
            for currency in {one["currency"] for one in orders}:
                mine = [one for one in orders if one["currency"] == currency]
                rows.append(
                    {
                        "community_id": community,
                        "window_start": moment(day_start_ms(day, self.zone(community))),
                        "local_date": day,
                        "currency": currency,
                        "orders": sum(map(paid, mine)),
                        "refunds": sum(map(refunded, mine)),
                        "gmv_minor": sum(one["amount_minor"] for one in mine if paid(one)),
                        "refunded_minor": sum(one["amount_minor"] for one in mine if refunded(one)),
                        "buyers": len({one["member_id"] for one in mine if paid(one)}),
                    }
                )
        return rows

    def snapshots_ms(self, community: str) -> list[int]:
        """Times of the complete snapshots, ascending."""
        lines = defaultdict(list)
        for one in self.of(community):
            if one.get("action") == "present" and one.get("snapshot_id"):
                lines[one["snapshot_id"]].append(one)
        return sorted(
            min(one["at"] for one in found)
            for found in lines.values()
            if len({one["member_id"] for one in found}) >= found[0]["snapshot_size"]
        )

    def members(self) -> list[Row]:
        rows = []
        for community in self.communities:
            events = self.of(community)
            for member in sorted({actor(one) for one in events}):
                mine = [one for one in events if actor(one) == member]
                rows.append({"community_id": community, "member_id": member, **self._member(community, mine)})
        return rows

    def _member(self, community: str, mine: list[Event]) -> Row:
        messages = [one for one in mine if one["event_type"] == "message"]
        joins = [one for one in mine if one["event_type"] == "join"]
        orders = [one for one in mine if paid(one)]
        posted_ms = max((one["at"] for one in messages), default=None)
        latest = max(joins, key=lambda one: (one["at"], ACTIONS.index(one["action"])), default=None)
        if latest is None:
            status = "observed"
        elif latest["action"] in ("joined", "present"):
            status = "active"
        else:
            status = "observed" if posted_ms is not None and posted_ms > latest["at"] else "left"
        left = max((one["at"] for one in joins if one["action"] in ("left", "removed", "gone")), default=None)
        if status != "left":
            heard = max([one["at"] for one in (*messages, *joins)], default=0)
            missing = [at for at in self.snapshots_ms(community) if at > heard]
            if missing:
                status, left = "left", missing[0]
        joined = max((one["at"] for one in joins if one["action"] == "joined"), default=None)
        if joined is None:
            listed = [one["joined_at"] for one in joins if one["action"] == "present" and one.get("joined_at")]
            joined = max(map(ms_of, listed), default=None)
        role = max(
            (
                (one["at"], ROLES.index(one.get("sender_role", one.get("role", "member"))))
                for one in (*messages, *joins)
            ),
            default=(0, 0),
        )[1]
        zone = self.zone(community)
        acted = [one for one in mine if speaks(one) or interacts(one) or paid(one)]
        days = sorted({local_date(one["at"], zone) for one in acted})
        gaps = [(after - before).days for before, after in zip(days[-32:], days[-32:][1:], strict=False)]
        return {
            "status": status,
            "role": ROLES[role],
            "first_seen_at": moment(min(one["at"] for one in mine)),
            "last_seen_at": moment(max((one["at"] for one in (*messages, *orders)), default=None)),
            "joined_at": moment(joined),
            "left_at": moment(left),
            "messages": sum(map(speaks, mine)),
            "interactions": sum(map(interacts, mine)),
            "orders": len(orders),
            "referrals": sum(one["event_type"] == "referral" for one in mine),
            "active_days_30": sum(day > days[-1] - dt.timedelta(days=30) for day in days),
            "typical_gap_days": statistics.median(gaps) if gaps else None,
            "x": max(len(orders) - 1, 0),
            "monetary_minor": sum(one["amount_minor"] for one in orders),
        }

    def sizes(self) -> dict[str, int]:
        """Members of each community who are in it or observed."""
        found = dict.fromkeys(self.communities, 0)
        for row in self.members():
            found[row["community_id"]] += row["status"] != "left"
        return found

    def now(self, community: str, window: str, as_of_ms: int) -> Row:
        """Figures of a rolling window that ends at ``as_of_ms``."""
        since_ms = as_of_ms - WINDOWS[window]
        return figures(one for one in self.of(community) if since_ms <= one["at"] < as_of_ms)


def actor(event: Event) -> str:
    return str(event["referrer_id"] if event["event_type"] == "referral" else event["member_id"])
