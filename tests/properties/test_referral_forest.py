"""The forest alone, over facts that are shuffled, repeated and restored from: it equals the edges taken in turn."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import EdgeFact, Fact, LeftFact, OrdersFact, QualifiedFact, encode, fact_id
from schemas.topics import REFERRAL_FACTS
from streams.operators.base import binary
from streams.operators.program import SideRecordError
from streams.operators.referral_forest import ReferralForest
from streams.operators.referral_graph import CYCLE, DUPLICATE_PARENT, LINKED
from tests.bench.referrals import memory
from tests.oracle.referrals import Edge, judged

CAMPAIGN = "春季拉新"


def fact_of(edge: Edge) -> EdgeFact:
    """The fact that tells of an edge."""
    return EdgeFact(
        fact_id=fact_id("edge", CAMPAIGN, edge.community, "referral", edge.event_id),
        revision=1,
        campaign_id=CAMPAIGN,
        community_id=edge.community,
        occurred_at=edge.at,
        referee_id=edge.referee,
        referrer_id=edge.referrer,
        origin="referral",
        event_id=edge.event_id,
    )


def edge(at: int, referrer: str, referee: str, event_id: str = "", community: str = "群") -> Edge:
    name = event_id or f"{referrer}→{referee}@{at}"
    return Edge(at, name, community, "community.referrals.v1", CAMPAIGN, referrer, referee)


class Reader:
    """A forest and what it has landed so far."""

    def __init__(self) -> None:
        self.forest = ReferralForest()
        self.rows: dict[str, dict[Any, dict[str, Any]]] = {"referral_nodes": {}, "referral_edges": {}}
        self._state: dict[tuple[str, bytes], bytes] = {}

    def take(self, facts: list[Fact]) -> None:
        self.forest.apply_side(REFERRAL_FACTS, [encode(fact) for fact in facts])

    def flush(self) -> None:
        for rows in self.forest.dirty():
            for key, payload in zip(rows.keys.to_pylist(), rows.payloads.to_pylist(), strict=True):
                self._state[rows.operator, key] = payload
        for name, table in self.forest.derived().items():
            for row in table.to_pylist():
                if name in self.rows:
                    self.rows[name][row["member_id" if name == "referral_nodes" else "edge_id"]] = row

    def restart(self) -> None:
        """Another worker goes on from what was flushed."""
        self.forest = ReferralForest()
        rows: dict[str, tuple[pa.Array, pa.Array]] = {}
        for name in {name for name, _ in self._state}:
            mine = {key: payload for (of, key), payload in self._state.items() if of == name}
            rows[name] = binary(list(mine)), binary(list(mine.values()))
        self.forest.restore(rows)
        assert self.forest.derived() == {}, "what is restored was landed before"

    def verdicts(self) -> dict[str, str]:
        return {name: row["reason"] for name, row in self.rows["referral_edges"].items()}


def expected_nodes(edges: list[Edge]) -> dict[str, tuple[str, str, int, int, int]]:
    """Parent, root, depth, direct, descendants by member, climbing from every node."""
    _, parent = judged(edges)
    members = {one for e in edges if e.referrer != e.referee for one in (e.referrer, e.referee)}
    above: dict[str, list[str]] = {}
    for member in members:
        way, top = [], member
        while top in parent:
            top = parent[top].referrer
            way.append(top)
        above[member] = way
    direct = Counter(way[0] for way in above.values() if way)
    below = Counter(member for way in above.values() for member in way)
    return {
        member: (way[0] if way else "", way[-1] if way else member, len(way), direct[member], below[member])
        for member, way in above.items()
    }


def landed_nodes(reader: Reader) -> dict[str, tuple[str, str, int, int, int]]:
    names = ("parent_id", "root_id", "depth", "direct", "descendants")
    return {
        member: tuple(row[name] for name in names)  # type: ignore[misc]
        for member, row in reader.rows["referral_nodes"].items()
    }


PEOPLE = st.integers(0, 7).map("甲乙丙丁戊己庚辛".__getitem__)
EDGES = st.lists(
    st.builds(
        lambda at, who, whom, where, number: edge(at, who, whom, f"e{number}", where),
        st.integers(0, 12), PEOPLE, PEOPLE, st.sampled_from(["群一", "群/二"]), st.integers(0, 10**6),
    ),
    max_size=40,
    unique_by=lambda one: (one.community, one.event_id),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(EDGES, st.randoms(use_true_random=False))
def test_shuffled_repeated_and_restored_facts_give_the_forest_of_the_edges_in_turn(
    edges: list[Edge], chance: random.Random
) -> None:
    facts: list[Fact] = [fact_of(one) for one in edges]
    facts += chance.choices(facts, k=3) if facts else []
    chance.shuffle(facts)
    reader = Reader()
    while facts:
        size = chance.choice([1, 2, 5, 40])
        reader.take(facts[:size])
        facts = facts[size:]
        if chance.random() < 0.5:
            reader.flush()
            if chance.random() < 0.3:
                reader.restart()
    reader.flush()
    reasons, _ = judged(edges)
    assert reader.verdicts() == {one.id: reason for one, reason in reasons.items()}
    assert landed_nodes(reader) == expected_nodes(edges)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([3, 40, 2_000]))
def test_sums_of_wide_and_of_deep_trees_are_those_of_their_nodes(seed: int, width: int) -> None:
    chance = random.Random(seed)
    size = 2_000
    parents = [chance.randrange(max(number - width, 0), number) for number in range(1, size)]
    edges = [edge(number, f"m{parent}", f"m{number}") for number, parent in enumerate(parents, 1)]
    late = [edge(chance.randrange(size), f"m{chance.randrange(size)}", f"m{chance.randrange(size)}") for _ in range(20)]
    facts: list[Fact] = [fact_of(one) for one in {one.id: one for one in edges + late}.values()]
    chance.shuffle(facts)
    credited = chance.sample(range(1, size), 300)
    about = {"campaign_id": CAMPAIGN, "community_id": "群", "occurred_at": 9, "revision": 1}
    for number in credited:
        facts.insert(
            chance.randrange(len(facts)),
            QualifiedFact(**about, fact_id=f"q{number}", referee_id=f"m{number}", qualified_at=10**9),
        )
    reader = Reader()
    for start in range(0, len(facts), 700):
        reader.take(facts[start : start + 700])
        reader.flush()
    every = [one for one in edges + late if one.id in reader.rows["referral_edges"]]
    expected = expected_nodes(every)
    assert landed_nodes(reader) == expected
    matured = {f"m{number}" for number in credited if expected[f"m{number}"][0]}
    landed = {member: row["matured_descendants"] for member, row in reader.rows["referral_nodes"].items()}
    counted = dict.fromkeys(landed, 0)
    for member in matured:
        above = expected[member][0]
        while above:
            counted[above] += 1
            above = expected[above][0]
    assert landed == counted


def test_an_edge_that_comes_late_frees_the_cycle_its_rival_had_closed() -> None:
    """乙←甲 (3) stood, so 甲←乙 (5) was a cycle; 丙→乙 (1) takes its place: now 乙 may bring 甲."""
    reader = Reader()
    reader.take([fact_of(edge(3, "甲", "乙", "a")), fact_of(edge(5, "乙", "甲", "b"))])
    reader.flush()
    assert reader.verdicts() == {"referral/群/a": "", "referral/群/b": "cycle"}
    reader.take([fact_of(edge(1, "丙", "乙", "c"))])
    reader.flush()
    assert reader.verdicts() == {"referral/群/a": "duplicate_parent", "referral/群/b": "", "referral/群/c": ""}
    assert landed_nodes(reader) == {
        "丙": ("", "丙", 0, 1, 2), "乙": ("丙", "丙", 1, 1, 1), "甲": ("乙", "丙", 2, 0, 0),
    }  # fmt: skip


def test_members_of_self_referrals_alone_are_no_nodes() -> None:
    reader = Reader()
    reader.take([fact_of(edge(1, "甲", "甲")), fact_of(edge(2, "乙", "丙"))])
    reader.flush()
    assert set(reader.rows["referral_nodes"]) == {"乙", "丙"}
    assert reader.verdicts()["referral/群/甲→甲@1"] == "self_referral"


def test_a_chain_of_a_hundred_thousand_told_backwards_is_a_chain() -> None:
    check_chain(chain(reverse=True))


def test_a_chain_of_a_hundred_thousand_may_close_and_open_again() -> None:
    forest, length = chain(), LENGTH
    check_chain(forest)
    forest.take([fact_of(edge(length, f"m{length - 1}", "m0", "last"))])
    assert reasons_of(forest) == {"referral/群/last": "cycle"}
    forest.take([fact_of(edge(0, "m50000", "m0", "first"))])  # comes before all others: now they close the ring
    rows = forest.derived()
    assert {row["edge_id"]: row["reason"] for row in rows["referral_edges"].to_pylist()} == {
        "referral/群/last": "duplicate_parent",
        "referral/群/first": "",
        "referral/群/m49999→m50000@50000": "cycle",
    }
    nodes = Nodes(rows["referral_nodes"])
    assert nodes.of("m49999", "root_id", "depth") == ("m50000", 50_000)
    assert nodes.of(f"m{length - 1}", "depth") == (49_999,)
    assert nodes.of("m50000", "descendants") == (length - 1,)


LENGTH = 100_000


class Nodes:
    """Landed nodes by member, without an object for each."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        self._place = {member: at for at, member in enumerate(rows["member_id"].to_pylist())}

    def of(self, member: str, *columns: str) -> tuple[object, ...]:
        return tuple(self.rows[name][self._place[member]].as_py() for name in columns)


def check_chain(forest: ReferralForest) -> None:
    nodes = Nodes(forest.derived()["referral_nodes"])
    assert nodes.rows.num_rows == LENGTH
    for number in (0, 1, 50_000, LENGTH - 1):
        expected = ("m0", number, LENGTH - 1 - number)
        assert nodes.of(f"m{number}", "root_id", "depth", "descendants") == expected


def chain(reverse: bool = False, length: int = LENGTH) -> ReferralForest:
    """Each brings the next; told from the top, or from the bottom."""
    numbers = range(length - 1, 0, -1) if reverse else range(1, length)
    facts = [fact_of(edge(number, f"m{number - 1}", f"m{number}")) for number in numbers]
    forest = ReferralForest()
    for start in range(0, len(facts), 20_000):
        forest.take(facts[start : start + 20_000])
    return forest


def reasons_of(forest: ReferralForest) -> dict[str, str]:
    return {row["edge_id"]: row["reason"] for row in forest.derived()["referral_edges"].to_pylist()}


def test_what_is_taken_back_is_landed_as_withdrawn() -> None:
    forest = ReferralForest()
    about = {"campaign_id": CAMPAIGN, "community_id": "群", "referee_id": "乙", "occurred_at": 9, "fact_id": "f"}
    forest.take([fact_of(edge(1, "甲", "乙", "e")), QualifiedFact(**about, revision=1, qualified_at=5)])
    assert credits_of(forest) == {("pending", 1, 0), ("matured", 5, 0)}
    forest.take([QualifiedFact(**about, revision=3, qualified_at=None), LeftFact(**about, revision=2, left_at=4)])
    assert credits_of(forest) == {("pending", 1, 0), ("matured", 1, 1), ("reversed", 4, 0)}
    forest.take([QualifiedFact(**about, revision=2, qualified_at=5)])  # older than what is known
    assert forest.derived() == {}
    forest.take([fact_of(edge(0, "丙", "乙", "d"))])
    withdrawn = {
        (row["edge_id"], row["state"]) for row in forest.derived()["referral_credits"].to_pylist() if row["withdrawn"]
    }
    assert withdrawn == {("referral/群/e", "pending"), ("referral/群/e", "reversed")}


def credits_of(forest: ReferralForest) -> set[tuple[str, int, int]]:
    rows = forest.derived()["referral_credits"].to_pylist()
    return {(row["state"], int(row["changed_at"].timestamp() * 1000), row["withdrawn"]) for row in rows}


def test_money_moves_with_the_subtree_it_belongs_to() -> None:
    forest = ReferralForest()
    spent = {"currency": "CNY", "orders": 1, "paid_minor": 2**63 - 1, "refunded_minor": 5}
    about = {"campaign_id": CAMPAIGN, "community_id": "群", "occurred_at": 9, "fact_id": "f", "revision": 1}
    forest.take([fact_of(edge(5, "乙", "丙")), OrdersFact(**about, **spent, referee_id="丙")])
    forest.take([fact_of(edge(6, "甲", "乙")), OrdersFact(**about, **spent, referee_id="乙")])
    rows = {row["member_id"]: row for row in forest.derived()["referral_revenue"].to_pylist()}
    assert (rows["甲"]["own_orders"], rows["甲"]["subtree_orders"], rows["甲"]["subtree_refunded_minor"]) == (0, 2, 10)
    assert rows["甲"]["subtree_paid_minor"] == 2**63 - 1, "sums stop at the largest 64-bit number"
    forest.take([fact_of(edge(1, "丁", "丙"))])  # 丙 was 丁's all along
    rows = {row["member_id"]: row for row in forest.derived()["referral_revenue"].to_pylist()}
    assert (rows["甲"]["subtree_orders"], rows["乙"]["subtree_orders"], rows["丁"]["subtree_orders"]) == (1, 0, 1)


def test_a_record_that_is_no_fact_changes_nothing() -> None:
    forest = ReferralForest()
    with pytest.raises(SideRecordError, match="no referral fact"):
        forest.apply_side(REFERRAL_FACTS, [encode(fact_of(edge(1, "甲", "乙"))), b"{}"])
    assert forest.derived() == {}
    assert forest.tree.edges == 0


def test_platforms_may_be_as_many_as_edges() -> None:
    """Whoever writes a new word into every event must not stop the worker."""
    forest, count = ReferralForest(), 2**15 + 1
    told = fact_of(edge(1, "甲", "乙"))
    forest.take(
        [msgspec.structs.replace(told, event_id=f"e{number}", platform=f"p{number}") for number in range(count)]
    )
    assert Counter(forest.tree.verdict) == {LINKED: 1, DUPLICATE_PARENT: count - 1}


def test_a_node_takes_250_bytes_with_its_edge_and_its_credit() -> None:
    assert max(memory(5_000).values()) <= 250


def test_columns_know_what_they_hold() -> None:
    forest = ReferralForest()
    forest.take([fact_of(edge(1, "甲", "乙")), fact_of(edge(2, "乙", "甲"))])
    assert list(forest.tree.verdict) == [LINKED, CYCLE]
    assert forest.sizes() == {"referral_nodes": 2, "referral_edges": 2}
    assert 0 < forest.nbytes < 10_000
