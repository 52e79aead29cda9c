"""Numbers for communities and members, so that everything behind the door works on arrays of integers."""

from __future__ import annotations

import numpy as np

from streams.operators.base import Ints, grown


class Directory:
    """Gives every community, and every member of a community, a number of its own inside one partition.

    Numbers are dense and never reused; they are written with the members' state, so a restart gives the same.
    """

    def __init__(self) -> None:
        self.community_names: list[str] = []
        self.member_ids: list[str] = []
        """The id of each member as the contract has it, by number."""
        self._communities: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._community_of = np.empty(0, np.int64)

    @property
    def community_of(self) -> Ints:
        """Community number by member number."""
        return self._community_of[: len(self.member_ids)]

    @staticmethod
    def keys(names: list[str], member_ids: list[str]) -> list[str]:
        """Keys of members, given their communities' names: ``community\\0member`` (no id holds a NUL)."""
        return list(map("\0".join, zip(names, member_ids, strict=True)))

    def unknown(self, keys: list[str]) -> list[str]:
        """The keys without a number, each once, in their order."""
        if None not in (numbers := list(map(self._members.get, keys))):
            return []
        return list(dict.fromkeys(key for key, number in zip(keys, numbers, strict=True) if number is None))

    def add(self, keys: list[str]) -> None:
        """Give unknown members, and their communities where they are unknown too, the next numbers."""
        names, ids = zip(*(key.split("\0") for key in keys), strict=True) if keys else ((), ())
        for name in names:
            if name not in self._communities:
                self._communities[name] = len(self.community_names)
                self.community_names.append(name)
        start = len(self.member_ids)
        self._members.update(zip(keys, range(start, start + len(keys)), strict=True))
        self.member_ids += ids
        self._community_of = grown(self._community_of, len(self.member_ids), -1)
        self._community_of[start : start + len(keys)] = [self._communities[name] for name in names]

    def numbers(self, keys: list[str]) -> Ints:
        """Numbers of known members."""
        return np.array(list(map(self._members.__getitem__, keys)), np.int64)

    def restore_community(self, number: int, name: str) -> None:
        """Give a community the number it had; numbers may come back in any order, gaps are filled with nobody."""
        while len(self.community_names) <= number:
            self.community_names.append("")
        self.community_names[number] = name
        self._communities[name] = number

    def restore_members(self, numbers: Ints, keys: list[str]) -> None:
        """Give members of known communities the numbers they had."""
        if len(numbers) == 0:
            return
        size = int(numbers.max()) + 1
        self.member_ids.extend([""] * (size - len(self.member_ids)))
        self._community_of = grown(self._community_of, size, -1)
        names, ids = zip(*(key.split("\0") for key in keys), strict=True)
        self._community_of[numbers] = [self._communities[name] for name in names]
        for number, member_id in zip(numbers.tolist(), ids, strict=True):
            self.member_ids[number] = member_id
        self._members.update(zip(keys, numbers.tolist(), strict=True))
