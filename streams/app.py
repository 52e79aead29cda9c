"""Wires everything: settings → servers → engine → one Faust agent; and runs it until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faust
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.types import AppT, EventT

from schemas.codec import Decoder
from schemas.topics import OUTBOX_TOPICS, READ_TOPICS
from sinks.clickhouse import ClickHouse
from sinks.kafka import KafkaSink
from sinks.retry import retry_call
from streams.clickhouse_connection import connect
from streams.community_rules import land_rules
from streams.engine.flush import Flush
from streams.engine.ownership import Ownership
from streams.engine.partition import PartitionSettings
from streams.engine.transport import BatchTransport
from streams.engine.worker import Worker
from streams.errors import ConfigError, KafkaUnavailable, QunpulseError
from streams.kafka_cluster import KafkaCluster
from streams.kafka_rights import rights_of
from streams.logs import set_up_logging
from streams.metrics import WorkerMetrics, installed_version
from streams.model_file import load_model
from streams.observability import ObservabilityServer
from streams.operators.program import ProgramsOf
from streams.programs import Alerting, programs_of
from streams.pseudonyms import Pseudonyms
from streams.rules import RulesFile
from streams.settings import Settings
from streams.wall_clock import WallClock
from streams.warm_up import warm_up

log = logging.getLogger("qunpulse")

_QUEUED_BATCHES = 16
"""Folded batches that may wait between fetch and agent; each may hold thousands of records."""


def create_app(settings: Settings, folder: Path) -> faust.App:
    """The Faust app: its consumer is ours, and all that Faust keeps by itself is switched off.

    ``folder`` is the one Faust insists on making for its tables; it stays empty.
    """
    brokers = ";".join(f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(","))
    return faust.App(
        settings.group_id,
        broker=brokers,
        broker_credentials=_credentials(settings),
        value_serializer="raw",
        store="memory://",
        datadir=str(folder),
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        web_enabled=False,
        stream_buffer_maxsize=_QUEUED_BATCHES,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        broker_max_poll_records=settings.batch_max_records,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=max(settings.session_timeout_seconds / 4, 0.5),
        broker_rebalance_timeout=max(settings.session_timeout_seconds, 30),
        # aiokafka lets a consumer without fetches leave the group, or never join it again (its issue 1187: a stand-by
        # without partitions). Our watchdog speaks of lag instead.
        broker_max_poll_interval=10 * 365 * 86_400.0,
        broker_commit_interval=1.0,
        stream_processing_timeout=3600.0,  # our own watchdog speaks of lag, not of acks that never come
        broker_commit_livelock_soft_timeout=3600.0,
    )


def _credentials(settings: Settings) -> Credentials | None:
    login = settings.kafka()
    if login.with_password:
        return SASLCredentials(
            username=login.user,
            password=login.password,
            ssl_context=login.tls() if login.encrypted else None,
            mechanism=login.sasl_mechanism,
        )
    return SSLCredentials(login.tls()) if login.encrypted else None


class _FoldedSchema(faust.Schema):
    """Hands a folded batch on as it is: there is nothing to deserialise."""

    def compile(self, app: AppT, **_: Any) -> Callable[..., Any]:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> EventT:
            return create_event(None, message.value, message.headers, message)

        return decode


def run_worker(settings: Settings, programs: Callable[[RulesFile], ProgramsOf] | None = None) -> None:
    """Run one worker until SIGTERM or SIGINT; flushes and releases its partitions before it returns.

    ``programs`` replaces the business logic of `streams.programs`.

    Raises:
        QunpulseError: the worker had to stop; the message says why and what to do.
    """
    set_up_logging(settings.log_level, settings.log_format)
    # A batch makes hundreds of thousands of short-lived objects and no cycles: the default thresholds would walk the
    # whole heap several times a batch.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    asyncio.run(_run(settings, programs or partial(programs_of, alerting=_alerting(settings))))


async def _run(settings: Settings, programs: Callable[[RulesFile], ProgramsOf]) -> None:
    stop = threading.Event()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    rules = RulesFile(settings.rules_file)
    metrics = WorkerMetrics()
    heart = _Heart()
    wanted: list[str] = ["partitions not assigned"]
    server = ObservabilityServer(
        metrics.registry,
        heartbeat_age=heart.age_seconds,
        missing=lambda: wanted,
        host=settings.metrics_host,
        port=settings.metrics_port,
        token=settings.metrics_token.get_secret_value(),
    ).start()
    beating = asyncio.create_task(heart.beat())
    try:
        await asyncio.gather(asyncio.to_thread(_check_topics, settings), asyncio.to_thread(warm_up))
        clickhouse = await _connect(settings, stop)
        records = KafkaSink(settings.kafka(), settings.partitions, installed_version())
        worker = Worker(
            settings,
            PartitionSettings(
                partitions=settings.partitions,
                generation=settings.generation,
                lateness_ms=settings.allowed_lateness_seconds * 1000,
                batch_max_records=settings.batch_max_records,
                worker_version=installed_version(),
                max_record_bytes=settings.max_record_bytes,
            ),
            Decoder(settings.max_record_bytes, _pseudonyms(settings)),
            lambda community, platform: rules.current().timezone_of(community, platform),
            Flush(clickhouse, records, metrics, stop, settings.insert_timeout_seconds),
            Ownership(clickhouse, settings.worker_id, settings.insert_timeout_seconds, stop),
            metrics,
            WallClock(),
            programs(rules),
        )
        folder = TemporaryDirectory(prefix="qunpulse-faust-")
        app = create_app(settings, Path(folder.name))
        transport = BatchTransport(app.conf.broker_consumer, app)
        app.transport = transport
        app.consumer.owner = worker
        worker.end_offsets = app.consumer.end_offsets
        worker.first_offsets = app.consumer.first_offsets
        _add_agent(app, worker)
        watching = asyncio.gather(
            _watch_readiness(worker, clickhouse, metrics, wanted),
            _watch_rules(rules, clickhouse, settings.allowed_lateness_seconds, stop),
        )
        try:
            await _serve(app, worker, stopping, settings)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if worker.failed.done():
                stop.set()  # nothing may hold up the way out of a failed worker
            try:
                await worker.close()
            finally:
                stop.set()
                await app.stop()
                records.close()
                clickhouse.close()
                folder.cleanup()
        if worker.failed.done():
            raise worker.failed.result()
    finally:
        beating.cancel()
        server.stop()


async def _connect(settings: Settings, stop: threading.Event) -> ClickHouse:
    connecting = partial(connect, settings, settings.insert_timeout_seconds + 10)
    return await asyncio.to_thread(lambda: retry_call(connecting, stop=stop))


def _add_agent(app: faust.App, worker: Worker) -> None:
    topic = app.topic(*READ_TOPICS, schema=_FoldedSchema())

    @app.agent(topic, name="take")  # type: ignore[untyped-decorator]
    async def take(batches: Any) -> None:
        async for batch in batches:
            worker.receive(batch)


async def _serve(app: faust.App, worker: Worker, stopping: asyncio.Event, settings: Settings) -> None:
    """Run the app until it is told to stop, the worker fails, or Faust crashes."""
    await app.start()
    ends = [
        asyncio.ensure_future(stopping.wait()),
        asyncio.ensure_future(app._crashed.wait()),
        asyncio.ensure_future(asyncio.shield(worker.failed)),
    ]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if app._crashed.is_set() and not worker.failed.done():
        reason = app.crash_reason
        if isinstance(reason, QunpulseError):
            raise reason
        refused = settings.kafka().refusal(reason, "to read events") if reason is not None else None
        if refused is not None:
            raise refused
        raise KafkaUnavailable(f"the consumer of {app.conf.id} crashed: {reason!r}; look at the log, then start again")


async def _watch_readiness(worker: Worker, clickhouse: ClickHouse, metrics: WorkerMetrics, wanted: list[str]) -> None:
    """Keep the list of what /readyz lacks."""
    while True:
        answers = await asyncio.to_thread(clickhouse.ping)
        metrics.clickhouse_up.set(int(answers))
        lacking = []
        if not worker.ready:
            lacking.append("partitions not assigned or not restored yet")
        if not answers:
            lacking.append("ClickHouse does not answer")
        wanted[:] = lacking
        await asyncio.sleep(0.2 if lacking else 2.0)


async def _watch_rules(rules: RulesFile, clickhouse: ClickHouse, lateness_seconds: int, stop: threading.Event) -> None:
    """Land the communities of the rules file at the start and whenever it changed."""
    landed = None
    while True:
        current = await asyncio.to_thread(rules.current)
        if current is not landed:
            await asyncio.to_thread(retry_call, partial(land_rules, clickhouse, current, lateness_seconds), stop=stop)
            landed = current
        await asyncio.sleep(2.0)


def _alerting(settings: Settings) -> Alerting:
    return Alerting(load_model(settings.churn_model_file), settings.clock_mode == "event", WallClock().now_ms)


def _pseudonyms(settings: Settings) -> Pseudonyms | None:
    if not settings.pseudonymise or settings.pseudonym_key is None:
        return None
    return Pseudonyms(settings.pseudonym_key.get_secret_value().encode())


def _check_topics(settings: Settings) -> None:
    """Raise ConfigError unless the topics we read and write are there with the partition count of the settings,
    and KafkaRefused unless we may read and write them.

    With another count a community would be looked for on a partition that it is not on.
    """
    with KafkaCluster(settings.kafka()) as cluster:
        cluster.require(rights_of("worker", settings.group_id))
        wanted = dict.fromkeys(READ_TOPICS + OUTBOX_TOPICS)
        found = cluster.partitions(wanted)
    missing = [topic for topic in wanted if topic not in found]
    if missing:
        raise ConfigError(f"Kafka has no topic {', '.join(missing)}; create the topics with `qunpulse topics apply`")
    for topic, count in found.items():
        if count != settings.partitions:
            raise ConfigError(
                f"{topic} has {count} partitions, the setting `partitions` says {settings.partitions}; "
                f"set QUNPULSE_PARTITIONS={count}"
            )


class _Heart:
    """Notes when the event loop last turned."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def age_seconds(self) -> float:
        """Seconds since the loop last turned."""
        return time.monotonic() - self._last

    async def beat(self) -> None:
        """Beat for ever."""
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(0.5)
