"""Dead letters on a terminal: original bytes, made harmless; and clear words for a wrong argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.deadletters import parse_place, printable
from streams.errors import InputError


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"a": 1}\n', '{"a": 1}\n'),
        ("群".encode(), "群"),
        (b"\x1b[2Jgone", "\\x1b[2Jgone"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\u202eevil".encode(), "\\u202eevil"),
        (b"\x00", "\\x00"),
    ],
)
def test_bytes_are_shown_without_acting_on_the_terminal(raw: bytes, shown: str) -> None:
    assert printable(raw) == shown


@given(st.binary())
def test_no_bytes_reach_the_terminal_as_control_characters(raw: bytes) -> None:
    assert all(c.isprintable() or c == "\n" for c in printable(raw))


def test_a_place_is_topic_partition_offset() -> None:
    assert parse_place("community.messages.v1/2/1041") == ("community.messages.v1", 2, 1041)
    for wrong in ("community.messages.v1", "a/b/c", "a/1/-2", "a/1"):
        with pytest.raises(InputError, match="TOPIC/PARTITION/OFFSET"):
            parse_place(wrong)
