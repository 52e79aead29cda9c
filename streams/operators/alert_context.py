"""What every rule of member alerts needs beside the events: rules by community, names, tiers, assignees, episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from schemas.alerts import AlertKind, AlertRecord, EvidenceValue, alert_id
from streams.operators.alert_words import health_action, suggested_action
from streams.operators.arrivals import Arrivals
from streams.operators.base import Batch, Events, Ints, Mask, distinct, first_rows
from streams.operators.churn_model import ChurnModel, Curves
from streams.operators.episodes import Episodes, Opening
from streams.operators.holidays import Holidays
from streams.operators.noted_words import NotedWords
from streams.operators.program import ProgramContext
from streams.operators.rhythm import Rhythms
from streams.operators.standing import Standing
from streams.operators.tiers import SEVERITY, TIERS
from streams.operators.timers import NO_DUE
from streams.rules_churn import EpisodeRules
from streams.rules_health import HealthRules, KindsRules
from streams.rules_model import Rules

PLATFORMS, STAFF = "alert_platforms", "alert_staff"
"""Names of rows in the state."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Profile:
    """What holds for communities with the same rules and curves."""

    rules: KindsRules
    curves: Curves
    holidays: Holidays


class AlertContext:
    """The partition, its rules and its model, as rules of alerts see them."""

    def __init__(
        self,
        context: ProgramContext,
        rules: Callable[[], Rules],
        model: ChurnModel,
        episodes: Episodes,
        rhythms: Rhythms,
        replay: bool,
        wall_ms: Callable[[], int] | None,
    ) -> None:
        self.partition = context
        self.model = model
        self.episodes = episodes
        self.rhythms = rhythms
        self.standing = Standing(context, rhythms)
        self.assignees = NotedWords(STAFF)
        """By member: the employee who served it last."""
        self.platforms = NotedWords(PLATFORMS, first=True)
        """By community: that of its first event that named one."""
        self._rules_now = rules
        self._rules = rules()
        self._replay = replay
        self._wall_ms = wall_ms
        self._profiles: list[Profile] = []
        self._known: dict[tuple[str, bool], int] = {}
        self._profile_of = np.empty(0, np.int64)

    @property
    def rules(self) -> Rules:
        """The rules in force since :meth:`refresh`."""
        return self._rules

    def refresh(self) -> bool:
        """Look at the rules again, once a batch; whether they changed."""
        current = self._rules_now()
        if current is self._rules:
            return False
        self._rules = current
        self._profiles, self._known, self._profile_of = [], {}, np.empty(0, np.int64)
        return True

    def profile_of(self, community: Ints) -> Ints:
        """The number of each community's profile."""
        names = self.partition.directory.community_names
        if len(self._profile_of) < len(names):
            new = [self._profile_number(name) for name in names[len(self._profile_of) :]]
            self._profile_of = np.concatenate([self._profile_of, np.array(new, np.int64)])
        return self._profile_of[community]

    def by_profile(self, community: Ints) -> Iterator[tuple[Mask, Profile]]:
        """The profiles of these communities, each with where it holds."""
        numbers = self.profile_of(community)
        if len(self._profiles) == 1 and len(community):
            yield np.ones(len(community), np.bool_), self._profiles[0]
            return
        for number in np.unique(numbers).tolist():
            yield numbers == number, self._profiles[number]

    def begin(self, batch: Batch, arrivals: Arrivals, clock_ms: Ints, listed_ms: dict[int, int]) -> None:
        """Take a batch in hand; arguments as :meth:`Standing.begin` has them."""
        self.standing.begin(batch, arrivals, clock_ms, listed_ms)
        self._note_platforms(batch, arrivals)
        orders = batch.get("order")
        if orders is not None and orders.given("staff_id").any():
            places = arrivals.of_type["order"].tolist()
            for place, member, who in zip(places, orders.member.tolist(), orders.columns["staff_id"], strict=True):
                if who:
                    self.assignees.note(member, who, place)

    def _note_platforms(self, batch: Batch, arrivals: Arrivals) -> None:
        for community, event_type, row in first_rows(batch, self._names_one):
            platform = batch.by_type[event_type].columns.arrow("platform")[row].as_py()
            self.platforms.note(community, platform, int(arrivals.of_type[event_type][row]))

    def _names_one(self, events: Events) -> Mask:
        """Which events name a platform where none is known yet."""
        unknown = [one for one in distinct(events.community).tolist() if one not in self.platforms]
        if not unknown:
            return np.zeros(len(events), np.bool_)
        return np.isin(events.community, unknown) & events.given("platform") & ~events.where("platform", "")

    def end(self) -> None:
        """The batch is over."""
        self.standing.end()
        self.assignees.end()
        self.platforms.end()

    def place(self, community: int, due_ms: int) -> int:
        """The place in the batch in hand at which *now* came to a time."""
        return int(self.standing.places(np.array([community]), np.array([due_ms]), np.array([False]))[0])

    def rules_of(self, community: int) -> KindsRules:
        """The rules of one community."""
        return self._profiles[int(self.profile_of(np.array([community]))[0])].rules

    def community_of(self, members: Ints) -> Ints:
        """Community number of each member."""
        return self.partition.directory.community_of[members]

    def hours_into(self, community: Ints, day: Ints, hour: Ints | int) -> Ints:
        """The instant (ms) so many hours after each local day began."""
        return self.partition.communities.starts_ms(community, day) + hour * HOUR_MS

    def rested(self, kind: AlertKind, members: Ints, community: Ints, due_ms: Ints, hour: int) -> Ints:
        """Due times put off to the given local hour after each member has rested from its last alert."""
        rests_ms = self.episodes.rests_until_ms(kind, members)
        late = np.flatnonzero((rests_ms > due_ms) & (due_ms != NO_DUE))
        if len(late) == 0:
            return due_ms
        rests_ms, where = rests_ms[late], community[late]
        day = self.partition.communities.days(where, rests_ms)
        morning = self.hours_into(where, day, hour)
        due_ms = due_ms.copy()
        due_ms[late] = np.where(morning >= rests_ms, morning, self.hours_into(where, day + 1, hour))
        return due_ms

    def opening(
        self,
        kind: AlertKind,
        member: int,
        *,
        place: int,
        fact: int,
        opened_ms: int,
        stale: bool,
        rules: EpisodeRules,
        reason: str,
        evidence: Mapping[str, EvidenceValue],
        at_once: bool = True,
        tier: int,
        worth: float,
    ) -> Opening:
        """A new episode about a member, with the event at a place of the batch."""
        directory = self.partition.directory
        community = int(directory.community_of[member])
        name = directory.community_names[community]
        tier_name = TIERS[tier]
        described = self._rules.communities.get(name)
        assignee = self.assignees.of(member, place) or (described.assignee if described is not None else None) or ""
        member_id = directory.member_ids[member]
        record = AlertRecord(
            alert_id=alert_id(kind, name, member_id, fact=fact),
            revision=1,
            kind=kind,
            community_id=name,
            member_id=member_id,
            platform=self.platforms.of(community, place),
            assignee=assignee,
            state="opened",
            severity=SEVERITY[tier_name],
            opened_at=opened_ms,
            updated_at=opened_ms,
            reason=reason,
            evidence={**evidence, "tier": tier_name},
            suggested_action=suggested_action(kind, tier_name),
            value_at_risk=round(max(worth, 0.0), 2),
            urgency="now" if at_once and tier_name in rules.at_once_tiers else "digest",
            replay=self._is_history(opened_ms),
        )
        return Opening(record, member, community, rules.expire_days * DAY_MS, rules.cool_down_days * DAY_MS, stale)

    def health_opening(
        self,
        kind: AlertKind,
        community: int,
        *,
        place: int,
        fact: int | str,
        opened_ms: int,
        stale: bool,
        rules: HealthRules,
        reason: str,
        evidence: Mapping[str, EvidenceValue],
        worth: float = 0.0,
        member: int | None = None,
        tier: int | None = None,
        feed: str | None = None,
        at_once: bool = True,
        subject: int | None = None,
    ) -> Opening:
        """A new episode about a community, a member's doing in it (``member``), or a feed heard in it (``feed``), with
        the event at a place of the batch.

        Severity is that of the rules, or of the member's tier where one is given.
        """
        directory = self.partition.directory
        name = "" if feed is not None else directory.community_names[community]
        member_id = "" if member is None else directory.member_ids[member]
        described = self._rules.communities.get(name)
        platform = self.platforms.of(community, place)
        record = AlertRecord(
            alert_id=alert_id(kind, name, member_id, fact=fact, feed=feed or "", platform=platform if feed else ""),
            revision=1,
            kind=kind,
            community_id=name,
            member_id=member_id,
            platform=platform,
            feed=feed or "",
            assignee=(described.assignee if described is not None else None) or "",
            state="opened",
            severity=rules.severity if tier is None else SEVERITY[TIERS[tier]],
            opened_at=opened_ms,
            updated_at=opened_ms,
            reason=reason,
            evidence=dict(evidence) if tier is None else {**evidence, "tier": TIERS[tier]},
            suggested_action=health_action(kind),
            value_at_risk=round(max(worth, 0.0), 2),
            urgency="now" if at_once and rules.at_once else "digest",
            replay=self._is_history(opened_ms),
        )
        about = subject if subject is not None else community if member is None else member
        return Opening(record, about, community, rules.expire_days * DAY_MS, rules.cool_down_days * DAY_MS, stale)

    def _is_history(self, opened_ms: int) -> bool:
        """Whether an alert opens so long after the fact that it is no news to anybody."""
        if self._replay or self._wall_ms is None:
            return self._replay
        return self._wall_ms() - opened_ms > self.partition.lateness_ms

    def _profile_number(self, community: str) -> int:
        own = self._rules.alerts.communities.get(community)
        has_curves = community in self.model.silence.communities
        key = (community if own is not None or has_curves else "", has_curves)
        if key not in self._known:
            rules = self._rules.alerts.of(community)
            days = [day for holiday in rules.holidays for day in holiday.days()]
            self._known[key] = len(self._profiles)
            self._profiles.append(Profile(rules, self.model.curves(community), Holidays(days)))
        return self._known[key]
