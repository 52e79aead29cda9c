"""A growing table of fixed-size rows found by an integer key, that knows which rows changed since the last flush."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import Ints, Keys, Mask, StateRows, fixed_binary, grown, rows_of
from streams.operators.sorted_index import SortedIndex

_FEW = 4096
_LEAVING_AT_ONCE = 100_000
"""Keys of a table that leave the state with one flush: its rows must fit one atomic insert, however many an event that
moves a clock by days lets go. Later flushes take the others along; until then a restore reads them and lets them go."""


class KeyedRows:
    """Rows of a structured ``dtype`` by 64-bit key; new rows start as ``fresh``.

    ``keys`` and ``rows`` may be longer than the table; only the first ``len(self)`` entries count.
    """

    def __init__(self, name: str, fresh: npt.NDArray[Any]) -> None:
        self.name = name
        self._fresh = fresh
        self._index = SortedIndex()
        self.keys = np.empty(0, np.uint64)
        self.rows = np.empty(0, fresh.dtype)
        self._dirty = np.empty(0, np.bool_)
        self._stored = np.empty(0, np.bool_)
        self._keep: Callable[[Keys], Mask] | None = None
        self._gone: list[Keys] = []
        self._kept_last_time = 0

    def __len__(self) -> int:
        return len(self._index)

    def find(self, keys: Keys) -> Ints:
        """Row numbers of ascending, distinct keys; unknown ones are added."""
        rows = self._index.find(keys)
        size = len(self._index)
        if size > len(self.keys):
            self.keys = grown(self.keys, size, 0)
            self.rows = grown(self.rows, size, self._fresh)
            self._dirty = grown(self._dirty, size, False)
            self._stored = grown(self._stored, size, False)
        self.keys[rows] = keys
        return rows

    def entries(self) -> tuple[Keys, Ints]:
        """All keys, ascending, and their row numbers."""
        return self._index.entries()

    def touch(self, rows: Ints) -> None:
        """Mark rows as changed."""
        self._dirty[rows] = True

    def dirty_count(self) -> int:
        """How many rows changed since the last flush."""
        return int(np.count_nonzero(self._dirty[: len(self)]))

    def take_changed(self) -> Ints:
        """Row numbers changed since the last call, by ascending key; calling it makes them clean."""
        rows = np.flatnonzero(self._dirty[: len(self)])
        self._dirty[rows] = False
        return rows[np.argsort(self.keys[rows])]

    def state(self, changed: Ints) -> list[StateRows]:
        """State rows of the given rows, and the ends of keys that were let go.

        A row that will be let go anyway and has no place in the state yet gets none: of a feed of old events,
        hardly any does.
        """
        found = []
        if self._keep is not None:
            changed = changed[self._keep(self.keys[changed]) | self._stored[changed]]
        self._stored[changed] = True
        if len(changed):
            keys = fixed_binary(self.keys[changed].astype(">u8"))
            found.append(StateRows(self.name, keys, fixed_binary(self.rows[changed])))
        if self._gone:
            gone = np.concatenate(self._gone)
            leaving, staying = np.split(gone, [_LEAVING_AT_ONCE])
            self._gone = [staying] if len(staying) else []
            empty = fixed_binary(np.empty((len(leaving), 0), np.uint8))
            found.append(StateRows(self.name, fixed_binary(leaving.astype(">u8")), empty, deleted=True))
        return found

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take back the rows that :meth:`state` gave."""
        numbers = rows_of(keys, np.dtype(">u8")).astype(np.uint64)
        order = np.argsort(numbers)
        rows = self.find(numbers[order])
        self.rows[rows] = rows_of(payloads, self._fresh.dtype)[order]
        self._stored[rows] = True
        self._kept_last_time = len(self)

    def forget(self, keep: Callable[[Keys], Mask]) -> None:
        """Let rows go for which ``keep`` is false, once the table has doubled since the last time.

        Only for rows that can make no difference to any answer any more: when they go then does not either, and waiting
        keeps the cost constant a row. Changed rows stay until they are written.
        """
        self._keep = keep
        size = len(self)
        if size < 2 * self._kept_last_time + _FEW:
            return
        staying = keep(self.keys[:size]) | self._dirty[:size]
        gone = ~staying & self._stored[:size]
        if gone.any():
            self._gone.append(self.keys[:size][gone])
        self.keys = self.keys[:size][staying]
        self.rows = self.rows[:size][staying]
        self._dirty = self._dirty[:size][staying]
        self._stored = self._stored[:size][staying]
        self._index.keep(staying)
        self._kept_last_time = len(self)
