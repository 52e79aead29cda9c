"""The desk of the process that delivers: takes alert records in, owes what follows from them, and has it sent.

It stands as long as this process is the one that delivers under the same rules. It begins with what the ledger says is
owed, and a record's offset may be committed once `take` has returned.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from schemas.alerts import AlertRecord
from sinks.alert_deliveries import Delivery, DeliveryLedger
from sinks.retry import Backoff, Retry, retry_call
from streams.delivery.channel_queue import RETRIES, ChannelQueue, Message
from streams.delivery.channel_sender import ChannelSender, Clock, MessageReceiver
from streams.delivery.names import Names
from streams.delivery.plan import DAY_MS, Arrived, Planner
from streams.delivery.wording import Text, Wording, people_in
from streams.metrics import DeliveryMetrics
from streams.rules_model import Rules

log = logging.getLogger(__name__)

T = TypeVar("T")

StillElsewhere = Callable[[Sequence[AlertRecord]], set[str]]
"""Of alerts on members who left: the ids of those whose member is still in another community of the platform."""

_AT_ONCE = ("opened", "now")


class Desk:
    """Planner, queues and senders of one tenure. `open` reads the ledger and starts, `close` stops.

    Every call that needs ClickHouse is tried again until it works or `stop` is set (RetryStopped); a FatalSinkError
    leaves as it is. `still_elsewhere` is asked about members who left: the partition that raises the alert sees its own
    communities only.
    """

    def __init__(
        self,
        rules: Rules,
        receivers: Mapping[str, MessageReceiver],
        ledger: DeliveryLedger,
        names: Names,
        *,
        clock: Clock,
        metrics: DeliveryMetrics,
        stop: threading.Event,
        may_send: Callable[[], bool] = lambda: True,
        include_replays: bool = False,
        still_elsewhere: StillElsewhere = lambda _: set(),
        backoff: Backoff = RETRIES,
    ) -> None:
        self._rules = rules
        self._still_elsewhere = still_elsewhere
        self._ledger = ledger
        self._names = names
        self._clock = clock
        self._metrics = metrics
        self._stop = stop
        self._include_replays = include_replays
        self.failure: Exception | None = None
        self._planner = Planner(rules.alerts)
        self._senders = {
            name: ChannelSender(
                name,
                ChannelQueue(rules.alerts.channels[name], backoff),
                receiver,
                word=self._word,
                write=self._write,
                may_send=may_send,
                failed=self._fail,
                clock=clock,
                metrics=metrics,
            )
            for name, receiver in receivers.items()
        }

    def open(self, *, try_failed_now: bool = True) -> None:
        """Take over what is owed and start to send; with `try_failed_now` failed ones are not waited for."""
        now_ms = self._clock.now_ms()
        recent = self._until_it_works(partial(self._ledger.planned_singles, now_ms - DAY_MS))
        self._planner = Planner(self._rules.alerts, recent, include_replays=self._include_replays)
        by_channel: dict[str, list[Delivery]] = defaultdict(list)
        for one in self._until_it_works(self._ledger.owed):
            by_channel[one.channel].append(one)
        for channel, owed in by_channel.items():
            if channel not in self._senders:
                log.error(
                    "%d deliveries are owed on the channel %s, which the rules file no longer names; give it back to "
                    "`alerts.channels`, under this name, to have them sent", len(owed), channel,
                    extra={"event": "channel_missing_from_rules", "channel": channel, "owed": len(owed)},
                )  # fmt: skip
        for name, sender in self._senders.items():
            sender.owe(by_channel.get(name, []))
            if try_failed_now:
                sender.try_again_now()
            sender.start()

    def take(self, arrived: Sequence[Arrived]) -> None:
        """Owe what these records call for; it is durable when this returns."""
        known = self._until_it_works(partial(self._ledger.known, [one.alert for one in arrived]))
        plan = self._planner.plan(self._less_urgent(arrived), known, self._clock.now_ms())
        for reason, count in plan.untold.items():
            self._metrics.records(reason).inc(count)
        if not plan.deliveries:
            return
        self._metrics.records("delivered").inc(len({(d.alert.alert_id, d.alert.state) for d in plan.deliveries}))
        by_channel: dict[str, list[Delivery]] = defaultdict(list)
        for one in self._write(plan.deliveries):
            by_channel[one.channel].append(one)
        for name, owed in by_channel.items():
            self._senders[name].owe(owed)

    def _less_urgent(self, arrived: Sequence[Arrived]) -> list[Arrived]:
        """The records, with what is said at once of a last community left to the digest where it was not the last."""
        asked = [alert for alert, _ in arrived if alert.kind == "left" and (alert.state, alert.urgency) == _AT_ONCE]
        there = self._until_it_works(partial(self._still_elsewhere, asked)) if asked else set()
        return [
            Arrived(msgspec.structs.replace(one.alert, urgency="digest"), one.appended_at)
            if one.alert.alert_id in there
            else one
            for one in arrived
        ]

    def report(self) -> None:
        """Set the gauges of what is owed."""
        for sender in self._senders.values():
            sender.report()

    def close(self) -> None:
        """Stop sending; messages in flight are finished and written down first."""
        for sender in self._senders.values():
            sender.ask_to_stop()
        for sender in self._senders.values():
            sender.join()

    def _word(self, channel: str, message: Message, max_bytes: int) -> Text:
        names = self._names.of(people_in(message))
        return Wording(self._rules, names, self._rules.alerts.channels[channel].timezone).of(message, max_bytes)

    def _write(self, deliveries: list[Delivery]) -> list[Delivery]:
        return self._until_it_works(partial(self._ledger.write, deliveries))

    def _until_it_works(self, call: Callable[[], T]) -> T:
        def note(retry: Retry) -> None:
            self._metrics.clickhouse_up.set(0)
            _tell(retry)

        result = retry_call(call, on_retry=note, stop=self._stop)
        self._metrics.clickhouse_up.set(1)
        return result

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error


def _tell(retry: Retry) -> None:
    log.warning(
        "deliveries wait for ClickHouse, try %d in %.1f s: %s", retry.attempt + 1, retry.wait_seconds, retry.error,
        extra={"event": "clickhouse_waited_for", "attempt": retry.attempt + 1},
    )  # fmt: skip
