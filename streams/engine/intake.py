"""From fetched records to a chunk of decoded events with numbers, hashes and a place in the merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.codec import DecodedChunk, Decoder
from schemas.columns import Columns
from schemas.partitioning import partition_for
from schemas.topics import EVENT_TOPICS, TYPE_OF
from streams.engine.dedup import MAX_COMMUNITIES, EventHasher, describe
from streams.engine.record_block import RecordBlock
from streams.errors import QunpulseError
from streams.operators.base import Ints, Keys
from streams.operators.directory import Directory

ACTOR = {"message": "member_id", "join": "member_id", "order": "member_id", "referral": "referrer_id"}
"""The field that names who acted."""


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

    ``records`` and ``merge_key`` have one entry a record; ``position`` tells, for each event, which record it is.
    Refused and misrouted records have no event; ``refused`` and ``misrouted`` name them by record position.
    """

    topic: str
    partition: int
    event_type: str
    records: RecordBlock
    merge_key: Ints
    position: Ints
    occurred_at_ms: Ints
    community: Ints
    member: Ints
    hashed: npt.NDArray[Any]
    what: Keys
    columns: Columns
    refused: dict[int, RefusedRecord] = field(default_factory=dict)
    misrouted: dict[int, RefusedRecord] = field(default_factory=dict)
    arrival: int = 0
    released: int = 0

    def __len__(self) -> int:
        return len(self.records)

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
        self._hasher = EventHasher()
        self._home: dict[str, int] = {}

    def take(self, topic: str, records: RecordBlock, latest_ms: int) -> Chunk:
        """Decode records of one topic.

        Args:
            topic: one of the event topics.
            records: in offset order, at least one.
            latest_ms: the largest event time seen in this topic so far; the chunk's merge keys rise from it.

        Raises:
            QunpulseError: the partition has more communities than the dedup index can number.
        """
        decoded = self._decoder.decode(TYPE_OF[topic], records.values, records.timestamps_ms)
        community, misrouted = self._settle_communities(decoded)
        columns, times = decoded.columns, decoded.occurred_at_ms
        member = self._directory.members(community, columns.arrow(ACTOR[decoded.event_type]))
        merge_key = np.full(len(records), np.iinfo(np.int64).min)
        merge_key[decoded.valid] = times
        topic_number = EVENT_TOPICS.index(topic)
        names = self._directory.community_names
        chunk = Chunk(
            topic=topic,
            partition=self._partition,
            event_type=decoded.event_type,
            records=records,
            merge_key=np.maximum.accumulate(np.maximum(merge_key, latest_ms)),
            position=decoded.valid,
            occurred_at_ms=times,
            community=community,
            member=member,
            hashed=self._hasher.hashes(topic_number, names, community, columns.arrow("event_id")),
            what=describe(community, member, times, for_ever=decoded.event_type == "referral"),
            columns=columns,
        )
        chunk.refused = {one.index: chunk.refuse(one.index, one.code, one.detail) for one in decoded.refusals}
        chunk.misrouted = {at: chunk.refuse(at, "misrouted", name) for at, name in misrouted.items()}
        return chunk

    def _settle_communities(self, decoded: DecodedChunk) -> tuple[Ints, dict[int, str]]:
        """Give new communities their numbers and take events of foreign ones out.

        Returns:
            The community of each event that stays, and the names of the others' by record position.
        """
        names = decoded.columns.arrow("community_id")
        community = self._directory.communities(names)
        unknown = np.flatnonzero(community < 0)  # one that is known belongs here
        if len(unknown) == 0:
            return community, {}
        new = names.take(pa.array(unknown)).unique().to_pylist()
        foreign = {name for name in new if self._home_of(name) != self._partition}
        misrouted: dict[int, str] = {}
        if foreign:
            misrouted = _take_out(decoded, foreign)
        self._directory.add_communities([name for name in new if name not in foreign])
        if len(self._directory.community_names) > MAX_COMMUNITIES:
            raise QunpulseError(
                f"partition {self._partition} has more than {MAX_COMMUNITIES} communities; "
                "use more partitions (this needs a rebuild)"
            )
        return self._directory.communities(decoded.columns.arrow("community_id")), misrouted

    def _home_of(self, community: str) -> int:
        home = self._home.get(community)
        if home is None:
            home = self._home[community] = partition_for(community.encode(), self._partitions)
        return home


def _take_out(decoded: DecodedChunk, foreign: set[str]) -> dict[int, str]:
    """Take events of the given communities out of a chunk; returns their communities by record position."""
    names = decoded.columns.arrow("community_id")
    away = pc.is_in(names, pa.array(sorted(foreign), pa.string())).to_numpy(zero_copy_only=False)
    gone = np.flatnonzero(away)
    found = names.take(pa.array(gone)).to_pylist()
    misrouted = dict(zip(decoded.valid[gone].tolist(), found, strict=True))
    stay = np.flatnonzero(~away)
    decoded.valid = decoded.valid[stay]
    decoded.occurred_at_ms = decoded.occurred_at_ms[stay]
    decoded.columns = decoded.columns.take(stay)
    return misrouted
