"""What each member has spent in all, by currency: sums that stop at the largest 64-bit number."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from streams.operators.base import Events, Ints, StateRows, binary

MOST_MINOR = 2**63 - 1

Spent = tuple[int, int, int]
"""Paid orders, paid and refunded minor units."""


class MemberSpending:
    """Totals of all orders by member number; only buyers have an entry."""

    name = "referral_spent"

    def __init__(self) -> None:
        self._spent: dict[int, dict[str, Spent]] = {}
        self._dirty: set[int] = set()

    def __len__(self) -> int:
        return len(self._spent)

    def of(self, member: int) -> dict[str, Spent]:
        """Totals of a member by currency."""
        return self._spent.get(member, {})

    def apply(self, orders: Events) -> Ints:
        """Take orders in; returns their members."""
        rows = zip(
            orders.member.tolist(),
            orders.columns["status"],
            orders.columns["currency"],
            orders.columns["amount_minor"],
            strict=True,
        )
        for member, status, currency, amount_minor in rows:
            if status == "cancelled":
                continue
            mine = self._spent.setdefault(member, {})
            count, paid, refunded = mine.get(currency, (0, 0, 0))
            if status == "paid":
                mine[currency] = (count + 1, min(paid + amount_minor, MOST_MINOR), refunded)
            else:
                mine[currency] = (count, paid, min(refunded + amount_minor, MOST_MINOR))
            self._dirty.add(member)
        return orders.member

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows of the members changed since the last call."""
        if not self._dirty:
            return []
        members, self._dirty = sorted(self._dirty), set()
        keys = [member.to_bytes(8, "big") for member in members]
        return [
            StateRows(self.name, binary(keys), binary([msgspec.msgpack.encode(self._spent[one]) for one in members]))
        ]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._spent[int.from_bytes(key, "big")] = msgspec.msgpack.decode(payload, type=dict[str, Spent])
