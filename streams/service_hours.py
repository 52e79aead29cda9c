"""When a community is served: spans of weekdays and local hours, written as people write them.

mon-fri 09:00-21:00, sat 10:00-18:00
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+)?(?P<from>\d\d?:\d\d)-(?P<to>\d\d?:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class ServiceSpan:
    """`[start_minute, end_minute)` of a local day; weekday 0 is Monday; minutes from 0 to 1440."""

    weekday: int
    start_minute: int
    end_minute: int


def parse_service_hours(text: str) -> tuple[ServiceSpan, ...]:
    """The spans of a text like the one above; ValueError names the part that cannot be read."""
    spans: set[ServiceSpan] = set()
    for part in text.lower().split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"cannot read {part.strip()!r}; write e.g. 'mon-fri 09:00-21:00, sat 10:00-18:00'")
        first, last = match["first"], match["last"]
        unknown = [day for day in (first, last) if day is not None and day not in WEEKDAYS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no weekday; they are {', '.join(WEEKDAYS)}")
        start, end = _minute(match["from"]), _minute(match["to"])
        if start >= end:
            raise ValueError(f"{match['from']}-{match['to']} does not end after it begins; split it at 24:00")
        begin = WEEKDAYS.index(first) if first else 0
        final = WEEKDAYS.index(last) if last else begin if first else 6
        days = range(begin, final + 1) if begin <= final else [*range(begin, 7), *range(final + 1)]
        spans.update(ServiceSpan(day, start, end) for day in days)
    return tuple(sorted(spans))


def _minute(clock: str) -> int:
    hour, minute = (int(part) for part in clock.split(":"))
    if minute > 59 or hour * 60 + minute > 1440:
        raise ValueError(f"{clock} is no time of day")
    return hour * 60 + minute
