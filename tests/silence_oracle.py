"""`silent` alerts worked out event by event, in plain loops; shares but the model file with the code under test.

For feeds of messages of members who never leave, on the default rules.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
MODEL = json.loads((Path(__file__).parents[1] / "streams/operators/churn_model.json").read_text())
UTC = dt.UTC


class _Member:
    def __init__(self) -> None:
        self.days: list[dt.date] = []
        self.due: int | None = None
        self.told = False
        self.open: dict[str, Any] | None = None
        self.rests_until = -1


class SilenceOracle:
    """Alerts as (community, member, opened ms) -> (state, ended ms)."""

    def __init__(self, zones: dict[str, str], lateness_ms: int = DAY_MS) -> None:
        self._zones = zones
        self._lateness_ms = lateness_ms
        self._members: dict[tuple[str, str], _Member] = {}
        self._clock: dict[str, int] = {}
        self._now = -1
        self.alerts: dict[tuple[str, str, int], tuple[str, int | None]] = {}

    def take(self, community: str, member: str, time_ms: int) -> None:
        """One message, in the order in which it is applied."""
        before, self._now = self._now, max(self._now, time_ms)
        key = (community, member)
        one = self._members.setdefault(key, _Member())
        day = dt.datetime.fromtimestamp(time_ms / 1000, ZoneInfo(self._zones.get(community, "UTC"))).date()
        if not one.days or day > one.days[-1]:
            if one.due is not None and one.due <= max(time_ms, before):
                stale = self._now - one.due > self._lateness_ms
                if not stale or one.due <= time_ms:
                    self._raise(key, one, stale)
            self._close(key, one, time_ms, max(time_ms, before))
            one.told = False
        if day not in one.days:
            one.days = sorted([*one.days, day])
            one.due = None if one.told else self._due(community, one)
        self._clock[community] = max(self._clock.get(community, -1), time_ms)
        self._pass()

    def wait(self, now_ms: int) -> None:
        """Time passes."""
        self._now = max(self._now, now_ms)
        self._pass()

    def _pass(self) -> None:
        for key, one in self._members.items():
            if one.due is not None and one.due <= self._now:
                stale = self._now - one.due > self._lateness_ms
                if not stale or self._clock[key[0]] >= one.due:
                    self._raise(key, one, stale)
            if one.open is not None and one.open["expires"] <= self._now:
                self._close(key, one, one.open["expires"], one.open["expires"])

    def _raise(self, key: tuple[str, str], one: _Member, stale: bool) -> None:
        due, one.due, one.told = one.due, None, True
        if due is None or one.open is not None or due < one.rests_until:
            return
        if stale:
            self.alerts[(*key, due)] = ("expired", due)
        else:
            one.open = {"opened": due, "expires": due + 30 * DAY_MS}
            self.alerts[(*key, due)] = ("opened", None)

    def _close(self, key: tuple[str, str], one: _Member, time_ms: int, reached_ms: int) -> None:
        if one.open is None:
            return
        expires = one.open["expires"]
        state, ended = ("expired", expires) if reached_ms >= expires else ("resolved", time_ms)
        self.alerts[(*key, one.open["opened"])] = (state, ended)
        one.open = None
        one.rests_until = ended + 7 * DAY_MS

    def _due(self, community: str, one: _Member) -> int | None:
        threshold = self._threshold(one.days)
        if threshold is None:
            return None
        day = one.days[-1] + dt.timedelta(days=threshold + 1)
        zone = ZoneInfo(self._zones.get(community, "UTC"))
        due = self._morning(day, zone)
        while due < one.rests_until:
            day += dt.timedelta(days=1)
            due = self._morning(day, zone)
        return due if (day - one.days[-1]).days - 1 <= 18 else None

    @staticmethod
    def _morning(day: dt.date, zone: ZoneInfo) -> int:
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=zone)
        return int(midnight.timestamp() * 1000) + 9 * 3_600_000

    @staticmethod
    def _threshold(days: list[dt.date]) -> int | None:
        if len(days) < 4:
            return None
        gaps = [(later - earlier).days for earlier, later in pairwise(days)][-16:]
        recent = sum(day > days[-1] - dt.timedelta(days=30) for day in days)
        busy = sum(recent >= edge for edge in (2, 4, 8))
        known = sum(len(days) >= edge for edge in (8, 25))
        curve = MODEL["silence"]["longer_than"][3 * busy + known]
        for silent in range(3, 19):
            own = sum(gap > silent for gap in gaps)
            stays = sum(gap > silent + 30 for gap in gaps)
            by_chance = (stays + 8 * curve[silent + 30]) / (own + 8 * curve[silent]) >= 0.55
            if by_chance or silent >= math.ceil(3 * max(gaps)) + 4:
                return silent
        return None
