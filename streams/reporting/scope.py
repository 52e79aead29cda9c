"""What a report is about: one community and one month of its own calendar."""

from __future__ import annotations

import calendar
import datetime as dt
import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from streams.errors import InputError

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

_NEAREST = 5
_COMMUNITIES = """
SELECT community_id, name, type, store, assignee, timezone, members, capacity
FROM qunpulse.communities
ORDER BY members DESC, community_id
"""
_SPAN = """
SELECT min(local_date), max(local_date), count()
FROM qunpulse.local_days
WHERE community_id = {c:String}
"""


@dataclass(frozen=True, slots=True)
class Community:
    """A community as view `communities` describes it, and the local days it has figures of (None: no event yet)."""

    community_id: str
    name: str
    type: str
    store: str
    assignee: str
    timezone: str
    members: int
    capacity: int | None
    first_date: dt.date | None = None
    last_date: dt.date | None = None

    @property
    def shown(self) -> str:
        """Its name, its id where it has none."""
        return self.name or self.community_id


@dataclass(frozen=True, slots=True)
class Scope:
    """A community and a month: `start` is its first local day, `end` the first one after it."""

    community: Community
    start: dt.date

    @property
    def end(self) -> dt.date:
        """First day of the next month."""
        return months_later(self.start, 1)

    @property
    def complete(self) -> bool:
        """Whether the community has figures up to the month's last day."""
        last = self.community.last_date
        return last is not None and last >= self.end - dt.timedelta(days=1)

    @property
    def title(self) -> str:
        """`June 2024`."""
        return month_title(self.start)

    def instant(self, day: dt.date) -> dt.datetime:
        """When a local day begins, in UTC."""
        local = dt.datetime.combine(day, dt.time(), ZoneInfo(self.community.timezone))
        return local.astimezone(dt.UTC)


def month_title(month: dt.date) -> str:
    """`June 2024`."""
    return f"{calendar.month_name[month.month]} {month.year}"


def months_later(month: dt.date, months: int) -> dt.date:
    """The first day of the month so many months later (earlier if negative)."""
    number = month.year * 12 + month.month - 1 + months
    return dt.date(number // 12, number % 12 + 1, 1)


def find_community(clickhouse: ClickHouse, wanted: str) -> Community:
    """The community with this id, else with this name. Raises InputError that names the nearest ones."""
    known = [Community(*row) for row in clickhouse.rows(_COMMUNITIES)]
    found = [one for one in known if one.community_id == wanted] or [one for one in known if one.name == wanted]
    if len(found) > 1:
        ids = ", ".join(one.community_id for one in found[:_NEAREST])
        raise InputError(f"several communities are called {wanted!r}: name one by its id: {ids}")
    if not found:
        raise InputError(_unknown(wanted, known))
    [community] = found
    [(first, last, days)] = clickhouse.rows(_SPAN, {"c": community.community_id})
    if not days:
        return community
    return replace(community, first_date=first, last_date=last)


def _unknown(wanted: str, known: list[Community]) -> str:
    if not known:
        return (
            f"there is no community {wanted!r}, and no other: nothing has landed yet; feed events with "
            "`qunpulse demo --events FILE…` or start a worker"
        )
    names = {text.casefold(): one for one in reversed(known) for text in (one.name, one.community_id) if text}
    folded = wanted.casefold()
    near = [text for text in names if folded in text or text in folded]
    near += difflib.get_close_matches(folded, list(names), n=_NEAREST, cutoff=0.4)
    nearest = list(dict.fromkeys(names[text].community_id for text in near)) or [one.community_id for one in known]
    head = "the nearest names are" if near else "there are"
    shown = ", ".join(repr(one) for one in nearest[:_NEAREST])
    return (
        f'there is no community {wanted!r}; {head} {shown}; `qunpulse sql "SELECT community_id, name FROM '
        'qunpulse.communities"` lists them all'
    )


def choose_month(community: Community, wanted: str | None) -> Scope | None:
    """The month asked for, else the last complete one (the latest while none is); None without any figures.

    Raises InputError for a word that is no month, and for a month without figures.
    """
    asked = _parse(wanted) if wanted is not None else None
    first, last = community.first_date, community.last_date
    if first is None or last is None:
        return None
    if asked is None:
        latest = last.replace(day=1)
        whole = latest if (last + dt.timedelta(days=1)).day == 1 else months_later(latest, -1)
        return Scope(community, max(whole, first.replace(day=1)))
    if not first.replace(day=1) <= asked <= last.replace(day=1):
        raise InputError(
            f"{community.shown} has no figures of {asked:%Y-%m}: its first day with any is {first}, its last "
            f"{last}; choose a month from {first:%Y-%m} to {last:%Y-%m}"
        )
    return Scope(community, asked)


def _parse(word: str) -> dt.date:
    if re.fullmatch(r"\d{4}-\d{2}", word):
        try:
            return dt.date.fromisoformat(f"{word}-01")
        except ValueError:
            pass
    raise InputError(f"{word!r} is no month; write it like 2024-06")
