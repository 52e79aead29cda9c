"""Local days in columns are what clocks on the wall of the zone show."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.operators.local_days import LocalDays

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONES = [
    *("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Shanghai", "Asia/Kathmandu", "Pacific/Apia"),
    *("America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Kiritimati", "Pacific/Chatham"),
    *("Asia/Tehran", "Africa/Cairo", "America/Havana", "Asia/Beirut", "Europe/Dublin"),
]


def ms_of(text: str) -> int:
    return (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) - EPOCH) // dt.timedelta(milliseconds=1)


def number(day: str) -> int:
    return (dt.date.fromisoformat(day) - EPOCH.date()).days


def wall_day(time_ms: int, zone: str) -> int:
    shown = (EPOCH + dt.timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone))
    return (shown.date() - EPOCH.date()).days


def one_day(zone: str, time_ms: int) -> int:
    days = LocalDays()
    return int(days.days(np.array([days.index(zone)]), np.array([time_ms]))[0])


def one_start(zone: str, day: int) -> int:
    days = LocalDays()
    return int(days.starts_ms(np.array([days.index(zone)]), np.array([day]))[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=4),
    st.lists(st.integers(ms_of("2000-01-01"), ms_of("2099-12-01")), min_size=1, max_size=20),
    st.sampled_from([1, 60_000, HOUR_MS]),
)
def test_a_day_is_the_date_on_the_wall(zones: list[str], times: list[int], unit: int) -> None:
    days = LocalDays()
    times = [time // unit * unit for time in times]
    index = np.array([days.index(zones[at % len(zones)]) for at in range(len(times))])
    found = days.days(index, np.array(times))
    assert found.tolist() == [wall_day(time, zones[at % len(zones)]) for at, time in enumerate(times)]
    # A day has begun by then, and one minute before its start it is another day.
    starts = days.starts_ms(index, found)
    assert (starts <= np.array(times)).all()
    for at, start in enumerate(starts.tolist()):
        zone = zones[at % len(zones)]
        assert wall_day(start, zone) == found[at]
        assert wall_day(start - 1, zone) < found[at]


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_of_years_full_of_changes_begins_where_its_date_first_shows(zone: str) -> None:
    first, last = number("2010-12-20"), number("2012-01-10")
    quarters = range((first - 2) * DAY_MS, (last + 2) * DAY_MS, 15 * 60_000)
    shown: dict[int, int] = {}
    for time_ms in quarters:
        shown.setdefault(wall_day(time_ms, zone), time_ms)
    days = LocalDays()
    wanted = [day for day in shown if first <= day <= last]
    found = days.starts_ms(np.full(len(wanted), days.index(zone)), np.array(wanted))
    assert found.tolist() == [shown[day] for day in wanted]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
        ("Asia/Shanghai", "2024-03-31", 24),
        ("Asia/Kathmandu", "2024-03-31", 24),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("Pacific/Apia", "2011-12-29", 24),
    ],
)
def test_days_of_23_24_and_25_hours(zone: str, day: str, hours: float) -> None:
    assert one_start(zone, number(day) + 1) - one_start(zone, number(day)) == hours * HOUR_MS


def test_a_day_begins_at_the_change_where_midnight_is_skipped() -> None:
    assert one_start("America/Sao_Paulo", number("2018-11-04")) == ms_of("2018-11-04T03:00")
    assert one_day("America/Sao_Paulo", ms_of("2018-11-04T02:59")) == number("2018-11-03")
    assert one_day("America/Sao_Paulo", ms_of("2018-11-04T03:00")) == number("2018-11-04")


def test_a_day_that_shows_twice_begins_the_first_time() -> None:
    # At 00:01 clocks in St. John's went back to 23:01: the seventh showed for a minute, and again an hour later.
    assert one_start("America/St_Johns", number("2010-11-07")) == ms_of("2010-11-07T02:30")
    assert one_day("America/St_Johns", ms_of("2010-11-07T02:30")) == number("2010-11-07")
    assert one_day("America/St_Johns", ms_of("2010-11-07T02:31")) == number("2010-11-06")


def test_a_date_that_apia_never_had_begins_where_the_next_one_does() -> None:
    assert one_day("Pacific/Apia", ms_of("2011-12-30T09:59")) == number("2011-12-29")
    assert one_day("Pacific/Apia", ms_of("2011-12-30T10:00")) == number("2011-12-31")
    assert one_start("Pacific/Apia", number("2011-12-30")) == one_start("Pacific/Apia", number("2011-12-31"))


def test_utc_alone_and_utc_among_others_agree() -> None:
    alone, among = LocalDays(), LocalDays()
    times = np.array([0, 1, DAY_MS - 1, DAY_MS, ms_of("2099-12-31T23:59")])
    among.index("Europe/Berlin")
    here, there = np.full(5, alone.index("UTC")), np.full(5, among.index("UTC"))
    assert alone.days(here, times).tolist() == among.days(there, times).tolist()
    days = times // DAY_MS
    assert alone.starts_ms(here, days).tolist() == among.starts_ms(there, days).tolist() == (days * DAY_MS).tolist()


def test_no_events_have_no_days() -> None:
    days, nothing = LocalDays(), np.empty(0, np.int64)
    days.index("Asia/Shanghai")
    assert days.days(nothing, nothing).tolist() == []
    assert days.starts_ms(nothing, nothing).tolist() == []
