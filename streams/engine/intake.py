"""From fetched records to a chunk of decoded events with numbers, hashes and a place in the merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.codec import DecodedChunk, Decoder
from schemas.partitioning import partition_for
from schemas.topics import EVENT_TOPICS, TYPE_OF
from streams.engine.dedup import MAX_COMMUNITIES, describe, hashes
from streams.errors import QunpulseError
from streams.operators.base import Ints, Keys
from streams.operators.directory import Directory

ACTOR = {"message": "member_id", "join": "member_id", "order": "member_id", "referral": "referrer_id"}
"""The field that names who acted."""


class Record(Protocol):
    """A Kafka record as fetched; ``timestamp`` is the broker's append time in ms."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that is not applied here, with all that its dead letter or its forwarding needs."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    code: str
    detail: str


@dataclass(slots=True)
class Chunk:
    """Decoded records of one topic-partition, in offset order. A part of it may have been released already.

    ``offsets`` and ``merge_key`` have one entry a record; ``position`` tells, for each event, which record it is.
    Refused and misrouted records have no event; ``refused`` and ``misrouted`` name them by record position.
    """

    topic: str
    partition: int
    event_type: str
    records: Sequence[Record]
    offsets: Ints
    merge_key: Ints
    position: Ints
    occurred_at_ms: Ints
    community: Ints
    member: Ints
    hashed: npt.NDArray[Any]
    what: Keys
    columns: dict[str, list[Any]]
    refused: dict[int, RefusedRecord] = field(default_factory=dict)
    misrouted: dict[int, RefusedRecord] = field(default_factory=dict)
    arrival: int = 0
    released: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def topic_number(self) -> int:
        """Position of the topic among the event topics."""
        return EVENT_TOPICS.index(self.topic)

    def refuse(self, position: int, code: str, detail: str) -> RefusedRecord:
        """The record at a position, with the reason why it is not applied."""
        record = self.records[position]
        return RefusedRecord(
            self.topic, self.partition, record.offset, record.timestamp, record.key, record.value, code, detail
        )


class Intake:
    """Decodes the records of one partition; knows which communities belong to it."""

    def __init__(self, partition: int, partitions: int, decoder: Decoder, directory: Directory) -> None:
        self._partition = partition
        self._partitions = partitions
        self._decoder = decoder
        self._directory = directory
        self._home: dict[str, int] = {}

    def take(self, topic: str, records: Sequence[Record], latest_ms: int) -> Chunk:
        """Decode records of one topic.

        Args:
            topic: one of the event topics.
            records: in offset order, at least one.
            latest_ms: the largest event time seen in this topic so far; the chunk's merge keys rise from it.

        Raises:
            QunpulseError: the partition has more communities than the dedup index can number.
        """
        first, last = records[0].offset, records[-1].offset
        if last - first == len(records) - 1:
            offsets = np.arange(first, last + 1, dtype=np.int64)
        else:  # transactions and compaction leave gaps
            offsets = np.array([record.offset for record in records], np.int64)
        appended_ms = np.array([record.timestamp for record in records], np.int64)
        values = [record.value for record in records]
        decoded = self._decoder.decode(TYPE_OF[topic], values, appended_ms)
        misrouted, keys = self._settle_members(decoded)
        columns, times = decoded.columns, decoded.occurred_at_ms
        member = self._directory.numbers(keys)
        community = self._directory.community_of[member]
        merge_key = np.full(len(records), np.iinfo(np.int64).min)
        merge_key[decoded.valid] = times
        chunk = Chunk(
            topic=topic,
            partition=self._partition,
            event_type=decoded.event_type,
            records=records,
            offsets=offsets,
            merge_key=np.maximum.accumulate(np.maximum(merge_key, latest_ms)),
            position=decoded.valid,
            occurred_at_ms=times,
            community=community,
            member=member,
            hashed=hashes(EVENT_TOPICS.index(topic), columns["community_id"], columns["event_id"]),
            what=describe(community, member, times, for_ever=decoded.event_type == "referral"),
            columns=columns,
        )
        chunk.refused = {one.index: chunk.refuse(one.index, one.code, one.detail) for one in decoded.refusals}
        chunk.misrouted = {at: chunk.refuse(at, "misrouted", name) for at, name in misrouted.items()}
        return chunk

    def _settle_members(self, decoded: DecodedChunk) -> tuple[dict[int, str], list[str]]:
        """Give new members their numbers and take events of foreign communities out.

        Returns:
            The communities of the events taken out, by record position, and the member key of each event that stays.
        """
        actor = ACTOR[decoded.event_type]
        keys = self._directory.keys(decoded.columns["community_id"], decoded.columns[actor])
        unknown = self._directory.unknown(keys)
        if not unknown:
            return {}, keys  # a member that is known belongs here
        names = {key.partition("\0")[0] for key in unknown}
        foreign = {name for name in names if self._home_of(name) != self._partition}
        misrouted: dict[int, str] = {}
        if foreign:
            misrouted = _take_out(decoded, foreign)
            keys = self._directory.keys(decoded.columns["community_id"], decoded.columns[actor])
            unknown = self._directory.unknown(keys)
        self._directory.add(unknown)
        if len(self._directory.community_names) > MAX_COMMUNITIES:
            raise QunpulseError(
                f"partition {self._partition} has more than {MAX_COMMUNITIES} communities; "
                "use more partitions (this needs a rebuild)"
            )
        return misrouted, keys

    def _home_of(self, community: str) -> int:
        home = self._home.get(community)
        if home is None:
            home = self._home[community] = partition_for(community.encode(), self._partitions)
        return home


def _take_out(decoded: DecodedChunk, foreign: set[str]) -> dict[int, str]:
    """Take events of the given communities out of a chunk; returns their communities by record position."""
    names = decoded.columns["community_id"]
    away = np.fromiter((name in foreign for name in names), np.bool_, len(names))
    misrouted = {int(decoded.valid[at]): names[at] for at in np.flatnonzero(away).tolist()}
    stay = np.flatnonzero(~away)
    decoded.valid = decoded.valid[stay]
    decoded.occurred_at_ms = decoded.occurred_at_ms[stay]
    kept = stay.tolist()
    decoded.columns = {name: [column[at] for at in kept] for name, column in decoded.columns.items()}
    return misrouted
