"""What one channel still owes, and what it may send next: quiet hours, digests, rate limit, backoff.

A state machine: it takes the time as an argument and neither sends nor writes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from schemas.alerts import SEVERITIES
from sinks.alert_deliveries import Delivery, DeliveryKey, Form
from sinks.notify import Answer
from sinks.retry import Backoff
from streams.quiet_hours import quiet_until
from streams.rules_delivery import ChannelRules

RETRIES: Final = Backoff(first_seconds=2.0, longest_seconds=600.0)
"""Waits after failures: the first within seconds, later ones up to ten minutes apart, without an end."""

_MINUTE_MS: Final = 60_000
_RANK: Final = {severity: rank for rank, severity in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out in one piece: deliveries of one alert, or of one community's alerts as a digest."""

    message_id: str
    form: Form
    deliveries: tuple[Delivery, ...]


class ChannelQueue:
    """Deliveries that are waiting or failed, and when the channel may be used again."""

    def __init__(self, rules: ChannelRules, backoff: Backoff = RETRIES) -> None:
        self.rules = rules
        self._backoff = backoff
        self._owed: dict[DeliveryKey, Delivery] = {}
        self._in_flight: Message | None = None
        self._sent_at: deque[int] = deque()  # of the last minute
        self._paused_until = 0
        self._failures = 0

    def __len__(self) -> int:
        return len(self._owed)

    def owed(self) -> list[Delivery]:
        """Everything not acknowledged yet, what is being sent included."""
        return list(self._owed.values())

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Owe these too."""
        self._owed.update((one.key, one) for one in deliveries)

    def try_again_now(self) -> None:
        """Forget waits after failures: the channel may have been repaired."""
        self._paused_until, self._failures = 0, 0
        for key, one in self._owed.items():
            if one.outcome == "failed":
                self._owed[key] = replace(one, due_at=0)

    def next_message(self, now_ms: int) -> Message | None:
        """What is to be sent now, None when nothing may be; it is in flight until `settle` or `give_back`."""
        if self._in_flight is not None or now_ms < self._paused_until or not self._rate_allows(now_ms):
            return None
        due = self._due(now_ms)
        if not due:
            return None
        # A community that has more to say than may be said one by one, after quiet hours or while the receiver was
        # away, says it in one message.
        by_community: dict[str, list[Delivery]] = defaultdict(list)
        for one in due:
            by_community[one.alert.community_id].append(one)
        single = [
            one
            for one in due
            if one.form == "single" and len(by_community[one.alert.community_id]) <= self.rules.singles_per_hour
        ]
        if single:
            first = min(single, key=_urgency)
            chosen = [one for one in due if one.alert.alert_id == first.alert.alert_id]
            form: Form = "single"
        else:
            first = min(due, key=_urgency)
            chosen = by_community[first.alert.community_id]
            form = "digest" if len({one.alert.alert_id for one in chosen}) > 1 else "single"
        self._in_flight = Message(_message_id(chosen), form, tuple(sorted(chosen, key=_urgency)))
        return self._in_flight

    def settle(self, message: Message, answer: Answer, now_ms: int) -> list[Delivery]:
        """Take in what the receiver answered; returns the deliveries as they now stand, to be written down."""
        self._in_flight = None
        self._sent_at.append(now_ms)
        if answer.acknowledged:
            self._failures, self._paused_until = 0, 0
            for one in message.deliveries:
                self._owed.pop(one.key, None)
            return [_tried(one, message, now_ms, now_ms, "", acknowledged=True) for one in message.deliveries]
        attempts = max(one.attempts for one in message.deliveries) + 1
        if answer.refused:
            again_at = now_ms + self._wait_ms(attempts, answer)
        else:  # the receiver is in trouble, so the other messages wait as well
            self._failures += 1
            again_at = self._paused_until = now_ms + self._wait_ms(self._failures, answer)
        failed = [
            _tried(one, message, now_ms, again_at, answer.error, acknowledged=False) for one in message.deliveries
        ]
        self.add(failed)
        return failed

    def give_back(self, message: Message) -> None:
        """The message was not sent after all; it stays owed as it was."""
        if self._in_flight is message:
            self._in_flight = None

    def written(self, deliveries: Sequence[Delivery]) -> None:
        """Take over what the ledger now holds of deliveries that are still owed."""
        for one in deliveries:
            if one.key in self._owed:
                self._owed[one.key] = one

    def _due(self, now_ms: int) -> list[Delivery]:
        quiet = bool(self.rules.quiet_hours) and (
            quiet_until(self.rules.quiet_hours, self.rules.timezone, now_ms) is not None
        )
        return [
            one
            for one in self._owed.values()
            if one.due_at <= now_ms and not (quiet and one.alert.severity not in self.rules.at_once)
        ]

    def _rate_allows(self, now_ms: int) -> bool:
        while self._sent_at and self._sent_at[0] <= now_ms - _MINUTE_MS:
            self._sent_at.popleft()
        return len(self._sent_at) < self.rules.per_minute

    def _wait_ms(self, attempts: int, answer: Answer) -> int:
        return int(1000 * max(self._backoff.wait_seconds(attempts), answer.retry_after_seconds or 0.0))


def _urgency(one: Delivery) -> tuple[int, float, int, str]:
    """Sorts the severest first, then those with the most at risk, then the oldest."""
    return (-_RANK[one.alert.severity], -one.alert.value_at_risk, one.alert.opened_at, one.alert.alert_id)


def _tried(one: Delivery, message: Message, now_ms: int, due_at: int, error: str, *, acknowledged: bool) -> Delivery:
    return replace(
        one,
        outcome="sent" if acknowledged else "failed",
        attempts=one.attempts + 1,
        attempted_at=now_ms,
        delivered_at=now_ms if acknowledged else None,
        due_at=due_at,
        error=error,
        message_id=message.message_id,
    )


def _message_id(deliveries: Iterable[Delivery]) -> str:
    """The same for the same deliveries, so that a message that is repeated can be recognised."""
    keys = sorted("\n".join(one.key) for one in deliveries)
    return hashlib.sha256("\n\n".join(keys).encode()).hexdigest()[:16]
