"""Referral facts as they were sent, compared with what is true in the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas import facts
from schemas.facts import Fact
from schemas.topics import REFERRAL_FACTS
from streams.operators.outbox import OutboxRecord
from tests.oracle.referral_facts import Said

_NOTHING = ((None,), (None, ""), (None, False), (0, 0, 0))
"""What was taken back, and orders that come to nothing."""


def check_facts(sent: Iterable[OutboxRecord], expected: Said) -> None:
    """The highest revision of each fact says what is true, under its own id; what is sent again says the same again."""
    values: dict[tuple[str, int], bytes] = {}
    latest: dict[str, Fact] = {}
    for record in sent:
        fact = facts.decode(record.value) if record.topic == REFERRAL_FACTS else None
        if fact is None or isinstance(fact, facts.AskFact):
            continue
        assert (record.record_id, record.revision, record.key) == (fact.fact_id, fact.revision, fact.campaign_id)
        assert values.setdefault((fact.fact_id, fact.revision), record.value) == record.value
        if fact.fact_id not in latest or fact.revision > latest[fact.fact_id].revision:
            latest[fact.fact_id] = fact
    found = {name: _said(fact) for name, fact in latest.items()}
    assert {name: said for name, said in found.items() if said not in _NOTHING} == expected


def _said(fact: Fact) -> tuple[Any, ...]:
    match fact:
        case facts.EdgeFact():
            names = (fact.referrer_id, fact.referee_id, fact.via, fact.source, fact.platform, fact.outside_campaign)
            return fact.occurred_at, *names
        case facts.AlreadyMemberFact():
            return fact.known_from, fact.platform
        case facts.OrdersFact():
            return fact.orders, fact.paid_minor, fact.refunded_minor
        case facts.StaffFact():
            return fact.staff_from, fact.may_refer
        case facts.JoinedFact():
            return (fact.joined_at,)
        case facts.QualifiedFact():
            return (fact.qualified_at,)
        case facts.LeftFact():
            return (fact.left_at,)
        case facts.CameBackFact():
            return (fact.came_back_at,)
    raise AssertionError(f"{fact} is of no kind that these feeds lead to")
