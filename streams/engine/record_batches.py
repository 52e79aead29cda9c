"""Kafka's record batches read into blocks in machine code, in the place of aiokafka's record after record.

aiokafka checks, decompresses and skips (aborted transactions, control batches); only what stands inside a batch is read
here. The format is that of Kafka's documentation, "Record Batch" and "Record" (magic 2, since Kafka 0.11). To aiokafka
a block looks like one record that has the offset of its last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from numba import njit
from numpy.typing import NDArray

from schemas.lines import PADDING, Lines
from streams.engine.record_block import RecordBlock
from streams.operators.base import Ints

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_MAGIC_AT, _NEWEST_MAGIC = 16, 2


class BlockBatch(_DefaultRecordBatchPy):
    """A record batch that gives one block for all its records."""

    def __iter__(self) -> Iterator[RecordBlock]:
        self._maybe_uncompress()
        count = self._num_records
        if count == 0:
            return iter(())
        raw = np.frombuffer(self._buffer, np.uint8)[self._pos :]
        raw.flags.writeable = False
        offsets, times = np.empty((2, count), np.int64)
        # A record has at least seven bytes around its key and value, so each of them fits with a line break.
        keys, values = np.empty((2, len(raw) + len(PADDING)), np.uint8)
        key_ends, value_ends = np.empty((2, count), np.int64)
        key_absent, value_absent = np.empty((2, count), np.bool_)
        appended_ms = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else -1
        first = (self.base_offset, self.first_timestamp, appended_ms)
        read = read_records(raw, *first, offsets, times, keys, key_ends, key_absent, values, value_ends, value_absent)
        if not read:
            raise CorruptRecordException(f"the {count} records from offset {self.base_offset} on cannot be read")
        block = RecordBlock(
            offsets, times, _lines(keys, key_ends, key_absent), _lines(values, value_ends, value_absent)
        )
        return iter((block,))


class BlockRecords(_MemoryRecordsPy):
    """What a fetch brought for a topic-partition, batch by batch."""

    def next_batch(self, *_: Any) -> Any:
        """The next batch; of formats older than magic 2 as aiokafka reads them."""
        ahead = self._next_slice
        if ahead is None or len(ahead) <= _MAGIC_AT or ahead[_MAGIC_AT] != _NEWEST_MAGIC:
            return super().next_batch()
        self._cache_next()
        return BlockBatch(ahead)


def _lines(data: Bytes, ends: Ints, absent: Flags) -> Lines:
    used = int(ends[-1]) + 1 + len(PADDING)
    mine = data[:used].copy()  # without the space that was not needed
    mine.flags.writeable = False
    return Lines(mine, ends, absent)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types of its own
def read_records(
    raw: Bytes,
    base_offset: int,
    first_ms: int,
    appended_ms: int,
    offsets: Ints,
    times: Ints,
    keys: Bytes,
    key_ends: Ints,
    key_absent: Flags,
    values: Bytes,
    value_ends: Ints,
    value_absent: Flags,
) -> bool:
    """Read the records of a batch into arrays; False where its bytes are not what the format says."""
    at, key_at, value_at = 0, 0, 0
    for record in range(len(offsets)):
        length, at = _varint(raw, at)
        stop = at + length
        if at < 0 or length < 0 or stop > len(raw):
            return False
        delta_ms, at = _varint(raw, at + 1)  # behind the attributes, which say nothing yet
        delta, at = _varint(raw, at)
        offsets[record] = base_offset + delta
        times[record] = appended_ms if appended_ms >= 0 else first_ms + delta_ms
        at, key_at = _copy(raw, at, stop, record, keys, key_at, key_ends, key_absent)
        at, value_at = _copy(raw, at, stop, record, values, value_at, value_ends, value_absent)
        if at < 0:
            return False
        at = stop  # headers are not read
    keys[key_at : key_at + 64] = 0
    values[value_at : value_at + 64] = 0
    return at == len(raw)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types of its own
def _copy(
    raw: Bytes, at: int, stop: int, record: int, lines: Bytes, end: int, ends: Ints, absent: Flags
) -> tuple[int, int]:
    """Copy a key or value to the lines; the places behind it in both, the first -1 where it leaves its record."""
    size, at = _varint(raw, at)
    if at < 0 or at + size > stop:
        return -1, end
    absent[record] = size < 0
    for _ in range(size):
        lines[end] = raw[at]
        end += 1
        at += 1
    lines[end] = 10
    ends[record] = end
    return at, end + 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types of its own
def _varint(raw: Bytes, at: int) -> tuple[int, int]:
    """A number in zigzag coding and the place behind it; the place is -1 where there is none."""
    number = 0
    if at >= 0:
        for shift in range(0, 70, 7):
            if at >= len(raw):
                break
            byte = int(raw[at])
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                # In the logical sense: the sign bit of a full 64-bit number is shifted down as a bit.
                return ((number >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(number & 1), at
    return 0, -1
