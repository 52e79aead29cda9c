"""Who was on the roster when, replayed event by event; staff and bots; active days."""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from typing import Any

import pandas as pd

from tests.oracle.view_events import RawEvents

_RANK = {"message": 0, "present": 1, "joined": 2, "left": 3, "removed": 4, "gone": 5, "missed": 6}
Member = tuple[str, str]


def employed(raw: RawEvents) -> set[Member]:
    """Staff and bots: by their latest role, and never counted as a member."""
    found = raw.rows(
        """select community_id, member_id from member where role in ('staff', 'bot')
           except select community_id, member_id from event where speaks or interacts"""
    )
    return {(community, member) for community, member in found}


def active_dates(raw: RawEvents) -> dict[Member, list[dt.date]]:
    """Active local days of each member, ascending, without staff and bots."""
    found: dict[Member, list[dt.date]] = defaultdict(list)
    for community, member, date in raw.rows(
        """select distinct community_id, member_id, local_date from event
           where speaks or interacts or paid order by local_date"""
    ):
        found[community, member].append(date)
    staff = employed(raw)
    return {member: dates for member, dates in found.items() if member not in staff}


def turns(raw: RawEvents) -> dict[Member, list[tuple[int, bool]]]:
    """For each member the times (ms) at which it came onto the roster (True) or went from it (False), in turn."""
    listed = _snapshots(raw)
    happened: dict[Member, list[tuple[int, int, str]]] = defaultdict(list)
    for community, member, at, what in raw.rows(
        """select community_id, member_id, time_ms,
             case when event_type = 'message' then 'message' else coalesce(action, 'other') end from event"""
    ):
        happened[community, member].append((at, _RANK.get(what, 0), what))
    found = {}
    for (community, member), events in happened.items():
        heard = [at for at, _, what in events if what != "other"]
        for first, last in listed[community]:
            if not any(first <= at <= last for at in heard):
                events.append((first, _RANK["missed"], "missed"))
        first_heard = min(heard, default=None)
        first_other = min((at for at, _, what in events if what == "other"), default=None)
        events.sort()
        changes: list[tuple[int, bool]] = []
        there = False
        for at, _, what in events:
            if what == "other" and (at != first_other or (first_heard is not None and first_heard <= at)):
                continue  # an order or referral puts only those on the roster of whom nothing had been heard
            now = what in ("message", "present", "joined", "other")
            if now != there:
                changes.append((at, now))
                there = now
        if changes:
            found[community, member] = changes
    return found


def _snapshots(raw: RawEvents) -> dict[str, list[tuple[int, int]]]:
    complete: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for community, first, last in raw.rows(
        """select community_id, min(time_ms), max(time_ms) from event
           where action = 'present' and snapshot_id is not null
           group by community_id, snapshot_id having count(*) >= max(snapshot_size)"""
    ):
        complete[community].append((first, last))
    return complete


def is_in(changes: list[tuple[int, bool]], before_ms: int) -> bool:
    """Whether somebody was on the roster just before an instant."""
    done = bisect_left(changes, (before_ms, False))
    return done > 0 and changes[done - 1][1]


class Calendar:
    """Local days of the communities: starts in ms, ascending, with their dates."""

    def __init__(self, raw: RawEvents) -> None:
        self._starts: dict[str, list[int]] = defaultdict(list)
        self._dates: dict[str, list[dt.date]] = defaultdict(list)
        for community, date, start in raw.rows("select community_id, local_date, day_ms from calendar order by 1, 2"):
            self._starts[community].append(start)
            self._dates[community].append(date)

    def days(self, community: str) -> list[tuple[dt.date, int, int]]:
        """Date, start and end (ms; of the last one far away)."""
        starts = self._starts[community]
        return list(zip(self._dates[community], starts, [*starts[1:], 2**62], strict=True))

    def communities(self) -> list[str]:
        """Those with any day."""
        return list(self._starts)

    def latest(self, community: str) -> dt.date:
        """Latest local day."""
        return self._dates[community][-1]

    def end_ms(self, community: str, date: dt.date) -> int:
        """Start of the first day after a date."""
        place = bisect_right(self._dates[community], date)
        starts = self._starts[community]
        return starts[place] if place < len(starts) else 2**62


def participation_daily(raw: RawEvents) -> pd.DataFrame:
    """Speakers and roster of every local day."""
    calendar, staff = Calendar(raw), employed(raw)
    speakers = "select community_id, local_date, count(distinct member_id) from event where speaks group by 1, 2"
    spoke = {(community, date): count for community, date, count in raw.rows(speakers)}
    by_community = _by_community(raw, staff)
    rows: list[dict[str, Any]] = []
    for community in calendar.communities():
        for date, start, end in calendar.days(community):
            there = at_end = 0
            for changes in by_community[community].values():
                at_end += is_in(changes, end)
                there += is_in(changes, start) or any(start <= at < end and came for at, came in changes)
            said = spoke.get((community, date), 0)
            rows.append(
                {
                    "community_id": community,
                    "local_date": date,
                    "day": pd.Timestamp(start, unit="ms", tz="UTC"),
                    "speakers": said,
                    "roster": there,
                    "roster_at_end": at_end,
                    "participation_rate": said / there if there else None,
                }
            )
    return pd.DataFrame(rows)


def participation_inequality(raw: RawEvents) -> pd.DataFrame:
    """Gini by its definition: mean absolute difference over twice the mean."""
    calendar, staff = Calendar(raw), employed(raw)
    by_community = _by_community(raw, staff)
    said = Counter(
        (community, member, date.replace(day=1))
        for community, member, date in raw.rows("select community_id, member_id, local_date from event where speaks")
    )
    rows = []
    for community in calendar.communities():
        months = {date.replace(day=1): (date, end) for date, _, end in calendar.days(community)}
        for month, (date, end) in months.items():
            roster = [member for member, changes in by_community[community].items() if is_in(changes, end)]
            if not roster:
                continue
            counts = sorted((said[community, member, month] for member in roster), reverse=True)
            total, size = sum(counts), len(counts)
            row: dict[str, Any] = {
                "community_id": community,
                "month": month,
                "as_of_date": date,
                "roster": size,
                "speakers": sum(count > 0 for count in counts),
                "messages": total,
            }
            shares = dict.fromkeys(("gini", "top_1_percent_share", "next_9_percent_share", "other_90_percent_share"))
            if total:
                one, ten = -(-size // 100), -(-size // 10)
                shares = {
                    "gini": sum(abs(a - b) for a in counts for b in counts) / (2 * size * total),
                    "top_1_percent_share": sum(counts[:one]) / total,
                    "next_9_percent_share": sum(counts[one:ten]) / total,
                    "other_90_percent_share": sum(counts[ten:]) / total,
                }
            rows.append(row | shares)
    return pd.DataFrame(rows)


def active_members_daily(raw: RawEvents) -> pd.DataFrame:
    """DAU, WAU and MAU, each day's window looked through anew."""
    calendar = Calendar(raw)
    active: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    for (community, member), dates in active_dates(raw).items():
        for date in dates:
            active[community, date].add(member)
    rows = []
    for community in calendar.communities():
        for date, start, _ in calendar.days(community):
            dau, wau, mau = (
                len(set().union(*(active[community, date - dt.timedelta(days=ago)] for ago in range(width))))
                for width in (1, 7, 30)
            )
            rows.append(
                {
                    "community_id": community,
                    "local_date": date,
                    "day": pd.Timestamp(start, unit="ms", tz="UTC"),
                    "dau": dau,
                    "wau": wau,
                    "mau": mau,
                    "dau_mau": dau / mau if mau else None,
                    "wau_mau": wau / mau if mau else None,
                }
            )
    return pd.DataFrame(rows)


def roster_spells(raw: RawEvents) -> pd.DataFrame:
    """Stays on the roster."""
    staff = employed(raw)
    rows = []
    for (community, member), changes in turns(raw).items():
        ends = [*(at for at, came in changes if not came), None]
        for (since, _), until in zip([turn for turn in changes if turn[1]], ends, strict=False):
            rows.append(
                {
                    "community_id": community,
                    "member_id": member,
                    "employed": int((community, member) in staff),
                    "since": pd.Timestamp(since, unit="ms", tz="UTC"),
                    "until": pd.NaT if until is None else pd.Timestamp(until, unit="ms", tz="UTC"),
                }
            )
    return pd.DataFrame(rows)


def _by_community(raw: RawEvents, staff: set[Member]) -> dict[str, dict[str, list[tuple[int, bool]]]]:
    found: dict[str, dict[str, list[tuple[int, bool]]]] = defaultdict(dict)
    for (community, member), changes in turns(raw).items():
        if (community, member) not in staff:
            found[community][member] = changes
    return found
