"""What the facts about referees and referrers must say in the end, by their ids, worked out from all applied events.

Follows the section on what counts of a referee in `infra/decisions/0006-the-final-ledger.md` and the comments of the
topic's JSON Schema; shares no code with `streams/` and `schemas/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.oracle.judging import Event
from tests.oracle.referrals import DAY_MS, MINUTE_MS, Campaign, Edge, Stay, edges_of, stays_of

Said = dict[str, tuple[Any, ...]]
"""By fact id, what a fact says beside its id; facts that say nothing, or that were taken back, are left out."""
Place = tuple[str, str, str]
"""Campaign, community, member."""


def path(*parts: str) -> str:
    """An id made of parts."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


class FactsOracle:
    """The facts that applied events lead to; ``now_of`` gives *now* of a community in ms."""

    def __init__(
        self, events: Iterable[tuple[str, Event]], now_of: Callable[[str], int], rules: Mapping[str, Campaign]
    ) -> None:
        listed = list(events)
        self._now_of, self._rules = now_of, rules
        self._stays = stays_of(listed)
        self._platform_of = {event["community_id"]: event["platform"] for _, event in listed if event.get("platform")}
        self.said: Said = {}
        edges = edges_of(listed)
        latest: dict[Place, int] = defaultdict(int)
        for edge in edges:
            place = (edge.campaign, edge.community, edge.referee)
            latest[place] = max(latest[place], edge.at)
            self._say_edge(edge)
        for place, at in latest.items():
            self._say_referee(place, self._stays.get(place[1:], Stay()))
            self._say_known(place, at)
        for place in self._asked(edges) - latest.keys():
            self._say_known(place, 0)

    def _of(self, campaign: str) -> Campaign:
        return self._rules.get(campaign, Campaign())

    def _say_edge(self, edge: Edge) -> None:
        origin = "join" if "joins" in edge.topic else "referral"
        self.said[path("edge", edge.campaign, edge.community, origin, edge.event_id)] = (
            edge.at, edge.referrer, edge.referee, edge.via, edge.source, edge.platform or "",
            self._of(edge.campaign).outside(edge.at),
        )  # fmt: skip
        since = self._stays.get((edge.community, edge.referrer), Stay()).staff_since
        if since is not None:
            may_refer = self._of(edge.campaign).staff_may_refer
            self.said[path("staff", edge.campaign, edge.community, edge.referrer)] = (since, may_refer)

    def _say_referee(self, place: Place, stay: Stay) -> None:
        came_back = None
        if stay.left is not None and stay.joined_last is not None and stay.joined_last > stay.left:
            came_back = stay.joined_last
        qualified = self._of(place[0]).qualified_at(stay, self._now_of(place[1]) - DAY_MS)
        times = {"joined": stay.joined, "left": stay.left, "came_back": came_back, "qualified": qualified}
        self.said |= {path(kind, *place): (at,) for kind, at in times.items() if at is not None}
        for currency, totals in stay.money.items():
            if any(totals):
                self.said[path("orders", *place, currency)] = tuple(totals)

    def _say_known(self, place: Place, latest_edge: int) -> None:
        """The fact *already a member*: of whoever is new to a platform it must be said wherever it was seen."""
        campaign, seen = self._of(place[0]), self._stays.get(place[1:], Stay()).seen
        if seen is None:
            return
        known, everywhere = seen + campaign.grace_minutes * MINUTE_MS, campaign.new_to == "platform"
        if everywhere or known < latest_edge:
            platform = self._platform_of.get(place[1], "") if everywhere else ""
            self.said[path("already_member", *place)] = (known, platform)

    def _asked(self, edges: list[Edge]) -> set[Place]:
        """Where on their platform referees have been of whom that is asked."""
        return {
            (edge.campaign, community, edge.referee)
            for edge in edges
            if edge.platform and self._of(edge.campaign).new_to == "platform"
            for community, platform in self._platform_of.items()
            if platform == edge.platform and (community, edge.referee) in self._stays
        }
