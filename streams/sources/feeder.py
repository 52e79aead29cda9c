"""Files of history into Kafka, merged by event time, each line exactly as it stands.

Workers merge the topics of a partition by event time, but cannot wait for what is not in Kafka yet. So the feed goes
out in windows of half the allowed lateness, and a window waits until Kafka has acknowledged the last but one before it.
What is on its way then spans less than the lateness, and no record of a slower topic can come late (design 3). Lateness
is judged by community: a feed in which every community has one topic only needs no windows and runs free.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from schemas.partitioning import partition_for
from sinks.kafka_login import KafkaLogin
from streams.errors import KafkaUnavailable
from streams.kafka_cluster import KafkaCluster
from streams.kafka_rights import Right
from streams.settings import Settings
from streams.sources.files import EventFile, Routes, merged, read_event_file
from streams.sources.ledger import FeedLedger

CHUNK_RECORDS: Final = 5_000
CHUNKS_IN_FLIGHT: Final = 4
BATCH_BYTES: Final = 256 * 1024
LEDGER_INTERVAL_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 20
"""How long a broker may be silent before the feed gives up."""
CLOSING_SECONDS: Final = 3
WINDOWS_IN_FLIGHT: Final = 2
"""Together they span the lateness: more of them would let records come late, fewer would wait for every round trip."""


@dataclass(frozen=True)
class FeedResult:
    """What one feed did; times are ms since 1970 UTC of what was sent, None when nothing was."""

    sent: int
    skipped: int  # fed before, or given twice
    seconds: float
    first_ms: int | None
    last_ms: int | None


def feed_files(
    paths: Sequence[Path],
    settings: Settings,
    ledger: FeedLedger,
    progress: Callable[[int, int], None] = lambda sent, total: None,
) -> FeedResult:
    """Send what the ledger does not know yet of these files; returns when Kafka has acknowledged all of it.

    `progress` is told (records acknowledged, records to send); what it raises ends the feed. The ledger is saved every
    half second and at the end, however that comes about; records sent after the last save come again next time and
    count as duplicates. Raises InputError for files, KafkaUnavailable for the broker.
    """
    started = time.perf_counter()
    routes = Routes()
    files = {file.content_hash: file for file in (read_event_file(path, routes) for path in paths)}
    partitions, cluster_id = _look_at(settings.kafka(), {route.topic for route in routes.listed})
    feed = _Feed(list(files.values()), routes, partitions, ledger, cluster_id, settings)
    try:
        if feed.total:
            asyncio.run(feed.run(progress))
    except (KafkaError, OSError) as error:
        refused = settings.kafka().refusal(error, "to write events")
        if refused is not None:
            raise refused from None
        raise KafkaUnavailable(
            f"Kafka at {settings.kafka_bootstrap_servers} stopped taking records: "
            f"{str(error) or type(error).__name__}; "
            "check that it runs, then feed again: it goes on where it stopped"
        ) from None
    finally:
        if feed.acknowledged:
            ledger.save()
    return FeedResult(
        sent=feed.total,
        skipped=sum(len(file) for file in files.values()) - feed.total,
        seconds=time.perf_counter() - started,
        first_ms=int(feed.times_ms[0]) if feed.total else None,
        last_ms=int(feed.times_ms[-1]) if feed.total else None,
    )


def _look_at(login: KafkaLogin, topics: set[str]) -> tuple[dict[str, int], str]:
    """Partition count of each topic, and the cluster's id."""
    with KafkaCluster(login) as cluster:
        cluster.require([Right("topic", topic, "WRITE") for topic in sorted(topics)])
        partitions = cluster.partitions(topics)
        cluster_id = cluster.cluster_id()
    missing = sorted(topics - partitions.keys())
    if missing:
        raise KafkaUnavailable(
            f"Kafka at {login.bootstrap_servers} has no topic {', '.join(missing)}; "
            "create them with `qunpulse topics apply`"
        )
    return partitions, cluster_id


@dataclass(frozen=True)
class _Chunk:
    """Lines `[begin, end)` of the feed on their way; `futures` are done when Kafka has them."""

    begin: int
    end: int
    futures: list[asyncio.Future[Any]]


class _Feed:
    """One run: the merged lines that are left, and how far Kafka has acknowledged them."""

    def __init__(
        self,
        files: list[EventFile],
        routes: Routes,
        partitions: dict[str, int],
        ledger: FeedLedger,
        cluster_id: str,
        settings: Settings,
    ) -> None:
        self._files = files
        self._ledger = ledger
        self._cluster_id = cluster_id
        self._login = settings.kafka()
        self._fed = [ledger.position(cluster_id, file.content_hash) for file in files]
        self._file_of, self._line_of = merged(files, self._fed)
        self.total = len(self._file_of)
        self.acknowledged = 0
        self.times_ms = self._gather([file.times_ms for file in files], np.int64)
        self._keys = [route.key for route in routes.listed]
        places = [(route.topic, partition_for(route.key, partitions[route.topic])) for route in routes.listed]
        self._places = sorted(set(places))
        number_of = {place: number for number, place in enumerate(self._places)}
        self._place_of_route = [number_of[place] for place in places]
        self._routes = self._gather([file.routes for file in files], np.int32)
        lateness_ms = settings.allowed_lateness_seconds * 1000
        communities = [key for key in self._keys if key]
        has_neighbours = len(set(communities)) < len(communities)  # the same community on two topics
        self._window_ms = max(lateness_ms // WINDOWS_IN_FLIGHT, 1) if has_neighbours else None
        self._saved_at = time.monotonic()

    def _gather(self, columns: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        """A column of the files in merged order."""
        result = np.empty(self.total, dtype)
        for number, column in enumerate(columns):
            here = self._file_of == number
            result[here] = column[self._line_of[here]]
        return result

    async def run(self, progress: Callable[[int, int], None]) -> None:
        """Send everything in order, with a few chunks on their way at a time."""
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what matters is restated as KafkaUnavailable
        producer = AIOKafkaProducer(
            **self._login.options(),
            client_id="qunpulse-feeder",
            acks="all",
            enable_idempotence=True,  # a retried batch neither repeats nor overtakes
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=PATIENCE_SECONDS * 1000,
        )
        await producer.start()
        on_their_way: deque[_Chunk] = deque()
        try:
            for begin, end in self._chunks():
                while on_their_way and self._must_wait(on_their_way, end):
                    await self._acknowledge(on_their_way, progress)
                on_their_way.append(_Chunk(begin, end, await self._send(producer, begin, end)))
                await asyncio.sleep(0)  # lets the producer's sender take the batches
            while on_their_way:
                await self._acknowledge(on_their_way, progress)
        finally:
            # With the broker gone it would wait for what can no longer leave.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(producer.stop(), CLOSING_SECONDS)
            # Whoever interrupts the feed finds what was on its way in Kafka: it must not come again.
            while on_their_way and all(map(_arrived, on_their_way[0].futures)):
                self._note(on_their_way.popleft())

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Bounds of runs of lines, none longer than a window of event time."""
        begin = 0
        while begin < self.total:
            end = min(begin + CHUNK_RECORDS, self.total)
            if self._window_ms is not None:
                until = self.times_ms[begin] + self._window_ms
                end = begin + max(1, int(np.searchsorted(self.times_ms[begin:end], until)))
            yield begin, end
            begin = end

    def _must_wait(self, on_their_way: deque[_Chunk], end: int) -> bool:
        if self._window_ms is None:
            return len(on_their_way) >= CHUNKS_IN_FLIGHT
        span = self.times_ms[end - 1] - self.times_ms[on_their_way[0].begin]
        return bool(span >= self._window_ms * WINDOWS_IN_FLIGHT) or len(on_their_way) >= CHUNKS_IN_FLIGHT

    async def _send(self, producer: AIOKafkaProducer, begin: int, end: int) -> list[asyncio.Future[Any]]:
        """Put the lines in batches, one open at a time for each partition, in their order."""
        contents = [file.content for file in self._files]
        starts, ends = self._bounds(begin, end)
        now_ms = int(time.time() * 1000)
        batches: dict[int, Any] = {}
        futures: list[asyncio.Future[Any]] = []
        keys, place_of_route = self._keys, self._place_of_route
        rows = zip(self._routes[begin:end].tolist(), self._file_of[begin:end].tolist(), starts, ends, strict=True)
        for route, file_number, start, stop in rows:
            place = place_of_route[route]
            batch = batches.get(place)
            if batch is None:
                batch = batches[place] = producer.create_batch()
            value = contents[file_number][start:stop]
            if batch.append(key=keys[route], value=value, timestamp=now_ms) is None:
                futures.append(await self._leave(producer, batch, place))
                batch = batches[place] = producer.create_batch()
                batch.append(key=keys[route], value=value, timestamp=now_ms)  # the first one always fits
        futures += [await self._leave(producer, batch, place) for place, batch in batches.items()]
        return futures

    def _bounds(self, begin: int, end: int) -> tuple[list[int], list[int]]:
        file_of, line_of = self._file_of[begin:end], self._line_of[begin:end]
        starts, ends = np.empty(end - begin, np.int64), np.empty(end - begin, np.int64)
        for number in np.unique(file_of).tolist():
            here = file_of == number
            starts[here] = self._files[number].starts[line_of[here]]
            ends[here] = self._files[number].ends[line_of[here]]
        return starts.tolist(), ends.tolist()

    async def _leave(self, producer: AIOKafkaProducer, batch: Any, place: int) -> asyncio.Future[Any]:
        topic, partition = self._places[place]
        batch.close()
        future: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
        return future

    async def _acknowledge(self, on_their_way: deque[_Chunk], progress: Callable[[int, int], None]) -> None:
        """Wait until Kafka has the oldest chunk."""
        futures = on_their_way[0].futures
        while (await asyncio.wait(futures, timeout=HEARTBEAT_SECONDS))[1]:
            progress(self.acknowledged, self.total)  # whoever watches may know why nothing moves, and end it
        for future in futures:
            future.result()
        self._note(on_their_way.popleft())
        now = time.monotonic()
        if now - self._saved_at >= LEDGER_INTERVAL_SECONDS:
            self._saved_at = now
            self._ledger.save()
        progress(self.acknowledged, self.total)

    def _note(self, chunk: _Chunk) -> None:
        self.acknowledged = chunk.end
        counts = np.bincount(self._file_of[chunk.begin : chunk.end], minlength=len(self._files)).tolist()
        for number, count in enumerate(counts):
            if count:
                file = self._files[number]
                self._fed[number] += count
                self._ledger.advance(
                    self._cluster_id, file.content_hash, name=file.path.name, records=len(file), fed=self._fed[number]
                )


def _arrived(sent: asyncio.Future[Any]) -> bool:
    return sent.done() and not sent.cancelled() and sent.exception() is None
