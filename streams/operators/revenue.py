"""Revenue of each community by local day and currency."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from streams.operators.base import Events, Ints, StateRows, binary
from streams.operators.local_days import DAY_MS

_MOST_MINOR = int(np.iinfo(np.int64).max)
"""Sums stop here: a thousand orders of the largest amount allowed must not stop the worker instead."""

Place = tuple[int, int, str]
"""Community number, local day, currency."""


@dataclass(slots=True)
class _Day:
    orders: int = 0
    refunds: int = 0
    gmv_minor: int = 0
    refunded_minor: int = 0
    buyers: set[int] = field(default_factory=set)


class Revenue:
    """Paid and refunded amounts, in minor units, and the distinct buyers. Days that can change no more leave."""

    names = ("revenue",)

    def __init__(self) -> None:
        self._days: dict[Place, _Day] = {}
        self._dirty: set[Place] = set()
        self._gone: list[Place] = []

    def apply(self, orders: Events, local_day: Ints) -> None:
        """Count orders, given the local day of each."""
        rows = zip(
            orders.community.tolist(),
            local_day.tolist(),
            orders.columns["currency"],
            orders.columns["status"],
            orders.columns["amount_minor"],
            orders.member.tolist(),
            strict=True,
        )
        for community, day, currency, status, amount_minor, member in rows:
            if status == "cancelled":
                continue
            place = (community, day, currency)
            one = self._days.setdefault(place, _Day())
            if status == "paid":
                one.orders += 1
                one.gmv_minor = min(one.gmv_minor + amount_minor, _MOST_MINOR)
                one.buyers.add(member)
            else:
                one.refunds += 1
                one.refunded_minor = min(one.refunded_minor + amount_minor, _MOST_MINOR)
            self._dirty.add(place)

    def settle(self, oldest_ms: Ints) -> None:
        """Let go of days that ended before ``oldest_ms`` of their community."""
        # By number, a local day is over at most a day after the UTC day of that number.
        old = [
            place for place in self._days if (place[1] + 2) * DAY_MS <= oldest_ms[place[0]] and place not in self._dirty
        ]
        for place in old:
            del self._days[place]
        self._gone += old

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def take_changed(self) -> list[Place]:
        """Places changed since the last call; calling it makes them clean."""
        changed = sorted(self._dirty)
        self._dirty = set()
        return changed

    def state(self, changed: list[Place]) -> list[StateRows]:
        """State rows of the given places, and the ends of the days that were let go."""
        found = []
        if changed:
            payloads = []
            for place in changed:
                one = self._days[place]
                figures = (one.orders, one.refunds, one.gmv_minor, one.refunded_minor)
                payloads.append(msgspec.msgpack.encode((*figures, sorted(one.buyers))))
            found.append(StateRows("revenue", _keys(changed), binary(payloads)))
        if self._gone:
            keys, self._gone = _keys(self._gone), []
            found.append(StateRows("revenue", keys, binary([b""] * len(keys)), deleted=True))
        return found

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            community, day, currency = msgspec.msgpack.decode(key)
            orders, refunds, gmv_minor, refunded_minor, buyers = msgspec.msgpack.decode(payload)
            place = (community, day, currency)
            self._days[place] = _Day(orders, refunds, gmv_minor, refunded_minor, set(buyers))

    @staticmethod
    def days(changed: list[Place]) -> tuple[Ints, Ints]:
        """Community number and local day of the given places."""
        places = np.array([place[:2] for place in changed], np.int64).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    def table(self, changed: list[Place], names: pa.Array, start_ms: Ints) -> pa.Table:
        """Derived rows of the given places; ``start_ms`` is the start of each one's day in UTC."""
        community, day = self.days(changed)
        rows = [self._days[place] for place in changed]
        return pa.table(
            {
                "community_id": names.take(pa.array(community)),
                "window_start": pa.array(start_ms // 1000).cast(pa.timestamp("s", "UTC")),
                "local_date": pa.array(day.astype(np.int32)).cast(pa.date32()),
                "currency": pa.array([place[2] for place in changed], pa.string()),
                "orders": pa.array([one.orders for one in rows], pa.uint32()),
                "refunds": pa.array([one.refunds for one in rows], pa.uint32()),
                "gmv_minor": pa.array([one.gmv_minor for one in rows], pa.int64()),
                "refunded_minor": pa.array([one.refunded_minor for one in rows], pa.int64()),
                "buyers": pa.array([len(one.buyers) for one in rows], pa.uint32()),
            }
        )


def _keys(places: list[Place]) -> pa.Array:
    return binary([msgspec.msgpack.encode(place) for place in places])
