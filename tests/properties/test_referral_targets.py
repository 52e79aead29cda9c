"""Targets of campaigns in any order of facts, with repeats, corrections and restarts, against the plain definition."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import facts, milestones
from schemas.topics import MILESTONES, REFERRAL_FACTS
from streams.operators.base import StateRows
from streams.operators.edge_credits import EdgeCredit
from streams.operators.outbox import OutboxRecord
from streams.operators.referral_targets import ReferralTargets
from streams.operators.target_course import Course, Target
from tests.properties.test_target_course import every_millisecond

NOTHING = np.empty(0, np.int64)
TARGETS = {
    "春节裂变": Target("accepted_invitations", 2, within_ms=8),
    "长期": Target("accepted_invitations", 1, end_ms=9),
    "拼团": Target("group_buy_orders", 2, within_ms=6),
}
MEMBERS, COMMUNITIES, TIME = "甲乙丙丁", "一二", st.integers(0, 12)


@dataclass
class Truth:
    """What is true in the end."""

    edges: list[EdgeCredit]
    joined: dict[tuple[str, str, str], int | None]
    orders: dict[tuple[str, str, str, str], tuple[int, list[tuple[int, int | None]]]]

    def expected(self) -> dict[tuple[str, str, str], tuple[int, Course]]:
        """Opening and course of every subject, by the definition."""
        opened: dict[tuple[str, str, str], int] = {}
        spans: dict[tuple[str, str, str], list[tuple[int, int | None]]] = defaultdict(list)
        for edge in self.edges:
            subject = (edge.campaign_id, "member", edge.referrer_id)
            if not edge.outside:
                opened[subject] = min(opened.get(subject, 99), edge.occurred_ms)
            joined = self.joined.get((edge.campaign_id, edge.community_id, edge.referee_id))
            if edge.counts and joined is not None:
                spans[subject].append((max(joined, edge.occurred_ms), edge.reversed_ms))
        by_order: dict[tuple[str, str, str], dict[str, list[tuple[int, int | None]]]] = defaultdict(dict)
        for (campaign, group, order, _), (paid, when) in self.orders.items():
            subject = (campaign, "group", group)
            opened[subject] = min(opened.get(subject, 99), paid)
            by_order[subject].setdefault(order, []).extend(when)
        for subject, orders in by_order.items():
            for when in orders.values():  # an order counts once, in however many communities it is told
                held = [any(a <= now and (b is None or now < b) for a, b in when) for now in range(30)]
                spans[subject] += [(now, now + 1) for now, holds in enumerate(held) if holds]
        return {subject: self._course(subject, at, spans[subject]) for subject, at in opened.items()}

    @staticmethod
    def _course(subject: tuple[str, str, str], opened: int, spans: list[Any]) -> tuple[int, Course]:
        target = TARGETS[subject[0]]
        return opened, every_millisecond(spans, target.count, opened, target.deadline_ms(opened))


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    edges, joined, orders = [], {}, {}
    brought = set()
    for number in range(draw(st.integers(0, 9))):
        campaign = draw(st.sampled_from(["春节裂变", "长期"]))
        referrer, referee = draw(st.permutations(MEMBERS))[:2]
        outside = draw(st.booleans()) and draw(st.booleans())
        counts = not outside and (campaign, referee) not in brought and draw(st.booleans() | st.just(True))
        brought |= {(campaign, referee)} if counts else set()
        occurred = draw(TIME)
        left = draw(st.none() | st.integers(occurred, 14)) if counts else None
        community = draw(st.sampled_from(COMMUNITIES))
        edges.append(EdgeCredit(campaign, f"e{number}", referrer, referee, community, occurred, outside, counts, left))
        if draw(st.integers(0, 3)):
            joined[campaign, community, referee] = draw(st.none() | TIME)
    for _ in range(draw(st.integers(0, 6))):
        place = ("拼团", draw(st.sampled_from("AB")), draw(st.sampled_from("xyz")), draw(st.sampled_from(COMMUNITIES)))
        paid = draw(TIME)
        orders[place] = (paid, draw(st.sampled_from([[(paid, None)], [(paid, paid + 2)], [], [(paid, 5), (7, None)]])))
        orders[place] = (paid, [span for span in orders[place][1] if span[1] is None or span[0] < span[1]])
    return Truth(edges, joined, orders)


class Forest:
    """Edges as known so far."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], EdgeCredit] = {}
        self.changed: list[EdgeCredit] = []

    def say(self, edge: EdgeCredit) -> None:
        self.known[edge.campaign_id, edge.edge_id] = edge
        self.changed.append(edge)

    def changed_credits(self, wanted: Callable[[str], bool]) -> Iterable[EdgeCredit]:
        changed, self.changed = self.changed, []
        now = {(edge.campaign_id, edge.edge_id): self.known[edge.campaign_id, edge.edge_id] for edge in changed}
        return [edge for edge in now.values() if wanted(edge.campaign_id)]

    def all_credits(self, wanted: Callable[[str], bool]) -> Iterable[EdgeCredit]:
        return [edge for edge in self.known.values() if wanted(edge.campaign_id)]


@dataclass
class Run:
    """A program, what it landed and sent, and its state in the store."""

    forest: Forest = field(default_factory=Forest)
    program: ReferralTargets = field(init=False)
    state: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    landed: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    sent: dict[str, list[milestones.Milestone]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.program = ReferralTargets(self.forest, TARGETS.get)

    def flush(self) -> None:
        self.program.advance(NOTHING, NOTHING)
        for rows in self.program.dirty():
            self._keep(rows)
        for row in self.program.derived().get("milestones", pa.table({})).to_pylist():
            self.landed[row["campaign_id"], row["subject_kind"], row["subject_id"]] = row
        for record in self.program.outbox():
            self._receive(record)
        assert self.program.dirty_count() == 0

    def _keep(self, rows: StateRows) -> None:
        assert rows.operator in self.program.names
        self.state[rows.operator].update(zip(rows.keys.to_pylist(), rows.payloads.to_pylist(), strict=True))

    def _receive(self, record: OutboxRecord) -> None:
        milestone = milestones.decode(record.value)
        assert (record.topic, record.key, record.record_id, record.revision) == (
            MILESTONES, milestone.campaign_id, milestone.milestone_id, milestone.revision,
        )  # fmt: skip
        assert [one.revision for one in self.sent[record.record_id]] == list(range(1, milestone.revision))
        self.sent[record.record_id].append(milestone)

    def restart(self) -> None:
        self.forest.changed = []
        known = {key.decode() for key in self.state["target_rules"]}  # their rules are those of the first fact
        self.program = ReferralTargets(self.forest, lambda campaign: None if campaign in known else TARGETS[campaign])
        arrays = {
            name: (pa.array(rows.keys(), pa.large_binary()), pa.array(rows.values(), pa.large_binary()))
            for name, rows in self.state.items()
        }
        self.program.restore(arrays)


def steps_to(truth: Truth, chance: random.Random) -> list[Callable[[Run], None]]:
    """All that is true told in a random order: repeated, and some of it told wrong at first."""
    steps: list[Callable[[Run], None]] = []

    def fact(step: facts.Fact) -> Callable[[Run], None]:
        return lambda run: run.program.apply_side(REFERRAL_FACTS, [facts.encode(step)])

    for edge in truth.edges:
        at_first = edge._replace(counts=False, reversed_ms=None)
        said = [at_first, edge] if chance.random() < 0.5 else [edge]
        steps.append(lambda run, said=said: [run.forest.say(one) for one in said])  # type: ignore[misc]
    for (campaign, community, referee), at in truth.joined.items():
        common = {"fact_id": f"j{campaign}{community}{referee}", "campaign_id": campaign, "community_id": community}
        for revision, when in ((1, chance.randint(0, 12)), (2, at), (2, at)):
            joined = facts.JoinedFact(
                **common, revision=revision, occurred_at=when or 0, referee_id=referee, joined_at=when
            )
            steps.append(fact(joined))
    for (campaign, group, order, community), (paid, spans) in truth.orders.items():
        common = {"fact_id": f"o{group}{order}{community}", "campaign_id": campaign, "community_id": community}
        what = {"occurred_at": paid, "group_buy_id": group, "order_id": order}
        for revision, when in ((1, [(paid, None)]), (2, spans), (2, spans)):
            steps.append(fact(facts.GroupOrderFact(**common, **what, revision=revision, spans=when)))
    chance.shuffle(steps)
    return steps


@settings(deadline=None)  # a busy machine is no fault of the code
@given(truths(), st.randoms(use_true_random=False))
def test_targets_follow_from_the_facts_whatever_order_they_came_in(truth: Truth, chance: random.Random) -> None:
    run = Run()
    for step in steps_to(truth, chance):
        step(run)
        if chance.random() < 0.3:
            run.flush()
            if chance.random() < 0.3:
                run.restart()
    for edge in truth.edges:  # whatever was told, the forest says at last what is true
        run.forest.say(edge)
    run.flush()
    expected = truth.expected()
    assert {subject: (_ms(row["opened_at"]), _course(row)) for subject, row in run.landed.items()} == expected
    for subject, (opened, course) in expected.items():
        row, sent = run.landed[subject], run.sent.get(milestones.milestone_id(*subject), [])
        assert row["target"] == TARGETS[subject[0]].words
        assert _ms(row["deadline_at"]) == TARGETS[subject[0]].deadline_ms(opened)
        assert bool(sent) >= (course.reached_ms is not None)
        if sent:
            assert (sent[-1].opened_at, sent[-1].reached_at, sent[-1].taken_back_at) == (opened, *course[1:])
            assert sent[-1].state == ("reached" if course.stands else "taken_back")


def _ms(at: Any) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


def _course(row: dict[str, Any]) -> Course:
    return Course(row["count"], _ms(row["reached_at"]), _ms(row["revoked_at"]))


def test_reaching_a_target_is_said_once_and_taken_back_once() -> None:
    run = Run()
    at = {"甲": 1, "乙": 2, "丙": 3}
    for name, occurred in at.items():
        run.forest.say(EdgeCredit("春节裂变", name, "王芳", name, "一", occurred, False, True, None))
        joined = facts.JoinedFact(
            fact_id=name, revision=1, campaign_id="春节裂变", community_id="一", occurred_at=occurred,
            referee_id=name, joined_at=occurred,
        )  # fmt: skip
        run.program.apply_side(REFERRAL_FACTS, [facts.encode(joined)])
        run.flush()
    [sent] = run.sent.values()
    assert [(one.state, one.reached_at) for one in sent] == [("reached", 2)]
    for name, occurred in (("甲", 1), ("乙", 2)):  # the second leave makes two of three
        run.forest.say(EdgeCredit("春节裂变", name, "王芳", name, "一", occurred, False, True, 5))
        run.flush()
    assert [(one.state, one.taken_back_at) for one in sent] == [("reached", None), ("taken_back", 5)]
    assert run.landed["春节裂变", "member", "王芳"]["count"] == 1
