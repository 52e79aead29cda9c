"""What nodes and edges of referral forests are called and said of, by the numbers that the forest works with."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.facts import EdgeFact, edge_id
from streams.operators.base import Ints
from streams.operators.hash_index import UNKNOWN_ROW, HashIndex, distinct, hashes_of
from streams.operators.referral_graph import Tie
from streams.operators.text_column import TextColumn
from streams.operators.word_list import WordList

ORIGINS = ("join", "referral")
"""In the order of their topics' names."""

_ORIGIN_CODE = {origin: code for code, origin in enumerate(ORIGINS)}
_FIELDS = (
    "campaign_id", "community_id", "occurred_at", "referrer_id", "referee_id", "origin", "event_id", "via", "source",
    "platform", "outside_campaign",
)  # fmt: skip


class EdgeList(NamedTuple):
    """What the facts of edges say, a list a field: no object an edge is kept or made again."""

    campaigns: list[str]
    communities: list[str]
    occurred_ms: list[int]
    referrers: list[str]
    referees: list[str]
    origins: list[str]
    event_ids: list[str]
    via: list[str]
    sources: list[str]
    platforms: list[str]
    outside: list[bool]

    @classmethod
    def of(cls, facts: Sequence[EdgeFact]) -> EdgeList:
        """The fields of some facts, at least one."""
        # Field by field: a tuple a fact, turned over afterwards, takes eight times as long.
        fields: list[list[Any]] = [list(map(attrgetter(name), facts)) for name in _FIELDS]
        return cls(*fields)

    @classmethod
    def none(cls) -> EdgeList:
        """No edges."""
        return cls([], [], [], [], [], [], [], [], [], [], [])

    @property
    def size(self) -> int:
        """How many edges there are."""
        return len(self.campaigns)

    def part(self, places: list[int]) -> EdgeList:
        """Some of the edges."""
        fields: list[list[Any]] = [[field[at] for at in places] for field in self]
        return EdgeList(*fields)

    def extend(self, more: EdgeList) -> None:
        """Add edges."""
        fields: Iterable[tuple[list[Any], list[Any]]] = zip(self, more, strict=True)
        for mine, theirs in fields:
            mine.extend(theirs)


def column(numbers: array[int]) -> npt.NDArray[np.int32]:
    """A column of 4-byte numbers as it is now, to be read and set; not to be kept, since it could not grow."""
    return np.frombuffer(numbers, np.int32)


def flags(numbers: array[int]) -> npt.NDArray[np.int8]:
    """The same for a column of one byte."""
    return np.frombuffer(numbers, np.int8)


class NodeColumns:
    """Members of campaigns by node number."""

    def __init__(self) -> None:
        self._index = HashIndex()
        self.campaigns = WordList()
        self.member_ids = TextColumn()
        self.campaign_of = array("i")
        self.is_member = array("b")
        """1 for whoever stands in an edge that is no self-referral."""
        self.refers_as_staff = array("b")

    def __len__(self) -> int:
        return len(self.campaign_of)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return self._index.nbytes + self.member_ids.nbytes + 6 * len(self)

    def find(self, campaigns: list[str], members: list[str]) -> Ints:
        """Numbers of members of campaigns; new ones get the next."""
        codes = np.array(self.campaigns.codes(campaigns), np.int64)
        ids = list(map(str.encode, members))
        rows, new = self._index.find_or_add(hashes_of(ids, codes), len(self))
        if len(new):
            self.member_ids.extend([ids[place] for place in new.tolist()])
            self.campaign_of.frombytes(codes[new].astype(np.int32).tobytes())
            none = array("b", [0]) * len(new)
            self.is_member.extend(none)
            self.refers_as_staff.extend(none)
        return rows


class EdgeColumns:
    """What the events of edges said, by edge number."""

    def __init__(self) -> None:
        self._index = HashIndex()
        self.communities, self.words, self.platforms = WordList(), WordList(), WordList()
        self.platforms.code("")  # no platform is 0
        self.event_ids = TextColumn()
        self.community_of, self.via, self.source = array("i"), array("i"), array("i")
        self.platform = array("i")
        self.origin, self.outside = array("b"), array("b")
        self.landed = array("b")
        """Which states of its credit have a row, a bit each."""

    def __len__(self) -> int:
        return len(self.community_of)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return self._index.nbytes + self.event_ids.nbytes + 19 * len(self)

    def add(self, edges: EdgeList) -> EdgeList:
        """Add edges that are not known; returns these, under the next numbers in this order."""
        # A NUL in no id: these four never run into each other.
        keys = zip(edges.event_ids, edges.communities, edges.origins, edges.campaigns, strict=True)
        hashed = hashes_of(map(str.encode, map("\0".join, keys)))
        first, _ = distinct(hashed)
        first = np.sort(first[self._index.find(hashed[first]) == UNKNOWN_ROW])
        new = edges if len(first) == edges.size else edges.part(first.tolist())
        self._index.add(hashed[first], np.arange(len(self), len(self) + len(first)))
        self.event_ids.extend(list(map(str.encode, new.event_ids)))
        self.community_of.extend(self.communities.codes(new.communities))
        self.origin.extend(map(_ORIGIN_CODE.__getitem__, new.origins))
        self.outside.extend(new.outside)
        self.platform.extend(self.platforms.codes(new.platforms))
        self.via.extend(self.words.codes(new.via))
        self.source.extend(self.words.codes(new.sources))
        self.landed.extend(array("b", [0]) * len(first))
        return new

    def edge_id(self, edge: int) -> str:
        """The id of an edge in its campaign."""
        community = self.communities.words[self.community_of[edge]]
        return edge_id(ORIGINS[self.origin[edge]], community, self.event_ids[edge].decode())

    def tie(self, edge: int) -> Tie:
        """What orders edges of the same time."""
        community = self.communities.words[self.community_of[edge]]
        return self.event_ids[edge], community.encode(), ORIGINS[self.origin[edge]].encode()
