"""The referral views counted again from raw events, member by member, straight from the comments of their columns.

Nothing here imports the product; what is known of members comes from the batch oracle.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tests.oracle.judging import Event
from tests.oracle.local_days import day_start_ms, local_date
from tests.oracle.reading import milliseconds

Row = dict[Any, Any]
Person = tuple[str, str]
"""Community and member."""

STAFF = ("staff", "bot")
GRACE_MS = 600_000
_ROSTER_RANK = {"joined": 0, "left": 1, "removed": 2, "gone": 3}


def share(part: int, whole: int) -> float | None:
    """A rate as the views give it."""
    return part / whole if whole else None


@dataclass
class Life:
    """What raw events say about one member of one community; all times in ms."""

    moves: list[tuple[int, int, str, Row]] = field(default_factory=list)
    """Joins and leaves as (time, rank at that time, event_id, event), ascending."""
    invited: list[tuple[int, str, str]] = field(default_factory=list)
    """Referral events that name it: (time, event_id, referrer)."""
    orders: list[tuple[int, Row]] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    """Times of messages (not as staff), interactions and paid orders."""

    def first_join(self) -> tuple[int, Row] | None:
        """The first time of joining and its event."""
        return next(((at, event) for at, rank, _, event in self.moves if rank == 0), None)

    def joins(self) -> list[int]:
        """All times of joining, ascending."""
        return [at for at, rank, _, _ in self.moves if rank == 0]


class Recount:
    """Lives of all members, and the views made of them."""

    def __init__(self, events: Iterable[Event], members: pd.DataFrame, zones: Mapping[str, str]) -> None:
        self.zones = zones
        self.lives: dict[Person, Life] = defaultdict(Life)
        self.members: dict[Person, Row] = {
            (row["community_id"], row["member_id"]): row for row in members.to_dict("records")
        }
        self.referrals: list[tuple[int, Row]] = []
        self.as_of = 0
        once = {(event["event_type"], event["community_id"], event["event_id"]): event for event in events}
        self.events = list(once.values())
        for event in self.events:
            self._take(event, milliseconds(event["occurred_at"]))
        for life in self.lives.values():
            life.moves.sort(key=lambda move: move[:3])
            life.invited.sort()
        self.referrals.sort(key=lambda one: (one[0], one[1]["event_id"]))

    def _take(self, event: Row, at: int) -> None:
        self.as_of = max(self.as_of, at)
        community = event["community_id"]
        kind = event["event_type"]
        if kind == "referral":
            if event["referrer_id"] != event["referee_id"]:
                self.referrals.append((at, event))
                self.lives[community, event["referee_id"]].invited.append((at, event["event_id"], event["referrer_id"]))
            return
        life = self.lives[community, event["member_id"]]
        if kind == "join" and event["action"] != "present":
            life.moves.append((at, _ROSTER_RANK[event["action"]], event["event_id"], event))
        elif kind == "order":
            life.orders.append((at, event))
            if event["status"] == "paid":
                life.active.append(at)
        elif kind == "message" and event.get("sender_role", "member") not in STAFF:
            life.active.append(at)

    # -- people -------------------------------------------------------------------------------------------------------

    def is_staff(self, person: Person) -> bool:
        """Staff or bot by its latest role."""
        return person in self.members and self.members[person]["role"] in STAFF

    def gone_ms(self, person: Person) -> int | None:
        """When it was gone for good, as far as is known."""
        row = self.members[person]
        return milliseconds(row["left_at"].isoformat()) if row["status"] == "left" else None

    def _zone(self, community: str) -> str:
        return self.zones.get(community, "UTC")

    def _starts(self, community: str, date: dt.date) -> int:
        start = day_start_ms(date, self._zone(community))
        assert start is not None
        return start

    # -- views --------------------------------------------------------------------------------------------------------

    def k_factor(self) -> pd.DataFrame:
        """A row per community and week."""
        first: dict[Person, str] = {}
        for _, event in self.referrals:
            first.setdefault((event["community_id"], event["referee_id"]), event["event_id"])
        sent: dict[tuple[str, dt.date], list[tuple[int, Row]]] = defaultdict(list)
        for at, event in self.referrals:
            date = local_date(at, self._zone(event["community_id"]))
            sent[event["community_id"], date - dt.timedelta(days=date.weekday())].append((at, event))
        rows = []
        for (community, monday), invitations in sent.items():
            start, end = (self._starts(community, monday + dt.timedelta(days=days)) for days in (0, 7))
            there = 0
            for person, known in self.members.items():
                if person[0] != community or self.is_staff(person):
                    continue
                gone = self.gone_ms(person)
                seen = milliseconds(known["first_seen_at"].isoformat())
                there += seen < end and (gone is None or gone >= max(start, seen))
            by_members = [one for one in invitations if not self.is_staff((community, one[1]["referrer_id"]))]
            accepted = 0
            for at, event in by_members:
                referee = (community, event["referee_id"])
                came = any(joined >= at - GRACE_MS for joined in self.lives[referee].joins())
                accepted += came and first[referee] == event["event_id"]
            per_member, per_invitation = share(len(by_members), there), share(accepted, len(by_members))
            row = {
                "community_id": community,
                "week_start": pd.Timestamp(start, unit="ms", tz="UTC"),
                "members": there,
                "invitations": len(by_members),
                "inviters": len({event["referrer_id"] for _, event in by_members}),
                "accepted": accepted,
                "staff_invitations": len(invitations) - len(by_members),
                "invitations_per_member": per_member,
                "joins_per_invitation": per_invitation,
                "k_factor": None if per_member is None or per_invitation is None else per_member * per_invitation,
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def referral_source_quality(self) -> pd.DataFrame:
        """A row per community, `brought_how` and `brought_by`; revenue as sorted (currency, minor units)."""
        rows: dict[tuple[Any, ...], Row] = {}
        for (community, member), life in self.lives.items():
            first = life.first_join()
            if first is None or self.is_staff((community, member)):
                continue
            joined_at, join = first
            inviter = join.get("inviter_id") or (life.invited[0][2] if life.invited else "")
            for how, by in (("inviter", inviter), ("source", join.get("source") or "")):
                row = rows.setdefault((community, how, by), defaultdict(int, {"d30_revenue_minor": defaultdict(int)}))
                row["joined"] += 1
                for days in (7, 30):
                    self._judge(row, days, (community, member), life, joined_at)
        names = ["joined", "d30_buyers"] + [f"d{n}_{what}" for n in (7, 30) for what in ("members", "in", "active")]
        for key, row in rows.items():
            full: Row = {name: row[name] for name in names}
            for days in (7, 30):
                for what in ("in", "active"):
                    full[f"d{days}_{what}_rate"] = share(row[f"d{days}_{what}"], row[f"d{days}_members"])
            full["d30_order_rate"] = share(row["d30_buyers"], row["d30_members"])
            full["d30_revenue_minor"] = sorted(one for one in row["d30_revenue_minor"].items() if one[1])
            as_of = pd.Timestamp(self.as_of, unit="ms", tz="UTC")
            named = zip(("community_id", "brought_how", "brought_by"), key, strict=True)
            rows[key] = dict(named) | full | {"as_of": as_of}
        return pd.DataFrame(rows.values())

    def _judge(self, row: Row, days: int, person: Person, life: Life, joined_at: int) -> None:
        community = person[0]
        joined_on = local_date(joined_at, self._zone(community))
        end = self._starts(community, joined_on + dt.timedelta(days=days + 1))
        if end > self.as_of:
            return
        row[f"d{days}_members"] += 1
        gone = self.gone_ms(person)
        last = max(move[:3] for move in life.moves if move[0] < end)
        inside = last[1] == 0 and (gone is None or gone >= end)
        week = [joined_on + dt.timedelta(days=day) for day in range(days - 6, days + 1)]
        dates = {local_date(at, self._zone(community)) for at in life.active}
        row[f"d{days}_in"] += inside
        row[f"d{days}_active"] += inside and any(date in dates for date in week)
        if days == 30:
            orders = [event for at, event in life.orders if joined_at <= at < end]
            row["d30_buyers"] += any(event["status"] == "paid" for event in orders)
            for event in orders:
                sign = {"paid": 1, "refunded": -1, "cancelled": 0}[event["status"]]
                row["d30_revenue_minor"][event["currency"]] += sign * event["amount_minor"]
