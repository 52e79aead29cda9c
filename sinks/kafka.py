"""Records that leave for Kafka during a flush: dead letters, misrouted records, and what programs have to say."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.deadletter import letter_for, to_headers
from schemas.partitioning import partition_for
from schemas.topics import DEADLETTERS
from sinks.kafka_login import KafkaLogin
from streams.errors import FatalSinkError, RetryableSinkError


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


class Outgoing(Protocol):
    """A record of a program's outbox."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def record_id(self) -> str: ...
    @property
    def value(self) -> bytes: ...


_MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""What the dead-letter topic takes: a record as large as an event topic takes, plus headers."""
_IN_FLIGHT = 20_000
"""Records sent before their acknowledgements are looked at; bounds the memory of a large outbox."""


class KafkaSink:
    """Sends records and waits until all in-sync replicas have them."""

    def __init__(self, where: KafkaLogin | str, partitions: int, worker_version: str) -> None:
        self._login = KafkaLogin.of(where)
        self._bootstrap_servers = self._login.bootstrap_servers
        self._partitions = partitions
        self._worker_version = worker_version
        self._producer: KafkaProducer | None = None
        self._connecting = threading.Lock()  # partitions flush side by side

    def send(self, refused: Sequence[Refused], misrouted: Sequence[Refused]) -> None:
        """Send dead letters and forwarded records.

        The same record may be sent again after a crash: dead letters carry where they come from, and a forwarded
        event is recognised by its id.

        Raises:
            RetryableSinkError: a broker did not acknowledge in time; send all of them again.
            KafkaRefused: the user may not write there, or not any more.
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
            self._raise_refusal(error)
            raise RetryableSinkError(
                f"Kafka at {self._bootstrap_servers} did not take dead letters or forwarded records: {error!r}"
            ) from error

    def send_outbox(self, records: Sequence[Outgoing]) -> None:
        """Send records in their order, each to its key's partition.

        After a crash all of them are sent again: their readers know them by id and revision.

        Raises:
            RetryableSinkError: a broker did not acknowledge in time; send all of them again.
            FatalSinkError: a record is larger than a topic takes.
            KafkaRefused: the user may not write there, or not any more.
        """
        try:
            producer = self._connected()
            for start in range(0, len(records), _IN_FLIGHT):
                waiting = []
                for one in records[start : start + _IN_FLIGHT]:
                    key = one.key.encode()
                    home = partition_for(key, self._partitions)
                    waiting.append((one, producer.send(one.topic, key=key, value=one.value, partition=home)))
                producer.flush(timeout=30)
                for one, sent in waiting:  # noqa: B007  # names the record in the error below
                    sent.get(timeout=0)
        except MessageSizeTooLargeError as error:
            raise FatalSinkError(
                f"record {one.record_id} of {len(one.value)} bytes is larger than {one.topic} takes; "
                "raise max.message.bytes of the topic, and please report it"
            ) from error
        except KafkaError as error:
            self._raise_refusal(error)
            raise RetryableSinkError(
                f"Kafka at {self._bootstrap_servers} did not take {len(records)} records: {error!r}"
            ) from error

    def close(self) -> None:
        """Give the connections back."""
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _raise_refusal(self, error: KafkaError) -> None:
        """A right that was taken away does not come back by trying again."""
        refused = self._login.refusal(error, "to write records of a flush")
        if refused is not None:
            raise refused from error

    def _connected(self) -> KafkaProducer:
        with self._connecting:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **self._login.options(),
                    acks="all",
                    enable_idempotence=True,  # a repeated request must not overtake the one after it
                    linger_ms=5,
                    retries=3,
                    max_request_size=_MAX_REQUEST_BYTES,
                )
            return self._producer
