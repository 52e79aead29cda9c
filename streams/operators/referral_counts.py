"""How many are below each node, and with what credit: sums over subtrees that are brought up to date once a flush.

A change is noted at one node only. What is true of a node is what was last settled for it, plus the notes at it and
below it; so a subtree that moves takes its notes along, and settling carries all notes up, the deepest first. An edge
then costs no more than the depth of its node, and a batch passes the common part of its ways once.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints, distinct
from streams.operators.referral_graph import NOBODY, ReferralGraph

NO_CREDIT, PENDING, MATURED, REVERSED, REJECTED = 0, 1, 2, 3, 4
CREDIT_STATES = ("", "pending", "matured", "reversed", "rejected")

_FEW = 24
"""So few nodes of one depth are faster one by one than in columns."""

_Few = dict[int, list[int]]
"""Members, matured and reversed credits by node."""
_Many = tuple[Ints, ...]
"""Nodes, members, matured and reversed credits."""


class ReferralCounts:
    """Counts by node: direct ones, and of the whole subtree without the node itself."""

    def __init__(self) -> None:
        self.credit = array("b")
        self.matured_direct, self.reversed_direct = array("i"), array("i")
        self.descendants, self.matured_descendants, self.reversed_descendants = array("i"), array("i"), array("i")
        # Node, members, matured credits, reversed credits: what is to be carried up.
        self._notes: list[tuple[int, int, int, int]] = []
        self._many_notes: list[npt.NDArray[np.int64]] = []
        self._changed: list[int] = []
        self._many_changed: list[Ints] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(len(one) * one.itemsize for one in vars(self).values() if isinstance(one, array))

    def add_nodes(self, count: int) -> None:
        """Add nodes with nobody below."""
        self.credit.extend(array("b", [NO_CREDIT]) * count)
        none = array("i", [0]) * count
        for column in (self.matured_direct, self.reversed_direct):
            column.extend(none)
        for column in self._subtree():
            column.extend(none)

    def linked(self, referrer: int, referee: int, credit: int) -> None:
        """A root has come below another node, with a credit for it."""
        self.credit[referee] = credit
        self._add(referrer, referee, 1)

    def linked_many(self, referrer: Ints, referee: Ints) -> None:
        """Roots have come below other nodes, with a pending credit each."""
        np.frombuffer(self.credit, np.int8)[referee] = PENDING
        below = [np.frombuffer(column, np.int32)[referee].astype(np.int64) for column in self._subtree()]
        self._many_notes.append(np.stack([referrer, below[0] + 1, below[1], below[2]]))
        self._many_changed += (referrer, referee)

    def cut(self, referrer: int, referee: int) -> None:
        """A node leaves its parent; its credit is gone."""
        self._add(referrer, referee, -1)
        self.credit[referee] = NO_CREDIT

    def cut_many(self, referrer: Ints, referee: Ints) -> None:
        """The same for many nodes."""
        credits_ = np.frombuffer(self.credit, np.int8)
        matured, reversed_ = ((credits_[referee] == state).astype(np.int32) for state in (MATURED, REVERSED))
        np.subtract.at(np.frombuffer(self.matured_direct, np.int32), referrer, matured)
        np.subtract.at(np.frombuffer(self.reversed_direct, np.int32), referrer, reversed_)
        below = [np.frombuffer(column, np.int32)[referee].astype(np.int64) for column in self._subtree()]
        self._many_notes.append(np.stack([referrer, -1 - below[0], -matured - below[1], -reversed_ - below[2]]))
        credits_[referee] = NO_CREDIT
        self._many_changed += (referrer, referee)

    def set_credit(self, referrer: int, referee: int, credit: int) -> None:
        """The credit of a linked node has another state."""
        before = self.credit[referee]
        if credit == before:
            return
        self.credit[referee] = credit
        matured, reversed_ = (credit == MATURED) - (before == MATURED), (credit == REVERSED) - (before == REVERSED)
        self.matured_direct[referrer] += matured
        self.reversed_direct[referrer] += reversed_
        if matured or reversed_:
            self._notes.append((referrer, 0, matured, reversed_))
        self._changed += (referrer, referee)

    def take_changed(self) -> Ints:
        """Nodes whose direct counts or credit changed since the last call."""
        changed = np.concatenate([np.array(self._changed, np.int64), *self._many_changed])
        self._changed, self._many_changed = [], []
        return changed

    def settle(self, tree: ReferralGraph) -> Ints:
        """Carry all notes up; returns the nodes whose sums of the subtree changed."""
        notes = self._many_notes
        if self._notes:
            notes.append(np.array(self._notes, np.int64).T)
        self._notes, self._many_notes = [], []
        waiting = _merged(*np.concatenate([np.empty((4, 0), np.int64), *notes], axis=1))
        if not len(waiting[0]):
            return waiting[0]
        _, depth = tree.tops(waiting[0])
        order = np.argsort(-depth, kind="stable")
        waiting = tuple(one[order] for one in waiting)
        rows = np.stack(waiting, axis=1).tolist()
        levels, first = np.unique(-depth[order], return_index=True)
        starts = [*first.tolist(), len(order)]
        depths = [*(-levels).tolist(), -1]
        touched: list[Ints] = []
        few: _Few = {}
        many: _Many = _columns(few)
        at = 0
        while True:
            if not len(many[0]):
                at, few = self._carry_few(tree, rows, starts, depths, at, few, touched)
            if at == len(levels):
                break
            here = slice(starts[at], starts[at + 1])
            parts = zip(many, _columns(few), (one[here] for one in waiting), strict=True)
            few, many = {}, _merged(*(np.concatenate(part) for part in parts))
            many, depths[at] = self._carry(tree, many, depths[at], depths[at + 1], touched)
            starts[at] = starts[at + 1]  # those that waited at this depth are on their way now
            at += depths[at] == depths[at + 1]
            if len(many[0]) < _FEW:
                few, many = _by_node(many), _columns({})
        return distinct(np.concatenate(touched)) if touched else np.empty(0, np.int64)

    def _carry(self, tree: ReferralGraph, many: _Many, depth: int, stop: int, touched: list[Ints]) -> tuple[_Many, int]:
        """Carry the notes at nodes of one depth up in columns, to another depth or until they are few; says how far."""
        parent_edge, referrer = np.frombuffer(tree.parent_edge, np.int32), np.frombuffer(tree.referrer, np.int32)
        while depth > stop and len(many[0]) >= _FEW:
            nodes, *sums = many
            for column, add in zip(self._subtree(), sums, strict=True):
                np.frombuffer(column, np.int32)[nodes] += add.astype(np.int32)
            touched.append(nodes)
            up = parent_edge[nodes]
            inside = up != NOBODY
            many = _merged(referrer[up[inside]].astype(np.int64), *(one[inside] for one in sums))
            depth -= 1
        return many, depth

    def _carry_few(
        self,
        tree: ReferralGraph,
        rows: list[list[int]],
        starts: list[int],
        depths: list[int],
        at: int,
        few: _Few,
        touched: list[Ints],
    ) -> tuple[int, _Few]:
        """Carry notes one by one, from one depth where some wait to the next, until there are too many for that.

        Returns:
            Which depth is next, and what has been carried there.
        """
        parent_edge, referrer = tree.parent_edge, tree.referrer
        descendants, matured, reversed_ = self._subtree()
        passed: list[int] = []
        while at < len(depths) - 1 and len(few) + starts[at + 1] - starts[at] < _FEW:
            for node, *note in rows[starts[at] : starts[at + 1]]:
                _note(few, node, note)
            for _ in range(depths[at] - depths[at + 1]):
                upper: _Few = {}
                for node, note in few.items():
                    descendants[node] += note[0]
                    matured[node] += note[1]
                    reversed_[node] += note[2]
                    passed.append(node)
                    up = parent_edge[node]
                    if up != NOBODY:
                        _note(upper, referrer[up], note)
                few = upper
                if not few:
                    break
            at += 1
        touched.append(np.array(passed, np.int64))
        return at, few

    def _subtree(self) -> tuple[array[int], array[int], array[int]]:
        return self.descendants, self.matured_descendants, self.reversed_descendants

    def _add(self, referrer: int, referee: int, sign: int) -> None:
        credit = self.credit[referee]
        matured, reversed_ = int(credit == MATURED), int(credit == REVERSED)
        self.matured_direct[referrer] += sign * matured
        self.reversed_direct[referrer] += sign * reversed_
        self._notes.append(
            (
                referrer,
                sign * (1 + self.descendants[referee]),
                sign * (matured + self.matured_descendants[referee]),
                sign * (reversed_ + self.reversed_descendants[referee]),
            )
        )
        self._changed += (referrer, referee)


def _merged(nodes: Ints, *sums: Ints) -> tuple[Ints, ...]:
    """Distinct nodes with the sums of all that stands at each; what comes to nothing is left out."""
    if not len(nodes):
        return (nodes, *sums)
    order = np.argsort(nodes, kind="stable")
    ordered = nodes[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    added = [np.add.reduceat(one[order], starts) for one in sums]
    some = np.logical_or.reduce([one != 0 for one in added])
    return (ordered[starts][some], *(one[some] for one in added))


def _note(notes: _Few, node: int, more: list[int]) -> None:
    """Add to the note at a node; takes the list over."""
    note = notes.setdefault(node, more)
    if note is not more:
        for at in range(3):
            note[at] += more[at]


def _by_node(many: _Many) -> _Few:
    return {node: note for node, *note in zip(*(one.tolist() for one in many), strict=True)}


def _columns(few: _Few) -> _Many:
    return tuple(np.array([(node, *note) for node, note in few.items()], np.int64).reshape(-1, 4).T)
