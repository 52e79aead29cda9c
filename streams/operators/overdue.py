"""Who is expected back by when, and what became of it: the timing shared by all alerts that rest on silence.

A subject is overdue once its due time is behind *now*. That is found either when the subject comes back later than
that, or when time passes it; both find the same, so it does not matter how events were cut into batches. What *now* was
when it was first behind decides whether it is fresh or stale (fell due more than the lateness before: history, an
outage). A stale one waits until the community itself has events behind the due time, since a feed that is still being
loaded says nothing about who is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streams.operators.arrivals import Moments
from streams.operators.base import Ints, Mask
from streams.operators.timers import NO_DUE, Timers

Release = Callable[[Ints, Ints], Ints]
"""When alerts of (communities) that fall due at (ms) may be raised: at once, or later where a community or its feed is
quiet as a whole; NO_DUE where that has no end yet."""

Places = Callable[[Ints, Ints, Mask], Ints]
"""At which place of the batch in hand it was seen that something (of communities, due at, stale) had fallen due; as
`Standing.places` gives it."""

_HOLD_MS = 86_400_000
_PARTS = 64


def never_held(_community: Ints, due_ms: Ints) -> Ints:
    """A release for whoever knows of no quiet communities."""
    return due_ms


def no_batch(_community: Ints, due_ms: Ints, _stale: Mask) -> Ints:
    """Places for whoever knows of no batches: all is seen at once."""
    return np.zeros(len(due_ms), np.int64)


@dataclass(frozen=True, slots=True)
class Fallen:
    """Subjects whose due time has passed, when that was, whether it is too long ago to be told to anybody, and the
    place in the batch at which it was seen."""

    subjects: Ints
    due_ms: Ints
    stale: Mask
    places: Ints


class Overdue:
    """Due times of subjects of one kind."""

    def __init__(self, lateness_ms: int, release: Release = never_held, places: Places = no_batch) -> None:
        self._lateness_ms = lateness_ms
        self._release = release
        self._places = places
        self._timers = Timers()
        self._waiting: dict[int, Ints] = {}
        self._held: list[Ints] = []
        self._behind: dict[int, tuple[int, int]] = {}
        """Of those who were overdue already when that was found out, in the batch in hand: with which event, and what
        *now* was there."""

    @property
    def nbytes(self) -> int:
        """Bytes of the timers."""
        return self._timers.nbytes

    def __len__(self) -> int:
        return len(self._timers)

    def expect(self, subjects: Ints, due_ms: Ints, places: Ints | None = None, reached_ms: Ints | None = None) -> None:
        """There is news of (distinct) subjects: they are overdue from ``due_ms`` on; NO_DUE: never.

        ``places`` are those of the events that brought the news, ``reached_ms`` what *now* was there.
        """
        self._timers.set(subjects, due_ms)
        for one in subjects.tolist() if self._behind else ():
            self._behind.pop(one, None)
        if places is not None and reached_ms is not None:
            for at in np.flatnonzero(due_ms <= reached_ms).tolist():
                self._behind[int(subjects[at])] = (int(places[at]), int(reached_ms[at]))

    def had_fallen(self, subjects: Ints, community: Ints, places: Ints, reached_ms: Ints, moments: Moments) -> Fallen:
        """Those of subjects of which there is news at ``places`` who had been overdue; positions among the given ones.

        ``reached_ms`` is what *now* was there.
        """
        due_ms = self._timers.due_ms(subjects)
        at = np.flatnonzero(due_ms <= reached_ms)
        due_ms = self._release(community[at], due_ms[at])
        stale, seen = self._seen(subjects[at], community[at], due_ms, moments)
        passed = (due_ms <= reached_ms[at]) & (seen <= places[at])
        return Fallen(at[passed], due_ms[passed], stale[passed], seen[passed])

    def _seen(self, subjects: Ints, community: Ints, due_ms: Ints, moments: Moments) -> tuple[Mask, Ints]:
        """Who fell due too long before that was seen, and at which place it was."""
        looked_ms, since = moments.first_at_or_after(due_ms), np.full(len(due_ms), -1)
        for at, one in enumerate(subjects.tolist()) if self._behind else ():
            if one in self._behind:
                since[at], looked_ms[at] = self._behind[one][0], max(int(looked_ms[at]), self._behind[one][1])
        stale = looked_ms - due_ms > self._lateness_ms
        return stale, np.maximum(self._places(community, due_ms, stale), since)

    def fall(self, community_of: Callable[[Ints], Ints], moments: Moments, now_ms: Ints, clock_ms: Ints) -> Fallen:
        """Those who are overdue now; each is given once, until it is expected again.

        ``now_ms`` and ``clock_ms`` by community number.
        """
        latest_ms = max(moments.last_ms, int(now_ms.max(initial=0)))
        subjects, due_ms = self._timers.fall_due(latest_ms)
        if self._waiting:
            again = self._come_again(latest_ms)
            subjects, due_ms = np.concatenate([subjects, again]), np.concatenate([due_ms, self._timers.due_ms(again)])
            self._timers.hold(again, np.full(len(again), NO_DUE), np.full(len(again), NO_DUE))
        if len(subjects) == 0:
            self._behind = {}
            return Fallen(subjects, due_ms, np.empty(0, np.bool_), subjects)
        community = community_of(subjects)
        freed_ms = self._release(community, due_ms)
        held = freed_ms > now_ms[community]
        if held.any():
            # Nobody knows when a quiet ends: they keep their due time and are looked at once a day until it has.
            look_ms = np.minimum(freed_ms[held], now_ms[community[held]] + _HOLD_MS)
            self._timers.hold(subjects[held], due_ms[held], look_ms)
            self._held.append(subjects[held])
            if len(self._held) > _PARTS:
                self._held = [np.unique(np.concatenate(self._held))]
        subjects, community, due_ms, freed_ms = subjects[~held], community[~held], due_ms[~held], freed_ms[~held]
        stale, seen = self._seen(subjects, community, freed_ms, moments)
        self._behind = {}
        waits = stale & (clock_ms[community] < freed_ms)
        if waits.any():
            # With the due time they had: what puts it off is asked for again.
            self._wait(subjects[waits], community[waits], due_ms[waits])
        return Fallen(subjects[~waits], freed_ms[~waits], stale[~waits], seen[~waits])

    def look_again(self, now_ms: int) -> None:
        """A quiet has ended: when those who were held back may be raised is known now."""
        if self._held:
            self._timers.look(np.unique(np.concatenate(self._held)), now_ms)
            self._held = []

    def _come_again(self, latest_ms: int) -> Ints:
        """Those who wait, without whoever came back meanwhile and is expected at another time."""
        waiting = np.unique(np.concatenate(list(self._waiting.values())))
        self._waiting = {}
        return waiting[self._timers.due_ms(waiting) <= latest_ms]

    def _wait(self, subjects: Ints, community: Ints, due_ms: Ints) -> None:
        self._timers.hold(subjects, due_ms, np.full(len(subjects), NO_DUE))
        for number in np.unique(community).tolist():
            self._waiting[number] = subjects[community == number]
