"""Which members spoke, were active or bought in which pane: the sets behind the distinct figures, kept as integers."""

from __future__ import annotations

import numpy as np

from streams.operators.base import Ints, Keys, Mask, distinct

SPEAKER, ACTIVE, BUYER = 1, 2, 4
FLAGS = (SPEAKER, ACTIVE, BUYER)

_FLAG_BITS = np.uint64(3)
_MEMBER_BITS = np.uint64(32)
_MEMBER = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(61)
_FEW = 16_384


def presence_keys(pane: Ints, member: Ints) -> Keys:
    """One key a (pane number, member number)."""
    return (pane.astype(np.uint64) << _MEMBER_BITS) | member.astype(np.uint64)


def pane_and_member(keys: Keys) -> tuple[Ints, Ints]:
    """Pane number and member number of each key."""
    return (keys >> _MEMBER_BITS).astype(np.int64), (keys & _MEMBER).astype(np.int64)


def merged(keys: Keys, flags: Ints) -> tuple[Keys, Ints]:
    """Distinct keys, ascending, with the flags of all their entries together."""
    if len(keys) == 0:
        return keys, flags
    both = distinct((keys << _FLAG_BITS) | flags.astype(np.uint64))
    keys = both >> _FLAG_BITS
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[starts], np.bitwise_or.reduceat((both & np.uint64(7)).astype(np.int64), starts)


class Presence:
    """The set of (pane, member, flag) of one pane size, sorted by key."""

    def __init__(self, pane_ms: int) -> None:
        self.pane_ms = pane_ms
        self._keys = np.empty(0, np.uint64)
        self._flags = np.empty(0, np.uint8)
        self._kept_last_time = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Keys, flags: Ints) -> tuple[Keys, Ints]:
        """Add entries (ascending, distinct keys); return those with at least one new flag, and their new flags only."""
        at = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), np.int64)
        if len(self._keys):
            place = np.minimum(at, len(self._keys) - 1)
            there = self._keys[place] == keys
            known[there] = self._flags[place[there]]
            self._flags[place[there]] |= flags[there].astype(np.uint8)
            absent = ~there
        else:
            absent = np.ones(len(keys), np.bool_)
        self._keys = np.insert(self._keys, at[absent], keys[absent])
        self._flags = np.insert(self._flags, at[absent], flags[absent].astype(np.uint8))
        new = flags & ~known
        changed = new != 0
        return keys[changed], new[changed]

    def forget(self, community_of: Ints, oldest_ms: Ints) -> None:
        """Drop entries whose pane ended at or before ``oldest_ms`` of their community, once the set has doubled."""
        if len(self) < 2 * self._kept_last_time + _FEW:
            return
        keep = self._alive(community_of, oldest_ms)
        self._keys, self._flags = self._keys[keep], self._flags[keep]
        self._kept_last_time = len(self)

    def alive(self, community_of: Ints, oldest_ms: Ints) -> tuple[Keys, Ints]:
        """The entries that :meth:`forget` would keep."""
        keep = self._alive(community_of, oldest_ms)
        return self._keys[keep], self._flags[keep].astype(np.int64)

    def _alive(self, community_of: Ints, oldest_ms: Ints) -> Mask:
        pane, member = pane_and_member(self._keys)
        alive: Mask = (pane + 1) * self.pane_ms > oldest_ms[community_of[member]]
        return alive


def packed(keys: Keys, flags: Ints) -> Keys:
    """Entries as 8 bytes each: the flags above the pane number above the member number."""
    return keys | (flags.astype(np.uint64) << _TOP)


def unpacked(entries: Keys) -> tuple[Keys, Ints]:
    """The inverse of :func:`packed`."""
    return entries & np.uint64((1 << 61) - 1), (entries >> _TOP).astype(np.int64)
