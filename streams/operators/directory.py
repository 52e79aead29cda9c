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
        self.member_keys: list[str] = []  # "community\0member"
        self._communities: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._community_of = np.empty(0, np.int64)

    @property
    def community_of(self) -> Ints:
        """Community number by member number."""
        return self._community_of[: len(self.member_keys)]

    def member_id(self, member: int) -> str:
        """The id of a member as the contract has it."""
        return self.member_keys[member].partition("\0")[2]

    def communities(self, names: list[str]) -> Ints:
        """Numbers of the named communities; unknown ones are given the next numbers."""
        numbers = list(map(self._communities.get, names))
        if None in numbers:
            new = dict.fromkeys(name for name, number in zip(names, numbers, strict=True) if number is None)
            start = len(self.community_names)
            self._communities.update(zip(new, range(start, start + len(new)), strict=True))
            self.community_names += new
            numbers = list(map(self._communities.__getitem__, names))
        return np.array(numbers, np.int64)

    def members(self, names: list[str], member_ids: list[str]) -> Ints:
        """Numbers of members of known communities; unknown members are given the next numbers."""
        keys = list(map("\0".join, zip(names, member_ids, strict=True)))
        numbers = list(map(self._members.get, keys))
        if None in numbers:
            new = dict.fromkeys(key for key, number in zip(keys, numbers, strict=True) if number is None)
            start = len(self.member_keys)
            self._members.update(zip(new, range(start, start + len(new)), strict=True))
            self.member_keys += new
            homes = [self._communities[key.partition("\0")[0]] for key in new]
            self._community_of = grown(self._community_of, len(self.member_keys), -1)
            self._community_of[start : start + len(new)] = homes
            numbers = list(map(self._members.__getitem__, keys))
        return np.array(numbers, np.int64)

    def restore_community(self, number: int, name: str) -> None:
        """Give a community the number it had; numbers may come back in any order, gaps are filled with nobody."""
        while len(self.community_names) <= number:
            self.community_names.append("")
        self.community_names[number] = name
        self._communities[name] = number

    def restore_members(self, numbers: Ints, keys: list[str], community: Ints) -> None:
        """Give members the numbers they had."""
        if len(numbers) == 0:
            return
        size = int(numbers.max()) + 1
        if size > len(self.member_keys):
            self.member_keys.extend([""] * (size - len(self.member_keys)))
        self._community_of = grown(self._community_of, size, -1)
        self._community_of[numbers] = community
        for number, key in zip(numbers.tolist(), keys, strict=True):
            self.member_keys[number] = key
        self._members.update(zip(keys, numbers.tolist(), strict=True))
