"""Targets of campaigns: who reached them and when, over the facts of a campaign, wherever its members are.

Invitations and orders of one campaign happen in many communities, so state lives where the campaign's facts arrive.
What is landed and sent is a function of the facts, whatever order they come in (`target_course.py` says which):

* ``accepted_invitations``, for each member: a linked edge whose credit is not refused counts from when its referee
  joined the edge's community for the first time (not before the edge itself) until its credit is reversed. It opens
  with the member's earliest edge inside the campaign, linked or not: an invitation once sent nothing can undo.
* ``group_buy_orders``, for each group buy: an order counts while it is paid in any community, and neither cancelled
  nor wholly refunded there. It opens with the first payment.

A campaign's target is the one in force when its first fact arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from schemas.facts import GroupOrderFact, JoinedFact, decode
from schemas.topics import REFERRAL_FACTS
from streams.operators.base import Batch, Ints, StateRows, binary
from streams.operators.edge_credits import CreditSource, EdgeCredit
from streams.operators.group_orders import GROUP_BUY_ORDERS
from streams.operators.milestone_rows import Standing, Subject, milestone_record, milestone_rows
from streams.operators.outbox import OutboxRecord
from streams.operators.program import SideRecordError
from streams.operators.target_course import Course, Span, Target, course, merged

RULES, JOINS, ORDERS, STANDING = "target_rules", "target_joins", "target_orders", "milestones"
ACCEPTED_INVITATIONS = "accepted_invitations"
_WANTED = (b'"joined"', b'"group_order"')

Referee = tuple[str, str]
"""Campaign, member."""


class ReferralTargets:
    """A program over referral facts and the forest made of them; it comes after the forest in the list of programs."""

    names: tuple[str, ...] = (RULES, JOINS, ORDERS, STANDING)

    def __init__(self, credits_of: CreditSource, target_of: Callable[[str], Target | None]) -> None:
        self._credits = credits_of
        self._target_of = target_of
        self._targets: dict[str, Target | None] = {}
        self._joins: dict[tuple[str, str, str], tuple[int, int | None]] = {}
        """Revision and first time of joining by campaign, community and member."""
        self._orders: dict[Subject, dict[tuple[str, str], tuple[int, int, list[Span]]]] = {}
        """Revision, first payment and spans by group, then by order and community."""
        self._brought: dict[Referee, EdgeCredit] = {}
        """The edge that counts, by referee."""
        self._referees: dict[Subject, set[str]] = {}
        self._standing: dict[Subject, Standing] = {}
        # since the last flush
        self._new_targets: set[str] = set()
        self._new_joins: set[tuple[str, str, str]] = set()
        self._new_orders: set[tuple[Subject, tuple[str, str]]] = set()
        self._review: set[Subject] = set()
        self._changed: list[Subject] = []
        self._outbox: list[OutboxRecord] = []

    # -- facts in -----------------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> None:
        """Events are none of its business: facts are."""

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Take the facts that are its own in; edges and credits it asks the forest for."""
        if topic != REFERRAL_FACTS:
            return
        try:
            facts = [decode(value) for value in values if any(kind in value for kind in _WANTED)]
        except ValueError as error:
            raise SideRecordError(str(error)) from None
        for fact in facts:
            if isinstance(fact, JoinedFact):
                self._take_joined(fact)
            elif isinstance(fact, GroupOrderFact):
                self._take_order(fact)

    def _take_joined(self, fact: JoinedFact) -> None:
        if not self._asks_for(fact.campaign_id, ACCEPTED_INVITATIONS):
            return
        place = (fact.campaign_id, fact.community_id, fact.referee_id)
        if fact.revision <= self._joins.get(place, (0, None))[0]:
            return
        self._joins[place] = (fact.revision, fact.joined_at)
        self._new_joins.add(place)
        edge = self._brought.get((fact.campaign_id, fact.referee_id))
        if edge is not None:
            self._review.add(_member(edge))

    def _take_order(self, fact: GroupOrderFact) -> None:
        if not self._asks_for(fact.campaign_id, GROUP_BUY_ORDERS):
            return
        subject = (fact.campaign_id, "group", fact.group_buy_id)
        orders = self._orders.setdefault(subject, {})
        place = (fact.order_id, fact.community_id)
        if place in orders and orders[place][0] >= fact.revision:
            return
        orders[place] = (fact.revision, fact.occurred_at, [*fact.spans])
        self._new_orders.add((subject, place))
        self._open(subject, fact.occurred_at)

    def _asks_for(self, campaign_id: str, kind: str) -> bool:
        if campaign_id not in self._targets:
            self._targets[campaign_id] = self._target_of(campaign_id)
            self._new_targets.add(campaign_id)
        target = self._targets[campaign_id]
        return target is not None and target.kind == kind

    def _wants_edges(self, campaign_id: str) -> bool:
        return self._asks_for(campaign_id, ACCEPTED_INVITATIONS)

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Look at what changed in the forest, and work out anew what that concerns. No time matters to it."""
        edges = list(self._credits.changed_credits(self._wants_edges))
        self._take_edges(edges)
        changed, self._review = sorted(self._review), set()
        for subject in changed:
            self._judge(subject)

    def _take_edges(self, edges: list[EdgeCredit]) -> None:
        # What stopped counting goes first: a referee may have been given to another parent.
        for edge in edges:
            before = self._brought.get((edge.campaign_id, edge.referee_id))
            if before is not None and not edge.counts and before.edge_id == edge.edge_id:
                del self._brought[edge.campaign_id, edge.referee_id]
                self._referees[_member(edge)].discard(edge.referee_id)
                self._review.add(_member(edge))
        for edge in edges:
            if not edge.outside:
                self._open(_member(edge), edge.occurred_ms)
            if edge.counts:
                self._brought[edge.campaign_id, edge.referee_id] = edge
                self._referees.setdefault(_member(edge), set()).add(edge.referee_id)
                self._review.add(_member(edge))

    def _open(self, subject: Subject, at_ms: int) -> None:
        standing = self._standing.get(subject)
        if standing is None:
            self._standing[subject] = Standing(at_ms)
        elif at_ms < standing.opened_ms:
            standing.opened_ms = at_ms
        self._review.add(subject)

    # -- what follows -------------------------------------------------------------------------------------------------

    def _judge(self, subject: Subject) -> None:
        """Work a subject out anew; what is different goes to the tables, and to Kafka where it was reached or lost."""
        standing = self._standing.get(subject)
        target = self._targets.get(subject[0])
        if standing is None or target is None:
            return
        opened_ms = standing.opened_ms
        spans = self._invitations(subject) if subject[1] == "member" else self._paid(subject)
        found = course(spans, target.count, opened_ms, target.deadline_ms(opened_ms))
        before, now = standing.shown, (opened_ms, found)
        if now == before:
            return
        standing.course, standing.shown = found, now
        self._changed.append(subject)
        sent = standing.revision > 0
        says_the_same = sent and before is not None and (before[0], before[1][1:]) == (opened_ms, found[1:])
        if (sent or found.reached_ms is not None) and not says_the_same:
            standing.revision += 1
            self._outbox.append(milestone_record(subject, target, standing))

    def _invitations(self, subject: Subject) -> Iterable[Span]:
        campaign = subject[0]
        for referee in self._referees.get(subject, ()):
            edge = self._brought[campaign, referee]
            _, joined_ms = self._joins.get((campaign, edge.community_id, referee), (0, None))
            if joined_ms is not None:
                yield max(joined_ms, edge.occurred_ms), edge.reversed_ms

    def _paid(self, subject: Subject) -> Iterable[Span]:
        by_order: dict[str, list[Span]] = {}
        for (order_id, _), (_, _, spans) in self._orders.get(subject, {}).items():
            by_order.setdefault(order_id, []).extend(spans)
        for spans in by_order.values():
            yield from merged(spans)

    def settle(self, clock_ms: Ints) -> None:
        """It lets go of nothing: an edge of any age may displace another one, as in the forest."""

    def derived(self) -> dict[str, pa.Table]:
        """Rows of the subjects worked out since the last call."""
        changed, self._changed = sorted(set(self._changed)), []
        if not changed:
            return {}
        rows = [
            (subject, target, self._standing[subject]) for subject in changed if (target := self._targets[subject[0]])
        ]
        return {"milestones": milestone_rows(rows)}

    def outbox(self) -> list[OutboxRecord]:
        """Milestones reached or taken back; calling it empties it."""
        records, self._outbox = self._outbox, []
        return records

    # -- state --------------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write, about."""
        facts = len(self._new_targets) + len(self._new_joins) + len(self._new_orders)
        return facts + len(self._review) + len(self._changed)

    def dirty(self) -> list[StateRows]:
        """Facts that are new, and how subjects stand."""
        targets, self._new_targets = sorted(self._new_targets), set()
        joins, self._new_joins = sorted(self._new_joins), set()
        orders, self._new_orders = sorted(self._new_orders), set()
        subjects = sorted(set(self._changed))
        standing = [self._standing[subject] for subject in subjects]
        found = [
            _rows(RULES, [(campaign,) for campaign in targets], [_packed(self._targets[one]) for one in targets]),
            _rows(JOINS, joins, [self._joins[place] for place in joins]),
            _rows(ORDERS, [(*s, *place) for s, place in orders], [self._orders[s][place] for s, place in orders]),
            _rows(STANDING, subjects, [(one.opened_ms, one.course, one.revision) for one in standing]),
        ]
        return [rows for rows in found if len(rows)]

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take its rows back, and from the forest, which is restored already, the edges."""
        for (campaign,), numbers in _pairs(rows, RULES):
            self._targets[campaign] = Target(*numbers) if numbers is not None else None
        for (campaign, community, member), (revision, joined_ms) in _pairs(rows, JOINS):
            self._joins[campaign, community, member] = (revision, joined_ms)
        for (campaign, kind, group, order_id, community), (revision, paid_ms, spans) in _pairs(rows, ORDERS):
            orders = self._orders.setdefault((campaign, kind, group), {})
            orders[order_id, community] = (revision, paid_ms, [(begin, end) for begin, end in spans])
        for (campaign, kind, name), (opened_ms, stood, revision) in _pairs(rows, STANDING):
            self._standing[campaign, kind, name] = Standing(
                opened_ms, Course(*stood), revision, (opened_ms, Course(*stood))
            )
        self._take_edges(list(self._credits.all_credits(self._wants_edges)))
        self._review.clear()  # all of it was worked out before the checkpoint
        self._new_targets.clear()

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    def sizes(self) -> dict[str, int]:
        """Members and groups with an open target."""
        return {"milestones": len(self._standing)}


def _member(edge: EdgeCredit) -> Subject:
    return (edge.campaign_id, "member", edge.referrer_id)


def _packed(target: Target | None) -> tuple[object, ...] | None:
    return None if target is None else (target.kind, target.count, target.within_ms, target.end_ms)


def _rows(name: str, keys: Iterable[Iterable[str]], values: Iterable[object]) -> StateRows:
    joined = ["\0".join(parts).encode() for parts in keys]
    return StateRows(name, binary(joined), binary([msgspec.msgpack.encode(value) for value in values]))


def _pairs(rows: Mapping[str, tuple[pa.Array, pa.Array]], name: str) -> Iterable[tuple[list[str], Any]]:
    if name in rows:
        keys, payloads = rows[name]
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            yield key.decode().split("\0"), msgspec.msgpack.decode(payload)
