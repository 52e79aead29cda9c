"""What is known of each community: its time zone, the local days it has had, whether its roster needs a resync."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa

from streams.operators.base import Batch, Ints, StateRows, binary, first_words, grown
from streams.operators.directory import Directory
from streams.operators.local_days import LocalDays

ZoneOf = Callable[[str, str | None], str]
"""The time zone of a community, given its id and the platform of its first event."""

_NO_ZONE = -1
_NO_DAY = np.iinfo(np.int64).max


class Communities:
    """Zone and span of days by community number. The zone is fixed when a community's first event is applied.

    Changing it later would move every day that was landed before; that is what a rebuild is for.
    """

    names = ("communities",)

    def __init__(self, directory: Directory, zone_of: ZoneOf) -> None:
        self._directory = directory
        self._zone_of = zone_of
        self.local_days = LocalDays()
        self._zone = np.empty(0, np.int64)
        self._first_day = np.empty(0, np.int64)
        self._last_day = np.empty(0, np.int64)
        self._landed_first = np.empty(0, np.int64)
        self._landed_last = np.empty(0, np.int64)
        self._dirty: set[int] = set()

    def __len__(self) -> int:
        return len(self._directory.community_names)

    def apply(self, batch: Batch) -> None:
        """Fix the zone of communities that have their first event."""
        self._room()
        for number, platform in first_words(batch, "platform", lambda events: self._zone[events.community] == _NO_ZONE):
            zone = self._zone_of(self._directory.community_names[number], platform)
            self._zone[number] = self.local_days.index(zone)
            self._dirty.add(number)

    def days(self, community: Ints, occurred_at_ms: Ints) -> Ints:
        """Local calendar day (days since 1970-01-01) of each event of a community that had its first event."""
        self._room()
        return self.local_days.days(self._zone[community], occurred_at_ms)

    def starts_ms(self, community: Ints, day: Ints) -> Ints:
        """Start in UTC of each local day."""
        return self.local_days.starts_ms(self._zone[community], day)

    def touch(self, numbers: list[int]) -> None:
        """Mark communities as changed."""
        self._dirty.update(numbers)

    def note_days(self, community: Ints, day: Ints) -> None:
        """Widen the span of days of communities that had figures on these days."""
        first, last = self._first_day.copy(), self._last_day.copy()
        np.minimum.at(self._first_day, community, day)
        np.maximum.at(self._last_day, community, day)
        moved = (first != self._first_day) | (last != self._last_day)
        self._dirty.update(np.flatnonzero(moved).tolist())

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def take_changed(self) -> list[int]:
        """Numbers of the communities changed since the last call; calling it makes them clean."""
        changed = sorted(self._dirty)
        self._dirty = set()
        return changed

    def state(self, changed: list[int]) -> list[StateRows]:
        """State rows of the given communities."""
        if not changed:
            return []
        names = [self._directory.community_names[number] for number in changed]
        payloads = [
            msgspec.msgpack.encode(
                (
                    number,
                    self._zone_name(number),
                    int(self._first_day[number]),
                    int(self._last_day[number]),
                )
            )
            for number in changed
        ]
        return [StateRows("communities", binary([name.encode() for name in names]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back; this gives the communities their numbers again."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            number, zone, first_day, last_day = msgspec.msgpack.decode(payload)
            self._directory.restore_community(number, key.decode())
            self._room()
            self._zone[number] = self.local_days.index(zone) if zone else _NO_ZONE
            self._first_day[number] = self._landed_first[number] = first_day
            self._last_day[number] = self._landed_last[number] = last_day

    def table(self, changed: list[int], members: Ints, resync_needed: Ints) -> pa.Table:
        """Derived rows of the given communities; roster size and resync mark by community number."""
        return pa.table(
            {
                "community_id": pa.array([self._directory.community_names[number] for number in changed], pa.string()),
                "timezone": pa.array([self._zone_name(number) for number in changed], pa.string()),
                "members": pa.array(np.maximum(members[changed], 0).astype(np.uint32)),
                "resync_needed": pa.array(resync_needed[changed].astype(np.uint8)),
            }
        )

    def days_table(self, changed: list[int]) -> pa.Table | None:
        """Calendar days that have come into the span of the given communities since they were last landed."""
        numbers = np.array(changed, np.int64)
        first, last = self._first_day[numbers], self._last_day[numbers]
        numbers, first, last = numbers[first <= last], first[first <= last], last[first <= last]
        was_first, was_last = self._landed_first[numbers], self._landed_last[numbers]
        fresh = was_first > was_last
        # What is new lies before what was landed, behind it, or, the first time, is the whole span.
        spans = [
            (numbers[fresh], first[fresh], last[fresh]),
            (numbers[~fresh], first[~fresh], was_first[~fresh] - 1),
            (numbers[~fresh], was_last[~fresh] + 1, last[~fresh]),
        ]
        self._landed_first[numbers], self._landed_last[numbers] = first, last
        numbers, places = (np.concatenate(found) for found in zip(*(_days(*span) for span in spans), strict=True))
        if len(numbers) == 0:
            return None
        starts_ms = self.starts_ms(numbers, places)
        real = self.days(numbers, starts_ms) == places  # a zone may skip a date: Samoa has no 2011-12-30
        numbers, places, starts_ms = numbers[real], places[real], starts_ms[real]
        return pa.table(
            {
                "community_id": pa.array(self._directory.community_names, pa.string()).take(pa.array(numbers)),
                "local_date": pa.array(places.astype(np.int32)).cast(pa.date32()),
                "day": pa.array(starts_ms // 1000).cast(pa.timestamp("s", "UTC")),
            }
        )

    def _zone_name(self, number: int) -> str:
        zone = int(self._zone[number])
        return "" if zone == _NO_ZONE else self.local_days.zones[zone]

    def _room(self) -> None:
        size = len(self)
        if size > len(self._zone):
            self._zone = grown(self._zone, size, _NO_ZONE)
            for name, fill in (("_first_day", _NO_DAY), ("_last_day", -_NO_DAY)):
                setattr(self, name, grown(getattr(self, name), size, fill))
            self._landed_first = grown(self._landed_first, size, _NO_DAY)
            self._landed_last = grown(self._landed_last, size, -_NO_DAY)


def _days(community: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Every (community, day) of spans of days, both ends included."""
    lengths = np.maximum(last - first + 1, 0)
    starts = np.cumsum(lengths) - lengths
    step = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    return np.repeat(community, lengths), np.repeat(first, lengths) + step
