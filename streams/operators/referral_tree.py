"""Which edges stand: the forest that taking all edges in their order gives, whatever order they arrived in.

The rule (edges in turn; `self_referral`, `duplicate_parent` or `cycle` is rejected, else linked) makes a parent final:
at any time the forest is the linked edges up to then. So an edge that arrives late asks for its own place only

* whether its referee had a parent by then (is the parent's edge earlier?),
* whether its referee was above its referrer by then (a walk up, over earlier edges only).

If it stands and takes nobody's place, all later verdicts stand too, unless it closes a cycle with later edges. Only
then, or when it takes a place above an edge that is rejected as a cycle (which may now be free), the later edges of its
component are taken again. Most edges are linked a batch at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from streams.operators.base import Ints, Mask
from streams.operators.referral_graph import CYCLE, DUPLICATE_PARENT, LINKED, NOBODY, SELF_REFERRAL, ReferralGraph, Tie
from streams.operators.referral_links import chains_of, lasting


class Watcher(Protocol):
    """Who is told of every change while it is made."""

    def linked(self, edge: int, referrer: int, referee: int) -> None:
        """The referee, a root so far, has come below the referrer."""

    def linked_many(self, referrer: Ints, referee: Ints) -> None:
        """The same for plain edges."""

    def linked_again(self, edges: Ints) -> None:
        """The same for edges of any kind."""

    def cut(self, referrer: int, referee: int) -> None:
        """The referee is about to be a root again."""

    def cut_many(self, referrer: Ints, referee: Ints) -> None:
        """All of the referees are about to be roots again."""


class ReferralTree(ReferralGraph):
    """Forest over numbered nodes and edges."""

    def __init__(self, watcher: Watcher, tie: Callable[[int], Tie]) -> None:
        super().__init__(tie)
        self._watcher = watcher
        self._cycles = 0
        self.changed_edges: list[int] = []
        """Edges whose verdict changed after it was given; new ones are the last in number."""
        self.moved: list[int] = []
        """Nodes that have another parent, so that all below them have another root and depth."""

    def add_edges(self, referrer: Ints, referee: Ints, time_ms: Ints, plain: Mask) -> None:
        """Add edges between known nodes; each finds its verdict, and may change others'.

        ``plain`` edges are those whose link tells the watcher nothing but itself.
        """
        edges = np.arange(self.edges, self.edges + len(referrer))
        self._add_edges(referrer, referee, time_ms)
        rest = self._link_at_once(edges, referrer, referee, plain)
        for edge in self._in_order(rest.tolist()):
            self._place(edge)

    # -- verdicts -----------------------------------------------------------------------------------------------------

    def _link_at_once(self, edges: Ints, referrer: Ints, referee: Ints, plain: Mask) -> Ints:
        """Link those of new edges that nothing can stand against; returns the others.

        These are the only edge of their referee ever seen, and all of them together close no cycle: then each
        stands, and no verdict given before changes, in whatever order they are taken.
        """
        first_in, first_out = np.frombuffer(self._first_in, np.int32), np.frombuffer(self._first_out, np.int32)
        _, place, times = np.unique(referee, return_inverse=True, return_counts=True)
        single = plain & (referrer != referee) & (times[place] == 1) & (first_in[referee] == NOBODY)
        chosen = np.flatnonzero(single)
        top, depth = self.tops(referrer[chosen])
        standing, top, steps = lasting(referee[chosen], top, depth + 1)
        chosen = chosen[standing]
        if not len(chosen):
            return edges
        above, link = referrer[chosen], edges[chosen]
        below = referee[chosen]
        direct = np.frombuffer(self.direct, np.int32)
        self.moved += below[direct[below] > 0].tolist()
        np.add.at(direct, above, 1)
        np.frombuffer(self.parent_edge, np.int32)[below] = link
        np.frombuffer(self._above, np.int32)[below] = top[standing]
        np.frombuffer(self._steps, np.int32)[below] = steps[standing]
        first_in[below] = link
        order, following, heads = chains_of(above, link)
        tails = following == NOBODY
        following[tails] = first_out[above[order][tails]]
        np.frombuffer(self._next_out, np.int32)[link[order]] = following
        first_out[above[order][heads]] = link[order][heads]
        self._watcher.linked_many(above, below)
        rest = np.ones(len(edges), np.bool_)
        rest[chosen] = False
        return edges[rest]

    def _place(self, edge: int) -> None:
        referrer, referee = self.referrer[edge], self.referee[edge]
        if referrer == referee:
            self.verdict[edge] = SELF_REFERRAL
            return
        self._hang(edge)
        rival = self.parent_edge[referee]
        if rival != NOBODY and self._earlier(rival, edge):
            self.verdict[edge] = DUPLICATE_PARENT
            return
        above, by_then = self._is_above(referee, referrer, edge)
        if above and by_then:
            self.verdict[edge] = CYCLE
            self._cycles += 1
        elif above or (rival != NOBODY and self._may_free(referee, rival)):
            self._take_again(edge)
        else:
            if rival != NOBODY:
                self._set(rival, DUPLICATE_PARENT)
                self._cut(rival)
                self._straighten(node for node in self.below([referee]) if node != referee)
            self._link(edge)
            if self._cycles:
                self._name_duplicates(edge)

    def _is_above(self, node: int, other: int, edge: int) -> tuple[bool, bool]:
        """Whether a node is above another one, and whether it was so by the time of an edge."""
        if not self.direct[node] or self.root(node) != self.root(other):
            return False, False
        parent_edge, referrer, time_ms = self.parent_edge, self.referrer, self.time_ms
        limit_ms = time_ms[edge]
        by_then = True
        while other != node:
            up = parent_edge[other]
            if up == NOBODY:
                return False, False
            if by_then and time_ms[up] >= limit_ms:
                by_then = self._earlier(up, edge)
            other = referrer[up]
        return True, by_then

    def _may_free(self, referee: int, rival: int) -> bool:
        """Whether an edge may be rejected as a cycle because of the link that brought a node where it is."""
        if not self._cycles:
            return False
        return any(
            self.verdict[edge] == CYCLE and self._earlier(rival, edge)
            for node in self.below([referee])
            for edge in self.edges_by(node)
        )

    def _name_duplicates(self, edge: int) -> None:
        """Name the later edges of a referee that has just got a parent for that, no longer for a cycle."""
        for other in self.edges_of(self.referee[edge]):
            if self.verdict[other] == CYCLE and self._earlier(edge, other):
                self._set(other, DUPLICATE_PARENT)

    def _take_again(self, edge: int) -> None:
        """Take the edges of a component from a new one on in their order, in the forest as it was then."""
        self.verdict[edge] = DUPLICATE_PARENT  # for now: it hangs on its nodes, but is no link yet
        nodes, later = self._component(edge)
        self._cut_many(np.array([other for other in later if self.verdict[other] == LINKED], np.int64))
        self._straighten(nodes)
        parent_edge, above, steps, verdicts = self.parent_edge, self._above, self._steps, self.verdict
        links: list[int] = []
        for other in self._in_order(later):
            referrer, referee = self.referrer[other], self.referee[other]
            if parent_edge[referee] != NOBODY:
                verdict = DUPLICATE_PARENT
            elif (top := self.root(referrer)) == referee:
                verdict = CYCLE
            else:
                verdict = LINKED
                parent_edge[referee] = other
                above[referee], steps[referee] = top, steps[referrer] + 1
                links.append(other)
            if verdict != verdicts[other]:
                self._set(other, verdict)
        self._note_links(np.array(links, np.int64))

    def _set(self, edge: int, verdict: int) -> None:
        before = self.verdict[edge]
        if before != verdict:
            self._cycles += (verdict == CYCLE) - (before == CYCLE)
            self.verdict[edge] = verdict
            self.changed_edges.append(edge)

    # -- links --------------------------------------------------------------------------------------------------------

    def _link(self, edge: int) -> None:
        referrer, referee = self.referrer[edge], self.referee[edge]
        self.parent_edge[referee] = edge
        self._above[referee] = self.root(referrer)
        self._steps[referee] = self._steps[referrer] + 1
        self.direct[referrer] += 1
        if self.direct[referee]:
            self.moved.append(referee)
        self._watcher.linked(edge, referrer, referee)

    def _cut(self, edge: int) -> None:
        """Make a referee a root; the ways up of all below it are to be straightened afterwards."""
        referrer, referee = self.referrer[edge], self.referee[edge]
        self._watcher.cut(referrer, referee)
        self.parent_edge[referee] = NOBODY
        self._above[referee], self._steps[referee] = referee, 0
        self.direct[referrer] -= 1
        if self.direct[referee]:
            self.moved.append(referee)

    def _cut_many(self, edges: Ints) -> None:
        """The same for many links at once."""
        referrer, referee = np.frombuffer(self.referrer, np.int32)[edges], np.frombuffer(self.referee, np.int32)[edges]
        self._watcher.cut_many(referrer.astype(np.int64), referee.astype(np.int64))
        direct = np.frombuffer(self.direct, np.int32)
        self.moved += referee[direct[referee] > 0].tolist()
        np.subtract.at(direct, referrer, 1)
        np.frombuffer(self.parent_edge, np.int32)[referee] = NOBODY

    def _note_links(self, edges: Ints) -> None:
        """What follows from links that stand already."""
        referrer, referee = np.frombuffer(self.referrer, np.int32)[edges], np.frombuffer(self.referee, np.int32)[edges]
        direct = np.frombuffer(self.direct, np.int32)
        np.add.at(direct, referrer, 1)
        self.moved += referee[direct[referee] > 0].tolist()
        self._watcher.linked_again(edges)
