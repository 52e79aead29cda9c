"""The fields of members as columns: work on one field then touches that field's memory only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints, grown

_MOST_SUMMED = float(2**63 - 2**30)
"""Sums up to here are told from overflows in float64, whatever it rounds."""

Fields = Mapping[str, npt.NDArray[Any]]
"""Arrays by field name, one entry a member."""


class HasFields(Protocol):
    """Anything that gives a field's array by its name."""

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]: ...


class MemberRows:
    """Growing columns by member number, packed into rows of ``fresh.dtype`` for the state."""

    def __init__(self, fresh: npt.NDArray[Any]) -> None:
        self._fresh = fresh
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.empty((0, *self._kind(name).shape), self._kind(name).base) for name in self._names
        }

    @property
    def _names(self) -> tuple[str, ...]:
        return self._fresh.dtype.names or ()

    def _kind(self, name: str) -> np.dtype[Any]:
        kind: np.dtype[Any] = self._fresh.dtype[name]
        return kind

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One field of all members."""
        return self._columns[name]

    def grow(self, size: int) -> None:
        """Make room for so many members."""
        for name, column in self._columns.items():
            self._columns[name] = grown(column, size, self._fresh[name])

    def of(self, members: Ints, *names: str) -> dict[str, npt.NDArray[Any]]:
        """Some fields (all when none is named) of some members."""
        return {name: self._columns[name][members] for name in names or self._names}

    def packed(self, members: Ints) -> npt.NDArray[Any]:
        """Rows of some members, as they go into the state."""
        rows = np.empty(len(members), self._fresh.dtype)
        for name in self._names:
            rows[name] = self._columns[name][members]
        return rows

    def unpack(self, members: Ints, rows: npt.NDArray[Any]) -> None:
        """Take back rows of some members."""
        for name in self._names:
            self._columns[name][members] = rows[name]

    def lower(self, name: str, groups: Groups, values: Ints) -> None:
        """Lower a field of each group's member to the smallest of its events' values, where that is smaller."""
        column, smallest = self._columns[name], np.minimum.reduceat(values[groups.order], groups.starts)
        column[groups.members] = np.minimum(column[groups.members], smallest)

    def raise_(self, name: str, groups: Groups, values: Ints) -> None:
        """Raise a field of each group's member to the largest of its events' values, where that is larger."""
        column, largest = self._columns[name], np.maximum.reduceat(values[groups.order], groups.starts)
        column[groups.members] = np.maximum(column[groups.members], largest)

    def add(self, name: str, groups: Groups, values: Ints) -> None:
        """Add the sum of its events' values to a field of each group's member."""
        sums = np.add.reduceat(values[groups.order], groups.starts)
        self._columns[name][groups.members] += sums.astype(self._columns[name].dtype)

    def add_amounts(self, name: str, groups: Groups, amounts: Ints) -> None:
        """Add amounts, none negative, to a field of each group's member; sums stop at the largest number of int64."""
        column, amounts = self._columns[name], amounts[groups.order]
        about = column[groups.members] + np.add.reduceat(amounts.astype(np.float64), groups.starts)
        sums = column[groups.members] + np.add.reduceat(amounts, groups.starts)
        column[groups.members] = np.where(about < _MOST_SUMMED, sums, np.iinfo(np.int64).max)


class Groups:
    """Events sorted by their members, so that a field is worked out member by member, for all at once.

    ``members`` are distinct; the events of the n-th are ``order[starts[n]:starts[n + 1]]``. At least one event.
    """

    def __init__(self, member: Ints) -> None:
        self.order = np.argsort(member, kind="stable")
        ordered = member[self.order]
        self.starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        self.members = ordered[self.starts]
