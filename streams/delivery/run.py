"""Wires the process that delivers alerts: settings and rules → channels, ledger, agent; runs it until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from schemas.topics import ALERTS
from sinks.alert_deliveries import DeliveryLedger
from sinks.clickhouse import ClickHouse
from sinks.retry import RetryStopped, retry_call
from sinks.whereabouts import still_elsewhere
from streams.clickhouse_connection import connect
from streams.delivery.agent import DeliveryAgent
from streams.delivery.channels import open_channels
from streams.delivery.desk import Desk
from streams.delivery.names import Names
from streams.delivery.secrets import Mask
from streams.errors import ConfigError, QunpulseError
from streams.kafka_cluster import KafkaCluster
from streams.kafka_rights import rights_of
from streams.logs import set_up_logging
from streams.metrics import DeliveryMetrics
from streams.observability import ObservabilityServer
from streams.pseudonyms import Pseudonyms
from streams.rules import RulesFile
from streams.rules_model import Rules
from streams.settings import Settings
from streams.wall_clock import WallClock

log = logging.getLogger("qunpulse")


def run_delivery(settings: Settings, *, include_replays: bool = False) -> None:
    """Deliver alerts until SIGTERM or SIGINT; what is in flight is finished and written down first.

    Raises:
        QunpulseError: it cannot start or go on; the message says why and what to do.
    """
    mask = Mask()
    set_up_logging(settings.log_level, settings.log_format, mask)
    rules = RulesFile(settings.rules_file)
    check_routes(settings, rules.current())
    folder = rules_folder(settings)
    # A mistake in a channel shows before anything else is touched.
    open_channels(rules.current().alerts.channels, folder, os.environ, mask)
    _check_topic(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = DeliveryMetrics()
    try:
        clickhouse = retry_call(lambda: connect(settings, settings.insert_timeout_seconds + 10), stop=stop)
    except RetryStopped:
        return
    metrics.clickhouse_up.set(1)
    try:
        desks = _Desks(settings, clickhouse, folder, mask, metrics, stop, include_replays=include_replays)
        agent = DeliveryAgent(settings, rules.current, desks.make, metrics, stop)
        with ObservabilityServer(
            metrics.registry,
            heartbeat_age=lambda: time.monotonic() - agent.turned_at,
            missing=lambda: _missing(agent, clickhouse, metrics),
            host=settings.metrics_host,
            port=settings.metrics_port,
            token=settings.metrics_token.get_secret_value(),
            heartbeat_limit_seconds=660,  # an outage of ClickHouse is waited for inside of a turn
        ):
            agent.run()
    except QunpulseError:
        raise
    except Exception:
        # Here and not by the interpreter: a trace of its own would not be masked.
        log.exception(
            "a mistake in qunpulse ended delivery; nothing is lost, what is owed stays in the ledger",
            extra={"event": "delivery_failed"},
        )
        raise SystemExit(70) from None
    finally:
        clickhouse.close()


def check_routes(settings: Settings, rules: Rules) -> None:
    """Raise ConfigError when nothing could ever be told to anybody."""
    where = settings.rules_file or "the rules file (set rules_file or --rules)"
    if not rules.alerts.channels or not rules.alerts.routes:
        lacking = "channels" if not rules.alerts.channels else "routes"
        raise ConfigError(
            f"{where} has no alerts.{lacking}, so nobody would be told; docs/alert-delivery.md has an example"
        )


def rules_folder(settings: Settings) -> Path:
    """Where relative paths of the rules file count from."""
    return settings.rules_file.parent if settings.rules_file else Path()


def names_of(settings: Settings, rules: Rules, clickhouse: ClickHouse | None) -> Names:
    """The display names that the rules configure; ids of a CSV are pseudonymised as those of events were."""
    stored_as: Callable[[str], str] = str
    if settings.pseudonymise and settings.pseudonym_key is not None:
        stored_as = Pseudonyms(settings.pseudonym_key.get_secret_value().encode()).of
    return Names(rules.alerts.names, rules_folder(settings), clickhouse, stored_as)


class _Desks:
    """Makes a desk whenever this process becomes the one that delivers, or the rules change."""

    def __init__(
        self,
        settings: Settings,
        clickhouse: ClickHouse,
        folder: Path,
        mask: Mask,
        metrics: DeliveryMetrics,
        stop: threading.Event,
        *,
        include_replays: bool,
    ) -> None:
        self._settings = settings
        self._clickhouse = clickhouse
        self._folder = folder
        self._mask = mask
        self._metrics = metrics
        self._stop = stop
        self._include_replays = include_replays

    def make(self, rules: Rules, may_send: Callable[[], bool]) -> Desk:
        """A desk under these rules, not open yet. Raises ConfigError."""
        return Desk(
            rules,
            open_channels(rules.alerts.channels, self._folder, os.environ, self._mask),
            DeliveryLedger(self._clickhouse),
            names_of(self._settings, rules, self._clickhouse),
            clock=WallClock(),
            metrics=self._metrics,
            stop=self._stop,
            may_send=may_send,
            include_replays=self._include_replays,
            still_elsewhere=partial(still_elsewhere, self._clickhouse),
        )


def _check_topic(settings: Settings) -> None:
    with KafkaCluster(settings.kafka()) as cluster:
        cluster.require(rights_of("deliver", settings.group_id))
        if ALERTS not in cluster.partitions([ALERTS]):
            raise ConfigError(f"Kafka has no topic {ALERTS}; create the topics with `qunpulse topics apply`")


def _missing(agent: DeliveryAgent, clickhouse: ClickHouse, metrics: DeliveryMetrics) -> list[str]:
    answers = clickhouse.ping()
    metrics.clickhouse_up.set(int(answers))
    missing = [] if agent.joined else ["consumer group not joined yet"]
    return missing if answers else [*missing, "ClickHouse does not answer"]
