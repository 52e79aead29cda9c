"""Facts about referees, beside the members' state: what the forest of a campaign, wherever it is kept, must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from schemas.columns import Columns
from schemas.facts import AskFact, EdgeFact, EdgeOrigin, Fact, StaffFact, decode, encode, fact_id
from schemas.topics import REFERRAL_FACTS
from streams.operators.base import Batch, Events, Ints, StateRows, distinct
from streams.operators.campaign_terms import TermsBook
from streams.operators.first_times import UNSEEN, FirstTimes
from streams.operators.member_spending import MemberSpending
from streams.operators.outbox import OutboxRecord
from streams.operators.platform_asks import ASKS, PLATFORMS, PlatformAsks, Sighting
from streams.operators.program import ProgramContext, SideRecordError
from streams.operators.referee_news import REFEREES, RefereeNews
from streams.operators.watch_list import NOTHING_SAID, WatchList
from streams.rules_campaigns import CampaignRules

REFERRERS = "referral_referrers"
_NO_MEMBERS = np.empty(0, np.int64)


class ReferralFacts:
    """A program over the events of a partition's communities; it sends facts and lands nothing."""

    names: tuple[str, ...] = (
        TermsBook.name, FirstTimes.name, MemberSpending.name, REFEREES, REFERRERS, ASKS, PLATFORMS,
    )  # fmt: skip

    def __init__(self, context: ProgramContext, rules_of: Callable[[str], CampaignRules]) -> None:
        self._members = context.directory.member_ids
        self._terms = TermsBook(rules_of)
        self._first_times = FirstTimes()
        self._spending = MemberSpending()
        self._asks = PlatformAsks(context.directory, context.partitions)
        self._news = RefereeNews(context, self._terms, self._first_times, self._spending, self._asks.platform_of)
        self._referrers = WatchList(REFERRERS, context.directory, ("staff",))
        self._touched_referrers: set[int] = set()
        self._edges: list[EdgeFact] = []
        self._said: list[tuple[str, Fact]] = []
        """Facts to be sent, each with the key of its record."""

    # -- events and questions in --------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> None:
        """Take events in: first times and money of everybody, edges, and whom to say something new about."""
        placed = self._asks.apply(batch)
        moved = self._first_times.apply(batch, len(self._members))
        orders = batch.get("order")
        buyers = _NO_MEMBERS if orders is None else distinct(self._spending.apply(orders))
        self._watch(self._asks.sightings())
        self._news.apply(batch, moved, buyers, placed)
        self._touched_referrers.update(self._referrers.met(), self._referrers.of_members(moved))
        if (joins := batch.get("join")) is not None:
            self._take_joins(joins)
        if (referrals := batch.get("referral")) is not None:
            said = referrals.columns
            members = said["referrer_id"], said["referee_id"]
            self._take_edges("referral", referrals.occurred_at_ms, said, said["campaign_id"], *members)

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Take questions in; other facts are for the forest."""
        if topic != REFERRAL_FACTS:
            return
        try:
            facts = [decode(value) for value in values if b'"ask"' in value]
        except ValueError as error:
            raise SideRecordError(str(error)) from None
        for fact in facts:
            if isinstance(fact, AskFact):
                self._watch(self._asks.take(fact))

    def _watch(self, sightings: list[Sighting]) -> None:
        if sightings:
            campaigns, communities, members = (list(part) for part in zip(*sightings, strict=True))
            self._news.watch(campaigns, communities, members)

    def _take_joins(self, joins: Events) -> None:
        # A snapshot line would tell of the same invitation with every snapshot: only joinings make edges.
        which = np.flatnonzero(joins.given("inviter_id") & joins.where("action", "joined"))
        if len(which):
            said = joins.columns.take(which)
            campaigns = [
                campaign or f"organic:{community}"
                for campaign, community in zip(said["campaign_id"], said["community_id"], strict=True)
            ]
            members = said["inviter_id"], said["member_id"]
            self._take_edges("join", joins.occurred_at_ms[which], said, campaigns, *members)

    def _take_edges(
        self,
        origin: EdgeOrigin,
        times_ms: Ints,
        said: Columns,
        campaigns: list[str],
        referrers: list[str],
        referees: list[str],
    ) -> None:
        communities = said["community_id"]
        sources = said["source"] if "source" in said else [None] * len(campaigns)
        rows = zip(
            campaigns, communities, referrers, referees, said["event_id"], said["via"], sources, said["platform"],
            times_ms.tolist(), strict=True,
        )  # fmt: skip
        for campaign, community, referrer, referee, event_id, via, source, platform, time_ms in rows:
            terms = self._terms.of(campaign)
            self._edges.append(
                EdgeFact(
                    fact_id=fact_id("edge", campaign, community, origin, event_id),
                    revision=1,
                    campaign_id=campaign,
                    community_id=community,
                    occurred_at=time_ms,
                    referee_id=referee,
                    referrer_id=referrer,
                    origin=origin,
                    event_id=event_id,
                    via=via or "",
                    source=source or "",
                    platform=platform or "",
                    outside_campaign=terms.outside(time_ms),
                )
            )
            if terms.new_to_platform and platform:
                self._said += self._asks.ask(campaign, platform, community, referee, time_ms)
        self._news.brought(campaigns, communities, referees, times_ms)
        places = self._referrers.find(campaigns, communities, referrers)
        self._touched_referrers.update(places.tolist())
        self._referrers.touch(places)

    # -- facts out ----------------------------------------------------------------------------------------------------

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Say what is new of whoever was touched or may be qualified by now."""
        self._touched_referrers.update(self._referrers.met())
        referrers, self._touched_referrers = sorted(self._touched_referrers), set()
        edges, self._edges = self._edges, []
        facts: list[Fact] = [*edges, *self._news.say(now_ms)]
        if referrers:
            facts += self._staff(np.array(referrers, np.int64))
        self._said += [(fact.campaign_id, fact) for fact in facts]

    def _staff(self, rows: Ints) -> list[Fact]:
        members = self._referrers.member(rows)
        staff, role = self._first_times.of("staff", members), self._first_times.of("role", members)
        since = np.where(staff == UNSEEN, NOTHING_SAID, np.where(staff <= role, 0, staff))
        changed = self._referrers.time("staff")[rows] != since
        facts: list[Fact] = []
        for row, since_ms in zip(rows[changed].tolist(), since[changed].tolist(), strict=True):
            self._referrers.times["staff"][row] = since_ms
            self._referrers.revision[row] += 1
            self._referrers.touch([row])
            ((campaign, community, member),) = self._referrers.names_of([row])
            facts.append(
                StaffFact(
                    fact_id=fact_id("staff", campaign, community, member),
                    revision=self._referrers.revision[row],
                    campaign_id=campaign,
                    community_id=community,
                    occurred_at=max(since_ms, 0),
                    referrer_id=member,
                    staff_from=None if since_ms == NOTHING_SAID else since_ms,
                    may_refer=self._terms.of(campaign).staff_may_refer,
                )
            )
        return facts

    def outbox(self) -> list[OutboxRecord]:
        """The facts said since the last call."""
        said, self._said = self._said, []
        return [OutboxRecord(REFERRAL_FACTS, key, fact.fact_id, fact.revision, encode(fact)) for key, fact in said]

    def derived(self) -> dict[str, pa.Table]:
        """It lands nothing: what people read is the forest's."""
        return {}

    def settle(self, clock_ms: Ints) -> None:
        """It lets go of nothing: an edge of any age may ask for anybody's first times."""

    # -- state --------------------------------------------------------------------------------------------------------

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call."""
        parts = (self._terms, self._first_times, self._spending, self._news.watched, self._referrers, self._asks)
        return [rows for part in parts for rows in part.dirty()]

    def dirty_count(self) -> int:
        """State rows that the next flush will write, and facts it will send."""
        parts = (self._terms, self._first_times, self._spending, self._news, self._referrers, self._asks)
        return sum(part.dirty_count() for part in parts) + len(self._edges) + len(self._said)

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take its rows back; who is not decided yet is looked at again with the next flush."""
        for part in (self._terms, self._first_times, self._spending, self._news.watched, self._referrers):
            if part.name in rows:
                part.restore(*rows[part.name])
        for name in (ASKS, PLATFORMS):
            if name in rows:
                self._asks.restore(name, *rows[name])
        self._news.look_at_all()

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    def sizes(self) -> dict[str, int]:
        """Referees watched, and members whose first times are kept."""
        return {"referral_referees": len(self._news.watched), "referral_firsts": len(self._first_times)}
