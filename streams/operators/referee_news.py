"""What is said of the referees of a partition, and when it is said again.

Everything rests on first times (see `infra/decisions/0006-the-final-ledger.md`), so what is true of a referee is a
function of the events applied so far and of *now*: whenever one of them may have changed it, the referee is looked at
again, and what differs from what was said last is said.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from schemas.facts import (
    AlreadyMemberFact,
    CameBackFact,
    Fact,
    JoinedFact,
    LeftFact,
    OrdersFact,
    QualifiedFact,
    fact_id,
)
from streams.operators.base import Batch, Ints, distinct
from streams.operators.campaign_terms import TermsBook
from streams.operators.first_times import UNSEEN, FirstTimes
from streams.operators.member_spending import MemberSpending
from streams.operators.program import ProgramContext
from streams.operators.watch_list import NOTHING_SAID, WatchList

REFEREES = "referral_referees"
HOUR_MS = 3_600_000
_SAID = ("known", "placed", "joined", "qualified", "left", "came_back")
_MOST_A_CALL = 200_000

Names = tuple[str, str, str]
"""Campaign, community, member."""


class RefereeNews:
    """Referees by (campaign, community, member), with the times said of each last (``placed``: its platform was).

    Those that have no edge here are watched because the campaign asks where on the platform they have been: of them
    only ``known`` is said.
    """

    def __init__(
        self,
        context: ProgramContext,
        terms: TermsBook,
        first_times: FirstTimes,
        spending: MemberSpending,
        platform_of: Callable[[int], str],
    ) -> None:
        self._context, self._terms, self._platform_of = context, terms, platform_of
        self._first_times, self._spending = first_times, spending
        self.watched = WatchList(REFEREES, context.directory, ("edge", *_SAID))
        self._touched: set[int] = set()
        self._spenders: set[int] = set()
        """Referees whose orders are to be said (again)."""
        self._due: dict[int, set[int]] = {}
        """By hour, referees that may be qualified then; each is looked at again, and filed again, when it comes."""
        self._missing: set[int] = set()
        """Referees that have left only because a snapshot misses them: a word of theirs takes that back."""

    def dirty_count(self) -> int:
        """State rows that the next flush will write, and referees it will look at."""
        return self.watched.dirty_count() + len(self._touched)

    def brought(self, campaigns: list[str], communities: list[str], members: list[str], times_ms: Ints) -> None:
        """There are edges with these referees."""
        rows = self.watch(campaigns, communities, members)
        np.maximum.at(self.watched.time("edge"), rows, times_ms)
        self._spenders.update(rows.tolist())

    def watch(self, campaigns: list[str], communities: list[str], members: list[str]) -> Ints:
        """Look at these from now on; returns their rows."""
        rows = self.watched.find(campaigns, communities, members)
        self._touched.update(rows.tolist())
        self.watched.touch(rows)
        return rows

    def look_at_all(self) -> None:
        """Look at everybody with the next flush, as after a restore."""
        self._touched.update(range(len(self.watched)))

    def apply(self, batch: Batch, moved: Ints, buyers: Ints, placed: list[int]) -> None:
        """Find out whom a batch may have news of.

        These are members whose first times moved, buyers, whoever was missing, and all in communities that are placed
        on a platform now.
        """
        self._touched.update(self.watched.met(), self.watched.of_members(moved))
        if placed:
            self._touched.update(self._of_communities(np.array(placed, np.int64)))
        self._spenders.update(self.watched.of_members(buyers))
        if self._missing:
            for event_type in ("message", "join"):
                if (events := batch.get(event_type)) is not None:
                    heard = self.watched.of_members(distinct(events.member))
                    self._touched |= self._missing.intersection(heard)
        joins = batch.get("join")
        if joins is not None and (listed := joins.given("snapshot_id")).any():
            self._touched.update(self._of_communities(distinct(joins.community[listed])))

    def _of_communities(self, communities: Ints) -> list[int]:
        rows = np.arange(len(self.watched))
        members = self.watched.member(rows)
        known = members >= 0
        rows, members = rows[known], members[known]
        found: list[int] = rows[np.isin(self._context.directory.community_of[members], communities)].tolist()
        return found

    def say(self, now_ms: Ints) -> list[Fact]:
        """What is new of whoever was touched or may be qualified by now; ``now_ms`` by community number."""
        self._touched.update(self.watched.met())
        latest_hour = int(now_ms.max()) // HOUR_MS if len(now_ms) else 0
        looked_at = set(islice(self._touched, _MOST_A_CALL))
        self._touched -= looked_at
        for hour in sorted(hour for hour in self._due if hour <= latest_hour):
            if len(looked_at) >= _MOST_A_CALL:
                break
            looked_at |= self._due.pop(hour)
        facts = self._times(np.array(sorted(looked_at), np.int64), now_ms) if looked_at else []
        spenders, self._spenders = sorted(self._spenders), set()
        return facts + (self._orders(np.array(spenders, np.int64)) if spenders else [])

    def _times(self, rows: Ints, now_ms: Ints) -> list[Fact]:
        members = self.watched.member(rows)
        seen = self._first_times.of("seen", members)
        rows, members, seen = (one[(members >= 0) & (seen != UNSEEN)] for one in (rows, members, seen))
        if not len(rows):
            return []
        names = list(self.watched.names_of(rows.tolist()))
        communities = self._context.directory.community_of[members].tolist()
        platforms = [
            self._platform_of(community) if self._terms.of(campaign).new_to_platform else ""
            for (campaign, _, _), community in zip(names, communities, strict=True)
        ]
        news = self._news(rows, members, seen, names, now_ms)
        news["placed"] = np.where(np.array(platforms) == "", NOTHING_SAID, 1)
        changed = {name: self.watched.time(name)[rows] != times for name, times in news.items()}
        changed["known"] |= changed["placed"] & (news["known"] != NOTHING_SAID)
        facts: list[Fact] = []
        for at in np.flatnonzero(np.logical_or.reduce(list(changed.values()))).tolist():
            about = self._about(names[at], int(rows[at]))
            for name, times in news.items():
                if changed[name][at]:
                    self.watched.times[name][int(rows[at])] = int(times[at])
                    time_ms = None if times[at] == NOTHING_SAID else int(times[at])
                    if name != "placed":  # is said along with ``known``
                        facts.append(_time_fact(name, about, names[at], time_ms, int(seen[at]), platforms[at]))
        return facts

    def _news(self, rows: Ints, members: Ints, seen: Ints, names: list[Names], now_ms: Ints) -> dict[str, Ints]:
        """The times that are true of referees now."""
        terms = [self._terms.of(campaign) for campaign, _, _ in names]
        edge = self.watched.time("edge")[rows]
        here = edge != NOTHING_SAID
        left = np.where(here, self._left(rows, members), UNSEEN)
        due = seen + np.array([one.maturity_ms for one in terms], np.int64)
        asked = {name: self._first_times.of(name, members) for name in ("active", "paid")} | {"nothing": seen}
        paid, nothing = (np.array([one.require == word for one in terms]) for word in ("paid_order", "nothing"))
        done = np.select([paid, nothing], [asked["paid"], asked["nothing"]], asked["active"])
        decided_ms = due + self._context.lateness_ms
        hopeful = here & (done < due) & (left >= due)
        over = decided_ms <= now_ms[self._context.directory.community_of[members]]
        waits = hopeful & ~over
        for row, hour in zip(rows[waits].tolist(), (decided_ms[waits] // HOUR_MS).tolist(), strict=True):
            self._due.setdefault(hour, set()).add(row)
        joined, latest = (self._first_times.of(name, members) for name in ("joined", "rejoined"))
        known_from = seen + np.array([one.grace_ms for one in terms], np.int64)
        everywhere = np.array([one.new_to_platform for one in terms])
        return {
            "known": np.where(everywhere | (known_from < edge), known_from, NOTHING_SAID),
            "joined": np.where(here & (joined != UNSEEN), joined, NOTHING_SAID),
            "qualified": np.where(hopeful & over, due, NOTHING_SAID),
            "left": np.where(left != UNSEEN, left, NOTHING_SAID),
            "came_back": np.where((left != UNSEEN) & (latest > left), latest, NOTHING_SAID),
        }

    def _left(self, rows: Ints, members: Ints) -> Ints:
        left = self._first_times.of("left", members)
        missed = self._context.members.missed_ms(members)
        by_snapshot = (missed >= 0) & (missed < left)
        self._missing.difference_update(rows[~by_snapshot].tolist())
        self._missing.update(rows[by_snapshot].tolist())
        return np.where(by_snapshot, missed, left)

    def _orders(self, rows: Ints) -> list[Fact]:
        rows = rows[self.watched.time("edge")[rows] != NOTHING_SAID]
        members = self.watched.member(rows).tolist()
        spent = {row: totals for row, member in zip(rows.tolist(), members, strict=True)
                 if (totals := self._spending.of(member))}  # fmt: skip
        facts: list[Fact] = []
        for (row, totals), names in zip(spent.items(), self.watched.names_of(list(spent)), strict=True):
            about = self._about(names, row)
            for currency, (orders, paid_minor, refunded_minor) in totals.items():
                facts.append(
                    OrdersFact(
                        **about,
                        fact_id=fact_id("orders", *names, currency),
                        occurred_at=self.watched.times["edge"][row],
                        currency=currency,
                        orders=orders,
                        paid_minor=paid_minor,
                        refunded_minor=refunded_minor,
                    )
                )
        return facts

    def _about(self, names: Names, row: int) -> dict[str, Any]:
        """What all facts of a referee have in common, under the next revision."""
        self.watched.revision[row] += 1
        self.watched.touch([row])
        campaign, community, member = names
        return {
            "revision": self.watched.revision[row],
            "campaign_id": campaign,
            "community_id": community,
            "referee_id": member,
        }


def _time_fact(
    name: str, about: dict[str, Any], names: Names, time_ms: int | None, seen_ms: int, platform: str
) -> Fact:
    """The fact that says one of the times of a referee."""
    if name == "known":
        about = {**about, "fact_id": fact_id("already_member", *names), "occurred_at": seen_ms}
        return AlreadyMemberFact(**about, known_from=time_ms, platform=platform)
    about = {**about, "fact_id": fact_id(name, *names), "occurred_at": seen_ms if time_ms is None else time_ms}
    if name == "joined":
        return JoinedFact(**about, joined_at=time_ms)
    if name == "qualified":
        return QualifiedFact(**about, qualified_at=time_ms)
    if name == "left":
        return LeftFact(**about, left_at=time_ms)
    return CameBackFact(**about, came_back_at=time_ms)
