"""Reads referral forests and ledgers back from ClickHouse, for people who ask who brought whom, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from streams.errors import InputError
from streams.rules_parts import did_you_mean

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

_SHOWN_NAMES = 5
_MOST_ROOTS = 500  # named in one question; with more, all trees are asked for


@dataclass(frozen=True, slots=True)
class Node:
    """A member of a campaign's forest, as view `referral_nodes` has it."""

    member_id: str
    parent_id: str
    root_id: str
    depth: int
    direct: int
    descendants: int
    credit_state: str
    matured_direct: int
    matured_descendants: int
    reversed_direct: int
    reversed_descendants: int


NODE_COLUMNS = tuple(Node.__dataclass_fields__)
_NODES = f"SELECT {', '.join(NODE_COLUMNS)} FROM qunpulse.referral_nodes WHERE campaign_id = {{campaign:String}}"


@dataclass(frozen=True, slots=True)
class Transition:
    """A row of the ledger: what an edge's credit became, when, and why if it was refused or reversed."""

    state: str
    changed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge that names a member as referee: its verdict and the transitions of its credit, by time."""

    edge_id: str
    referrer_id: str
    community_id: str
    occurred_at: datetime
    origin: str
    via: str
    source: str
    state: str
    reason: str
    transitions: tuple[Transition, ...] = ()


class Campaign:
    """One campaign's forest. Raises InputError when there is none of that name."""

    def __init__(self, connection: ClickHouse, campaign_id: str) -> None:
        self._connection = connection
        self.campaign_id = campaign_id
        [(self.members, self.roots)] = connection.rows(
            "SELECT count(), countIf(parent_id = '') FROM qunpulse.referral_nodes "
            "WHERE campaign_id = {campaign:String}",
            {"campaign": campaign_id},
        )
        if not self.members and not self._has_edges():
            raise InputError(self._unknown())

    def node(self, member_id: str) -> Node | None:
        """A member's node; None for who is only in self-referrals, or in none."""
        found = self._nodes("AND member_id = {member:String}", member=member_id)
        return found[0] if found else None

    def known_node(self, member_id: str) -> Node:
        """A member's node. Raises InputError for a member without one."""
        node = self.node(member_id)
        if node is None:
            raise InputError(self.unknown_member(member_id))
        return node

    def largest_roots(self, limit: int) -> list[Node]:
        """The roots of the largest trees."""
        return self._nodes("AND parent_id = '' ORDER BY descendants DESC, member_id LIMIT {limit:UInt32}", limit=limit)

    def below(self, tops: Sequence[Node], depth: int, children: int | None = None) -> dict[str, list[Node]]:
        """Members up to so many levels below the given ones, by parent, the largest subtrees first.

        With `children`, no more than so many of each parent; it knows by its `direct` how many there are.
        """
        if not tops:
            return {}
        roots = sorted({node.root_id for node in tops})
        of_roots = "AND root_id IN {roots:Array(String)} " if len(roots) <= _MOST_ROOTS else ""
        limit = f" LIMIT {int(children)} BY parent_id" if children is not None else ""
        found = self._nodes(
            f"{of_roots}AND parent_id != '' AND depth > {{top:UInt32}} AND depth <= {{low:UInt32}} "
            f"ORDER BY descendants DESC, member_id{limit}",
            roots=roots[:_MOST_ROOTS],
            top=min(node.depth for node in tops),
            low=min(max(node.depth for node in tops) + depth, 2**32 - 1),
        )
        by_parent: dict[str, list[Node]] = {}
        for node in found:
            by_parent.setdefault(node.parent_id, []).append(node)
        return by_parent

    def edges_of(self, referee_id: str) -> list[Edge]:
        """Every edge that names the member as referee, in the order in which edges are taken."""
        params = {"campaign": self.campaign_id, "member": referee_id}
        of_member = "WHERE campaign_id = {campaign:String} AND referee_id = {member:String}"
        transitions: dict[str, list[Transition]] = {}
        for edge_id, state, changed_at, reason in self._connection.rows(
            f"SELECT edge_id, state, changed_at, reason FROM qunpulse.referral_credits {of_member} "
            "ORDER BY changed_at, indexOf(['rejected', 'pending', 'matured', 'reversed'], state)",
            params,
        ):
            transitions.setdefault(edge_id, []).append(Transition(state, changed_at, reason))
        rows = self._connection.rows(
            "SELECT edge_id, referrer_id, community_id, occurred_at, origin, via, source, state, reason "
            f"FROM qunpulse_store.referral_edges FINAL {of_member} "
            "ORDER BY occurred_at, event_id, community_id, origin",
            params,
        )
        return [replace(Edge(*row), transitions=tuple(transitions.get(row[0], ()))) for row in rows]

    def unknown_member(self, member_id: str) -> str:
        """What to tell somebody who asked for a member that is not there."""
        elsewhere = self._names(
            "SELECT DISTINCT campaign_id FROM qunpulse.referral_nodes WHERE member_id = {member:String} ORDER BY 1",
            member=member_id,
        )
        close = self._names(
            "SELECT member_id FROM qunpulse.referral_nodes WHERE campaign_id = {campaign:String} "
            "AND editDistanceUTF8(member_id, {member:String}) <= greatest(1, lengthUTF8(member_id) / 4) "
            "ORDER BY editDistanceUTF8(member_id, {member:String}), member_id LIMIT 5",
            member=member_id,
        )
        said = f"no member {member_id!r} among the {self.members:,} of campaign {self.campaign_id!r}"
        if elsewhere:
            return f"{said}; there is one in {listed(elsewhere)}"
        return f"{said}; did you mean {listed(close)}?" if close else f"{said}; `qunpulse referrals tree` shows them"

    def _nodes(self, condition: str, **params: object) -> list[Node]:
        found = self._connection.query_arrow(f"{_NODES} {condition}", {"campaign": self.campaign_id, **params})
        columns = [found[name].to_pylist() for name in NODE_COLUMNS]
        return [Node(*row) for row in zip(*columns, strict=True)]

    def _names(self, sql: str, **params: object) -> list[str]:
        return [name for (name,) in self._connection.rows(sql, {"campaign": self.campaign_id, **params})]

    def _has_edges(self) -> bool:
        edges = "SELECT count() FROM qunpulse_store.referral_edges WHERE campaign_id = {campaign:String}"
        return bool(self._connection.scalar(edges, {"campaign": self.campaign_id}))

    def _unknown(self) -> str:
        there = self._names("SELECT campaign_id FROM qunpulse.referral_nodes GROUP BY 1 ORDER BY count() DESC, 1")
        if not there:
            return f"no campaign {self.campaign_id!r}: there are no referrals at all yet"
        hint = did_you_mean(self.campaign_id, there)
        return f"no campaign {self.campaign_id!r}{hint or ';'} there are {listed(there)}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in names[:_SHOWN_NAMES]) + more
