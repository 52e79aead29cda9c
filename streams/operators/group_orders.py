"""Orders of group buys whose campaign has a target: when each of them counts, as facts for whoever keeps the campaign.

A group buy may run in several communities, so nobody here knows when its target is reached; that is worked out over
these facts, by campaign (`referral_targets.py`). A payment counts for the group buy that its event names. Refunds and
cancellations name an order and nothing else: those of unknown orders are kept until no payment that precedes them can
come any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from schemas.facts import GroupOrderFact, encode, fact_id
from schemas.topics import REFERRAL_FACTS
from streams.operators.base import Batch, Ints, StateRows, binary
from streams.operators.directory import Directory
from streams.operators.outbox import OutboxRecord
from streams.operators.target_course import Target, spans_of_order

STATE = "group_orders"
GROUP_BUY_ORDERS = "group_buy_orders"
_FEW = 1024

Place = tuple[int, str]
"""Community number, order id."""
Group = tuple[str, str]
"""Campaign, group buy."""


@dataclass(slots=True)
class _Order:
    events: list[tuple[int, str, int]] = field(default_factory=list)
    """Time in ms, status, amount in minor units."""
    groups: dict[Group, int] = field(default_factory=dict)
    """Revision of the last fact by group."""


class GroupOrders:
    """A program over the orders of a partition's communities; it keeps those of group buys until their deadline."""

    names: tuple[str, ...] = (STATE,)

    def __init__(
        self,
        directory: Directory,
        target_of: Callable[[str], Target | None],
        lateness_ms: int,
        any_target: Callable[[], bool] = lambda: True,
    ) -> None:
        """Without `any_target`, when no campaign asks for orders, not even refunds are looked at."""
        self._directory = directory
        self._target_of = target_of
        self._any_target = any_target
        self._lateness_ms = lateness_ms
        self._orders: dict[Place, _Order] = {}
        self._dirty: set[Place] = set()
        self._gone: list[Place] = []
        self._outbox: list[OutboxRecord] = []
        self._kept_last_time = 0

    def apply(self, batch: Batch) -> None:
        """Take the batch's orders in."""
        orders = batch.get("order")
        if orders is None or not (self._orders or self._any_target()):
            return
        paid = orders.where("status", "paid")
        some = np.flatnonzero(~paid | (orders.given("campaign_id") & orders.given("group_buy_id")))
        columns = orders.columns.take(some)
        rows = zip(
            orders.community[some].tolist(),
            orders.occurred_at_ms[some].tolist(),
            *(columns[name] for name in ("status", "order_id", "original_order_id", "amount_minor")),
            *(columns[name] for name in ("campaign_id", "group_buy_id")),
            strict=True,
        )
        for community, at_ms, status, order_id, original_id, amount, campaign, group in rows:
            place = (community, order_id if status == "paid" else original_id or order_id)
            if status == "paid" and not self._has_target(campaign):
                continue
            known = self._orders.setdefault(place, _Order())
            known.events.append((at_ms, status, amount))
            if status == "paid":
                known.groups.setdefault((campaign, group), 0)
            self._dirty.add(place)

    def _has_target(self, campaign_id: str) -> bool:
        target = self._target_of(campaign_id)
        return target is not None and target.kind == GROUP_BUY_ORDERS

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """It has no timers."""

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Side topics are none of its business."""

    def settle(self, clock_ms: Ints) -> None:
        """Let go of orders that no event can change any more in time, once there are twice as many as were kept."""
        if len(self._orders) < 2 * self._kept_last_time + _FEW:
            return
        for place in [place for place in self._orders if place not in self._dirty]:
            until_ms = self._matters_until_ms(self._orders[place])
            if until_ms is not None and until_ms < int(clock_ms[place[0]]) - self._lateness_ms:
                del self._orders[place]
                self._gone.append(place)
        self._kept_last_time = len(self._orders) - len(self._dirty)

    def _matters_until_ms(self, order: _Order) -> int | None:
        if not order.groups:
            return max(at_ms for at_ms, _, _ in order.events)
        # The group opened with this order at the latest, so its deadline is not behind this one.
        paid_ms = min(at_ms for at_ms, status, _ in order.events if status == "paid")
        targets = [self._target_of(campaign) for campaign, _ in order.groups]
        ends = [paid_ms if target is None else target.deadline_ms(paid_ms) for target in targets]
        return None if None in ends else max(end for end in ends if end is not None)

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty) + len(self._gone)

    def dirty(self) -> list[StateRows]:
        """Orders that changed, and the ends of those let go; facts of the changed ones go to the outbox."""
        found = []
        changed, self._dirty = sorted(self._dirty), set()
        for place in changed:
            self._outbox += self._facts(place)
        if changed:
            payloads = [msgspec.msgpack.encode((one.events, list(one.groups.items()))) for one in self._of(changed)]
            found.append(StateRows(STATE, self._keys(changed), binary(payloads)))
        if self._gone:
            gone, self._gone = [place for place in self._gone if place not in self._orders], []
            found.append(StateRows(STATE, self._keys(gone), binary([b""] * len(gone)), deleted=True))
        return [rows for rows in found if len(rows)]

    def _facts(self, place: Place) -> list[OutboxRecord]:
        order, community = self._orders[place], self._directory.community_names[place[0]]
        spans = spans_of_order(order.events)
        records = []
        for (campaign, group), before in order.groups.items():
            revision = order.groups[campaign, group] = before + 1
            fact = GroupOrderFact(
                fact_id=fact_id("group_order", campaign, community, group, place[1]),
                revision=revision,
                campaign_id=campaign,
                community_id=community,
                occurred_at=min(at_ms for at_ms, status, _ in order.events if status == "paid"),
                group_buy_id=group,
                order_id=place[1],
                spans=spans,
            )
            records.append(OutboxRecord(REFERRAL_FACTS, campaign, fact.fact_id, revision, encode(fact)))
        return records

    def _of(self, places: list[Place]) -> list[_Order]:
        return [self._orders[place] for place in places]

    def _keys(self, places: list[Place]) -> pa.Array:
        names = self._directory.community_names
        return binary([f"{names[community]}\0{order_id}".encode() for community, order_id in places])

    def derived(self) -> dict[str, pa.Table]:
        """It lands nothing itself."""
        return {}

    def outbox(self) -> list[OutboxRecord]:
        """Facts of the orders that changed; calling it empties it."""
        records, self._outbox = self._outbox, []
        return records

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take its orders back."""
        if STATE not in rows:
            return
        numbers = {name: number for number, name in enumerate(self._directory.community_names)}
        for key, payload in zip(*(column.to_pylist() for column in rows[STATE]), strict=True):
            community, order_id = key.decode().split("\0")
            events, groups = msgspec.msgpack.decode(payload)
            order = _Order([tuple(event) for event in events], {(*group,): revision for group, revision in groups})
            self._orders[numbers[community], order_id] = order
        self._kept_last_time = len(self._orders)

    def sizes(self) -> dict[str, int]:
        """Orders in memory."""
        return {STATE: len(self._orders)}
