"""All operators of a partition together: the order in which they take a batch, and what they land."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from streams.operators.activity import Activity, activity_rows
from streams.operators.base import Batch, Ints, StateRows, distinct
from streams.operators.communities import Communities, ZoneOf
from streams.operators.directory import Directory
from streams.operators.member_days import MemberDays
from streams.operators.members import Members
from streams.operators.panes import split_keys
from streams.operators.revenue import Revenue
from streams.operators.rolling import SUMS_MS, Rolling
from streams.operators.roster import Roster
from streams.operators.tallies import tally

RESTORE_ORDER = (
    "communities",
    "members",
    "roster",
    "pane_1m",
    "pane_1h",
    "pane_1d",
    "presence",
    "member_days",
    "revenue",
)
"""Numbers of communities and members come first; everything else speaks in them."""


class CommunityOperators:
    """Activity, members, roster and revenue of the communities of one partition."""

    names = RESTORE_ORDER

    def __init__(self, directory: Directory, zone_of: ZoneOf, lateness_ms: int) -> None:
        self._directory = directory
        self._lateness_ms = lateness_ms
        self.communities = Communities(directory, zone_of)
        self.activity = Activity(directory)
        self.rolling = Rolling(self.activity, directory)
        self.member_days = MemberDays(directory)
        self.roster = Roster()
        self.members = Members(directory, self.roster)
        self.revenue = Revenue()
        self._touched: list[Ints] = []
        self._names_array = pa.array([], pa.string())

    def apply(self, batch: Batch) -> None:
        """Take a batch of applied events in."""
        if len(batch) == 0:
            return
        self.communities.apply(batch)
        self._touched += [distinct(events.community) for events in batch.by_type.values()]
        new_days = (np.empty(0, np.uint64), np.empty(0, np.int64))
        tallies = tally(batch)
        if tallies is not None:
            local_day = self.communities.days(tallies.community, tallies.occurred_at_ms)
            pairs, flags = self.activity.apply(tallies, local_day)
            new_days = self.member_days.apply(tallies, local_day)
            self.activity.add_present_days(*new_days)
            if (orders := batch.get("order")) is not None:
                self.revenue.apply(orders, local_day[-len(orders) :])  # orders come last in the tallies
            self.members.touch(self.rolling.move(self.members.last_minute, pairs, flags))
            counted = np.concatenate(list(tallies.figures.values()))
            self.communities.note_days(tallies.community[counted], local_day[counted])
        self.communities.touch(self.members.apply(batch, new_days))

    def settle(self, clock_ms: Ints) -> None:
        """Let go of what can change no more, given each community's event clock."""
        oldest_ms = clock_ms - self._lateness_ms
        self.activity.settle(clock_ms, self._lateness_ms, SUMS_MS)
        self.member_days.settle(oldest_ms)
        self.revenue.settle(oldest_ms)
        self.roster.settle(oldest_ms)

    def dirty_count(self) -> int:
        """State rows that the next flush will write, presence segments aside."""
        parts = (self.activity, self.member_days, self.members, self.revenue, self.communities)
        return sum(part.dirty_count() for part in parts)

    def take(self, now_ms: Ints) -> tuple[list[StateRows], dict[str, pa.Table]]:
        """State rows and derived rows that changed since the last call; ``now_ms`` is *now* by community number."""
        names = self._names()
        count = len(names)
        panes, days = self.activity.take_changed(), self.member_days.take_changed()
        members, money = self.members.take_changed(), self.revenue.take_changed()
        communities = self.communities.take_changed()
        state = [
            *self.activity.state(panes),
            *self.member_days.state(days),
            *self.members.state(members),
            *self.revenue.state(money),
            *self.communities.state(communities),
            *self.roster.dirty(self._directory.community_names),
        ]
        day_table, day_rows = panes[-1]
        derived: dict[str, pa.Table | None] = dict(
            activity_rows(panes, names, self.communities.starts_ms(*split_keys(day_table.keys[day_rows])))
        )
        if len(days):
            day, member = self.member_days.places(days)
            starts_ms = self.communities.starts_ms(self._directory.community_of[member], day)
            derived["member_days"] = self.member_days.table(days, names, starts_ms)
        if len(members):
            derived["members"] = self.members.table(members, names)
        if money:
            starts_ms = self.communities.starts_ms(*Revenue.days(money))
            derived["revenue_1d"] = self.revenue.table(money, names, starts_ms)
        sizes = self.members.sizes(count)
        if communities:
            resync_needed = self.roster.resync_needed(count)
            derived["communities"] = self.communities.table(communities, sizes, resync_needed.astype(np.int64))
            derived["community_days"] = self.communities.days_table(communities)
        touched = distinct(np.concatenate(self._touched)) if self._touched else np.empty(0, np.int64)
        self._touched = []
        derived["activity_now"] = self.rolling.rows(now_ms, sizes, self.members.last_minute, touched, names)
        return state, {name: table for name, table in derived.items() if table is not None}

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take back all state rows: keys and payloads by name."""
        parts = {
            "communities": self.communities.restore,
            "members": self.members.restore,
            "roster": self.roster.restore,
            "member_days": self.member_days.restore,
            "revenue": self.revenue.restore,
        }
        for name in RESTORE_ORDER:
            if name not in rows:
                continue
            if name in parts:
                parts[name](*rows[name])
            else:
                self.activity.restore(name, *rows[name])
        self.members.recount()
        known = [number for number, name in enumerate(self._directory.community_names) if name]
        self.rolling.restore(np.array(known, np.int64))

    def sizes(self) -> dict[str, int]:
        """Entries in memory by name, for metrics."""
        return {
            "pane_1m": len(self.activity.minutes),
            "pane_1h": len(self.activity.hours),
            "pane_1d": len(self.activity.days),
            "member_days": len(self.member_days),
            "members": len(self.members),
            "communities": len(self.communities),
        }

    def _names(self) -> pa.Array:
        if len(self._names_array) != len(self._directory.community_names):
            self._names_array = pa.array(self._directory.community_names, pa.string())
        return self._names_array
