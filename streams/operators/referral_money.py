"""Money of nodes and their subtrees by currency, with the same notes as the counts of members.

Only nodes with money at or below them have rows here. Sums are Python integers, which never overflow.
"""

from __future__ import annotations

import numpy as np

from streams.operators.referral_graph import NOBODY, ReferralGraph

Totals = tuple[int, int, int]
"""Paid orders, paid and refunded amounts in minor units."""

NONE: Totals = (0, 0, 0)


class ReferralMoney:
    """Own and subtree totals by node and currency; the subtree leaves the node itself out."""

    def __init__(self) -> None:
        self.own: dict[int, dict[str, Totals]] = {}
        self.subtree: dict[int, dict[str, Totals]] = {}
        self._notes: dict[tuple[int, str], Totals] = {}
        self.changed: set[tuple[int, str]] = set()
        """Nodes and currencies whose totals changed."""

    @property
    def has_any(self) -> bool:
        """Whether anybody has any."""
        return bool(self.own or self.subtree)

    def set_own(self, tree: ReferralGraph, node: int, totals: dict[str, Totals]) -> None:
        """What a node spent itself, by currency; a currency that is not there is nothing."""
        before = self.own.get(node, {})
        if before == totals:
            return
        parent = tree.parent(node)
        for currency in before.keys() | totals.keys():
            more = _sum(totals.get(currency, NONE), before.get(currency, NONE), -1)
            if any(more):
                self.changed.add((node, currency))
                if parent != NOBODY:
                    self._note(parent, currency, more, 1)
        if totals:
            self.own[node] = totals
        else:
            self.own.pop(node, None)

    def linked(self, referrer: int, referee: int) -> None:
        """A root has come below another node."""
        self._add(referrer, referee, 1)

    def cut(self, referrer: int, referee: int) -> None:
        """A node leaves its parent."""
        self._add(referrer, referee, -1)

    def settle(self, tree: ReferralGraph) -> None:
        """Carry all notes up."""
        if not self._notes:
            return
        levels: dict[int, dict[tuple[int, str], Totals]] = {}
        _, depths = tree.tops(np.array([node for node, _ in self._notes], np.int64))
        for (place, note), depth in zip(self._notes.items(), depths.tolist(), strict=True):
            levels.setdefault(depth, {})[place] = note
        self._notes = {}
        for depth in range(max(levels), -1, -1):
            level = levels.pop(depth, {})
            upper = levels.setdefault(depth - 1, {}) if depth else {}
            for (node, currency), note in level.items():
                if not any(note):
                    continue
                mine = self.subtree.setdefault(node, {})
                mine[currency] = _sum(mine.get(currency, NONE), note, 1)
                self.changed.add((node, currency))
                parent = tree.parent(node)
                if parent != NOBODY:
                    upper[parent, currency] = _sum(upper.get((parent, currency), NONE), note, 1)

    def _add(self, referrer: int, referee: int, sign: int) -> None:
        for of_kind in (self.own, self.subtree):
            for currency, totals in of_kind.get(referee, {}).items():
                self._note(referrer, currency, totals, sign)

    def _note(self, node: int, currency: str, totals: Totals, sign: int) -> None:
        self._notes[node, currency] = _sum(self._notes.get((node, currency), NONE), totals, sign)


def _sum(one: Totals, other: Totals, sign: int) -> Totals:
    return one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2]
