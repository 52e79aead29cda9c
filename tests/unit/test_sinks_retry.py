"""Retries: which errors are tried again, how long the waits are, what ends them."""

from __future__ import annotations

import threading

import pytest

from sinks.retry import Backoff, Retry, RetryStopped, retry_call
from streams.errors import FatalSinkError, RetryableSinkError

NO_WAIT = Backoff(draw=lambda low, _high: low)


def failing(times: int, error: Exception) -> tuple[list[int], object]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return calls, call


def test_a_retryable_error_is_tried_again_until_it_works_and_each_try_is_told() -> None:
    calls, call = failing(3, RetryableSinkError("away"))
    told: list[Retry] = []
    assert retry_call(call, backoff=NO_WAIT, on_retry=told.append) == "done"
    assert len(calls) == 4
    assert [retry.attempt for retry in told] == [1, 2, 3]


def test_any_other_error_is_not_tried_again() -> None:
    calls, call = failing(1, FatalSinkError("wrong password"))
    with pytest.raises(FatalSinkError):
        retry_call(call, backoff=NO_WAIT)
    assert len(calls) == 1


def test_waits_are_drawn_below_a_doubling_bound_that_is_capped() -> None:
    bounds = Backoff(first_seconds=0.5, longest_seconds=10, draw=lambda _low, high: high)
    assert [bounds.wait_seconds(n) for n in (1, 2, 3, 5, 6, 60)] == [0.5, 1, 2, 8, 10, 10]
    drawn = [Backoff(first_seconds=4).wait_seconds(1) for _ in range(200)]
    assert min(drawn) < 1
    assert 3 < max(drawn) <= 4


def test_a_stop_ends_a_long_wait_at_once_and_keeps_the_cause() -> None:
    stop = threading.Event()
    forever = Backoff(first_seconds=3600, longest_seconds=3600, draw=lambda _low, high: high)
    cause = RetryableSinkError("away")

    def call() -> None:
        raise cause

    with pytest.raises(RetryStopped) as stopped:
        retry_call(call, backoff=forever, on_retry=lambda _retry: stop.set(), stop=stop)
    assert stopped.value.__cause__ is cause


def test_giving_up_raises_the_last_error() -> None:
    calls, call = failing(1000, RetryableSinkError("away"))
    limited = Backoff(first_seconds=1, give_up_after_seconds=0.5, draw=lambda _low, high: high)
    with pytest.raises(RetryableSinkError):
        retry_call(call, backoff=limited)
    assert len(calls) == 1
