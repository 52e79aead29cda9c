"""A fact travels whole, its id is its own, and its schema accepts what is sent."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas.facts import (
    AlreadyMemberFact,
    AskFact,
    CameBackFact,
    EdgeFact,
    Fact,
    GroupOrderFact,
    JoinedFact,
    LeftFact,
    OrdersFact,
    QualifiedFact,
    StaffFact,
    decode,
    encode,
    fact_id,
    json_schema,
    path_of,
)

ABOUT: dict[str, Any] = {
    "fact_id": "f/1",
    "revision": 3,
    "campaign_id": "春季拉新",
    "community_id": "wecom:上海读书会",
    "occurred_at": 1_700_000_000_000,
}


def each_kind() -> Iterator[Fact]:
    """One of each kind."""
    yield EdgeFact(**ABOUT, referee_id="小王", referrer_id="小李", origin="join", event_id="e/1", source="海报-1")
    yield AlreadyMemberFact(**ABOUT, referee_id="小王", known_from=1)
    yield QualifiedFact(**ABOUT, referee_id="小王", qualified_at=None)
    yield LeftFact(**ABOUT, referee_id="小王", left_at=5)
    yield CameBackFact(**ABOUT, referee_id="小王", came_back_at=6)
    yield OrdersFact(**ABOUT, referee_id="小王", currency="CNY", orders=1, paid_minor=2**63 - 1, refunded_minor=0)
    yield StaffFact(**ABOUT, referrer_id="小李", staff_from=0)
    yield JoinedFact(**ABOUT, referee_id="小王", joined_at=7)
    yield GroupOrderFact(**ABOUT, group_buy_id="团-1", order_id="单-1", spans=[(7, 9), (11, None)])
    yield AskFact(**ABOUT, platform="wecom", referee_id="小王")


@pytest.mark.parametrize("fact", list(each_kind()), ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_as_it_was_sent_and_fits_its_schema(fact: Fact) -> None:
    assert decode(encode(fact)) == fact
    Draft202012Validator(json_schema()).validate(json.loads(encode(fact)))


def test_what_is_no_fact_is_refused_by_the_name_of_the_field() -> None:
    broken = msgspec.json.decode(encode(next(each_kind()))) | {"revision": 0}
    with pytest.raises(ValueError, match="revision"):
        decode(msgspec.json.encode(broken))
    with pytest.raises(ValueError, match="no referral fact"):
        decode(b"[]")


@pytest.mark.parametrize(
    ("field", "value"), [("occurred_at", 2**63), ("referee_id", "小\0王"), ("revision", 2**31), ("via", "x" * 65)]
)
def test_what_no_worker_could_keep_is_no_fact(field: str, value: object) -> None:
    broken = msgspec.json.decode(encode(next(each_kind()))) | {field: value}
    with pytest.raises(ValueError, match=rf"no referral fact: .* - at `\$.{field}`"):
        decode(msgspec.json.encode(broken))


def test_an_id_may_spell_out_an_escape() -> None:
    fact = EdgeFact(**ABOUT, referee_id="\\u0000", referrer_id="小李", origin="join", event_id="e")
    assert decode(encode(fact)) == fact


PARTS = st.lists(st.text(alphabet="a/%25F", min_size=0, max_size=4), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_different_parts_never_make_the_same_id(one: list[str], other: list[str]) -> None:
    assert (path_of(*one) == path_of(*other)) == (one == other)


def test_an_id_is_readable() -> None:
    assert fact_id("orders", "春", "wecom:g/1", "小王", "CNY") == "orders/春/wecom:g%2F1/小王/CNY"
