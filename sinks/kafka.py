"""Records that leave for Kafka during a flush: dead letters with their original bytes, and misrouted records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.deadletter import letter_for, to_headers
from schemas.partitioning import partition_for
from schemas.topics import DEADLETTERS
from streams.errors import RetryableSinkError


class Refused(Protocol):
    """A record that was not applied, and why; of a misrouted one `detail` is its community."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def code(self) -> Any: ...
    @property
    def detail(self) -> str: ...


class KafkaSink:
    """Sends records and waits until all in-sync replicas have them."""

    def __init__(self, bootstrap_servers: str, partitions: int, worker_version: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._partitions = partitions
        self._worker_version = worker_version
        self._producer: KafkaProducer | None = None

    def send(self, refused: Sequence[Refused], misrouted: Sequence[Refused]) -> None:
        """Send dead letters and forwarded records.

        The same record may be sent again after a crash: dead letters carry where they come from, and a forwarded
        event is recognised by its id.

        Raises:
            RetryableSinkError: a broker did not acknowledge in time; send all of them again.
        """
        try:
            producer = self._connected()
            waiting = [
                producer.send(
                    DEADLETTERS,
                    key=one.key,
                    value=one.value,
                    headers=to_headers(
                        letter_for(
                            one.code,
                            one.detail,
                            topic=one.topic,
                            partition=one.partition,
                            offset=one.offset,
                            timestamp_ms=one.timestamp_ms,
                            worker_version=self._worker_version,
                        )
                    ),
                )
                for one in refused
            ]
            for one in misrouted:
                community = one.detail.encode()
                home = partition_for(community, self._partitions)
                waiting.append(producer.send(one.topic, key=community, value=one.value, partition=home))
            producer.flush(timeout=30)
            for sent in waiting:
                sent.get(timeout=0)
        except KafkaError as error:
            raise RetryableSinkError(
                f"Kafka at {self._bootstrap_servers} did not take dead letters or forwarded records: {error!r}"
            ) from error

    def close(self) -> None:
        """Give the connections back."""
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap_servers.split(","), acks="all", linger_ms=5, retries=3
            )
        return self._producer
