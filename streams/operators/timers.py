"""Lazy timers: a subject sits in one bucket of due times, and nothing is done for it until that bucket falls due.

News about a subject mostly puts its due time off. So it stays in the bucket it is in; when that falls due it is looked
at again and filed anew where it belongs. Only a due time that comes *earlier* moves a subject at once. This costs 16
bytes a subject, and no work an event.
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints, grown

BUCKET_MS = 3_600_000
"""An hour: local days begin at whole hours in nearly all zones, and nobody waits for the minute of a silence."""

_NOT_FILED = np.int32(np.iinfo(np.int32).max)
NO_DUE = np.int64(np.iinfo(np.int64).max)
"""The due time of a subject that nothing is expected of."""


class Timers:
    """Due times of subjects, numbered densely from 0. 16 bytes a subject."""

    def __init__(self) -> None:
        self._due_ms = np.empty(0, np.int64)
        self._filed = np.empty(0, np.int32)
        self._buckets: dict[int, list[npt.NDArray[np.int32]]] = {}
        self._order: list[int] = []

    def __len__(self) -> int:
        """Subjects that sit in a bucket."""
        return int(np.count_nonzero(self._filed != _NOT_FILED))

    @property
    def nbytes(self) -> int:
        """Bytes held by due times and buckets."""
        return (
            self._due_ms.nbytes + self._filed.nbytes + sum(p.nbytes for parts in self._buckets.values() for p in parts)
        )

    def due_ms(self, subjects: Ints) -> Ints:
        """When each subject falls due (ms), NO_DUE where nothing is expected."""
        self._room(int(subjects.max(initial=-1)) + 1)
        return self._due_ms[subjects]

    def set(self, subjects: Ints, due_ms: Ints) -> None:
        """Give distinct subjects a due time; NO_DUE takes it away."""
        self._room(int(subjects.max(initial=-1)) + 1)
        self._due_ms[subjects] = due_ms
        bucket = _bucket(due_ms)
        earlier = bucket < self._filed[subjects]
        self._file(subjects[earlier], bucket[earlier])

    def look(self, subjects: Ints, look_ms: int) -> None:
        """Look at (distinct) subjects that sit in a later bucket already at ``look_ms``; due times stay."""
        bucket = np.full(len(subjects), _bucket(np.array([look_ms]))[0])
        self._file(subjects[bucket < self._filed[subjects]], bucket[bucket < self._filed[subjects]])

    def hold(self, subjects: Ints, due_ms: Ints, look_ms: Ints) -> None:
        """Give (distinct) subjects that sit in no bucket a due time; looked at from ``look_ms`` on (NO_DUE: never)."""
        self._due_ms[subjects] = due_ms
        self._file(subjects, _bucket(look_ms))

    def fall_due(self, now_ms: int) -> tuple[Ints, Ints]:
        """Subjects with a due time up to ``now_ms``, ascending, and these times; they have none any more."""
        popped: list[Ints] = []
        while self._order and self._order[0] * BUCKET_MS <= now_ms:
            number = heapq.heappop(self._order)
            subjects = np.concatenate(self._buckets.pop(number)).astype(np.int64)
            # Whoever was moved to an earlier bucket left a copy behind.
            subjects = subjects[self._filed[subjects] == number]
            self._filed[subjects] = _NOT_FILED
            popped.append(subjects)
        subjects = np.unique(np.concatenate(popped)) if popped else np.empty(0, np.int64)
        due_ms = self._due_ms[subjects]
        ripe = due_ms <= now_ms
        self._file(subjects[~ripe], _bucket(due_ms[~ripe]))
        self._due_ms[subjects[ripe]] = NO_DUE
        return subjects[ripe], due_ms[ripe]

    def _file(self, subjects: Ints, bucket: npt.NDArray[np.int32]) -> None:
        wanted = bucket != _NOT_FILED
        if not wanted.any():
            return
        order = np.argsort(bucket[wanted], kind="stable")
        filed, bucket = subjects[wanted][order].astype(np.int32), bucket[wanted][order]
        starts = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
        for start, part in zip(starts.tolist(), np.split(filed, starts[1:].tolist()), strict=True):
            number = int(bucket[start])
            if number not in self._buckets:
                self._buckets[number] = []
                heapq.heappush(self._order, number)
            self._buckets[number].append(part.copy())  # a view would keep the whole array alive
        self._filed[filed] = bucket

    def _room(self, size: int) -> None:
        if size > len(self._due_ms):
            self._due_ms = grown(self._due_ms, size, NO_DUE)
            self._filed = grown(self._filed, size, _NOT_FILED)


def _bucket(due_ms: Ints) -> npt.NDArray[np.int32]:
    """The hour in which each due time lies."""
    hours = np.minimum(due_ms // BUCKET_MS, int(_NOT_FILED) - 1)
    return np.where(due_ms == NO_DUE, _NOT_FILED, hours).astype(np.int32)
