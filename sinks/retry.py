"""Try again, later and later, until it works, must not be tried, or nobody wants it any more.

Waits are drawn from the whole range up to a doubling bound ("full jitter", Brooker, *Exponential Backoff
And Jitter*, 2015): many workers that lost the same server do not come back in step.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from streams.errors import RetryableSinkError

T = TypeVar("T")


class RetryStopped(Exception):
    """The stop event was set while waiting; the last error is the `__cause__`."""


class Retry(NamedTuple):
    """One failed try, as told to `on_retry`."""

    attempt: int
    wait_seconds: float
    error: RetryableSinkError


@dataclass(frozen=True)
class Backoff:
    """Bounds of the waits: the n-th is uniform in [0, min(longest, first * 2**(n-1))] seconds.

    A server is asked so seldom that this never burdens it, and so often that its return is noticed within seconds.
    `give_up_after_seconds` is None where nothing may be dropped: then only the stop event ends the tries.
    """

    first_seconds: float = 0.2
    longest_seconds: float = 5.0
    give_up_after_seconds: float | None = None
    draw: Callable[[float, float], float] = field(default=random.uniform)

    def wait_seconds(self, attempt: int) -> float:
        """The wait after the `attempt`-th failed try (1 = the first)."""
        bound = self.first_seconds * 2.0 ** min(attempt - 1, 30)
        return self.draw(0.0, min(self.longest_seconds, bound))


def retry_call(
    call: Callable[[], T],
    *,
    backoff: Backoff | None = None,
    on_retry: Callable[[Retry], None] | None = None,
    stop: threading.Event | None = None,
) -> T:
    """Result of `call`, tried again after each RetryableSinkError; blocks the thread while it waits.

    Raises what `call` raises otherwise, the last RetryableSinkError once `give_up_after_seconds` is over,
    and RetryStopped when `stop` is set during a wait (a stopped worker must not hang on a dead server).
    """
    backoff = backoff or Backoff()
    stop = stop or threading.Event()
    started = time.monotonic()
    attempt = 0
    while True:
        try:
            return call()
        except RetryableSinkError as error:
            attempt += 1
            wait = backoff.wait_seconds(attempt)
            limit = backoff.give_up_after_seconds
            if limit is not None and time.monotonic() - started + wait > limit:
                raise
            if on_retry is not None:
                on_retry(Retry(attempt, wait, error))
            if stop.wait(wait):
                raise RetryStopped(f"stopped while waiting for try {attempt + 1}") from error
