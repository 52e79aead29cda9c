"""What the engine and the operators say to each other.

An operator is a plain state machine: it is given batches of applied events and the time, and gives back the
state rows to checkpoint and the derived rows people will read. It imports neither Kafka nor ClickHouse nor a
clock, so every law about it can be tested with arrays alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import Columns

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).min // 4
"""A time before all others (ms). Far enough from the edge of int64 to add a window to it."""


@dataclass(slots=True)
class Events:
    """Applied events of one type, in the order of their offsets.

    ``occurred_at_ms``, ``community`` and ``member`` have one entry an event; ``community`` and ``member`` are numbers
    of the partition's :class:`~streams.operators.directory.Directory`. ``columns`` holds the contract's other fields.
    ``place`` orders the events of all types of a batch as they were merged, where that is known.
    """

    occurred_at_ms: Ints
    community: Ints
    member: Ints
    columns: Columns
    place: Ints | None = None

    def __len__(self) -> int:
        return len(self.occurred_at_ms)

    @classmethod
    def joined(cls, parts: list[Events]) -> Events:
        """One behind the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.occurred_at_ms for part in parts]),
            np.concatenate([part.community for part in parts]),
            np.concatenate([part.member for part in parts]),
            Columns.joined([part.columns for part in parts]),
            None
            if parts[0].place is None
            else np.concatenate([part.place for part in parts if part.place is not None]),
        )

    def where(self, column: str, *words: str) -> Mask:
        """Where a column of words has one of the given ones."""
        found, codes = self.columns.words(column)
        wanted = np.zeros(len(found) + 1, np.bool_)  # the last one is for -1, absent
        wanted[[number for number, word in enumerate(found) if word in words]] = True
        return wanted[codes]

    def ranks(self, column: str, rank_of: Mapping[str, int]) -> Ints:
        """A number for each word of a column that has one in every event."""
        found, codes = self.columns.words(column)
        # A dictionary may hold legal words that no event has and no rank knows.
        ranks: Ints = np.array([rank_of.get(word or "", -1) for word in found] or [0], np.int64)[codes]
        return ranks

    def numbers(self, column: str) -> Ints:
        """A column of integers or booleans that has one in every event."""
        values: Ints = self.columns.arrow(column).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
        return values

    def given(self, column: str) -> Mask:
        """Where an optional column has a value."""
        return self.columns.given(column)


@dataclass(slots=True)
class Batch:
    """Applied events of one partition, by type; a type without events is absent."""

    by_type: dict[str, Events] = field(default_factory=dict)

    def get(self, event_type: str) -> Events | None:
        """The events of a type, or None when the batch has none."""
        return self.by_type.get(event_type)

    def __len__(self) -> int:
        return sum(len(events) for events in self.by_type.values())


def first_rows(batch: Batch, wanted: Callable[[Events], Mask]) -> list[tuple[int, str, int]]:
    """Of each community's wanted events of all types the first one in the order of the merge: number, type, row.

    Without places the types come one after the other, as they stand in the batch.
    """
    found: dict[int, tuple[int, str, int]] = {}
    behind = 0
    for event_type, events in batch.by_type.items():
        at = np.flatnonzero(wanted(events))
        communities, first = np.unique(events.community[at], return_index=True)
        for number, row in zip(communities.tolist(), at[first].tolist(), strict=True):
            place = behind + row if events.place is None else int(events.place[row])
            if number not in found or place < found[number][0]:
                found[number] = (place, event_type, row)
        behind += len(events)
    return [(number, event_type, row) for number, (_, event_type, row) in sorted(found.items())]


def first_words(batch: Batch, column: str, wanted: Callable[[Events], Mask]) -> list[tuple[int, str | None]]:
    """What the events that :func:`first_rows` gives have in a column, by community."""
    return [
        (number, batch.by_type[event_type].columns.arrow(column)[row].as_py())
        for number, event_type, row in first_rows(batch, wanted)
    ]


@dataclass(slots=True)
class StateRows:
    """Rows for the table ``state``: a key is written whole, its newest version counts.

    ``keys`` and ``payloads`` are Arrow binary arrays of the same length; ``deleted`` marks keys that leave the state.
    """

    operator: str
    keys: pa.Array
    payloads: pa.Array
    deleted: bool = False

    def __len__(self) -> int:
        return len(self.keys)


class Operator(Protocol):
    """One state machine of a partition."""

    names: tuple[str, ...]
    """Names of its rows in the table ``state``."""

    def apply(self, batch: Batch) -> None:
        """Take applied events in; the order of events inside the allowed lateness never changes the outcome."""

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call; calling it makes them clean."""

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take back the rows that :meth:`dirty` once gave, newest version of each key, in any order."""

    def derived(self, now_ms: Ints) -> dict[str, pa.Table]:
        """Rows for people that changed since the last call, by base table, without their version.

        ``now_ms`` is the *now* of each community, by community number.
        """


def fixed_binary(rows: npt.NDArray[Any]) -> pa.Array:
    """An Arrow binary array with one value a row of a C-contiguous array, without copying row by row."""
    rows = np.ascontiguousarray(rows)
    count = len(rows)
    width = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
    offsets = np.arange(count + 1, dtype=np.int64) * width
    return pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())])


def rows_of(payloads: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The inverse of :func:`fixed_binary`: payloads of equal width as one array of ``dtype`` (a copy).

    Raises:
        ValueError: a payload does not have the width of ``dtype`` (state of another version).
    """
    if isinstance(payloads, pa.ChunkedArray):
        payloads = payloads.combine_chunks()
    payloads = payloads.cast(pa.large_binary())
    if len(payloads) == 0:
        return np.empty(0, dtype)
    _, offsets_buffer, values = payloads.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[payloads.offset : payloads.offset + len(payloads) + 1]
    if not (np.diff(offsets) == dtype.itemsize).all():
        raise ValueError(f"state rows are not {dtype.itemsize} bytes wide: they were written by another version")
    return np.frombuffer(values, dtype, count=len(payloads), offset=int(offsets[0])).copy()


def binary(values: list[bytes]) -> pa.Array:
    """An Arrow binary array of the given values."""
    return pa.array(values, pa.large_binary())


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The different values, ascending. Sorting integers is several times faster than the hash table in `np.unique`."""
    if len(values) == 0:
        return values
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def grown(array: npt.NDArray[Any], size: int, fill: Any) -> npt.NDArray[Any]:
    """The array with room for ``size`` rows, at least doubled, new rows set to ``fill``."""
    if size <= len(array):
        return array
    bigger = np.empty((max(size, 2 * len(array), 64), *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    bigger[len(array) :] = fill
    return bigger
