"""A forest whose links carry credits and money: tree, counts, ledger and totals, kept in step with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.facts import AlreadyMemberFact, LeftFact, OrdersFact, QualifiedFact, StaffFact
from streams.operators.base import Ints, Mask
from streams.operators.credit_ledger import Credit, CreditLedger
from streams.operators.referral_columns import EdgeColumns, EdgeList, NodeColumns, column, flags
from streams.operators.referral_counts import ReferralCounts
from streams.operators.referral_graph import NOBODY
from streams.operators.referral_money import ReferralMoney
from streams.operators.referral_tree import ReferralTree

Nodes: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.int32]
StayFact: TypeAlias = AlreadyMemberFact | QualifiedFact | LeftFact | OrdersFact


class CreditedForest:
    """Nodes and edges of all campaigns of a partition with what became of their credits; the tree tells it of links."""

    def __init__(self) -> None:
        self.nodes, self.edges = NodeColumns(), EdgeColumns()
        self.tree = ReferralTree(self, self.edges.tie)
        self.counts = ReferralCounts()
        self.money = ReferralMoney()
        self.ledger = CreditLedger(self.edges.platforms)
        # since the last flush
        self._changed_nodes: list[Ints] = []
        self._changed_edges: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of all columns of nodes, edges and stays."""
        return sum(part.nbytes for part in (self.nodes, self.edges, self.tree, self.counts, self.ledger))

    # -- what is said -------------------------------------------------------------------------------------------------

    def _learn(self, facts: Sequence[StayFact | StaffFact]) -> None:
        """Take facts about referees and referrers in."""
        about = [fact.referrer_id if isinstance(fact, StaffFact) else fact.referee_id for fact in facts]
        nodes = self._find([fact.campaign_id for fact in facts], about).tolist()
        communities = self.edges.communities.codes([fact.community_id for fact in facts])
        for node, community, fact in zip(nodes, communities, facts, strict=True):
            if isinstance(fact, StaffFact):
                if self.ledger.take_staff(node, community, fact):
                    self._review_staff(node)
            elif self.ledger.take(self.ledger.stay(node, community), fact):
                self._review(node)

    def _add(self, edges: EdgeList) -> EdgeList:
        """Add edges that are not known yet; returns these."""
        first = len(self.edges)
        new = self.edges.add(edges)
        if not new.size:
            return new
        referrer, referee = self._find(new.campaigns * 2, new.referrers + new.referees).reshape(2, -1)
        between = referrer != referee
        is_member = flags(self.nodes.is_member)
        for nodes in (referrer[between], referee[between]):
            self._changed_nodes.append(nodes[is_member[nodes] == 0])
            is_member[nodes] = 1
        del is_member
        times_ms = np.array(new.occurred_ms, np.int64)
        plain = self._plain(np.arange(first, len(self.edges)), referrer, referee)
        self.tree.add_edges(referrer, referee, times_ms, plain)
        for edge in (np.flatnonzero(~plain) + first).tolist() if self.ledger.staff else ():
            if self._by_staff(edge):
                self._set_staff(self.tree.referrer[edge], True)
        return new

    def _plain(self, edges: Ints, referrer: Nodes, referee: Nodes) -> Mask:
        """Which edges have a credit that is just pending if they are linked: nothing is known that bears on it."""
        plain: Mask = (column(self.ledger.first_stay)[referee] == NOBODY) & (flags(self.edges.outside)[edges] == 0)
        if self.ledger.staff:
            plain &= ~np.isin(referrer, [node for node, _ in self.ledger.staff])
        return plain

    def _find(self, campaigns: list[str], members: list[str]) -> Ints:
        found = self.nodes.find(campaigns, members)
        new = len(self.nodes) - self.tree.nodes
        if new:
            for part in (self.tree, self.counts, self.ledger):
                part.add_nodes(new)
        return found

    # -- what follows for credits -------------------------------------------------------------------------------------

    def credit_of(self, edge: int) -> Credit:
        """What became of the credit of a linked edge."""
        tree, said = self.tree, self.edges
        place = tree.referrer[edge], tree.referee[edge], said.community_of[edge], said.platform[edge]
        return self.ledger.credit(*place, tree.time_ms[edge], bool(said.outside[edge]))

    def linked(self, edge: int, referrer: int, referee: int) -> None:
        """A root has come below another node; called by the tree."""
        credit = self.credit_of(edge)
        self.counts.linked(referrer, referee, credit.state)
        if self.money.has_any:
            self.money.linked(referrer, referee)
        self._set_money(edge, referee, credit)

    def linked_many(self, referrer: Ints, referee: Ints) -> None:
        """The same for edges of which nothing more is known; called by the tree."""
        self.counts.linked_many(referrer, referee)
        if self.money.has_any:
            for above, below in zip(referrer.tolist(), referee.tolist(), strict=True):
                self.money.linked(above, below)

    def linked_again(self, edges: Ints) -> None:
        """The same for edges of any kind; called by the tree."""
        referrer, referee = column(self.tree.referrer)[edges], column(self.tree.referee)[edges]
        plain = self._plain(edges, referrer, referee)
        self.linked_many(referrer[plain].astype(np.int64), referee[plain].astype(np.int64))
        for at in np.flatnonzero(~plain).tolist():
            self.linked(int(edges[at]), int(referrer[at]), int(referee[at]))

    def cut(self, referrer: int, referee: int) -> None:
        """A node leaves its parent; called by the tree."""
        self.counts.cut(referrer, referee)
        self._cut_money(referrer, referee)

    def cut_many(self, referrer: Ints, referee: Ints) -> None:
        """Nodes leave their parents; called by the tree."""
        self.counts.cut_many(referrer, referee)
        for above, below in zip(referrer.tolist(), referee.tolist(), strict=True) if self.money.has_any else ():
            self._cut_money(above, below)

    def _cut_money(self, referrer: int, referee: int) -> None:
        if self.money.has_any:
            self.money.set_own(self.tree, referee, {})
            self.money.cut(referrer, referee)

    def _review(self, node: int) -> None:
        """Facts about a node changed: so may the credit of the edge that brought it."""
        edge = self.tree.parent_edge[node]
        if edge == NOBODY:
            return
        credit = self.credit_of(edge)
        self.counts.set_credit(self.tree.referrer[edge], node, credit.state)
        self._set_money(edge, node, credit)
        self._changed_edges.append(edge)

    def _set_money(self, edge: int, node: int, credit: Credit) -> None:
        if not self.ledger.orders:
            return
        counts = credit.reason != AlreadyMemberFact.__struct_config__.tag
        self.money.set_own(self.tree, node, self.ledger.spent(node, self.edges.community_of[edge]) if counts else {})

    def _review_staff(self, node: int) -> None:
        """Facts about a referrer changed."""
        edges = list(self.tree.edges_by(node))
        self._set_staff(node, any(map(self._by_staff, edges)))
        self._changed_edges += edges
        for edge in edges:
            self._review(self.tree.referee[edge])

    def _set_staff(self, node: int, staff: bool) -> None:
        if staff != bool(self.nodes.refers_as_staff[node]):
            self.nodes.refers_as_staff[node] = staff
            self._changed_nodes.append(np.array([node]))

    def _by_staff(self, edge: int) -> bool:
        """Whether somebody else was referred by staff."""
        tree = self.tree
        referrer = tree.referrer[edge]
        return referrer != tree.referee[edge] and self.ledger.is_staff(
            referrer, self.edges.community_of[edge], tree.time_ms[edge]
        )
