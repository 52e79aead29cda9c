"""What was fetched of a partition: since when the oldest of it waits to be read by people, and how many records it was.

The flush and the accounts know what became of records; this knows what came in at the door. So it can tell two things
that they cannot: how fresh is what people read, also while nothing can be written, and whether a record came in that
found no outcome at all. A few numbers a fetch, nothing an event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.topics import READ_TOPICS
from streams.engine.record_block import RecordBlock


@dataclass(slots=True)
class _Topic:
    """Fetches that have not landed, as (last offset, append time of the first record); records since the beginning."""

    records: int = 0
    next_offset: int = 0
    pending: deque[tuple[int, int]] = field(default_factory=deque)
    end: int = 0
    end_seen_ms: int = 0

    @property
    def oldest_ms(self) -> int | None:
        """Append time of the oldest record that has not landed; of one not fetched yet, when it was first seen."""
        if self.pending:
            return self.pending[0][1]
        return self.end_seen_ms if self.next_offset < self.end else None


class Fetched:
    """The fetches of one partition, by topic."""

    def __init__(self) -> None:
        self._topics = {topic: _Topic() for topic in READ_TOPICS}
        self.oldest_ms: int | None = None
        """Append time of the oldest record that people cannot read yet, ms; None when they can read all."""

    def start(self, topic: str, consumed: int, next_offset: int) -> None:
        """What is fetched goes on from here; whatever waited is fetched anew."""
        self._topics[topic] = _Topic(records=consumed, next_offset=next_offset)
        self._renew()

    def note(self, topic: str, block: RecordBlock) -> None:
        """Records were fetched, at least one."""
        one = self._topics[topic]
        one.records += len(block)
        one.next_offset = block.offset + 1
        one.pending.append((block.offset, int(block.timestamps_ms[0])))
        self._renew()

    def note_end(self, topic: str, end: int, now_ms: int) -> None:
        """The topic ends at this offset now. An end seen before and not reached yet says more: since when we wait."""
        one = self._topics[topic]
        if one.next_offset >= one.end:
            one.end, one.end_seen_ms = end, now_ms
            self._renew()

    def note_landed(self, offsets: Mapping[str, int]) -> None:
        """Everything below these offsets can be read by people."""
        for topic, offset in offsets.items():
            pending = self._topics[topic].pending
            while pending and pending[0][0] < offset:
                pending.popleft()
        self._renew()

    def records(self, topic: str) -> int:
        """Records that came in, those of earlier owners included."""
        return self._topics[topic].records

    def _renew(self) -> None:
        # One number for whoever scrapes, in another thread.
        self.oldest_ms = min((at for one in self._topics.values() if (at := one.oldest_ms) is not None), default=None)
