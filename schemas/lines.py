"""Many byte strings as one array of bytes, each ended by a line break: no object for any until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self, overload

import numpy as np
from numpy.typing import NDArray

PADDING: Final = bytes(64)
"""Zeros behind the last line: machine code reads words of eight bytes, and may look behind the end."""

_LINE_BREAK: Final = ord("\n")


@dataclass(frozen=True, slots=True, eq=False)
class Lines(Sequence[bytes | None]):
    """n byte strings, some of which may be absent.

    joined: their bytes, each followed by a line break, and `PADDING` behind the last (uint8, read-only)
    ends: the place of each one's line break (int64, n)
    absent: where there is none, and not an empty one (bool, n)
    """

    joined: NDArray[np.uint8]
    ends: NDArray[np.int64]
    absent: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Lines:
        """The same values as lines; lines stay what they are."""
        if isinstance(values, Lines):
            return values
        absent = np.zeros(len(values), np.bool_)
        try:
            joined = b"\n".join([*values, PADDING])  # type: ignore[list-item]  # a None is found out right here
        except TypeError:
            absent = np.fromiter((value is None for value in values), np.bool_, len(values))
            joined = b"\n".join([*(value or b"" for value in values), PADDING])
        data = np.frombuffer(joined, np.uint8)
        ends = np.flatnonzero(data == _LINE_BREAK)
        if len(ends) != len(values):  # some have line breaks of their own
            lengths = np.fromiter((len(value or b"") for value in values), np.int64, len(values))
            ends = np.cumsum(lengths + 1) - 1
        return cls(data, ends, absent)

    @classmethod
    def chained(cls, parts: Sequence[Lines]) -> Lines:
        """All lines of several, in their order."""
        if len(parts) == 1:
            return parts[0]
        sizes = [int(part.ends[-1]) + 1 if len(part) else 0 for part in parts]
        starts = np.cumsum([0, *sizes])
        joined = np.concatenate(
            [*(part.joined[:size] for part, size in zip(parts, sizes, strict=True)), np.frombuffer(PADDING, np.uint8)]
        )
        joined.flags.writeable = False
        ends = np.concatenate([part.ends + start for part, start in zip(parts, starts[:-1], strict=True)])
        return cls(joined, ends, np.concatenate([part.absent for part in parts]))

    def since(self, first: int) -> Self:
        """The lines from a position on."""
        if first == 0:
            return self
        start = int(self.ends[first - 1]) + 1
        return type(self)(self.joined[start:], self.ends[first:] - start, self.absent[first:])

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, at: int) -> bytes | None: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes | None]: ...

    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        place = range(len(self))[at]  # IndexError outside, and negative ones from the end
        if self.absent[place]:
            return None
        start = int(self.ends[place - 1]) + 1 if place else 0
        return self.joined[start : self.ends[place]].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        return (self[place] for place in range(len(self)))
