"""What leaves a partition for Kafka: records that ride in the checkpoint and are sent once it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """A record for another topic. It may be sent again after a crash: readers keep the highest revision of an id.

    ``value`` is JSON that holds the id and the revision too, at most a megabyte; ``key`` decides the partition (default
    partitioner). Records of one key arrive in the order in which they were given.
    """

    topic: str
    key: str
    record_id: str
    revision: int
    value: bytes
