"""Numbers for communities and members, so that everything behind the door works on arrays of integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.operators.base import Ints
from streams.operators.name_index import NameIndex


class Directory:
    """Gives every community, and every member of a community, a number of its own inside one partition.

    Numbers are dense and never reused; they are written with the members' state, so a restart gives the same.
    """

    def __init__(self) -> None:
        self.community_names: list[str] = []
        self.member_ids = NameIndex()
        """The id of each member as the contract has it, by number."""
        self._communities = NameIndex()

    @property
    def community_of(self) -> Ints:
        """Community number by member number."""
        return self.member_ids.scopes

    def communities(self, names: pa.Array) -> Ints:
        """Numbers of communities, -1 for unknown ones."""
        return self._communities.find(np.zeros(len(names), np.int64), names)

    def add_communities(self, names: Sequence[str]) -> None:
        """Give unknown communities, each named once, the next numbers."""
        self._communities.number(np.zeros(len(names), np.int64), pa.array(names, pa.string()))
        self.community_names += names

    def members(self, community: Ints, ids: pa.Array) -> Ints:
        """Numbers of members of known communities; unknown members are given the next ones."""
        return self.member_ids.number(community, ids)

    def find_members(self, community: Ints, ids: pa.Array) -> Ints:
        """Numbers of members, -1 for unknown ones; gives nobody a number."""
        return self.member_ids.find(community, ids)

    def keys(self, members: Ints) -> pa.Array:
        """Keys of members in the state: ``community\\0member`` (no id holds a NUL)."""
        names = pa.array(self.community_names, pa.string()).take(pa.array(self.community_of[members]))
        ids = self.member_ids.names(members)
        return pc.binary_join_element_wise(names.cast(pa.binary()), ids.cast(pa.binary()), b"\0").cast(
            pa.large_binary()
        )

    def number_of(self, community: str, member_id: str) -> int | None:
        """The number of a member, None where it is not known."""
        number = self.communities(pa.array([community], pa.string()))
        if number[0] < 0:
            return None
        found = self.find_members(number, pa.array([member_id], pa.string()))
        return int(found[0]) if found[0] >= 0 else None

    def restore_community(self, number: int, name: str) -> None:
        """Give a community the number it had; numbers may come back in any order, gaps are filled with nobody."""
        while len(self.community_names) <= number:
            self.community_names.append("")
        self.community_names[number] = name
        self._communities.put(np.array([number]), np.zeros(1, np.int64), pa.array([name], pa.string()))

    def restore_members(self, numbers: Ints, keys: pa.Array) -> None:
        """Give members of known communities the numbers they had; ``keys`` are those of :meth:`keys`."""
        if len(numbers) == 0:
            return
        parts = pc.split_pattern(keys.cast(pa.binary()), b"\0", max_splits=1)
        flat = parts.flatten().cast(pa.string())
        names, ids = flat.take(pa.array(np.arange(0, len(flat), 2))), flat.take(pa.array(np.arange(1, len(flat), 2)))
        self.member_ids.put(numbers, self.communities(names), ids)
