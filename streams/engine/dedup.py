"""Which event ids were applied already: exact, 24 bytes an id, bounded by the allowed lateness.

An entry is a 128-bit hash of (topic, community, event id) and 64 bits of what the event was: its community, its minute,
and a fingerprint of member and time that tells a repeated event from another one under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit
from xxhash import xxh3_128_digest

from schemas.columns import text_buffers
from streams.operators.base import Ints, Keys, Mask, StateRows
from streams.operators.segments import Segments

Hashes = npt.NDArray[np.uint64]

ENTRY = np.dtype([("hash", "<u8"), ("more", "<u8"), ("what", "<u8")])

_COMMUNITY_BITS, _MINUTE_BITS, _PRINT_BITS = 20, 27, 17
_MINUTE_SHIFT = np.uint64(_PRINT_BITS)
_COMMUNITY_SHIFT = np.uint64(_PRINT_BITS + _MINUTE_BITS)
_MINUTE_MASK = np.uint64((1 << _MINUTE_BITS) - 1)
MAX_COMMUNITIES = 1 << _COMMUNITY_BITS
FOR_EVER = (1 << _MINUTE_BITS) - 1
"""The minute of an id that is never forgotten."""

UNKNOWN = np.uint64(0xFFFFFFFFFFFFFFFF)
"""What the index answers for an id it does not know: no community has that number."""

_RUN_RATIO = 4
_FEW = 65_536


class EventHasher:
    """128-bit hashes of event keys (topic, community, event id): MurmurHash3 x64 128 (Appleby, public domain) of the
    event id, started from the 128-bit hash of topic and community where the original starts from a seed."""

    def __init__(self) -> None:
        self._start = np.empty((0, 2), np.uint64)

    def hashes(self, topic_number: int, communities: Sequence[str], community: Ints, event_ids: pa.Array) -> Hashes:
        """Hashes as an array of two unsigned words each.

        Args:
            topic_number: position of the topic among the event topics.
            communities: names by number.
            community: number of each event's community.
            event_ids: texts.
        """
        known = len(self._start)
        if known < len(communities):
            more = b"".join(xxh3_128_digest(name.encode()) for name in communities[known:])
            self._start = np.concatenate((self._start, np.frombuffer(more, "<u8").reshape(-1, 2)))
        found = np.empty((len(event_ids), 2), np.uint64)
        data, offsets = text_buffers(event_ids)
        topic = np.uint64((topic_number + 1) * 0x9E3779B97F4A7C15 % (1 << 64))
        _murmur3(data, offsets, community, self._start, topic, found)
        return found


@njit(cache=True, nogil=True)
def _merge(newer, older, both):  # type: ignore[no-untyped-def]
    """Merge two runs; newest first among equals: of an id that came again after it expired, the newest is found."""
    i = j = 0
    for at in range(len(both)):
        if j == len(older) or (i < len(newer) and newer[i, 0] <= older[j, 0]):
            both[at, 0], both[at, 1], both[at, 2] = newer[i, 0], newer[i, 1], newer[i, 2]
            i += 1
        else:
            both[at, 0], both[at, 1], both[at, 2] = older[j, 0], older[j, 1], older[j, 2]
            j += 1


@njit(cache=True, nogil=True)
def _murmur3(data, offsets, community, starts, topic, found):  # type: ignore[no-untyped-def]
    c1, c2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
    five, n1, n2 = np.uint64(5), np.uint64(0x52DCE729), np.uint64(0x38495AB5)
    for i in range(len(found)):
        start, stop = offsets[i], offsets[i + 1]
        h1 = starts[community[i], 0] ^ topic
        h2 = starts[community[i], 1]
        at = start
        while at < stop:
            k1, k2 = np.uint64(0), np.uint64(0)
            for k in range(min(stop - at, 8)):
                k1 |= np.uint64(data[at + k]) << np.uint64(8 * k)
            for k in range(min(stop - at - 8, 8)):
                k2 |= np.uint64(data[at + 8 + k]) << np.uint64(8 * k)
            h1 ^= _turned(k1 * c1, 31) * c2
            if stop - at >= 16:  # the tail is only mixed in
                h1 = (_turned(h1, 27) + h2) * five + n1
            h2 ^= _turned(k2 * c2, 33) * c1
            if stop - at >= 16:
                h2 = (_turned(h2, 31) + h1) * five + n2
            at += 16
        h1 ^= np.uint64(stop - start)
        h2 ^= np.uint64(stop - start)
        h1 += h2
        h2 += h1
        h1 = _finished(h1)
        h2 = _finished(h2)
        h1 += h2
        found[i, 0] = h1
        found[i, 1] = h2 + h1


@njit(cache=True, nogil=True)
def _turned(word, bits):  # type: ignore[no-untyped-def]
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit(cache=True, nogil=True)
def _finished(word):  # type: ignore[no-untyped-def]
    word ^= word >> np.uint64(33)
    word *= np.uint64(0xFF51AFD7ED558CCD)
    word ^= word >> np.uint64(33)
    word *= np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))


def describe(community: Ints, member: Ints, occurred_at_ms: Ints, for_ever: bool) -> Keys:
    """What the events are, packed as in an entry.

    Two events of different member or time have the same fingerprint once in 131,072 times; such a conflicting
    copy is then counted as a duplicate. It is not applied either way.
    """
    mixed = (member.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= occurred_at_ms.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    fingerprint = mixed >> np.uint64(64 - _PRINT_BITS)
    minute = np.full(len(community), FOR_EVER, np.uint64) if for_ever else occurred_at_ms.astype(np.uint64) // 60_000
    described: Keys = (community.astype(np.uint64) << _COMMUNITY_SHIFT) | (minute << _MINUTE_SHIFT) | fingerprint
    return described


def minute_of(what: Keys) -> Ints:
    """The minute (since 1970) of packed events, FOR_EVER for those never forgotten."""
    return ((what >> _MINUTE_SHIFT) & _MINUTE_MASK).astype(np.int64)


class DedupIndex:
    """Sorted runs of entries. A lookup is a binary search in each; runs are merged as they grow, like an LSM tree."""

    name = "dedup"

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[Any]] = []
        self._segments = Segments(self.name, ENTRY)
        self._kept_last_time = 0

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes the entries take."""
        return sum(run.nbytes for run in self._runs)

    def find(self, hashed: npt.NDArray[Any]) -> Keys:
        """What each hash stands for, UNKNOWN where it is not known."""
        found = np.full(len(hashed), UNKNOWN, np.uint64)
        if not self._runs:
            return found
        order = np.argsort(hashed[:, 0])
        first, second = hashed[order, 0], hashed[order, 1]
        answer = np.full(len(hashed), UNKNOWN, np.uint64)
        for run in self._runs:
            at = np.searchsorted(run["hash"], first)
            while True:
                inside = at < len(run)
                same = np.zeros(len(at), np.bool_)
                same[inside] = run["hash"][at[inside]] == first[inside]
                if not same.any():
                    break
                hit = same.copy()
                hit[same] = run["more"][at[same]] == second[same]
                answer[hit] = run["what"][at[hit]]
                at = np.where(same & ~hit, at + 1, len(run))  # two ids that share the first 64 bits
        found[order] = answer
        return found

    def add(self, hashed: npt.NDArray[Any], what: Keys) -> None:
        """Remember events; the hashes are distinct and not known (or what was known of them has expired)."""
        if len(what) == 0:
            return
        entries = np.empty(len(what), ENTRY)
        entries["hash"], entries["more"], entries["what"] = hashed[:, 0], hashed[:, 1], what
        self._segments.append(entries)
        # Newest first here too: an id may expire and come again inside one batch.
        newest_first = entries[::-1]
        self._push(newest_first[np.argsort(newest_first["hash"], kind="stable")])

    def _push(self, run: npt.NDArray[Any]) -> None:
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) < _RUN_RATIO * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            both = np.empty(len(newer) + len(older), ENTRY)
            _merge(*(run.view(np.uint64).reshape(-1, 3) for run in (newer, older, both)))
            self._runs.append(both)

    def forget(self, horizon_minute: Ints) -> None:
        """Drop ids older than the horizon (minutes) of their community, once the index has doubled."""
        if len(self) < 2 * self._kept_last_time + _FEW:
            return
        alive = [run[self._alive(run, horizon_minute)] for run in self._runs]
        self._runs = []
        for run in alive:
            if len(run):
                self._push(run)
        self._kept_last_time = len(self)

    def dirty(self, horizon_minute: Ints) -> list[StateRows]:
        """State rows for what came since the last call; calling it makes them clean."""

        def alive() -> npt.NDArray[Any]:
            every = [run[self._alive(run, horizon_minute)] for run in self._runs]
            return np.concatenate(every) if every else np.empty(0, ENTRY)

        return self._segments.dirty(alive, len(self))

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        entries = self._segments.restore(keys, payloads)
        if len(entries):
            # An id may stand in two segments (once expired, once anew): the later minute is the newer entry.
            order = np.lexsort((-minute_of(entries["what"]), entries["hash"]))
            self._runs = [entries[order]]
        self._kept_last_time = len(self)

    @staticmethod
    def _alive(run: npt.NDArray[Any], horizon_minute: Ints) -> Mask:
        community = (run["what"] >> _COMMUNITY_SHIFT).astype(np.int64)
        alive: Mask = minute_of(run["what"]) >= horizon_minute[community]
        return alive
