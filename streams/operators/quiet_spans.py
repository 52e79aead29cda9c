"""When a community or a feed was quiet as a whole: for so long nobody's silence counts."""

from __future__ import annotations

import msgspec
import numpy as np

from streams.operators.base import Ints
from streams.operators.timers import NO_DUE

_DAY_MS = 86_400_000
_KEPT_MS = 60 * _DAY_MS
_FORGOTTEN_MS = 14 * _DAY_MS
"""Who was silent together with everybody for so long is not missed one by one when that has become usual."""


class Quiet(msgspec.Struct, array_like=True):
    """Quiet since ``since_ms``, known from ``known_ms`` on, up to ``until_ms`` (None: it still is)."""

    since_ms: int
    known_ms: int
    until_ms: int | None = None


class QuietSpans:
    """Quiet spans by the number of a community or feed."""

    def __init__(self) -> None:
        self._spans: dict[int, list[Quiet]] = {}
        self.endings = 0
        """How many spans have ended so far in this process."""

    def is_quiet(self, number: int) -> bool:
        """Whether it is quiet now."""
        spans = self._spans.get(number)
        return spans is not None and spans[-1].until_ms is None

    def begin(self, number: int, since_ms: int, known_ms: int) -> None:
        """It has been quiet since a time, and that is known from a later one on."""
        self._spans.setdefault(number, []).append(Quiet(since_ms, known_ms))

    def end(self, number: int, until_ms: int) -> None:
        """It is quiet no more."""
        self._spans[number][-1].until_ms = until_ms
        self.endings += 1

    def was_quiet(self, number: int, at_ms: int) -> bool:
        """Whether it was known to be quiet at a time."""
        spans = self._spans.get(number, ())
        return any(one.known_ms <= at_ms and (one.until_ms is None or at_ms < one.until_ms) for one in spans)

    def release(self, numbers: Ints, due_ms: Ints) -> Ints:
        """When what falls due at these times may be raised; NO_DUE where nobody knows yet.

        A time of quiet counts as nobody's silence: what falls due in it, or in as long a time after it, is put off by
        its length, in whole days, so that it keeps its hour. After more than two weeks of it nothing is raised.
        """
        if not self._spans:
            return due_ms
        due_ms = due_ms.copy()
        for number in set(numbers.tolist()) & self._spans.keys():
            mine = np.flatnonzero(numbers == number)
            for one in self._spans[number]:
                due = due_ms[mine]
                inside = (due >= one.known_ms) & (due != NO_DUE)
                if one.until_ms is None:
                    due_ms[mine[inside]] = NO_DUE
                    continue
                lasted = one.until_ms - one.since_ms
                if lasted > _FORGOTTEN_MS:
                    due_ms[mine[inside & (due < one.until_ms)]] = NO_DUE
                    continue
                inside &= due < one.until_ms + lasted
                due_ms[mine[inside]] += -(-lasted // _DAY_MS) * _DAY_MS
        return due_ms

    def settle(self, now_ms: int) -> None:
        """Forget what ended long ago, once all that fell due up to *now* was released or is put off into the future.

        Not sooner, and not by the number of spans: one batch may bring a year.
        """
        for spans in self._spans.values():
            while len(spans) > 1 and (spans[0].until_ms or now_ms) < now_ms - _KEPT_MS:
                del spans[0]

    def packed(self, number: int) -> list[Quiet]:
        """The spans of a number, for its state row."""
        return self._spans.get(number, [])

    def restore(self, number: int, spans: list[Quiet]) -> None:
        """Take the spans of a number back."""
        if spans:
            self._spans[number] = spans
