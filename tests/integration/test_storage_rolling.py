"""`activity_rolling` against counting by hand, on random communities with gaps, edges and changes of clocks."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from schemas.figures import FIGURES
from sinks.clickhouse import ClickHouse
from sinks.schema import ACTIVITY_1D, COMMUNITY_DAYS, MEMBER_DAYS

DISTINCT = ("speakers", "active_members", "buyers")
DAY = dt.timedelta(days=1)


@dataclass
class Community:
    """Made-up days: `did[member][date]` = (messages, interactions, orders, refunds); other figures by date."""

    name: str
    zone: str
    did: dict[str, dict[dt.date, tuple[int, int, int, int]]]
    others: dict[dt.date, dict[str, int]] = field(default_factory=dict)

    def dates(self) -> list[dt.date]:
        return sorted({date for days in self.did.values() for date in days} | set(self.others))

    def start(self, date: dt.date) -> dt.datetime:
        return dt.datetime.combine(date, dt.time(), ZoneInfo(self.zone)).astimezone(dt.UTC)

    def exists(self, date: dt.date) -> bool:
        """Whether the zone ever had this date (Samoa skipped one when it crossed the date line)."""
        return self.start(date).astimezone(ZoneInfo(self.zone)).date() == date

    def figures(self, dates: Iterable[dt.date]) -> dict[str, int]:
        """Figures of a set of dates, the simple way."""
        wanted = set(dates)
        total: dict[str, int] = dict.fromkeys(FIGURES, 0)
        seen: dict[str, set[str]] = defaultdict(set)
        for member, days in self.did.items():
            for date in wanted & days.keys():
                messages, interactions, orders, refunds = days[date]
                total["messages"] += messages
                total["interactions"] += interactions
                total["orders"] += orders
                total["refunds"] += refunds
                if messages:
                    seen["speakers"].add(member)
                if orders:
                    seen["buyers"].add(member)
                if messages or interactions or orders:
                    seen["active_members"].add(member)
        for date in wanted & self.others.keys():
            for name, count in self.others[date].items():
                total[name] += count
        return total | {name: len(seen[name]) for name in DISTINCT}

    def expected(self) -> dict[tuple[dt.datetime, str], dict[str, int]]:
        rows = {}
        days = self.dates()
        date = days[0]
        while date <= days[-1]:
            for length in (1, 7, 30):
                figures = self.figures(date - n * DAY for n in range(length))
                if any(figures.values()) and self.exists(date):
                    rows[self.start(date), f"{length}d"] = figures
            date += DAY
        return rows


def land(store: ClickHouse, community: Community) -> None:
    """Land the community the way a worker does, some rows twice and first with an older, wrong version."""
    dates = community.dates()
    beyond = (dates[-1] - dates[0]).days + 4  # the calendar may reach further than the figures
    calendar = [date for date in (dates[0] + n * DAY for n in range(beyond)) if community.exists(date)]
    store.insert_arrow(
        COMMUNITY_DAYS,
        pa.table(
            {
                "community_id": [community.name] * len(calendar),
                "local_date": pa.array(calendar, pa.date32()),
                "day": pa.array([community.start(date) for date in calendar], pa.timestamp("s", "UTC")),
                "version": pa.array([5] * len(calendar), pa.uint64()),
            }
        ),
    )
    figures = [community.figures([date]) for date in dates]
    days = [
        (community.start(date), date, member, did)
        for member, by_date in community.did.items()
        for date, did in by_date.items()
    ]
    for version, off in ((3, 1), (5, 0), (5, 0)):
        store.insert_arrow(
            ACTIVITY_1D,
            pa.table(
                {
                    "community_id": [community.name] * len(dates),
                    "window_start": pa.array([community.start(date) for date in dates], pa.timestamp("s", "UTC")),
                    "local_date": pa.array(dates, pa.date32()),
                    **{name: pa.array([row[name] + off for row in figures], pa.uint32()) for name in FIGURES},
                    "version": pa.array([version] * len(dates), pa.uint64()),
                }
            ),
        )
        store.insert_arrow(
            MEMBER_DAYS,
            pa.table(
                {
                    "community_id": [community.name] * len(days),
                    "day": pa.array([day for day, *_ in days], pa.timestamp("s", "UTC")),
                    "local_date": pa.array([date for _, date, *_ in days], pa.date32()),
                    "member_id": [member for _, _, member, _ in days],
                    **{
                        name: pa.array([did[place] + off for *_, did in days], pa.uint32())
                        for place, name in enumerate(("messages", "interactions", "orders", "refunds"))
                    },
                    "version": pa.array([version] * len(days), pa.uint64()),
                }
            ),
        )


def landed(store: ClickHouse, name: str) -> dict[tuple[dt.datetime, str], dict[str, int]]:
    rows = store.rows("SELECT * FROM qunpulse.activity_rolling WHERE community_id = {c:String}", {"c": name})
    found = {(day, window): dict(zip(FIGURES, figures, strict=True)) for _, day, window, *figures in rows}
    assert len(found) == len(rows)
    return found


def random_community(seed: int, zone: str, first: dt.date, span: int) -> Community:
    chance = random.Random(seed)
    quiet = {first + n * DAY for n in range(span) if chance.random() < 0.2}  # days and weeks without anybody
    if span > 60:
        quiet |= {first + (20 + n) * DAY for n in range(36)}
    did: dict[str, dict[dt.date, tuple[int, int, int, int]]] = {}
    for number in range(chance.randint(2, 12)):
        habit = chance.choice([0.02, 0.1, 0.5, 1.0])
        days = {}
        for n in range(span):
            date = first + n * DAY
            if chance.random() < habit and date not in quiet:
                did_what = chance.choice([(1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (3, 1, 1, 1)])
                days[date] = did_what
        if days:
            did[f"m{number}"] = days
    others = {
        first + n * DAY: {name: chance.randint(0, 3) for name in ("joins", "leaves", "staff_messages", "promotions")}
        for n in range(span)
        if chance.random() < 0.3 and first + n * DAY not in quiet
    }
    others = {date: counts for date, counts in others.items() if any(counts.values())}
    community = Community(f"rolling-{seed}-{zone}", zone, did, others)
    for days in [*did.values(), others]:
        for date in [date for date in days if not community.exists(date)]:
            del days[date]
    return community


@pytest.mark.parametrize(
    ("seed", "zone", "first", "span"),
    [
        (1, "UTC", dt.date(2023, 12, 1), 90),
        (2, "Europe/Berlin", dt.date(2024, 3, 1), 70),  # a day of 23 hours
        (3, "America/New_York", dt.date(2024, 10, 20), 70),  # a day of 25 hours, and a new year
        (4, "Africa/Cairo", dt.date(2024, 4, 10), 40),  # midnight itself does not exist on 26 April
        (5, "Asia/Shanghai", dt.date(2024, 2, 1), 100),
        (6, "Asia/Kolkata", dt.date(2024, 1, 1), 3),  # shorter than any window
        (7, "Pacific/Apia", dt.date(2011, 12, 1), 60),  # there is no 30 December 2011
    ],
)
def test_windows_equal_counting_by_hand(store: ClickHouse, seed: int, zone: str, first: dt.date, span: int) -> None:
    community = random_community(seed, zone, first, span)
    land(store, community)
    assert landed(store, community.name) == community.expected()


def test_a_member_leaves_the_window_on_the_day_after_it(store: ClickHouse) -> None:
    first = dt.date(2024, 5, 1)
    says, buys = (1, 0, 0, 0), (0, 0, 1, 0)
    community = Community(
        "rolling-edges",
        "UTC",
        {
            "once": {first: says},
            "back-on-the-seventh": {first: says, first + 6 * DAY: says},
            "back-on-the-eighth": {first: says, first + 7 * DAY: says},
            "back-after-a-month": {first: buys, first + 30 * DAY: buys},
            "last": {first + 40 * DAY: says},
        },
    )
    land(store, community)
    found = landed(store, community.name)
    speakers = {n: found[community.start(first + n * DAY), "7d"]["speakers"] for n in (0, 6, 7, 12, 13)}
    assert speakers == {0: 3, 6: 3, 7: 2, 12: 2, 13: 1}
    buyers = {n: found[community.start(first + n * DAY), "30d"]["buyers"] for n in (29, 30)}
    assert buyers == {29: 1, 30: 1}
    assert found == community.expected()


def test_a_member_with_nothing_but_refunds_is_in_no_distinct_figure(store: ClickHouse) -> None:
    first = dt.date(2024, 5, 1)
    community = Community("rolling-refunds", "UTC", {"m": {first: (0, 0, 0, 2), first + DAY: (0, 0, 1, 0)}})
    land(store, community)
    found = landed(store, community.name)
    only_refunds = found[community.start(first), "1d"]
    assert [only_refunds[name] for name in ("refunds", *DISTINCT)] == [2, 0, 0, 0]
    assert found == community.expected()


def test_the_same_date_counts_once_however_many_times_zones_changed_their_clocks(store: ClickHouse) -> None:
    zone = "Europe/Berlin"
    spring = dt.date(2024, 3, 31)
    community = Community(
        "rolling-spring", zone, {"m": {spring - DAY: (1, 0, 0, 0), spring: (1, 0, 0, 0), spring + DAY: (1, 0, 0, 0)}}
    )
    land(store, community)
    starts = [community.start(spring + n * DAY) for n in (0, 1)]
    assert starts[1] - starts[0] == dt.timedelta(hours=23)
    assert landed(store, community.name) == community.expected()
