"""Pseudonyms: stable, keyed, the same wherever a person appears, and bounded in memory."""

import hashlib
import hmac

import pytest

from schemas.codec import Decoder
from streams.errors import ConfigError
from streams.pseudonyms import Pseudonyms
from tests.broken_payloads import as_bytes, valid_event

KEY = b"0123456789abcdef"


def test_a_pseudonym_is_the_first_half_of_the_hmac() -> None:
    expected = hmac.new(KEY, "成员-1".encode(), hashlib.sha256).hexdigest()[:32]
    assert Pseudonyms(KEY).of("成员-1") == expected
    assert Pseudonyms(KEY).column(["成员-1", None, "成员-1"]) == [expected, None, expected]


def test_another_key_gives_other_pseudonyms() -> None:
    assert Pseudonyms(KEY).of("m-1") != Pseudonyms(KEY[::-1]).of("m-1")


def test_a_forgotten_id_gets_the_same_pseudonym_again() -> None:
    small = Pseudonyms(KEY, capacity=10)
    before = small.column([f"m-{i}" for i in range(100)])
    assert small.column([f"m-{i}" for i in range(100)]) == before


def test_a_short_key_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="QUNPULSE_PSEUDONYM_KEY"):
        Pseudonyms(b"short")


def test_a_person_has_one_pseudonym_in_all_communities_fields_and_types() -> None:
    decoder = Decoder(10_000, Pseudonyms(KEY))
    message = as_bytes(valid_event("message", community_id="a") | {"reply_to_member_id": "m-2"})
    join = as_bytes(valid_event("join", community_id="b"))  # m-1 was invited by m-2
    order = as_bytes(valid_event("order") | {"staff_id": "m-2"})
    referral = as_bytes(valid_event("referral") | {"referrer_id": "m-2", "referee_id": "m-1"})
    messages = decoder.decode("message", [message], None).columns
    joins = decoder.decode("join", [join], None).columns
    orders = decoder.decode("order", [order], None).columns
    referrals = decoder.decode("referral", [referral], None).columns
    first = {*messages["member_id"], *joins["member_id"], *orders["member_id"], *referrals["referee_id"]}
    second = {*messages["reply_to_member_id"], *joins["inviter_id"], *orders["staff_id"], *referrals["referrer_id"]}
    assert first == {Pseudonyms(KEY).of("m-1")}
    assert second == {Pseudonyms(KEY).of("m-2")}
