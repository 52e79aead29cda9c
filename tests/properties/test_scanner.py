"""The scanner reads what is plain exactly as msgspec and pydantic do, and says nothing about the rest."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import DecodedChunk, Decoder
from schemas.examples import EXAMPLES
from schemas.lines import Lines
from schemas.scanner import Scan, scan
from schemas.vocabulary import EventType

TYPES: list[EventType] = ["message", "join", "order", "referral"]
TEXTS = [
    "",
    "a",
    "社群",
    "𠮷" * 32,
    "x" * 64,
    "x" * 65,
    "é" * 33,
    "a b",
    'q"uote',
    "back\\slash",
    "tab\t",
    "\x00",
    "null",
]
TIMES = [
    "2024-05-01T09:30:00Z", "2024-05-01T09:30:00.1Z", "2024-05-01T09:30:00.123456789+08:00", "2024-02-30T00:00:00Z",
    "2024-02-29T23:59:59-11:30", "2016-12-31T23:59:60Z", "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z",
    "2299-12-31T23:59:59.999Z", "2300-01-01T00:00:00Z", "2024-05-01t09:30:00z", "2024-05-01 09:30:00Z",
    "2024-05-01T24:00:00Z", "2024-05-01T09:30:00", "2024-05-01T09:30:00+24:00", "0000-01-01T00:00:00Z",
]  # fmt: skip
VALUES: list[Any] = [
    *TEXTS, *TIMES, None, True, False, 0, 1, -1, 7, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 10**18, 10**19, 1.0, 1e3, [],
    ["a"], {},
    "message", "join", "member", "bot", "joined", "paid", "CNY", "cny", "CNYX",
]  # fmt: skip


def plainly(event_type: EventType, records: list[bytes]) -> Scan:
    return scan(event_type, Lines.of(records), 262_144)


def without_scanner(event_type: EventType, records: list[bytes]) -> DecodedChunk:
    """The chunk as msgspec and pydantic alone decode it."""

    def blind(event_type: EventType, lines: Lines, max_record_bytes: int) -> Scan:
        found = scan(event_type, lines, max_record_bytes)
        found.plain[:] = False
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "scan", blind)
        return Decoder(262_144).decode(event_type, records, None)


def assert_same(event_type: EventType, records: list[bytes]) -> None:
    with_it, without = Decoder(262_144).decode(event_type, records, None), without_scanner(event_type, records)
    assert with_it.valid.tolist() == without.valid.tolist()
    assert with_it.occurred_at_ms.tolist() == without.occurred_at_ms.tolist()
    assert dict(with_it.columns) == dict(without.columns)
    assert with_it.refusals == without.refusals


@st.composite
def written(draw: st.DrawFn) -> tuple[EventType, bytes]:
    """A record of a type: an example with some fields changed, left out or added, written in one of several ways."""
    event_type = draw(st.sampled_from(TYPES))
    event = dict(EXAMPLES[event_type])
    for name in draw(st.lists(st.sampled_from([*event, "value", "unknown", "snapshot_size", "joined_at"]), max_size=3)):
        if draw(st.booleans()):
            event[name] = draw(st.sampled_from(VALUES))
        else:
            event.pop(name, None)
    names = draw(st.permutations(list(event))) if draw(st.booleans()) else list(event)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: \r")]))
    text = json.dumps({name: event[name] for name in names}, ensure_ascii=draw(st.booleans()), separators=separators)
    return event_type, text.encode()


@settings(max_examples=300, deadline=None)
@given(written())
def test_records_are_read_the_same_with_and_without_the_scanner(record: tuple[EventType, bytes]) -> None:
    event_type, raw = record
    assert_same(event_type, [raw])


@settings(max_examples=300, deadline=None)
@given(written(), st.data())
def test_damaged_records_are_judged_the_same(record: tuple[EventType, bytes], data: st.DataObject) -> None:
    event_type, raw = record
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["set", "cut", "put"])):
            case "set":
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[at : at + data.draw(st.integers(1, 9))]
            case _:
                damaged[at:at] = data.draw(
                    st.sampled_from([b'"', b"\\", b"{", b"}", b",", b":", b"\n", b"\xff", b"0", b" "])
                )
        damaged = damaged or bytearray(b" ")
    assert_same(event_type, [raw, bytes(damaged), raw])


@pytest.mark.parametrize("event_type", TYPES)
def test_what_machines_write_is_plain(event_type: EventType) -> None:
    event = {name: value for name, value in EXAMPLES[event_type].items() if not isinstance(value, list)}
    records = [
        json.dumps(event, ensure_ascii=False, separators=separators).encode()
        for separators in [(",", ":"), (", ", ": ")]
    ]
    assert plainly(event_type, records).plain.all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b'"member_id"', b'"event_id"'),  # the same key twice
        lambda raw: raw.replace(b"wecom", b"we\\u0063om"),
        lambda raw: raw.replace(b"wecom", b"we\xc0\xafom"),  # a long form of "/"
        lambda raw: raw.replace(b"wecom", b"we\xed\xa0\x80om"),  # half of a surrogate pair
        lambda raw: raw.replace(b'"char_count":18', b'"char_count":018'),
        lambda raw: raw + b"{}",
        lambda raw: raw[:-1],
    ],
)
def test_what_is_not_plain_is_left_to_msgspec(damage: Any) -> None:
    event = {name: value for name, value in EXAMPLES["message"].items() if not isinstance(value, list)}
    raw = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    changed = damage(raw)
    assert changed != raw
    assert plainly("message", [raw, changed, raw]).plain.tolist() == [True, False, True]
    assert_same("message", [raw, changed, raw])
