"""When a channel keeps quiet: spans of weekdays and local hours, which may go past midnight.

22:00-08:00
mon-fri 20:30-09:00, sat-sun 00:00-24:00
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from streams.service_hours import ServiceSpan, parse_service_hours

_HOURS = re.compile(r"(?P<from>\d\d?:\d\d)-(?P<to>\d\d?:\d\d)$", re.ASCII)
_WEEK_MINUTES: Final = 7 * 1440


def parse_quiet_hours(text: str) -> tuple[ServiceSpan, ...]:
    """The spans of a text like the ones above; ValueError names the part that cannot be read."""
    spans: set[ServiceSpan] = set()
    for part in text.split(","):
        hours = _HOURS.search(part.strip())
        if hours is None or _minute(hours["from"]) <= _minute(hours["to"]):
            spans.update(parse_service_hours(part))
            continue
        days = part.strip()[: hours.start()]
        spans.update(parse_service_hours(f"{days}{hours['from']}-24:00"))
        if _minute(hours["to"]) > 0:  # the morning after belongs to the next weekday
            morning = parse_service_hours(f"{days}00:00-{hours['to']}")
            spans.update(ServiceSpan((span.weekday + 1) % 7, span.start_minute, span.end_minute) for span in morning)
    minutes = {span.weekday * 1440 + m for span in spans for m in range(span.start_minute, span.end_minute)}
    if len(minutes) == _WEEK_MINUTES:
        raise ValueError("these hours are never over, so nothing would ever be sent")
    return tuple(sorted(spans))


def quiet_until(spans: tuple[ServiceSpan, ...], timezone: str, now_ms: int) -> int | None:
    """When the quiet that holds at `now_ms` ends (ms since 1970 UTC); None when it is not quiet."""
    zone = ZoneInfo(timezone)
    at_ms = now_ms
    while True:  # a span that ends where the next one begins goes on; a whole week of them was refused
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        minute = local.hour * 60 + local.minute
        ends = [
            span.end_minute
            for span in spans
            if span.weekday == local.weekday() and span.start_minute <= minute < span.end_minute
        ]
        if not ends:
            return at_ms if at_ms > now_ms else None
        # By the clock on the wall: where it is put forward or back that night, the quiet is shorter or longer.
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
        end = (midnight + timedelta(minutes=max(ends))).replace(tzinfo=zone)
        # A wall time that the night leaves out, or has twice, must still lie ahead.
        at_ms = max(int(end.timestamp() * 1000), at_ms + 60_000)


def _minute(clock: str) -> int:
    hour, minute = (int(part) for part in clock.split(":"))
    return hour * 60 + minute
