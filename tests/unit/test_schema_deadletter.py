"""A dead letter's headers say everything that is known about it, and nothing is lost in them."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.deadletter import DeadLetter, from_headers, letter_for, to_headers
from schemas.refusals import CODES, MAX_DETAIL, MEANINGS, RefusalCode

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the code

_codes: tuple[RefusalCode, ...] = get_args(RefusalCode)


@UNHURRIED
@given(st.sampled_from(_codes), st.text(), st.integers(0, 2**16), st.integers(0, 2**63), st.integers(-1, 2**62))
def test_headers_give_the_letter_back(
    code: RefusalCode, detail: str, partition: int, offset: int, timestamp: int
) -> None:
    letter = letter_for(
        code, detail, topic="t", partition=partition, offset=offset, timestamp_ms=timestamp, worker_version="0.1.0"
    )
    assert from_headers(to_headers(letter)) == letter
    assert len(letter.detail) <= MAX_DETAIL
    assert letter.detail.isprintable()


def test_other_headers_are_passed_over() -> None:
    letter = letter_for("too_large", "d", topic="t", partition=0, offset=1, timestamp_ms=2, worker_version="v")
    headers = [("trace", b"\xff"), ("qunpulse-unknown", b"\xff"), *to_headers(letter), ("qunpulse-", None)]
    assert from_headers(headers) == letter


def test_a_record_without_the_headers_is_no_dead_letter() -> None:
    with pytest.raises(ValueError, match="qunpulse-code"):
        from_headers([("qunpulse-topic", b"t")])


def test_every_code_has_a_meaning() -> None:
    assert tuple(MEANINGS) == CODES == _codes


def test_an_unknown_code_is_no_dead_letter() -> None:
    letter = letter_for("too_large", "d", topic="t", partition=0, offset=1, timestamp_ms=2, worker_version="v")
    headers = [(name, b"gremlins" if name == "qunpulse-code" else raw) for name, raw in to_headers(letter)]
    with pytest.raises(ValueError, match="code"):
        from_headers(headers)
    assert isinstance(letter, DeadLetter)
