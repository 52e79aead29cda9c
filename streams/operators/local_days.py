"""Local calendar days in columns: which day an instant falls on in a community's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from streams.operators.base import Ints

DAY_MS = 86_400_000
_FIRST_YEAR, _LAST_YEAR = 1999, 2100


@lru_cache(maxsize=1024)
def _transitions(zone: str) -> tuple[Ints, Ints]:
    """Instants (ms, UTC) from which an offset (ms) holds, ascending; the first one holds from the beginning."""
    info = ZoneInfo(zone)

    def offset_at(moment: datetime) -> int:
        offset = moment.astimezone(info).utcoffset() or timedelta(0)
        return round(offset.total_seconds()) * 1000

    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    instants, offsets = [int(np.iinfo(np.int64).min)], [offset_at(moment)]
    step = timedelta(days=7)
    while moment < end:
        later = moment + step
        if offset_at(later) != offsets[-1]:
            low, high = moment, later
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset_at(middle) == offsets[-1] else (low, middle)
            change = high.replace(microsecond=0)
            instants.append(int(change.timestamp()) * 1000)
            offsets.append(offset_at(change))
        moment = later
    return np.array(instants, np.int64), np.array(offsets, np.int64)


class LocalDays:
    """Local days of the zones that a partition's communities use. A zone is named by its index."""

    def __init__(self) -> None:
        self.zones: list[str] = []
        self._index: dict[str, int] = {}
        self._only_utc = True

    def index(self, zone: str) -> int:
        """The index of an IANA zone name.

        Raises:
            zoneinfo.ZoneInfoNotFoundError: there is no such zone.
        """
        if zone not in self._index:
            if zone != "UTC":
                _transitions(zone)
                self._only_utc = False
            self._index[zone] = len(self.zones)
            self.zones.append(zone)
        return self._index[zone]

    def days(self, zone_index: Ints, occurred_at_ms: Ints) -> Ints:
        """Calendar date in the zone, as days since 1970-01-01, for each instant."""
        if self._only_utc:
            return occurred_at_ms // DAY_MS
        result = np.empty(len(occurred_at_ms), np.int64)
        for index in np.unique(zone_index).tolist():
            mask = zone_index == index
            instants, offsets = self._table(index)
            times = occurred_at_ms[mask]
            result[mask] = (times + offsets[np.searchsorted(instants, times, "right") - 1]) // DAY_MS
        return result

    def starts_ms(self, zone_index: Ints, days: Ints) -> Ints:
        """The first instant (ms, UTC) whose calendar date in the zone is the given day."""
        if self._only_utc:
            return days * DAY_MS
        result = np.empty(len(days), np.int64)
        for index in np.unique(zone_index).tolist():
            mask = zone_index == index
            instants, offsets = self._table(index)
            midnight = days[mask] * DAY_MS
            # With the offset before a change and the one after it there are two readings of "midnight". The day begins
            # at the earlier reading that really falls on it; where midnight is skipped, at the change itself.
            around = np.searchsorted(instants, midnight - offsets.max(), "right") - 1
            best = np.full(len(midnight), np.iinfo(np.int64).max)
            for ahead in (0, 1):
                at = np.minimum(around + ahead, len(instants) - 1)
                reading = np.maximum(midnight - offsets[at], instants[at])
                until = np.where(at + 1 < len(instants), instants[np.minimum(at + 1, len(instants) - 1)], best)
                good = (reading < until) & ((reading + offsets[at]) // DAY_MS == days[mask])
                best = np.where(good & (reading < best), reading, best)
            # A date that the zone never had (Apia has no 2011-12-30) begins where the next one does.
            skipped = best == np.iinfo(np.int64).max
            result[mask] = np.where(skipped, instants[np.minimum(around + 1, len(instants) - 1)], best)
        return result

    def _table(self, index: int) -> tuple[Ints, Ints]:
        zone = self.zones[index]
        if zone == "UTC":
            return np.array([np.iinfo(np.int64).min]), np.array([0])
        return _transitions(zone)
