"""Fetched records as columns: what Kafka's bytes hold, without an object for any record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, overload

import numpy as np

from schemas.lines import Lines
from streams.operators.base import Ints


class Record(NamedTuple):
    """A Kafka record as fetched; ``timestamp`` is the broker's append time in ms."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class RecordLike(Protocol):
    """What :meth:`RecordBlock.of` reads."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class RecordBlock(Sequence[Record]):
    """n records of one topic-partition, by rising offset.

    offsets, timestamps_ms: int64, n
    keys, values: their bytes; absent where the record has none
    """

    offsets: Ints
    timestamps_ms: Ints
    keys: Lines
    values: Lines

    @classmethod
    def of(cls, records: Sequence[RecordLike]) -> RecordBlock:
        """The same records as columns; a block stays what it is."""
        if isinstance(records, RecordBlock):
            return records
        return cls(
            np.array([record.offset for record in records], np.int64),
            np.array([record.timestamp for record in records], np.int64),
            Lines.of([record.key for record in records]),
            Lines.of([record.value for record in records]),
        )

    @classmethod
    def chained(cls, blocks: Sequence[RecordBlock]) -> RecordBlock:
        """All records of several blocks, in their order."""
        if len(blocks) == 1:
            return blocks[0]
        return cls(
            np.concatenate([block.offsets for block in blocks]),
            np.concatenate([block.timestamps_ms for block in blocks]),
            Lines.chained([block.keys for block in blocks]),
            Lines.chained([block.values for block in blocks]),
        )

    def since(self, offset: int) -> RecordBlock:
        """The records from an offset on."""
        first = int(np.searchsorted(self.offsets, offset))
        if first == 0:
            return self
        return RecordBlock(
            self.offsets[first:], self.timestamps_ms[first:], self.keys.since(first), self.values.since(first)
        )

    @property
    def offset(self) -> int:
        """The last record's offset."""
        return int(self.offsets[-1])

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Record]: ...

    def __getitem__(self, at: int | slice) -> Record | Sequence[Record]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        return Record(int(self.offsets[at]), int(self.timestamps_ms[at]), self.keys[at], self.values[at])

    def __iter__(self) -> Iterator[Record]:
        return (self[place] for place in range(len(self)))
