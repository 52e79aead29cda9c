"""Dense numbers for names within a scope, as one hash table over one stretch of bytes: no object for any name.

A hundred bytes of Python objects a member would be most of a worker's memory, and a look-up of them most of its time.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from schemas.columns import text_buffers
from streams.operators.base import Ints

_FREE = -1
_SEED = np.uint64(secrets.randbits(63) | 1)
"""Another one in every process: nobody can choose ids that all fall into one slot."""


class NameIndex:
    """Numbers 0, 1, 2, … in the order in which (scope, name) pairs were first seen; never reused."""

    def __init__(self) -> None:
        self._slots = np.full(1024, _FREE, np.int32)
        self._hashes = np.empty(512, np.uint64)
        self._scopes = np.empty(512, np.int64)
        self._begin = np.zeros(512, np.int64)
        self._end = np.zeros(512, np.int64)
        self._bytes = np.empty(16_384, np.uint8)
        self._used = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> str:
        if not -self._count <= number < self._count:
            raise IndexError(f"number {number} of {self._count}")
        number %= self._count
        return bytes(self._bytes[self._begin[number] : self._end[number]]).decode()

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        arrays = (self._slots, self._hashes, self._scopes, self._begin, self._end, self._bytes)
        return sum(array.nbytes for array in arrays)

    @property
    def scopes(self) -> Ints:
        """The scope of each name, by number."""
        return self._scopes[: self._count]

    def find(self, scopes: Ints, names: pa.Array) -> Ints:
        """Numbers of names; -1 for those that have none."""
        data, offsets = text_buffers(names)
        numbers = np.empty(len(names), np.int64)
        _find(data, offsets, scopes, _SEED, self._arrays(), self._bytes, numbers)
        return numbers

    def number(self, scopes: Ints, names: pa.Array) -> Ints:
        """Numbers of names; those that have none are given the next ones."""
        data, offsets = text_buffers(names)
        self._room(len(names), int(offsets[-1] - offsets[0]) if len(offsets) else 0)
        numbers = np.empty(len(names), np.int64)
        self._count, self._used = _number(
            data, offsets, scopes, _SEED, self._arrays(), self._bytes, self._count, self._used, numbers
        )
        return numbers

    def put(self, numbers: Ints, scopes: Ints, names: pa.Array) -> None:
        """Give new names the numbers they had; numbers in between that nobody has stay nobody's."""
        if len(numbers) == 0:
            return
        data, offsets = text_buffers(names)
        size = int(numbers.max()) + 1
        self._room(max(size - self._count, 0), int(offsets[-1] - offsets[0]))
        if size > self._count:
            self._scopes[self._count : size] = -1
            self._begin[self._count : size] = self._end[self._count : size] = 0
            self._count = size
        self._used = _put(data, offsets, scopes, _SEED, self._arrays(), self._bytes, self._used, numbers)

    def names(self, numbers: Ints) -> pa.Array:
        """The names of numbers."""
        offsets = np.zeros(len(numbers) + 1, np.int32)
        np.cumsum(self._end[numbers] - self._begin[numbers], out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        _copy(self._bytes, self._begin, numbers, offsets, data)
        return pa.Array.from_buffers(
            pa.string(), len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(data)], null_count=0
        )

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return self._slots, self._hashes, self._scopes, self._begin, self._end

    def _room(self, more: int, more_bytes: int) -> None:
        need = self._count + more
        if need > len(self._hashes):
            size = max(need, len(self._hashes) * 3 // 2)
            for name in ("_hashes", "_scopes", "_begin", "_end"):
                setattr(self, name, np.resize(getattr(self, name), size))
        if self._used + more_bytes > len(self._bytes):
            self._bytes = np.resize(self._bytes, max(self._used + more_bytes, len(self._bytes) * 3 // 2))
        if 2 * need > len(self._slots):
            self._slots = np.full(1 << (2 * need).bit_length(), _FREE, np.int32)
            _fill_slots(self._slots, self._hashes, self._scopes, self._count)


# -- machine code -----------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _hash(data, start, stop, scope, seed):  # type: ignore[no-untyped-def]
    mixed = seed ^ (np.uint64(scope) * np.uint64(0x9E3779B97F4A7C15))
    for i in range(start, stop):
        mixed = (mixed ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
        mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


@njit(cache=True, nogil=True)
def _slot_of(data, start, stop, scope, mixed, arrays, known):  # type: ignore[no-untyped-def]
    """The slot that holds a name, or the free one where it belongs."""
    slots, hashes, scopes, begin, end = arrays
    mask = np.uint64(len(slots) - 1)
    slot = mixed & mask
    while True:
        number = slots[slot]
        if number == _FREE:
            return slot
        if hashes[number] == mixed and scopes[number] == scope and end[number] - begin[number] == stop - start:
            first = begin[number]
            same = True
            for i in range(stop - start):
                if data[start + i] != known[first + i]:
                    same = False
                    break
            if same:
                return slot
        slot = (slot + np.uint64(1)) & mask


@njit(cache=True, nogil=True)
def _find(data, offsets, scopes, seed, arrays, known, numbers):  # type: ignore[no-untyped-def]
    for i in range(len(numbers)):
        mixed = _hash(data, offsets[i], offsets[i + 1], scopes[i], seed)
        numbers[i] = arrays[0][_slot_of(data, offsets[i], offsets[i + 1], scopes[i], mixed, arrays, known)]


@njit(cache=True, nogil=True)
def _number(data, offsets, scopes, seed, arrays, known, count, used, numbers):  # type: ignore[no-untyped-def]
    slots, hashes, known_scopes, begin, end = arrays
    for i in range(len(numbers)):
        start, stop = offsets[i], offsets[i + 1]
        mixed = _hash(data, start, stop, scopes[i], seed)
        slot = _slot_of(data, start, stop, scopes[i], mixed, arrays, known)
        if slots[slot] == _FREE:
            slots[slot] = count
            hashes[count] = mixed
            known_scopes[count] = scopes[i]
            begin[count] = used
            for k in range(stop - start):
                known[used + k] = data[start + k]
            used += stop - start
            end[count] = used
            count += 1
        numbers[i] = slots[slot]
    return count, used


@njit(cache=True, nogil=True)
def _put(data, offsets, scopes, seed, arrays, known, used, numbers):  # type: ignore[no-untyped-def]
    slots, hashes, known_scopes, begin, end = arrays
    for i in range(len(numbers)):
        start, stop, number = offsets[i], offsets[i + 1], numbers[i]
        mixed = _hash(data, start, stop, scopes[i], seed)
        slots[_slot_of(data, start, stop, scopes[i], mixed, arrays, known)] = number
        hashes[number] = mixed
        known_scopes[number] = scopes[i]
        begin[number] = used
        for k in range(stop - start):
            known[used + k] = data[start + k]
        used += stop - start
        end[number] = used
    return used


@njit(cache=True, nogil=True)
def _fill_slots(slots, hashes, scopes, count):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(slots) - 1)
    for number in range(count):
        if scopes[number] < 0:
            continue  # nobody's number
        slot = hashes[number] & mask
        while slots[slot] != _FREE:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number


@njit(cache=True, nogil=True)
def _copy(known, begin, numbers, offsets, data):  # type: ignore[no-untyped-def]
    for i in range(len(numbers)):
        first, start = offsets[i], begin[numbers[i]]
        for k in range(offsets[i + 1] - first):
            data[first + k] = known[start + k]
