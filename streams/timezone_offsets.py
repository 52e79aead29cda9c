"""UTC offsets of time zones as rows, so that SQL can turn instants into a community's own wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # no event is older
LAST = datetime(2038, 1, 1, tzinfo=UTC)


@cache
def offsets_of(timezone: str) -> tuple[tuple[int, int], ...]:
    """(since, offset) of a zone from 2000 to 2037: seconds since 1970 UTC and seconds east of UTC, by time.

    The first entry holds from 2000 on; a zone that this machine does not know has none. Offsets that hold for less than
    a week are not found; the shortest there are last the month of Ramadan.
    """
    try:
        return tuple(_offsets(ZoneInfo(timezone)))
    except (ZoneInfoNotFoundError, ValueError):  # fixed by a worker whose time zones were newer
        return ()


def _offsets(zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    at, offset = FIRST, _offset(FIRST, zone)
    yield int(at.timestamp()), offset
    while at < LAST:
        following = at + timedelta(weeks=1)
        changed = _offset(following, zone)
        if changed != offset:
            yield _first_second(at, following, changed, zone), changed
            offset = changed
        at = following


def _first_second(before: datetime, after: datetime, offset: int, zone: ZoneInfo) -> int:
    """The first second at which `offset` holds, between an instant at which it does not and one at which it does."""
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset:
            high = middle
        else:
            low = middle
    return high


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
