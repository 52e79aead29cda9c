"""Where on its platform a referee has been: asked of every partition, answered by those that know it.

A campaign may pay for people only who are new to the whole platform. Their communities may live on any partition, and
none of them knows whom to tell. So the partition of an edge asks all of them about its referee, and each remembers the
question: a community may bring its history later than the answer is due.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from schemas.facts import AskFact, fact_id
from schemas.partitioning import partition_for
from streams.operators.base import Batch, Events, Ints, Mask, StateRows, binary, first_words, grown
from streams.operators.directory import Directory

ASKS, PLATFORMS = "referral_asks", "referral_platforms"

Sighting = tuple[str, str, str]
"""Campaign, community, member to be watched."""


class PlatformAsks:
    """Questions that were asked here, and the platform of each community: that of the first event that names one."""

    def __init__(self, directory: Directory, partitions: int) -> None:
        self._directory = directory
        self._keys = _keys_of(partitions)
        self._platform: dict[int, str] = {}
        self._placed = np.empty(0, np.bool_)
        """Whether the platform of a community is known, by its number."""
        self._communities: dict[str, list[int]] = {}
        """Community numbers by platform."""
        self._asks: dict[tuple[str, str], set[str]] = {}
        """Campaigns by platform and member."""
        self._sent: set[tuple[str, str, str]] = set()
        self._looked_at = 0
        self._learned: list[int] = []
        self._new_asks: set[tuple[str, str]] = set()
        self._new_platforms: list[int] = []

    def platform_of(self, community: int) -> str:
        """The platform of a community; empty while none is known."""
        return self._platform.get(community, "")

    def apply(self, batch: Batch) -> list[int]:
        """Learn the platforms of communities that had their first event with one; returns these communities."""
        before = len(self._learned)
        self._placed = grown(self._placed, len(self._directory.community_names), False)
        for number, platform in first_words(batch, "platform", self._names_one):
            self._learn(number, platform or "")
        placed = self._learned[before:]
        self._new_platforms += placed
        return placed

    def _names_one(self, events: Events) -> Mask:
        """Which events name a platform where none is known yet."""
        unknown = ~self._placed[events.community]
        if not unknown.any():
            return unknown
        return unknown & events.given("platform") & ~events.where("platform", "")

    def _learn(self, number: int, platform: str) -> None:
        self._platform[number] = platform
        self._placed[number] = True
        self._communities.setdefault(platform, []).append(number)
        self._learned.append(number)

    def ask(self, campaign: str, platform: str, community: str, member: str, time_ms: int) -> list[tuple[str, AskFact]]:
        """The questions about a referee, with the key of each; none when they were sent before."""
        if (campaign, platform, member) in self._sent:
            return []
        self._sent.add((campaign, platform, member))
        fact = AskFact(
            fact_id=fact_id("ask", campaign, platform, member),
            revision=1,
            campaign_id=campaign,
            community_id=community,
            occurred_at=time_ms,
            platform=platform,
            referee_id=member,
        )
        return [(key, fact) for key in self._keys]

    def take(self, fact: AskFact) -> list[Sighting]:
        """Remember a question; returns where its member has been."""
        place = (fact.platform, fact.referee_id)
        campaigns = self._asks.setdefault(place, set())
        if fact.campaign_id in campaigns:
            return []
        campaigns.add(fact.campaign_id)
        self._new_asks.add(place)
        numbers = np.array(self._communities.get(fact.platform, []), np.int64)
        found = self._directory.find_members(numbers, pa.repeat(fact.referee_id, len(numbers)))
        names = self._directory.community_names
        return [(fact.campaign_id, names[number], fact.referee_id) for number in numbers[found >= 0].tolist()]

    def sightings(self) -> list[Sighting]:
        """Members asked about that have come since the last call, or whose community's platform has become known."""
        size = len(self._directory.member_ids)
        learned, self._learned = self._learned, []
        first, self._looked_at = self._looked_at, size
        if not self._asks:
            return []
        new = np.arange(first, size)
        if learned:
            of_learned = np.isin(self._directory.community_of[:first], learned)
            new = np.concatenate((np.flatnonzero(of_learned), new))
        communities: Ints = self._directory.community_of[new]
        names = self._directory.member_ids.names(new).to_pylist()
        return [
            (campaign, self._directory.community_names[number], member)
            for member, number in zip(names, communities.tolist(), strict=True)
            for campaign in self._asks.get((self._platform.get(number, ""), member), ())
        ]

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._new_asks) + len(self._new_platforms)

    def dirty(self) -> list[StateRows]:
        """State rows of new questions and platforms."""
        places, self._new_asks = sorted(self._new_asks), set()
        numbers, self._new_platforms = self._new_platforms, []
        names = [self._directory.community_names[number].encode() for number in numbers]
        rows = [
            StateRows(
                ASKS,
                binary(["\0".join(place).encode() for place in places]),
                binary([msgspec.msgpack.encode(sorted(self._asks[place])) for place in places]),
            ),
            StateRows(PLATFORMS, binary(names), binary([self._platform[number].encode() for number in numbers])),
        ]
        return [one for one in rows if len(one)]

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows of one name back; the directory is restored already."""
        self._looked_at = len(self._directory.member_ids)
        pairs = list(zip(keys.to_pylist(), payloads.to_pylist(), strict=True))
        if name == ASKS:
            for key, payload in pairs:
                platform, member = key.decode().split("\0")
                self._asks[platform, member] = set(msgspec.msgpack.decode(payload, type=list[str]))
        else:
            self._placed = grown(self._placed, len(self._directory.community_names), False)
            communities = pa.array([key.decode() for key, _ in pairs], pa.string())
            for number, (_, payload) in zip(self._directory.communities(communities).tolist(), pairs, strict=True):
                self._learn(number, payload.decode())
            self._learned = []


def _keys_of(partitions: int) -> list[str]:
    """A record key for each partition."""
    keys: dict[int, str] = {}
    number = 0
    while len(keys) < partitions:
        key = f"ask-{number}"
        keys.setdefault(partition_for(key.encode(), partitions), key)
        number += 1
    return [keys[partition] for partition in range(partitions)]
