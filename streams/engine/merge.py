"""Merge the event topics of a partition by event time before they are applied.

Which event is late depends on how far its community's clock has come, so topics that are read at different speeds
must not overtake each other: a topic that may still have older records is waited for (as Kafka Streams does with
``max.task.idle.ms``). A record's merge key is the largest event time of its topic so far; it never goes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.topics import EVENT_TOPICS
from streams.engine.intake import Chunk
from streams.operators.base import NEVER

TOPICS = len(EVENT_TOPICS)

Place = tuple[int, int]
"""Merge key and topic number: where a record stands in the merge."""

_NO_BOUND = (int(np.iinfo(np.int64).max), TOPICS)


@dataclass(slots=True)
class Slice:
    """Records ``start`` to ``stop`` of a chunk."""

    chunk: Chunk
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def events(self) -> slice:
        """Which of the chunk's events these are."""
        first, last = np.searchsorted(self.chunk.position, (self.start, self.stop))
        return slice(int(first), int(last))


class Merge:
    """The buffered chunks of each topic of one partition."""

    def __init__(self) -> None:
        self._buffers: list[deque[Chunk]] = [deque() for _ in range(TOPICS)]
        self._latest_ms = [NEVER] * TOPICS
        self._released_ms = [NEVER] * TOPICS
        self.arrivals = 0

    def add(self, chunk: Chunk) -> None:
        """Buffer a chunk that was just fetched."""
        self.arrivals += 1
        chunk.arrival = self.arrivals
        self._buffers[chunk.topic_number].append(chunk)
        self._latest_ms[chunk.topic_number] = int(chunk.merge_key[-1])

    def drop_waiting(self) -> None:
        """Forget what is buffered; it will be fetched again."""
        for buffer in self._buffers:
            buffer.clear()
        self._latest_ms = list(self._released_ms)

    def latest_ms(self, topic: int) -> int:
        """The largest event time buffered or released of a topic."""
        return self._latest_ms[topic]

    def released_ms(self) -> list[int]:
        """The merge keys reached by topic; with them a restarted worker merges as this one would have."""
        return list(self._released_ms)

    def restore(self, released_ms: list[int]) -> None:
        """Start from where a checkpoint was made."""
        self._latest_ms = list(released_ms)
        self._released_ms = list(released_ms)

    def buffered(self, topic: int) -> int:
        """Records waiting in a topic's buffer."""
        return sum(len(chunk) - chunk.released for chunk in self._buffers[topic])

    @property
    def waiting(self) -> bool:
        """Whether any record waits."""
        return any(self._buffers)

    def release(self, at_end: dict[int, int], most: int) -> list[Slice]:
        """Take out records that nothing older can precede any more, in merge order within each topic.

        All topics are cut at one place of the merge: a topic that was held back itself holds back the others too.

        Args:
            at_end: topics known to have been read to their end, with the number of arrivals when their end was asked
                for. Only records that had arrived by then may go ahead of what such a topic brings later.
            most: records to release of one topic, about; those that share a merge key go together.
        """
        cut = min(self._bounds(at_end), default=_NO_BOUND)
        cut = min(cut, (self._key_of(most), TOPICS))
        released = []
        for topic, buffer in enumerate(self._buffers):
            while buffer:
                chunk = buffer[0]
                stop = _first_at_or_after(chunk, cut)
                if stop <= chunk.released:
                    break
                released.append(Slice(chunk, chunk.released, stop))
                self._released_ms[topic] = int(chunk.merge_key[stop - 1])
                chunk.released = stop
                if stop < len(chunk):
                    break
                buffer.popleft()
        return released

    def _bounds(self, at_end: dict[int, int]) -> Iterator[Place]:
        """Places of the merge that each topic's unread records hold the release below."""
        for topic in range(TOPICS):
            # What a topic may still bring comes behind its latest key; records of equal key go in the order of topics.
            frontier = (self._latest_ms[topic], topic + 1)
            if topic not in at_end:
                yield frontier
                continue
            for other, buffer in enumerate(self._buffers):
                for chunk in buffer:
                    if other == topic or chunk.arrival <= at_end[topic]:
                        continue
                    first = max(_first_at_or_after(chunk, frontier), chunk.released)
                    if first < len(chunk):
                        yield int(chunk.merge_key[first]), other
                        break

    def _key_of(self, most: int) -> int:
        """The smallest merge key at which a topic has ``most`` records waiting; no bound when none has."""
        smallest = _NO_BOUND[0]
        for buffer in self._buffers:
            seen = 0
            for chunk in buffer:
                left = len(chunk) - chunk.released
                if seen + left > most:
                    smallest = min(smallest, int(chunk.merge_key[chunk.released + most - seen - 1]))
                    break
                seen += left
        return smallest


def _first_at_or_after(chunk: Chunk, place: Place) -> int:
    """Position of the chunk's first record that does not come before a place of the merge."""
    key, topic = place
    return int(np.searchsorted(chunk.merge_key, key, "right" if chunk.topic_number < topic else "left"))
