"""Calendar days of a time zone, found by asking the zone rather than by arithmetic on offsets."""

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo

MS_PER_MINUTE = 60_000


def local_date(at_ms: int, zone: str) -> dt.date:
    """The calendar date that clocks in `zone` show at this instant."""
    return dt.datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).date()


@cache
def day_start_ms(date: dt.date, zone: str) -> int | None:
    """The first instant with this date in ms UTC, None when the zone skipped the date (Samoa, 2011-12-30)."""
    noon = dt.datetime(date.year, date.month, date.day, 12, tzinfo=dt.UTC)
    midnight = dt.datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(zone))
    guess = int(midnight.timestamp()) * 1000
    if local_date(guess, zone) == date and local_date(guess - 1000, zone) < date:
        return guess
    start = int(noon.timestamp()) * 1000 - 36 * 60 * MS_PER_MINUTE  # no zone is further than 14 h from UTC
    for minute in range(72 * 60):
        if local_date(start + minute * MS_PER_MINUTE, zone) == date:
            return start + minute * MS_PER_MINUTE
    return None
