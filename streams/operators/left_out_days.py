"""Days that are left out when a community is compared with its past: holidays, campaigns, events."""

from __future__ import annotations

import numpy as np

from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.base import Ints, Mask
from streams.rules_model import Rules

MOST_DAYS = 31
"""A campaign that lasts longer is no exception but how things are."""


class LeftOutDays:
    """Which days are left out, by community; worked out anew when rules change or communities come."""

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._rules: Rules | None = None
        self._calendar = np.zeros(0, np.int64)
        self._known: dict[frozenset[int], int] = {}
        self._days: tuple[Mask, int] = (np.zeros((1, 0), np.bool_), 0)

    def calendars(self) -> tuple[Ints, Mask, int]:
        """Number of each community's calendar, which days are left out (a row a calendar), and the first of them."""
        names = self._context.partition.directory.community_names
        if self._rules is not self._context.rules:
            self._rules, self._calendar, self._known = self._context.rules, np.zeros(0, np.int64), {frozenset(): 0}
            self._lay_out()
        if len(self._calendar) < len(names):
            known = len(self._known)
            new = [self._number(name) for name in names[len(self._calendar) :]]
            self._calendar = np.concatenate([self._calendar, np.array(new, np.int64)])
            if len(self._known) > known:
                self._lay_out()
        return self._calendar, *self._days

    def _number(self, community: str) -> int:
        return self._known.setdefault(frozenset(self._days_of(community)), len(self._known))

    def _days_of(self, community: str) -> set[int]:
        rules = self._context.rules
        zone = rules.timezone_of(community)
        found = {day for holiday in rules.alerts.of(community).holidays for day in holiday.days()}
        spans = [(one.start_ms(), one.end_ms()) for one in rules.campaigns.values()]
        spans += [
            one.span_ms(zone)
            for one in rules.events.values()
            if one.communities is None or community in one.communities
        ]
        for start_ms, end_ms in spans:
            if start_ms is not None and end_ms is not None and end_ms - start_ms <= MOST_DAYS * DAY_MS:
                # To the day before, too: a pane begins at the hour of the check.
                found.update(range(start_ms // DAY_MS - 1, -(-end_ms // DAY_MS) + 1))
        return found

    def _lay_out(self) -> None:
        days = set().union(*self._known)
        first = min(days, default=0)
        left_out = np.zeros((len(self._known), max(days, default=first - 1) - first + 1), np.bool_)
        for calendar, number in self._known.items():
            left_out[number, [day - first for day in calendar]] = True
        self._days = left_out, first
