"""Nodes and edges of referral forests as numbers, and the ways through them; a column is 4 bytes a number.

Every edge hangs on its two nodes, rejected ones too; which of them are links says whoever gives the verdicts.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from streams.operators.base import Ints
from streams.operators.referral_links import ways_up

NOBODY = -1
LINKED, SELF_REFERRAL, DUPLICATE_PARENT, CYCLE = 0, 1, 2, 3
REASONS = ("", "self_referral", "duplicate_parent", "cycle")
"""Why an edge is rejected, by verdict; a linked one is not."""

Tie = tuple[bytes, bytes, bytes]
"""Event id, community and topic: the order of edges of the same time."""


class ReferralGraph:
    """Numbered nodes and edges of all campaigns of a partition (no edge joins two campaigns).

    ``tie`` gives what orders edges of the same time; it is asked only then.
    """

    def __init__(self, tie: Callable[[int], Tie]) -> None:
        self._tie = tie
        # edges; those of one referee, and those of one referrer, hang together
        self.referrer, self.referee, self.time_ms = array("i"), array("i"), array("q")
        self.verdict = array("b")
        self._next_in, self._next_out = array("i"), array("i")
        # nodes
        self.parent_edge, self.direct = array("i"), array("i")
        self._first_in, self._first_out = array("i"), array("i")
        # A node above (or the node itself) and how far above: ways are shortened as they are walked.
        self._above, self._steps = array("i"), array("i")

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.parent_edge)

    @property
    def edges(self) -> int:
        """How many edges there are, rejected ones too."""
        return len(self.referrer)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(len(one) * one.itemsize for one in vars(self).values() if isinstance(one, array))

    def add_nodes(self, count: int) -> None:
        """Add roots under the next numbers."""
        first = self.nodes
        none = array("i", [NOBODY]) * count
        for column in (self.parent_edge, self._first_in, self._first_out):
            column.extend(none)
        zero = array("i", [0]) * count
        self.direct.extend(zero)
        self._steps.extend(zero)
        self._above.extend(array("i", range(first, first + count)))

    def edges_of(self, referee: int) -> Iterator[int]:
        """All edges of a referee but self-referrals."""
        edge = self._first_in[referee]
        while edge != NOBODY:
            yield edge
            edge = self._next_in[edge]

    def edges_by(self, referrer: int) -> Iterator[int]:
        """All edges of a referrer but self-referrals."""
        edge = self._first_out[referrer]
        while edge != NOBODY:
            yield edge
            edge = self._next_out[edge]

    def parent(self, node: int) -> int:
        """The node above, NOBODY for a root."""
        edge = self.parent_edge[node]
        return NOBODY if edge == NOBODY else self.referrer[edge]

    def root(self, node: int) -> int:
        """The top of a node's tree; takes the steps of its way once."""
        above = self._above
        top = above[node]
        if above[top] == top:
            return top
        way = [node]
        while above[top] != top:
            way.append(top)
            top = above[top]
        steps = self._steps
        walked = 0
        for one in reversed(way):
            walked += steps[one]
            steps[one] = walked
            above[one] = top
        return top

    def tops(self, nodes: Ints) -> tuple[Ints, Ints]:
        """Root and depth of many nodes."""
        above, steps = np.frombuffer(self._above, np.int32), np.frombuffer(self._steps, np.int32)
        for node in ways_up(above, steps, nodes).tolist():
            self.root(node)
        return above[nodes].astype(np.int64), steps[nodes].astype(np.int64)

    def below(self, nodes: Iterable[int]) -> set[int]:
        """The given nodes and all below them."""
        first_out, next_out, verdict, referee = self._first_out, self._next_out, self.verdict, self.referee
        found: set[int] = set()
        stack: list[int] = []
        for start in nodes:
            if start in found:
                continue
            stack.append(start)
            while stack:
                node = stack.pop()
                found.add(node)
                edge = first_out[node]
                while edge != NOBODY:
                    if verdict[edge] == LINKED and referee[edge] not in found:
                        stack.append(referee[edge])
                    edge = next_out[edge]
        return found

    # -- for whoever gives the verdicts -------------------------------------------------------------------------------

    def _add_edges(self, referrer: Ints, referee: Ints, time_ms: Ints) -> None:
        """Add edges under the next numbers; they hang on no node yet."""
        self.referrer.frombytes(referrer.astype(np.int32).tobytes())
        self.referee.frombytes(referee.astype(np.int32).tobytes())
        self.time_ms.frombytes(time_ms.astype(np.int64).tobytes())
        self.verdict.extend(array("b", [LINKED]) * len(referrer))
        none = array("i", [NOBODY]) * len(referrer)
        self._next_in.extend(none)
        self._next_out.extend(none)

    def _hang(self, edge: int) -> None:
        """Let an edge be found from its nodes."""
        referrer, referee = self.referrer[edge], self.referee[edge]
        self._next_in[edge], self._first_in[referee] = self._first_in[referee], edge
        self._next_out[edge], self._first_out[referrer] = self._first_out[referrer], edge

    def _component(self, edge: int) -> tuple[list[int], list[int]]:
        """All nodes that edges connect with an edge, rejected edges too; and those of these edges that are not earlier.

        Written out, since it may be all there is: with a generator a node it takes three times as long.
        """
        referrer, referee, time_ms, limit_ms = self.referrer, self.referee, self.time_ms, self.time_ms[edge]
        next_in, next_out = self._next_in, self._next_out
        found, seen, later = [referee[edge]], {referee[edge]}, []
        for node in found:
            one = self._first_in[node]
            while one != NOBODY:
                if time_ms[one] > limit_ms or (time_ms[one] == limit_ms and not self._earlier(one, edge)):
                    later.append(one)
                if referrer[one] not in seen:
                    seen.add(referrer[one])
                    found.append(referrer[one])
                one = next_in[one]
            one = self._first_out[node]
            while one != NOBODY:
                if referee[one] not in seen:
                    seen.add(referee[one])
                    found.append(referee[one])
                one = next_out[one]
        return found, later

    def _earlier(self, edge: int, other: int) -> bool:
        one_ms, other_ms = self.time_ms[edge], self.time_ms[other]
        if one_ms != other_ms:
            return one_ms < other_ms
        return edge != other and self._tie(edge) < self._tie(other)

    def _in_order(self, edges: list[int]) -> list[int]:
        edges.sort(key=self.time_ms.__getitem__)
        ordered: list[int] = []
        start = 0
        for stop in range(1, len(edges) + 1):
            if stop == len(edges) or self.time_ms[edges[stop]] != self.time_ms[edges[start]]:
                same = edges[start:stop]
                ordered += sorted(same, key=self._tie) if stop - start > 1 else same
                start = stop
        return ordered

    def _straighten(self, nodes: Iterable[int]) -> None:
        """Let the way up of nodes begin at their parents: shortcuts may lead across an edge that was cut."""
        which = np.fromiter(nodes, np.int64)
        up = np.frombuffer(self.parent_edge, np.int32)[which]
        parents = np.frombuffer(self.referrer, np.int32)[up]  # of a root, anything
        np.frombuffer(self._above, np.int32)[which] = np.where(up == NOBODY, which, parents)
        np.frombuffer(self._steps, np.int32)[which] = up != NOBODY
