"""Event files as batches of one day each, numbered like a partition's: for replays without Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from schemas.codec import Decoder
from schemas.columns import Columns
from schemas.topics import TYPE_OF
from schemas.vocabulary import EventType
from streams.errors import InputError
from streams.operators.base import Batch, Events, Ints
from streams.operators.directory import Directory
from streams.operators.local_days import DAY_MS
from streams.sources.files import Routes, read_event_file

_MAX_RECORD_BYTES = 1_000_000
_ACTOR = {"message": "member_id", "join": "member_id", "order": "member_id", "referral": "referrer_id"}
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Feed:
    """All valid events of some files, by type, each ordered by time and each event once."""

    by_type: dict[EventType, Events]
    directory: Directory
    refused: int
    duplicates: int

    def __len__(self) -> int:
        return sum(map(len, self.by_type.values()))

    @property
    def first_ms(self) -> int:
        """Time of the first event."""
        return min(int(events.occurred_at_ms[0]) for events in self.by_type.values())

    @property
    def last_ms(self) -> int:
        """Time of the last event."""
        return max(int(events.occurred_at_ms[-1]) for events in self.by_type.values())

    def days(self) -> Iterator[tuple[int, Batch]]:
        """The events of each day (UTC) with its end (ms), quiet days too."""
        start, end = self.first_ms // DAY_MS, self.last_ms // DAY_MS
        for day in range(start, end + 1):
            yield (day + 1) * DAY_MS, self.between(day * DAY_MS, (day + 1) * DAY_MS)

    def between(self, start_ms: int, end_ms: int) -> Batch:
        """The events of [start, end)."""
        batch = Batch()
        for event_type, events in self.by_type.items():
            first, last = np.searchsorted(events.occurred_at_ms, (start_ms, end_ms)).tolist()
            if first < last:
                batch.by_type[event_type] = Events(
                    events.occurred_at_ms[first:last],
                    events.community[first:last],
                    events.member[first:last],
                    events.columns.part(slice(first, last)),
                )
        return batch


def read_feed(paths: Sequence[Path], progress: Callable[[str], None] = lambda _: None) -> Feed:
    """Read and decode event files as the worker would.

    Raises:
        InputError: a file cannot be read, or none of them has a valid event.
    """
    decoder, routes = Decoder(_MAX_RECORD_BYTES), Routes()
    found: dict[EventType, list[tuple[Ints, Columns]]] = {}
    refused = 0
    for path in paths:
        progress(f"reading {path.name}")
        file = read_event_file(path, routes)
        types = np.array([TYPE_OF[route.topic] for route in routes.listed])[file.routes]
        for event_type in np.unique(types).tolist():
            places = np.flatnonzero(types == event_type)
            for start in range(0, len(places), _CHUNK):
                part = places[start : start + _CHUNK]
                lines = [file.content[file.starts[at] : file.ends[at]] for at in part.tolist()]
                chunk = decoder.decode(cast(EventType, event_type), lines)
                refused += len(chunk.refusals)
                found.setdefault(cast(EventType, event_type), []).append((chunk.occurred_at_ms, chunk.columns))
    directory = Directory()
    by_type: dict[EventType, Events] = {}
    duplicates = 0
    for event_type, parts in found.items():
        events, again = _joined(event_type, parts, directory)
        duplicates += again
        if len(events):
            by_type[event_type] = events
    if not by_type:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"no valid event in {names}; `qunpulse validate` says what is wrong with each line")
    return Feed(by_type, directory, refused, duplicates)


def _joined(event_type: EventType, parts: list[tuple[Ints, Columns]], directory: Directory) -> tuple[Events, int]:
    """The parts as one, ordered by time, each (community, event_id) once; and how many came again."""
    times = np.concatenate([part for part, _ in parts])
    columns = Columns.joined([part for _, part in parts])
    seen: set[tuple[str, str]] = set()
    first: list[int] = []
    for at, identity in enumerate(zip(columns["community_id"], columns["event_id"], strict=True)):
        if identity not in seen:
            seen.add(identity)
            first.append(at)
    order = np.array(first, np.int64)
    order = order[np.argsort(times[order], kind="stable")]
    columns = columns.take(order)
    names = columns.arrow("community_id")
    unknown = [name for name in dict.fromkeys(columns["community_id"]) if name not in directory.community_names]
    directory.add_communities(unknown)
    community = directory.communities(names)
    member = directory.members(community, columns.arrow(_ACTOR[event_type]))
    return Events(times[order], community, member, columns), len(times) - len(order)
