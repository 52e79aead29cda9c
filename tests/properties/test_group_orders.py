"""Facts of group-buy orders against all events of each order, in any order of arrival, with restarts in between."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import facts
from schemas.columns import Columns
from streams.operators.base import Batch, Events
from streams.operators.directory import Directory
from streams.operators.group_orders import GroupOrders
from streams.operators.target_course import Target
from tests.properties.test_target_course import HORIZON, order_at

TARGETS = {"拼团": Target("group_buy_orders", 3, within_ms=50), "拉新": Target("accepted_invitations", 3)}
NOTHING = np.empty(0, np.int64)
LATENESS_MS = 100

ORDERS = st.fixed_dictionaries(
    {
        "at": st.integers(0, 12),
        "community": st.integers(0, 1),
        "order_id": st.sampled_from(("甲", "乙")),
        "original_order_id": st.none() | st.sampled_from(("甲", "乙")),
        "status": st.sampled_from(("paid", "paid", "refunded", "cancelled")),
        "amount_minor": st.sampled_from((0, 50, 100)),
        "campaign_id": st.sampled_from(("拼团", "拼团", "拉新", "没有", None)),
        "group_buy_id": st.sampled_from(("g1", "g1", "g2", None)),
    }
)


def of_orders(orders: list[dict[str, Any]]) -> Batch:
    columns = {name: [order[name] for order in orders] for name in orders[0] if name not in ("at", "community")}
    at = np.array([order["at"] for order in orders], np.int64)
    community = np.array([order["community"] for order in orders], np.int64)
    return Batch({"order": Events(at, community, np.zeros(len(orders), np.int64), Columns.of_lists(columns))})


class Shop:
    """The program, what it sent and its state in the store."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.directory.add_communities(["一群", "二群"])
        self.state: dict[bytes, bytes] = {}
        self.facts: dict[str, facts.GroupOrderFact] = {}
        self.restart()

    def restart(self) -> None:
        self.program = GroupOrders(self.directory, TARGETS.get, LATENESS_MS)
        arrays = pa.array(self.state.keys(), pa.large_binary()), pa.array(self.state.values(), pa.large_binary())
        self.program.restore({"group_orders": arrays})

    def flush(self, clock_ms: int = 0) -> None:
        self.program.settle(np.array([clock_ms, clock_ms]))
        for rows in self.program.dirty():
            for key, payload in zip(rows.keys.to_pylist(), rows.payloads.to_pylist(), strict=True):
                if rows.deleted:
                    del self.state[key]
                else:
                    self.state[key] = payload
        for record in self.program.outbox():
            fact = facts.decode(record.value)
            assert isinstance(fact, facts.GroupOrderFact)
            assert record.key == fact.campaign_id
            before = self.facts.get(record.record_id)
            assert record.revision == fact.revision == (before.revision if before else 0) + 1
            self.facts[record.record_id] = fact


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(ORDERS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_facts_of_orders_follow_from_all_their_events(orders: list[dict[str, Any]], chance: random.Random) -> None:
    shop = Shop()
    arriving = orders.copy()
    chance.shuffle(arriving)
    while arriving:
        batch = [arriving.pop() for _ in range(min(len(arriving), chance.randint(1, 3)))]
        shop.program.apply(of_orders(batch))
        if chance.random() < 0.5:
            shop.flush()
            if chance.random() < 0.5:
                shop.restart()
    shop.flush()

    events: dict[tuple[int, str], list[tuple[int, str, int]]] = defaultdict(list)
    groups: dict[tuple[int, str], set[str]] = defaultdict(set)
    for order in orders:
        named = order["order_id"] if order["status"] == "paid" else order["original_order_id"] or order["order_id"]
        place = (order["community"], named)
        of_group = order["campaign_id"] == "拼团" and order["group_buy_id"]
        if order["status"] != "paid" or of_group:  # a payment that names no group buy is none of its
            events[place].append((order["at"], order["status"], order["amount_minor"]))
        if order["status"] == "paid" and of_group:
            groups[place].add(order["group_buy_id"])
    sent = {(one.community_id, one.order_id, one.group_buy_id): one for one in shop.facts.values()}
    names = {0: "一群", 1: "二群"}
    assert set(sent) == {(names[place[0]], place[1], group) for place, found in groups.items() for group in found}
    for (community, order_id, _), fact in sent.items():
        place = (0 if community == "一群" else 1, order_id)
        assert fact.occurred_at == min(at for at, status, _ in events[place] if status == "paid")
        for now in range(HORIZON):
            held = any(begin <= now and (end is None or now < end) for begin, end in fact.spans)
            assert held == order_at(events[place], now), (events[place], fact)


def test_orders_leave_when_nothing_can_change_them_in_time() -> None:
    shop = Shop()
    common = {"community": 0, "original_order_id": None, "amount_minor": 1, "campaign_id": "拼团", "group_buy_id": "g"}
    orders = [common | {"at": n, "order_id": f"o{n}", "status": "paid"} for n in range(1_200)]
    orders += [common | {"at": n, "order_id": f"r{n}", "status": "refunded"} for n in range(1_200)]
    shop.program.apply(of_orders(orders))
    shop.flush(clock_ms=1_199)
    assert len(shop.state) == 2_400
    shop.flush(clock_ms=1_199)
    shop.flush(clock_ms=1_199)
    left = {key.decode().split("\0")[1] for key in shop.state}
    # a deadline is 50 ms after the payment; 100 ms more for events that come late
    assert left == {f"o{n}" for n in range(1_049, 1_200)} | {f"r{n}" for n in range(1_099, 1_200)}
    assert shop.program.dirty_count() == 0
