"""Row numbers of texts that are too many for a dict: 16 bytes an entry, looked up a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from streams.operators.base import Ints, Keys

UNKNOWN_ROW = -1

_RUN_RATIO = 4
_SCOPE = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
_Run = tuple[Keys, npt.NDArray[np.uint32], npt.NDArray[np.uint32]]


def hashes_of(texts: Iterable[bytes], scopes: Ints | None = None) -> npt.NDArray[np.uint64]:
    """XXH3-128 of each text as a row of two words; the same text in another scope (a number) has another one."""
    hashed = np.frombuffer(b"".join(map(xxh3_128_digest, texts)), "<u8").reshape(-1, 2)
    if scopes is None:
        return hashed
    mixed: npt.NDArray[np.uint64] = hashed ^ (scopes.astype(np.uint64)[:, None] * _SCOPE)
    return mixed


def distinct(hashed: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Where each distinct hash stands first, and for every hash the number of its kind among these."""
    if not len(hashed):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(hashed[:, 0])
    first, second = hashed[order, 0], hashed[order, 1]
    same = first[1:] == first[:-1]
    if (same & (second[1:] != second[:-1])).any():  # they share their first words only: rare, and slower to sort out
        order = np.lexsort((hashed[:, 1], hashed[:, 0]))
        first, second = hashed[order, 0], hashed[order, 1]
        same = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    new = np.concatenate(([True], ~same))
    kinds = np.empty(len(order), np.int64)
    kinds[order] = np.cumsum(new) - 1
    return np.minimum.reduceat(order, np.flatnonzero(new)), kinds


class HashIndex:
    """Maps 96 bits of a hash to a row number, in sorted runs that are merged as they grow, like an LSM tree.

    Two of ten million texts have the same 96 bits with a chance of one in 10^15; they would then be taken for one.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes the entries take."""
        return sum(part.nbytes for run in self._runs for part in run)

    def find(self, hashed: npt.NDArray[np.uint64]) -> Ints:
        """The row of each hash, UNKNOWN_ROW where it has none."""
        found = np.full(len(hashed), UNKNOWN_ROW, np.int64)
        if not self._size or not len(hashed):
            return found
        order = np.argsort(hashed[:, 0])
        first, second = hashed[order, 0], hashed[order, 1].astype(np.uint32)
        answer = np.full(len(hashed), UNKNOWN_ROW, np.int64)
        for keys, more, rows in self._runs:
            at = np.searchsorted(keys, first)
            last = len(keys) - 1
            same = keys[np.minimum(at, last)] == first
            while same.any():
                hit = same & (more[np.minimum(at, last)] == second)
                answer[hit] = rows[at[hit]]
                at = np.where(same & ~hit, at + 1, len(keys))  # two texts that share the first 64 bits
                same = (at <= last) & (keys[np.minimum(at, last)] == first)
        found[order] = answer
        return found

    def find_or_add(self, hashed: npt.NDArray[np.uint64], count: int) -> tuple[Ints, Ints]:
        """The row of each hash; unknown ones get the rows from ``count`` on.

        Returns:
            The rows, and where each new hash stands first, in the order of the new rows.
        """
        first, kinds = distinct(hashed)
        rows = self.find(hashed[first])
        new = np.flatnonzero(rows == UNKNOWN_ROW)
        rows[new] = np.arange(count, count + len(new))
        self.add(hashed[first[new]], rows[new])
        return rows[kinds], first[new]

    def add(self, hashed: npt.NDArray[np.uint64], rows: Ints) -> None:
        """Add hashes that are not known yet, each once."""
        if not len(rows):
            return
        self._size += len(rows)
        run = _sorted(hashed[:, 0].copy(), hashed[:, 1].astype(np.uint32), rows.astype(np.uint32))
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2][0]) < _RUN_RATIO * len(self._runs[-1][0]):
            newer, older = self._runs.pop(), self._runs.pop()
            keys, more = np.concatenate((newer[0], older[0])), np.concatenate((newer[1], older[1]))
            self._runs.append(_sorted(keys, more, np.concatenate((newer[2], older[2]))))


def _sorted(keys: Keys, more: npt.NDArray[np.uint32], rows: npt.NDArray[np.uint32]) -> _Run:
    order = np.argsort(keys, kind="stable")
    return keys[order], more[order], rows[order]
