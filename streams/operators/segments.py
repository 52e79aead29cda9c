"""State that grows by small entries, kept as numbered segments instead of a row an entry.

A row of ``state`` an event would cost more than all other work together. Entries of one flush become one segment (one
row); when the segments hold more than twice what is still alive, what is alive is written anew and the old ones leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import StateRows, binary

SEGMENT_ENTRIES = 65_536


class Segments:
    """The segments of one set of fixed-size entries of ``dtype``."""

    def __init__(self, name: str, dtype: npt.DTypeLike) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self._pending: list[npt.NDArray[Any]] = []
        self._sizes: dict[int, int] = {}
        self._next = 0

    @property
    def entries(self) -> int:
        """How many entries the written segments hold, dead ones included."""
        return sum(self._sizes.values())

    def append(self, entries: npt.NDArray[Any]) -> None:
        """Add entries; they are written with the next flush."""
        if len(entries):
            self._pending.append(entries)

    def dirty(self, alive: Callable[[], npt.NDArray[Any]], alive_at_most: int) -> list[StateRows]:
        """Rows to write: a new segment, or, when most entries are dead, all that is alive and the end of the rest.

        Args:
            alive: gives all entries that must survive, pending ones included.
            alive_at_most: a cheap upper bound of how many that are.
        """
        pending = np.concatenate(self._pending) if self._pending else np.empty(0, self.dtype)
        self._pending = []
        gone: list[int] = []
        if self.entries + len(pending) > 2 * alive_at_most + SEGMENT_ENTRIES:
            gone, self._sizes = list(self._sizes), {}
            pending = alive()
        rows: list[StateRows] = []
        keys: list[bytes] = []
        payloads: list[bytes] = []
        for start in range(0, len(pending), SEGMENT_ENTRIES):
            part = pending[start : start + SEGMENT_ENTRIES]
            keys.append(self._next.to_bytes(8, "big"))
            payloads.append(part.tobytes())
            self._sizes[self._next] = len(part)
            self._next += 1
        if keys:
            rows.append(StateRows(self.name, binary(keys), binary(payloads)))
        if gone:
            old = [number.to_bytes(8, "big") for number in gone]
            rows.append(StateRows(self.name, binary(old), binary([b""] * len(old)), deleted=True))
        return rows

    def restore(self, keys: pa.Array, payloads: pa.Array) -> npt.NDArray[Any]:
        """All entries of the written segments, dead ones included."""
        parts = []
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            number = int.from_bytes(key, "big")
            part = np.frombuffer(payload, self.dtype)
            self._sizes[number] = len(part)
            self._next = max(self._next, number + 1)
            parts.append(part)
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)
