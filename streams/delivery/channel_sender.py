"""One thread per channel: takes the next message, sends it, writes down what became of it, and only then goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from sinks.alert_deliveries import Delivery
from sinks.notify import Answer
from sinks.retry import RetryStopped
from streams.delivery.channel_queue import ChannelQueue, Message
from streams.delivery.wording import Text
from streams.metrics import DeliveryMetrics

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.2
"""How often a sender with nothing to do looks whether something has fallen due."""


class Clock(Protocol):
    """The time, ms since 1970 UTC."""

    def now_ms(self) -> int: ...


class MessageReceiver(Protocol):
    """Where messages go; `sinks.notify.Receiver` is one."""

    @property
    def max_body_bytes(self) -> int: ...

    def send(self, title: str, body: str, message_id: str = "") -> Answer: ...


class ChannelSender:
    """A channel at work, from `start` to `stop`.

    `write` makes deliveries durable and blocks until they are (RetryStopped when told to stop meanwhile); `may_send`
    says whether this process is still the one that delivers; `failed` is told of an error that ends the thread.
    """

    def __init__(
        self,
        name: str,
        queue: ChannelQueue,
        receiver: MessageReceiver,
        *,
        word: Callable[[str, Message, int], Text],
        write: Callable[[list[Delivery]], list[Delivery]],
        may_send: Callable[[], bool],
        failed: Callable[[Exception], None],
        clock: Clock,
        metrics: DeliveryMetrics,
    ) -> None:
        self.name = name
        self._queue = queue
        self._receiver = receiver
        self._word = word
        self._write = write
        self._may_send = may_send
        self._failed = failed
        self._clock = clock
        self._metrics = metrics
        self._changed = threading.Condition()
        self._stopping = False
        self._oldest_failed_ms: int | None = None
        self._thread = threading.Thread(target=self._run, name=f"channel {name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        for outcome in ("sent", "failed"):  # a counter that appears with its first failures shows Prometheus no rise
            self._metrics.deliveries(self.name, outcome)
        # Asked at every scrape: it grows also while the agent waits for ClickHouse and reports nothing.
        self._metrics.overdue_seconds(self.name).set_function(self._overdue_seconds)
        self._thread.start()

    def owe(self, deliveries: Iterable[Delivery]) -> None:
        """Send these too; they are in the ledger already."""
        with self._changed:
            self._queue.add(deliveries)
            self._changed.notify()

    def try_again_now(self) -> None:
        """Do not wait for what has failed; the channel may have been repaired."""
        with self._changed:
            self._queue.try_again_now()
            self._changed.notify()

    def ask_to_stop(self) -> None:
        """Take no further message; the one in flight is finished and written down."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self) -> None:
        """Wait for its end; the receiver's time limit bounds it. What is owed is another process's to report."""
        if self._thread.is_alive():
            self._thread.join()
        self._metrics.owed(self.name, "failed").set(0)
        self._metrics.owed(self.name, "waiting").set(0)
        self._oldest_failed_ms = None

    def report(self) -> None:
        """Set the gauges."""
        with self._changed:
            owed = self._queue.owed()
        failed = [one.planned_at for one in owed if one.outcome == "failed"]
        self._metrics.owed(self.name, "failed").set(len(failed))
        self._metrics.owed(self.name, "waiting").set(len(owed) - len(failed))
        self._oldest_failed_ms = min(failed, default=None)

    def _overdue_seconds(self) -> float:
        oldest_ms = self._oldest_failed_ms
        return 0.0 if oldest_ms is None else max(self._clock.now_ms() - oldest_ms, 0) / 1000

    def _run(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._send(message)
        except RetryStopped:
            log.error(  # noqa: TRY400 - where it stopped says nothing
                "channel %s: stopped before the outcome of its last message was written down; it will be sent again",
                self.name,
                extra={"event": "delivery_outcome_unwritten", "channel": self.name},
            )
        except Exception as error:
            self._failed(error)

    def _next(self) -> Message | None:
        """The next message, waited for; None once it is to stop."""
        with self._changed:
            while not self._stopping:
                if self._may_send():
                    message = self._queue.next_message(self._clock.now_ms())
                    if message is not None:
                        return message
                self._changed.wait(LOOK_EVERY_SECONDS)
        return None

    def _send(self, message: Message) -> None:
        text = self._word(self.name, message, self._receiver.max_body_bytes)
        answer = self._receiver.send(text.title, text.body, message.message_id)
        now_ms = self._clock.now_ms()
        with self._changed:
            settled = self._queue.settle(message, answer, now_ms)
        # Before anything else is sent: a crash from here to the end of the write repeats this message, and no other.
        written = self._write(settled)
        with self._changed:
            self._queue.written(written)
        self._metrics.deliveries(self.name, "sent" if answer.acknowledged else "failed").inc(len(settled))
        if answer.acknowledged:
            for one in settled:
                if one.form == "single":
                    self._metrics.seconds(self.name).observe(max(now_ms - one.planned_at, 0) / 1000)
        else:
            log.warning(
                "channel %s did not take message %s (%d alerts, try %d): %s",
                self.name, message.message_id, len(settled), settled[0].attempts, answer.error,
                extra={"event": "delivery_refused", "channel": self.name, "attempt": settled[0].attempts},
            )  # fmt: skip
