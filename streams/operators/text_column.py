"""A column of texts that only grows, as one run of bytes: 8 bytes a text beside its own, against 60 for a string."""

from __future__ import annotations

from array import array

import numpy as np
import pyarrow as pa

from streams.operators.base import Ints


class TextColumn:
    """Texts by row number, in UTF-8."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def nbytes(self) -> int:
        """Bytes the texts take."""
        return len(self._bytes) + 8 * len(self._ends)

    def extend(self, texts: list[bytes]) -> None:
        """Add texts under the next row numbers."""
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts))) + len(self._bytes)
        self._bytes += b"".join(texts)
        self._ends.frombytes(ends.tobytes())

    def __getitem__(self, row: int) -> bytes:
        """The text of a row."""
        return bytes(self._bytes[self._ends[row] : self._ends[row + 1]])

    def take(self, rows: Ints) -> pa.Array:
        """The texts of some rows as an Arrow array of strings."""
        whole = pa.Array.from_buffers(
            pa.large_string(), len(self), [None, pa.py_buffer(self._ends), pa.py_buffer(self._bytes)]
        )
        # A copy: the column could not grow while Arrow looks at its bytes.
        return whole.take(pa.array(rows.astype(np.int64)))
