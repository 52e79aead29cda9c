"""Whom the facts of campaigns are about: (campaign, community, member) with what was said of each last.

A referee or referrer need never have acted in the community, so it may have no member number yet; it is found by its
key until it has one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.base import Ints, StateRows, binary
from streams.operators.directory import Directory
from streams.operators.hash_index import HashIndex, hashes_of
from streams.operators.text_column import TextColumn

NOBODY = -1
NOTHING_SAID = -1


class WatchList:
    """Rows by number, with a revision and some times each; ``names`` are the times."""

    def __init__(self, name: str, directory: Directory, names: tuple[str, ...]) -> None:
        self.name = name
        self._directory = directory
        self._index = HashIndex()
        self._keys = TextColumn()
        self.times = {one: array("q") for one in names}
        self.revision = array("i")
        self._member = array("i")
        self._next_of_member = array("i")
        self._first_of_member = array("i")
        self._strangers: dict[str, list[int]] = {}
        self._looked_at = 0
        self._met: list[int] = []
        self._dirty: set[int] = set()

    def __len__(self) -> int:
        return len(self.revision)

    def find(self, campaigns: list[str], communities: list[str], members: list[str]) -> Ints:
        """Row of each (campaign, community, member); unknown ones are added."""
        texts = list(map("\0".join, zip(campaigns, communities, members, strict=True)))
        rows, new = self._index.find_or_add(hashes_of(map(str.encode, texts)), len(self))
        if len(new):
            self._add([texts[at] for at in new.tolist()])
        return rows

    def _add(self, texts: list[str]) -> None:
        start, count = len(self), len(texts)
        self._keys.extend(list(map(str.encode, texts)))
        for column in self.times.values():
            column.extend(array("q", [NOTHING_SAID]) * count)
        self.revision.extend(array("i", [0]) * count)
        self._member.extend(array("i", [NOBODY]) * count)
        self._next_of_member.extend(array("i", [NOBODY]) * count)
        self._meet()
        people = [text.partition("\0")[2] for text in texts]
        names, ids = (pa.array(part, pa.string()) for part in zip(*(one.split("\0") for one in people), strict=True))
        members = self._directory.find_members(self._directory.communities(names), ids).tolist()
        for row, (person, member) in enumerate(zip(people, members, strict=True), start):
            if member == NOBODY:
                self._strangers.setdefault(person, []).append(row)
            else:
                self._introduce(row, member)

    def met(self) -> list[int]:
        """Rows whose members have come since the last call."""
        self._meet()
        met, self._met = self._met, []
        return met

    def _meet(self) -> None:
        size = len(self._directory.member_ids)
        self._first_of_member.extend(array("i", [NOBODY]) * (size - len(self._first_of_member)))
        if self._strangers and self._looked_at < size:
            people = self._directory.keys(np.arange(self._looked_at, size)).cast(pa.string()).to_pylist()
            for member, person in enumerate(people, self._looked_at):
                for row in self._strangers.pop(person, ()):
                    self._introduce(row, member)
                    self._met.append(row)
        self._looked_at = size

    def _introduce(self, row: int, member: int) -> None:
        self._member[row] = member
        self._next_of_member[row] = self._first_of_member[member]
        self._first_of_member[member] = row

    def of_members(self, members: Ints) -> list[int]:
        """Rows about any of the given members."""
        first = np.frombuffer(self._first_of_member, np.int32) if len(self._first_of_member) else np.empty(0, np.int32)
        heads = first[members[members < len(first)]]
        found = []
        for head in heads[heads != NOBODY].tolist():
            row = head
            while row != NOBODY:
                found.append(row)
                row = self._next_of_member[row]
        return found

    def member(self, rows: Ints) -> Ints:
        """Member numbers, NOBODY where a member has never acted."""
        return np.frombuffer(self._member, np.int32)[rows].astype(np.int64)

    def time(self, name: str) -> npt.NDArray[np.int64]:
        """One of the times of all rows, to be read and set; not to be kept, since the list could not grow."""
        return np.frombuffer(self.times[name], np.int64)

    def names_of(self, rows: list[int]) -> Iterator[tuple[str, str, str]]:
        """Campaign, community and member of rows."""
        for row in rows:
            campaign, community, member = self._keys[row].decode().split("\0")
            yield campaign, community, member

    def touch(self, rows: Ints | list[int]) -> None:
        """Mark rows as changed."""
        self._dirty.update(rows if isinstance(rows, list) else rows.tolist())

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call."""
        if not self._dirty:
            return []
        rows, self._dirty = sorted(self._dirty), set()
        payloads = [
            msgspec.msgpack.encode([self.revision[row], *(column[row] for column in self.times.values())])
            for row in rows
        ]
        return [StateRows(self.name, binary([self._keys[row] for row in rows]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back; the directory is restored already."""
        texts = [key.decode().split("\0") for key in keys.to_pylist()]
        if not texts:
            return
        rows = self.find(*(list(part) for part in zip(*texts, strict=True)))
        for row, payload in zip(rows.tolist(), payloads.to_pylist(), strict=True):
            revision, *times = msgspec.msgpack.decode(payload)
            self.revision[row] = revision
            for column, time in zip(self.times.values(), times, strict=True):
                column[row] = time
