"""Which event ids were applied already: exact, 24 bytes an id, bounded by the allowed lateness.

An entry is a 128-bit hash of (topic, community, event id) and 64 bits of what the event was: its community, its minute,
and a fingerprint of member and time that tells a repeated event from another one under the same id.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128_digest

from streams.operators.base import Ints, Keys, Mask, StateRows
from streams.operators.segments import Segments

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


def hashes(topic_number: int, communities: list[str], event_ids: list[str]) -> npt.NDArray[Any]:
    """128-bit hashes of event keys, as an array of two unsigned words each."""
    keys = map(str.encode, map("\0".join, zip(communities, event_ids, strict=True)))
    found = np.frombuffer(b"".join(map(xxh3_128_digest, keys)), "<u8").reshape(-1, 2)
    # The topic goes into the result and not into the seed: XXH3 only adds the seed to a short input, so that
    # ("a", "id-47") under seed 3 and ("b", "id-44") under seed 0 have the same 128 bits.
    return found ^ np.uint64(topic_number * 0x9E3779B97F4A7C15 % (1 << 64))


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
            # Newest first, and a stable sort: of an id that came again after it expired, the newest is found.
            both = np.concatenate((newer, older))
            self._runs.append(both[np.argsort(both["hash"], kind="stable")])

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
