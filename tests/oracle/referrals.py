"""Forest, ledger and revenue of a whole set of applied events, worked out one definition after the other.

Follows `infra/decisions/0006-the-final-ledger.md` in plain Python over lists and dicts; shares no code with `streams/`.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.judging import Event
from tests.oracle.reading import milliseconds

DAY_MS = 86_400_000
MINUTE_MS = 60_000
STAFF = ("staff", "bot")

Row = dict[str, Any]


@dataclass(frozen=True, order=True)
class Edge:
    """An edge; they sort as the definition says."""

    at: int
    event_id: str
    community: str
    topic: str
    campaign: str = field(compare=False)
    referrer: str = field(compare=False)
    referee: str = field(compare=False)
    via: str = field(compare=False, default="")
    source: str = field(compare=False, default="")
    platform: str | None = field(compare=False, default=None)

    @property
    def id(self) -> str:
        """The id of the edge in its campaign."""
        origin = "join" if "joins" in self.topic else "referral"
        return "/".join(
            [origin, *(part.replace("%", "%25").replace("/", "%2F") for part in (self.community, self.event_id))]
        )


@dataclass(frozen=True)
class Campaign:
    """Rules of a campaign."""

    days: int = 7
    require: str = "activity"
    new_to: str = "community"
    grace_minutes: int = 10
    staff_may_refer: bool = False
    start: int | None = None
    end: int | None = None

    def outside(self, at: int) -> bool:
        """Whether a time lies outside the campaign."""
        return (self.start is not None and at < self.start) or (self.end is not None and at >= self.end)

    def qualified_at(self, stay: Stay, decided: int) -> int | None:
        """When a credit fell due, if it did by a time and its referee was still there and had done what is asked."""
        if stay.seen is None:
            return None
        due = stay.seen + self.days * DAY_MS
        asked = {"nothing": stay.seen, "activity": stay.active, "paid_order": stay.paid}[self.require]
        stayed = stay.left is None or stay.left >= due
        return due if due <= decided and stayed and asked is not None and asked < due else None


@dataclass
class Stay:
    """First times of a member in a community, and its money."""

    seen: int | None = None
    joined: int | None = None
    joined_last: int | None = None
    active: int | None = None
    paid: int | None = None
    left: int | None = None
    role: int | None = None
    staff: int | None = None
    heard: int | None = None
    money: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))

    @property
    def staff_since(self) -> int | None:
        """Since when its invitations are those of staff: always, for who was staff from the first."""
        if self.staff is None or self.role is None:
            return None
        return 0 if self.staff <= self.role else self.staff


def edges_of(events: Iterable[tuple[str, Event]]) -> list[Edge]:
    """The edges of applied events."""
    found = []
    for topic, event in events:
        at, community, event_id = milliseconds(event["occurred_at"]), event["community_id"], event["event_id"]
        if event["event_type"] == "referral":
            found.append(
                Edge(at, event_id, community, topic, event["campaign_id"], event["referrer_id"], event["referee_id"],
                     event.get("via") or "", platform=event.get("platform"))
            )  # fmt: skip
        elif event["event_type"] == "join" and event["action"] == "joined" and event.get("inviter_id"):
            campaign = event.get("campaign_id") or f"organic:{community}"
            found.append(
                Edge(at, event_id, community, topic, campaign, event["inviter_id"], event["member_id"],
                     event.get("via") or "unknown", event.get("source") or "", event.get("platform"))
            )  # fmt: skip
    return found


def judged(edges: Iterable[Edge]) -> tuple[dict[Edge, str], dict[str, Edge]]:
    """The reason why each edge of one campaign is rejected ('' when it is linked), and the parent edge of each node."""
    reasons: dict[Edge, str] = {}
    parent: dict[str, Edge] = {}
    for edge in sorted(edges):
        if edge.referrer == edge.referee:
            reasons[edge] = "self_referral"
        elif edge.referee in parent:
            reasons[edge] = "duplicate_parent"
        else:
            top = edge.referrer
            while top in parent:
                top = parent[top].referrer
            reasons[edge] = "cycle" if top == edge.referee else ""
            if top != edge.referee:
                parent[edge.referee] = edge
    return reasons, parent


def _lower(before: int | None, at: int) -> int:
    return at if before is None else min(before, at)


def stays_of(events: Iterable[tuple[str, Event]]) -> dict[tuple[str, str], Stay]:
    """What is known of each (community, member) by its joins, messages and orders."""
    stays: dict[tuple[str, str], Stay] = defaultdict(Stay)
    snapshots: dict[tuple[str, str], list[tuple[int, str, int]]] = defaultdict(list)
    for _, event in events:
        if event["event_type"] == "referral":
            continue
        at = milliseconds(event["occurred_at"])
        stay = stays[event["community_id"], event["member_id"]]
        stay.seen = _lower(stay.seen, at)
        if event["event_type"] == "order":
            money = stay.money[event["currency"]]
            if event["status"] == "paid":
                stay.active, stay.paid = _lower(stay.active, at), _lower(stay.paid, at)
                money[0] += 1
                money[1] += event["amount_minor"]
            elif event["status"] == "refunded":
                money[2] += event["amount_minor"]
            continue
        stay.heard = at if stay.heard is None else max(stay.heard, at)
        role = event.get("sender_role" if event["event_type"] == "message" else "role") or "member"
        stay.role = _lower(stay.role, at)
        if role in STAFF:
            stay.staff = _lower(stay.staff, at)
        if event["event_type"] == "message":
            if role not in STAFF:
                stay.active = _lower(stay.active, at)
        elif event["action"] == "joined":
            stay.joined = _lower(stay.joined, at)
            stay.joined_last = at if stay.joined_last is None else max(stay.joined_last, at)
        elif event["action"] in ("left", "removed", "gone"):
            stay.left = _lower(stay.left, at)
        elif event["action"] == "present" and event.get("snapshot_id") and event.get("snapshot_size"):
            lines = snapshots[event["community_id"], event["snapshot_id"]]
            lines.append((at, event["member_id"], event["snapshot_size"]))
    complete = defaultdict(list)
    for (community, _), lines in snapshots.items():
        if len({member for _, member, _ in lines}) >= lines[0][2]:
            complete[community].append(min(at for at, _, _ in lines))
    for (community, _), stay in stays.items():
        later = [at for at in complete[community] if stay.heard is not None and at > stay.heard]
        if later:
            stay.left = _lower(stay.left, min(later))
    return stays


class ReferralOracle:
    """What lands of the referrals among applied events.

    ``now_of`` gives *now* of a community in ms.
    """

    def __init__(
        self,
        events: Iterable[tuple[str, Event]],
        now_of: Callable[[str], int],
        rules: Mapping[str, Campaign] | None = None,
        lateness_ms: int = DAY_MS,
    ) -> None:
        listed = list(events)
        self._now_of, self._rules, self._lateness_ms = now_of, rules or {}, lateness_ms
        self._platform_of = {event["community_id"]: event["platform"] for _, event in listed if event.get("platform")}
        self._stays = stays_of(listed)
        by_campaign: dict[str, list[Edge]] = defaultdict(list)
        for edge in edges_of(listed):
            by_campaign[edge.campaign].append(edge)
        self.nodes: dict[tuple[str, str], Row] = {}
        self.edges: dict[tuple[str, str], Row] = {}
        self.credits: dict[tuple[str, str, str], Row] = {}
        self.revenue: dict[tuple[str, str, str], Row] = {}
        for campaign, edges in by_campaign.items():
            self._work_out(campaign, edges)

    def _work_out(self, campaign: str, edges: list[Edge]) -> None:
        reasons, parent = judged(edges)
        for edge in edges:
            self.edges[campaign, edge.id] = {
                "referrer_id": edge.referrer, "referee_id": edge.referee, "community_id": edge.community,
                "occurred_at": edge.at, "state": "rejected" if reasons[edge] else "linked", "reason": reasons[edge],
                "staff": int(self._by_staff(edge)), "via": edge.via, "source": edge.source,
            }  # fmt: skip
            for state, at, reason in self._transitions(edge, reasons[edge]):
                self.credits[campaign, edge.id, state] = {
                    "referee_id": edge.referee, "referrer_id": edge.referrer, "changed_at": at, "reason": reason,
                }  # fmt: skip
        members = {
            member for edge in edges if edge.referrer != edge.referee for member in (edge.referrer, edge.referee)
        }
        staff = {edge.referrer for edge in edges if self._by_staff(edge)}
        credit = {member: self._transitions(edge, "")[-1][0] for member, edge in parent.items()}
        for member in members:
            above = self._above(member, parent)
            self.nodes[campaign, member] = {
                "parent_id": above[0] if above else "", "root_id": above[-1] if above else member, "depth": len(above),
                "direct": 0, "descendants": 0, "credit_state": credit.get(member, ""),
                "matured_direct": 0, "matured_descendants": 0, "reversed_direct": 0, "reversed_descendants": 0,
                "staff": int(member in staff),
            }  # fmt: skip
        for member in parent:
            for steps, one in enumerate(self._above(member, parent)):
                row = self.nodes[campaign, one]
                for name, counts in (("", True), ("matured_", credit[member] == "matured"),
                                     ("reversed_", credit[member] == "reversed")):  # fmt: skip
                    row[f"{name}descendants"] += int(counts)
                    row[f"{name}direct"] += int(counts and steps == 0)
        self._count_money(campaign, parent)

    @staticmethod
    def _above(member: str, parent: Mapping[str, Edge]) -> list[str]:
        found = []
        while member in parent:
            member = parent[member].referrer
            found.append(member)
        return found

    def _by_staff(self, edge: Edge) -> bool:
        since = self._stays.get((edge.community, edge.referrer), Stay()).staff_since
        return edge.referrer != edge.referee and since is not None and since <= edge.at

    def _already_member(self, edge: Edge, campaign: Campaign) -> bool:
        here = self._stays.get((edge.community, edge.referee), Stay())
        seen = [] if here.seen is None else [here.seen]
        if campaign.new_to == "platform" and edge.platform:
            seen += [
                stay.seen
                for (community, member), stay in self._stays.items()
                if member == edge.referee
                and stay.seen is not None
                and self._platform_of.get(community) == edge.platform
            ]
        return bool(seen) and min(seen) + campaign.grace_minutes * MINUTE_MS < edge.at

    def _transitions(self, edge: Edge, reason: str) -> list[tuple[str, int, str]]:
        campaign = self._rules.get(edge.campaign, Campaign())
        stay = self._stays.get((edge.community, edge.referee), Stay())
        if not reason and self._already_member(edge, campaign):
            reason = "already_member"
        if not reason and not campaign.staff_may_refer and self._by_staff(edge):
            reason = "staff_referrer"
        if not reason and campaign.outside(edge.at):
            reason = "outside_campaign"
        if reason:
            return [("rejected", edge.at, reason)]
        found = [("pending", edge.at, "")]
        due = campaign.qualified_at(stay, self._now_of(edge.community) - self._lateness_ms)
        if due is not None:
            found.append(("matured", max(due, edge.at), ""))
        if stay.left is not None:
            found.append(("reversed", max(stay.left, edge.at), "left"))
        return found

    def _count_money(self, campaign: str, parent: Mapping[str, Edge]) -> None:
        rows: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 6)
        for member, edge in parent.items():
            if self._already_member(edge, self._rules.get(campaign, Campaign())):
                continue
            stay = self._stays.get((edge.community, member), Stay())
            for currency, totals in stay.money.items():
                if not any(totals):
                    continue
                for place, one in [(0, member)] + [(3, above) for above in self._above(member, parent)]:
                    for at, amount in enumerate(totals):
                        rows[one, currency][place + at] += amount
        names = [
            f"{whose}_{what}" for whose in ("own", "subtree") for what in ("orders", "paid_minor", "refunded_minor")
        ]
        for (member, currency), figures in rows.items():
            self.revenue[campaign, member, currency] = dict(zip(names, figures, strict=True))

    def differences(self, landed: Mapping[str, Mapping[tuple[Any, ...], Row]]) -> list[str]:
        """Where rows of the base tables, by key and with times in ms, are not what is expected; a line each.

        Withdrawn credits and money that has become nothing count as not there, as in the views.
        """
        expected = {
            "referral_nodes": self.nodes,
            "referral_edges": self.edges,
            "referral_credits": self.credits,
            "referral_revenue": self.revenue,
        }
        lines = []
        for table, wanted in expected.items():
            found = {
                key: {name: value for name, value in row.items() if name not in _NOT_COMPARED[table]}
                for key, row in landed[table].items()
                if not row.get("withdrawn") and (table != "referral_revenue" or any(row.values()))
            }
            lines += [
                f"{table} {key}: landed {found.get(key)}, expected {wanted.get(key)}"
                for key in sorted(found.keys() | wanted.keys())
                if found.get(key) != wanted.get(key)
            ]
        return lines


_NOT_COMPARED = {
    "referral_nodes": (),
    "referral_edges": ("event_id", "origin"),  # the edge's id is made of them
    "referral_credits": ("withdrawn", "community_id"),
    "referral_revenue": (),
}


def times_in_ms(row: Row) -> Row:
    """A landed row with its times as milliseconds."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return {
        name: (value - epoch) // dt.timedelta(milliseconds=1) if isinstance(value, dt.datetime) else value
        for name, value in row.items()
    }
