"""Alerts on communities and feeds together: the order in which they take a batch, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from streams.operators.alert_context import HOUR_MS, AlertContext
from streams.operators.arrivals import Arrivals, Moments
from streams.operators.base import Batch, Ints, StateRows
from streams.operators.community_checks import CommunityChecks
from streams.operators.community_panes import CommunityPanes, Extra, Seen
from streams.operators.exodus import Exodus
from streams.operators.feed_watch import FeedWatch
from streams.operators.left_out_days import LeftOutDays
from streams.operators.questions import Questions
from streams.operators.resync import Resync
from streams.operators.violations import Violations

_MINUTE_MS = 60_000


class HealthAlerts:
    """Everything that watches communities as a whole."""

    names = (
        *FeedWatch.names,
        *CommunityPanes.names,
        *CommunityChecks.names,
        *Exodus.names,
        *Questions.names,
        *Violations.names,
        *Resync.names,
    )

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self.feeds = FeedWatch(context)
        self.panes = CommunityPanes()
        self.checks = CommunityChecks(context, self.feeds)
        self._exodus = Exodus(context)
        self._questions = Questions(context, self.feeds)
        self._violations = Violations(context)
        self._resync = Resync(context)
        self._left_out = LeftOutDays(context)

    def apply(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take a batch in, before alerts on the silence of members do: quiet communities and feeds hold those back."""
        self._room()
        moments = arrivals.moments
        self.feeds.apply(batch, arrivals)
        pane = self._pane(arrivals.community, arrivals.occurred_at_ms)
        reached = pane.copy()
        behind = np.flatnonzero(arrivals.reached_ms != arrivals.occurred_at_ms)
        reached[behind] = self._pane(arrivals.community[behind], arrivals.reached_ms[behind])
        extra = self._in_panes(self._questions.apply(batch, arrivals))
        ends = self._ends(moments)
        seen = self.panes.take(batch, arrivals, pane, reached, ends, self._left_out.calendars(), extra)
        self._judge(seen, moments)
        self._exodus.apply(arrivals, seen.quits)
        self._exodus.advance(moments.last_ms)
        self._violations.apply(batch, arrivals, pane, reached)
        self._resync.apply(batch, arrivals)
        self._resync.advance(moments)

    def advance(self, moments: Moments) -> None:
        """Let time pass."""
        self._room()
        self.feeds.advance(moments)
        extra = self._in_panes(self._questions.advance(moments))
        self._judge(self.panes.let_pass(self._ends(moments), self._left_out.calendars(), extra), moments)
        self._exodus.advance(moments.last_ms)
        self._resync.advance(moments)

    def release(self, community: Ints, due_ms: Ints) -> Ints:
        """When alerts on silence that fall due at these times may be raised."""
        return self.feeds.release(community, self.checks.quiet.release(community, due_ms))

    def settle(self, now_ms: int) -> None:
        """Forget what nothing that falls due from now on depends on."""
        self.feeds.settle(now_ms)
        self.checks.quiet.settle(now_ms)

    @property
    def endings(self) -> int:
        """How many times of quiet have ended: those who were held back are to be looked at again."""
        return self.feeds.endings + self.checks.quiet.endings

    def _judge(self, seen: Seen, moments: Moments) -> None:
        self.checks.judge(seen.checks, moments)
        self._watch()

    def _watch(self) -> None:
        watched = ~self.checks.unwatched()
        known = min(len(watched), len(self.panes.watched))  # each has room of its own for communities to come
        self.panes.watched[:known] = watched[:known]

    def _pane(self, community: Ints, time_ms: Ints) -> Ints:
        """Pane of each time: the local date at so many hours before it."""
        hours = np.empty(len(community), np.int64)
        for mine, profile in self._context.by_profile(community):
            hours[mine] = profile.rules.check_hour
        return self._context.partition.communities.days(community, time_ms - hours * HOUR_MS)

    def _in_panes(self, extra: Extra) -> Extra:
        return Extra(extra.place, extra.community, self._pane(extra.community, extra.pane))

    def _ends(self, moments: Moments) -> Ints:
        communities = np.arange(len(self._context.partition.communities))
        return self._pane(communities, np.full(len(communities), moments.last_ms))

    def _room(self) -> None:
        directory = self._context.partition.directory
        self.panes.room(len(directory.community_names), len(directory.member_ids))

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write, about."""
        parts = (self.feeds, self.panes, self.checks, self._exodus, self._questions, self._violations, self._resync)
        return sum(part.dirty_count() for part in parts)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        parts = (self.feeds, self.panes, self.checks, self._exodus, self._questions, self._violations, self._resync)
        return [rows for part in parts for rows in part.dirty()]

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take rows back; platforms are known again."""
        self._room()
        directory = self._context.partition.directory
        for name in ("check_communities", "check_panes", "check_members"):
            if name in rows:
                self.panes.restore(name, *rows[name], len(directory.community_names), len(directory.member_ids))
        spoke = self._context.partition.members.last_minute[: len(directory.member_ids), 0].astype(np.int64)
        last_spoke = self._pane(directory.community_of, spoke * _MINUTE_MS)
        self.panes.restored(self._context.partition.members, directory.community_of, last_spoke)
        for name in FeedWatch.names:
            if name in rows:
                self.feeds.restore(name, *rows[name])
        if "check_levels" in rows:
            self.checks.restore(rows["check_levels"][1])
        if "alert_leaving" in rows:
            self._exodus.restore(*rows["alert_leaving"])
        for name in Questions.names:
            if name in rows:
                self._questions.restore(name, *rows[name])
        for name in Violations.names:
            if name in rows:
                self._violations.restore(name, *rows[name])
        if "alert_resync" in rows:
            self._resync.restore(*rows["alert_resync"])
        self._watch()

    def derived(self) -> dict[str, pa.Table]:
        """Rows for people since the last call."""
        feeds = self.feeds.derived()
        return {} if feeds is None else {"alert_feeds": feeds}

    def sizes(self) -> dict[str, int]:
        """Entries in memory by name, for metrics."""
        return {"open_questions": len(self._questions)}
