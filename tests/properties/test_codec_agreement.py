"""msgspec's way through the codec and the pydantic models accept the same records, with the same values."""

import json
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.codec import Decoder
from schemas.events import MODELS, Event
from schemas.vocabulary import EVENT_TYPES, KINDS, VIA_WORDS, EventType
from tests.broken_payloads import as_bytes, valid_event

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the code

DECODER = Decoder(262_144)

# What a mutated field may hold: everything JSON can say, with an eye on the limits of the contract.
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**31 - 1, 2**31, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63, 2**64, 10**30, 8, 5.0, -0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=70)
    | st.sampled_from(
        ["", "x" * 32, "x" * 33, "群" * 64, "😀" * 64, "😀" * 65, "a\x00b", "\\u0000", "5", "CNY", "cny", "EU"]
    )
    | st.sampled_from(["paid", "joined", "present", "staff", "other", "qr_code", "message", "order", "Text"])
    | st.sampled_from(["2024-05-01T09:30:00Z", "1999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z"])
    | st.sampled_from(["2016-12-31T23:59:60Z", "2024-02-30T00:00:00Z", "2000-01-01T08:00:00+08:00"])
)
_item = st.fixed_dictionaries(
    {}, optional={"sku": _scalars, "category": _scalars, "quantity": _scalars, "amount_minor": _scalars, "x": _scalars}
) | st.just({"sku": "A", "quantity": 2, "amount_minor": 3})
_values = st.recursive(
    _scalars | _item,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=15,
)
_FULL: dict[EventType, dict[str, Any]] = {
    "message": {
        "platform": "wecom", "feed": "wecom-eu", "sender_role": "expert", "mentions": 2, "reply_to": "e-0",
        "reply_to_member_id": "m-9", "is_question": True, "is_promotion": False, "labels": ["a", "群"],
        "object_id": "p-1", "value": 1.5, "campaign_id": "c-1", "kind": "telepathy",
    },
    "join": {
        "role": "owner", "source": "qr-7", "campaign_id": "c-1", "roster_version_before": "1", "via": "owl",
        "roster_version_after": "2", "snapshot_id": "s", "snapshot_size": 3, "joined_at": "1970-01-01T00:00:00Z",
    },
    "order": {
        "original_order_id": "o-0", "coupon_codes": ["X"], "discount_minor": -5, "group_buy_id": "g", "staff_id": "s-1",
        "campaign_id": "c-1", "items": [{"sku": "A", "category": "书", "quantity": 2, "amount_minor": 3}],
    },
    "referral": {"via": "carrier pigeon", "feed": ""},
}  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[EventType, bytes]:
    event_type = draw(st.sampled_from(EVENT_TYPES))
    event = valid_event(event_type) | draw(st.sampled_from([{}, _FULL[event_type]]))
    names = [*MODELS[event_type].model_fields, "unknown", "items", "labels"]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 4)) == 0:
            event.pop(name, None)
        else:
            event[name] = draw(_values)
    raw = json.dumps(event, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:  # a repeated key, whose last value counts
        name, earlier = draw(st.sampled_from(names)), draw(_values)
        raw = b"{" + json.dumps(name).encode() + b":" + json.dumps(earlier).encode() + b"," + raw[1:]
    return event_type, raw


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def by_pydantic(event_type: EventType, raw: bytes) -> Event | str:
    """The event, or the code of its refusal, by the standard library and the model alone."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()  # half surrogate pairs cannot be written
    except ValueError:
        return "invalid_json"
    if not isinstance(found, dict):
        return "invalid_json"
    version = found.get("schema_version")
    if isinstance(version, int) and version > 1:
        return "unknown_schema_version"
    try:
        return MODELS[event_type].model_validate(found)
    except ValidationError:
        return "invalid_field"


def expected_columns(event: Event) -> dict[str, Any]:
    fields = event.model_dump(exclude={"event_type", "schema_version", "occurred_at"})
    fields["feed"] = fields["feed"] or fields["platform"]
    if "kind" in fields:
        raw = fields["kind"]
        fields["kind"], fields["kind_raw"] = (raw, None) if raw in KINDS else ("other", raw)
    if "via" in fields:
        raw = fields["via"]
        known = raw is None or raw in VIA_WORDS
        fields["via"], fields["via_raw"] = (raw, None) if known else ("unknown", raw)
    if fields.get("items") is not None:
        fields["items"] = [tuple(item.values()) for item in fields["items"]]
    return fields


def assert_agree(event_type: EventType, raw: bytes) -> None:
    expected = by_pydantic(event_type, raw)
    chunk = DECODER.decode(event_type, [raw], None)
    if isinstance(expected, str):
        assert [refusal.code for refusal in chunk.refusals] == [expected], (raw, chunk)
        assert chunk.valid.size == 0
        return
    assert not chunk.refusals, raw
    assert chunk.occurred_at_ms.tolist() == [expected.occurred_at]
    found = {name: column[0] for name, column in chunk.columns.items()}
    assert found == expected_columns(expected)
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected_columns(expected).items()
    }


@UNHURRIED
@given(mutated())
@example(("message", b'{"value":5,' + as_bytes(valid_event("message"))[1:]))
@example(("message", b'{"char_count":"x",' + as_bytes(valid_event("message"))[1:]))
@example(("message", as_bytes(valid_event("message") | {"unknown": "\x00"})))
def test_both_ways_agree_on_mutated_events(case: tuple[EventType, bytes]) -> None:
    assert_agree(*case)


def test_both_ways_agree_on_full_events() -> None:
    for event_type in EVENT_TYPES:
        assert_agree(event_type, as_bytes(valid_event(event_type) | _FULL[event_type]))


@UNHURRIED
@given(st.lists(mutated(), max_size=40))
def test_a_chunk_decodes_like_its_records_one_by_one(cases: list[tuple[EventType, bytes]]) -> None:
    raws = [raw for event_type, raw in cases if event_type == "join"]
    chunk = DECODER.decode("join", raws, None)
    singles = [DECODER.decode("join", [raw], None) for raw in raws]
    assert chunk.valid.tolist() == [i for i, single in enumerate(singles) if single.valid.size]
    assert [r.index for r in chunk.refusals] == [i for i, single in enumerate(singles) if single.refusals]
    assert [(r.code, r.detail) for r in chunk.refusals] == [
        (r.code, r.detail) for single in singles for r in single.refusals
    ]
    for name, column in chunk.columns.items():
        assert column == [value for single in singles for value in single.columns[name]]
    times = [single.occurred_at_ms for single in singles]
    assert chunk.occurred_at_ms.tolist() == (np.concatenate(times).tolist() if times else [])


@UNHURRIED
@given(st.sampled_from(EVENT_TYPES), st.binary(max_size=300))
def test_no_bytes_raise(event_type: EventType, raw: bytes) -> None:
    chunk = DECODER.decode(event_type, [raw], None)
    assert len(chunk.refusals) == 1
    assert chunk.refusals[0].code == "invalid_json"
