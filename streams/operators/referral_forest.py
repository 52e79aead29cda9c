"""Referral forests and credit ledgers of the campaigns of one partition, over the facts that reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa

from schemas.facts import AlreadyMemberFact, EdgeFact, Fact, LeftFact, OrdersFact, QualifiedFact, StaffFact, decode
from schemas.topics import REFERRAL_FACTS
from streams.operators.base import Batch, Ints, StateRows, binary, distinct
from streams.operators.credit_ledger import NOT_KNOWN
from streams.operators.credit_rows import credit_rows, money_rows
from streams.operators.credited_forest import CreditedForest
from streams.operators.edge_credits import EdgeCredit
from streams.operators.edge_journal import EDGES, EdgeJournal
from streams.operators.outbox import OutboxRecord
from streams.operators.program import SideRecordError
from streams.operators.referral_columns import EdgeList, column, flags
from streams.operators.referral_counts import REJECTED
from streams.operators.referral_graph import LINKED
from streams.operators.referral_rows import edge_rows, node_rows

_OTHERS = (AlreadyMemberFact, QualifiedFact, LeftFact, OrdersFact, StaffFact)  # all further kinds are for other readers

STAYS, STAFF = "referral_stays", "referral_staff"


class ReferralForest(CreditedForest):
    """A program over referral facts: they may be repeated and come in any order, the answer is the same."""

    names: tuple[str, ...] = (EDGES, STAYS, STAFF)

    def __init__(self) -> None:
        super().__init__()
        # since the last flush
        self._journal = EdgeJournal()
        self._landed_edges = 0

    # -- facts in -----------------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> None:
        """Events are none of its business: facts are."""

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """It has no timers: what falls due arrives as a fact."""

    def settle(self, clock_ms: Ints) -> None:
        """It lets go of nothing: an edge of any age may free or displace another one."""

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Take facts in."""
        if topic != REFERRAL_FACTS:
            return
        try:
            facts = list(map(decode, values))
        except ValueError as error:
            raise SideRecordError(str(error)) from None
        self.take(facts)

    def take(self, facts: Sequence[Fact]) -> None:
        """Take decoded facts in."""
        edges = [fact for fact in facts if type(fact) is EdgeFact]
        if edges:
            self._journal.keep(self._add(EdgeList.of(edges)))
        if len(edges) < len(facts) and (others := [fact for fact in facts if isinstance(fact, _OTHERS)]):
            self._learn(others)

    # -- rows out -----------------------------------------------------------------------------------------------------

    def derived(self) -> dict[str, pa.Table]:
        """Rows of nodes, edges, credits and money that changed since the last call."""
        tree, counts = self.tree, self.counts
        changed = [counts.settle(tree), counts.take_changed(), *self._changed_nodes]
        changed.append(np.fromiter(tree.below(tree.moved), np.int64))
        nodes = distinct(np.concatenate(changed))
        nodes = nodes[flags(self.nodes.is_member)[nodes] == 1]
        edges = np.array(tree.changed_edges + self._changed_edges, np.int64)
        edges = distinct(np.concatenate((edges, np.arange(self._landed_edges, tree.edges))))
        self.money.settle(tree)
        places, self.money.changed = sorted(self.money.changed), set()
        tree.moved, tree.changed_edges = [], []
        self._changed_nodes, self._changed_edges, self._landed_edges = [], [], tree.edges
        rows: dict[str, pa.Table] = {}
        if len(nodes):
            rows["referral_nodes"] = node_rows(tree, counts, self.nodes, nodes)
        if len(edges):
            staff = [self._by_staff(edge) for edge in edges.tolist()] if self.ledger.staff else [False] * len(edges)
            rows["referral_edges"] = edge_rows(tree, self.nodes, self.edges, edges, staff)
            plain = self._plain(edges, column(tree.referrer)[edges], column(tree.referee)[edges])
            rows["referral_credits"] = credit_rows(tree, self.nodes, self.edges, edges, plain, self.credit_of)
        if places:
            rows["referral_revenue"] = money_rows(self.money, self.nodes, places)
        return rows

    def changed_credits(self, wanted: Callable[[str], bool]) -> Iterator[EdgeCredit]:
        """Edges of wanted campaigns, without self-referrals, that may have changed since the last flush."""
        changed = self.tree.changed_edges + self._changed_edges
        return self._credits({*changed, *range(self._landed_edges, self.tree.edges)}, wanted)

    def all_credits(self, wanted: Callable[[str], bool]) -> Iterator[EdgeCredit]:
        """All edges of wanted campaigns but self-referrals."""
        return self._credits(range(self.tree.edges), wanted)

    def _credits(self, edges: Iterable[int], wanted: Callable[[str], bool]) -> Iterator[EdgeCredit]:
        tree, names, said = self.tree, self.nodes, self.edges
        asked = [wanted(campaign) for campaign in names.campaigns.words]
        for edge in edges:
            referrer, referee = tree.referrer[edge], tree.referee[edge]
            campaign = names.campaign_of[referrer]
            if referrer == referee or not asked[campaign]:
                continue
            credit = self.credit_of(edge) if tree.verdict[edge] == LINKED else None
            counts = credit is not None and credit.state != REJECTED
            yield EdgeCredit(
                names.campaigns.words[campaign],
                said.edge_id(edge),
                names.member_ids[referrer].decode(),
                names.member_ids[referee].decode(),
                said.communities.words[said.community_of[edge]],
                tree.time_ms[edge],
                bool(said.outside[edge]),
                counts,
                credit.reversed_ms if credit is not None and credit.reversed_ms != NOT_KNOWN else None,
            )

    def outbox(self) -> list[OutboxRecord]:
        """It sends nothing."""
        return []

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    # -- state --------------------------------------------------------------------------------------------------------

    def dirty(self) -> list[StateRows]:
        """New edges as segments; changed stays and staff as rows."""
        rows = self._journal.dirty()
        ledger = self.ledger
        if ledger.changed:
            stays, ledger.changed = sorted(ledger.changed), set()
            keys = [self._key(ledger.node[stay], ledger.community[stay]) for stay in stays]
            payloads = [msgspec.msgpack.encode(ledger.stay_payload(stay)) for stay in stays]
            rows.append(StateRows(STAYS, binary(keys), binary(payloads)))
        if ledger.changed_staff:
            places, ledger.changed_staff = sorted(ledger.changed_staff), set()
            payloads = [msgspec.msgpack.encode(ledger.staff[place]) for place in places]
            rows.append(StateRows(STAFF, binary([self._key(*place) for place in places]), binary(payloads)))
        return rows

    def dirty_count(self) -> int:
        """State and derived rows that the next flush will write, about."""
        changed = len(self.ledger.changed) + len(self.ledger.changed_staff)
        return self._journal.dirty_count() + changed + len(self._changed_edges) + len(self._changed_nodes)

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take all facts back; forest, ledger and money follow from them."""
        for name in (STAYS, STAFF):  # before the edges: then each credit is worked out once
            self._restore_ledger(name, list(_pairs(rows.get(name))))
        self._add(self._journal.restore(_pairs(rows.get(EDGES))))
        self.derived()  # landed before the checkpoint, or with it

    def _restore_ledger(self, name: str, pairs: list[tuple[bytes, bytes]]) -> None:
        if not pairs:
            return
        campaigns, communities, members = zip(*(key.decode().split("\0") for key, _ in pairs), strict=True)
        nodes = self._find(list(campaigns), list(members)).tolist()
        codes = self.edges.communities.codes(communities)
        for node, community, (_, payload) in zip(nodes, codes, pairs, strict=True):
            found = msgspec.msgpack.decode(payload)
            if name == STAFF:
                self.ledger.restore_staff(node, community, *found)
            else:
                self.ledger.restore_stay(self.ledger.stay(node, community), *found)

    def _key(self, node: int, community: int) -> bytes:
        names = self.nodes
        campaign = names.campaigns.words[names.campaign_of[node]].encode()
        return b"\0".join((campaign, self.edges.communities.words[community].encode(), names.member_ids[node]))

    def sizes(self) -> dict[str, int]:
        """Nodes and edges in memory."""
        return {"referral_nodes": self.tree.nodes, "referral_edges": self.tree.edges}


def _pairs(rows: tuple[pa.Array, pa.Array] | None) -> Iterable[tuple[bytes, bytes]]:
    if rows is None:
        return ()
    return zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True)
