"""The live simulated feed of `qunpulse up`, in a thread of its own."""

from __future__ import annotations

import json
import logging
import secrets
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from streams.errors import KafkaUnavailable, QunpulseError

if TYPE_CHECKING:
    from streams.settings import Settings


class LiveFeed:
    """Sends simulated events of now, about `rate` a second, while the context lasts."""

    def __init__(self, settings: Settings, rate: float) -> None:
        self._login = settings.kafka()
        self._rate = rate
        self._stop = Event()
        self._thread = Thread(target=self._run, name="live feed", daemon=True)
        self._failure: QunpulseError | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def check(self) -> None:
        """Raise what ended the feed, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        from schemas.topics import TOPIC_OF
        from streams.simulation import live_events

        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        try:
            producer = KafkaProducer(**self._login.options(), linger_ms=20, acks="all")
            try:
                for event in live_events(secrets.randbelow(2**31), self._rate, sleep=self._stop.wait):
                    if self._stop.is_set():
                        return
                    producer.send(
                        TOPIC_OF[event["event_type"]],
                        key=event["community_id"].encode(),
                        value=json.dumps(event, ensure_ascii=False).encode(),
                    )
            finally:
                producer.close(timeout=5)
        except KafkaError as error:
            self._failure = KafkaUnavailable(f"the live feed ended: Kafka at {self._login.bootstrap_servers}: {error}")
