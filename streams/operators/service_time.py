"""Time within service hours: when so many minutes of service have passed since an instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.service_hours import ServiceSpan

_MINUTE_MS = 60_000
_MOST_DAYS = 400

StartOf = Callable[[int], int]
"""Start (ms) of a local day, days counted from 1970-01-01."""


def after_service(asked_ms: int, minutes: int, spans: Sequence[ServiceSpan] | None, day: int, start_of: StartOf) -> int:
    """The instant (ms) at which ``minutes`` of service have passed since ``asked_ms``, which is on local day ``day``.

    Without spans all hours are served. Spans are minutes after the start of a local day. A community that is never
    served waits for a year at most.
    """
    left_ms = minutes * _MINUTE_MS
    if not spans:
        return asked_ms + left_ms
    for later in range(_MOST_DAYS):
        weekday = (day + later + 3) % 7  # 1970-01-01 was a Thursday
        start_ms = start_of(day + later)
        for span in spans:
            if span.weekday != weekday:
                continue
            begins = max(start_ms + span.start_minute * _MINUTE_MS, asked_ms)
            served = start_ms + span.end_minute * _MINUTE_MS - begins
            if served >= left_ms:
                return begins + left_ms
            left_ms -= max(served, 0)
    return asked_ms + _MOST_DAYS * 1440 * _MINUTE_MS
