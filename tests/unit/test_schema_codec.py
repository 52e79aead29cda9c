"""The codec: what becomes of good, odd and broken records, and what it says about them."""

import json
from typing import Any

import numpy as np
import pytest

from schemas.codec import FUTURE_TOLERANCE_MS, DecodedChunk, Decoder
from schemas.refusals import MAX_DETAIL
from schemas.vocabulary import EVENT_TYPES, EventType
from tests.broken_payloads import as_bytes, valid_event

MAY_MS = 1_714_527_000_123  # 2024-05-01T09:30:00.123+08:00, the time of every valid event here


def decode(
    *events: dict[str, Any] | bytes | None, event_type: EventType = "message", limit: int = 10_000
) -> DecodedChunk:
    values = [as_bytes(event) if isinstance(event, dict) else event for event in events]
    return Decoder(limit).decode(event_type, values, None)


def only_refusal(chunk: DecodedChunk) -> tuple[str, str]:
    assert chunk.valid.size == 0
    (refused,) = chunk.refusals
    return refused.code, refused.detail


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_an_empty_chunk_has_all_columns(event_type: EventType) -> None:
    empty, one = decode(event_type=event_type), decode(valid_event(event_type), event_type=event_type)
    assert empty.columns.keys() == one.columns.keys()
    assert empty.valid.size == empty.occurred_at_ms.size == 0


def test_columns_hold_valid_events_only_and_positions_say_which() -> None:
    chunk = decode(valid_event("message", 1), None, valid_event("message", 2), b"{", valid_event("message", 3))
    assert chunk.valid.tolist() == [0, 2, 4]
    assert chunk.columns["event_id"] == ["e-1", "e-2", "e-3"]
    assert chunk.occurred_at_ms.tolist() == [MAY_MS] * 3
    assert [(r.index, r.code) for r in chunk.refusals] == [(1, "invalid_json"), (3, "invalid_json")]


def test_the_largest_chunks_keep_their_order_over_block_borders() -> None:
    events: list[bytes | None] = [as_bytes(valid_event("message", i)) for i in range(3500)]
    for broken in (0, 999, 1000, 1001, 2500, 3499):
        events[broken] = b"{"
    chunk = Decoder(10_000).decode("message", events, None)
    assert [r.index for r in chunk.refusals] == [0, 999, 1000, 1001, 2500, 3499]
    assert chunk.columns["event_id"] == [f"e-{i}" for i in chunk.valid.tolist()]
    assert len(chunk.valid) == 3494


def test_defaults_are_filled_in_and_absent_fields_are_none() -> None:
    event = valid_event("message")
    del event["platform"], event["char_count"]
    columns = decode(event).columns
    assert {name: column[0] for name, column in columns.items()} == {
        "event_id": "e-0", "community_id": "读书会🌱", "platform": None, "feed": None, "member_id": "m-1",
        "sender_role": "member", "kind": "text", "kind_raw": None, "char_count": 0, "mentions": 0, "reply_to": None,
        "reply_to_member_id": None, "is_question": None, "is_promotion": False, "labels": None, "object_id": None,
        "value": None, "campaign_id": None,
    }  # fmt: skip


def test_the_feed_is_the_platform_unless_it_says_otherwise() -> None:
    columns = decode(valid_event("message"), valid_event("message") | {"feed": "bot-2"}).columns
    assert columns["feed"] == ["telegram", "bot-2"]


def test_unknown_words_are_folded_and_kept() -> None:
    columns = decode(valid_event("message") | {"kind": "telepathy"}, valid_event("message")).columns
    assert (columns["kind"], columns["kind_raw"]) == (["other", "text"], ["telepathy", None])
    columns = decode(valid_event("join") | {"via": "owl"}, event_type="join").columns
    assert (columns["via"], columns["via_raw"]) == (["unknown"], ["owl"])
    columns = decode(valid_event("referral"), event_type="referral").columns
    assert (columns["via"], columns["via_raw"]) == ([None], [None])


def test_items_are_tuples() -> None:
    event = valid_event("order") | {"items": [{"sku": "A", "quantity": 2, "amount_minor": 3, "colour": "red"}]}
    without = valid_event("order")
    del without["items"]
    assert decode(event, without, event_type="order").columns["items"] == [[("A", None, 2, 3)], None]


def test_joined_at_is_in_milliseconds() -> None:
    chunk = decode(valid_event("join"), valid_event("join") | {"joined_at": "1970-01-01T00:00:01Z"}, event_type="join")
    assert chunk.columns["joined_at"] == [None, 1000]
    code, detail = only_refusal(decode(valid_event("join") | {"joined_at": "soon"}, event_type="join"))
    assert code == "invalid_field"
    assert detail.startswith("joined_at: ")


def test_ids_are_counted_in_characters_not_bytes() -> None:
    assert (
        decode(
            valid_event("message") | {"member_id": "群" * 64}, valid_event("message") | {"member_id": "😀" * 64}
        ).valid.size
        == 2
    )
    assert only_refusal(decode(valid_event("message") | {"member_id": "😀" * 65}))[0] == "invalid_field"


def test_of_repeated_keys_the_last_wins_whatever_the_first_was() -> None:
    raw = as_bytes(valid_event("message"))
    for earlier in (b'{"char_count":7,', b'{"char_count":"seven",', b'{"char_count":[[7]],'):
        assert decode(earlier + raw[1:]).columns["char_count"] == [12]
    assert only_refusal(decode(raw[:-1] + b',"char_count":"seven"}'))[0] == "invalid_field"


def test_unknown_fields_are_ignored_and_never_kept() -> None:
    chunk = decode(valid_event("message") | {"text": "secret", "nested": {"a": [1, {"b": None}]}})
    assert chunk.valid.size == 1
    assert "secret" not in repr(chunk)


def test_a_newer_version_is_told_apart_even_when_all_else_is_strange() -> None:
    assert only_refusal(decode(b'{"schema_version": 2, "occurred_at": {}}'))[0] == "unknown_schema_version"
    assert only_refusal(decode(valid_event("message") | {"schema_version": 0}))[0] == "invalid_field"
    assert only_refusal(decode(valid_event("message") | {"schema_version": True}))[0] == "invalid_field"


def test_an_event_of_another_type_is_refused() -> None:
    code, detail = only_refusal(decode(valid_event("order")))
    assert code == "invalid_field"
    assert "event_type: expected 'message', found 'order'" in detail


def test_future_is_judged_against_the_append_time() -> None:
    raw = as_bytes(valid_event("message"))
    appended = np.array([MAY_MS - FUTURE_TOLERANCE_MS, MAY_MS - FUTURE_TOLERANCE_MS - 1, -1], np.int64)
    chunk = Decoder(10_000).decode("message", [raw] * 3, appended)
    assert chunk.valid.tolist() == [0, 2]  # exactly five minutes is no future; no append time is no judgement
    assert [r.code for r in chunk.refusals] == ["future_timestamp"]


def test_a_time_far_beyond_the_store_is_future_where_the_append_time_is_known() -> None:
    raw = as_bytes(valid_event("message") | {"occurred_at": "9999-12-31T23:59:59Z"})
    assert Decoder(10_000).decode("message", [raw], np.array([MAY_MS])).refusals[0].code == "future_timestamp"
    assert only_refusal(decode(raw))[0] == "invalid_field"


def test_times_before_2000_are_refused() -> None:
    assert (
        only_refusal(decode(valid_event("message") | {"occurred_at": "1999-12-31T23:59:59.999Z"}))[0] == "invalid_field"
    )
    assert decode(valid_event("message") | {"occurred_at": "2000-01-01T00:00:00Z"}).valid.size == 1
    assert (
        only_refusal(decode(valid_event("message") | {"occurred_at": "2000-01-01T00:00:00+00:01"}))[0]
        == "invalid_field"
    )


def test_nesting_to_64_levels_is_read_and_deeper_is_not() -> None:
    def nested(levels: int) -> bytes:
        return as_bytes(valid_event("message"))[:-1] + b', "x": ' + b"[" * levels + b"]" * levels + b"}"

    assert decode(nested(63)).valid.size == 1
    assert only_refusal(decode(nested(64))) == ("invalid_json", "nested deeper than 64 levels")
    assert only_refusal(decode(nested(4000)))[0] == "invalid_json"


def test_brackets_in_texts_and_in_width_are_no_depth() -> None:
    inside_texts = valid_event("message") | {"x": ["[" * 100, '"[' * 50, "\\", '\\"{' * 50, "{" * 100]}
    wide = valid_event("message") | {"x": [[{}]] * 500}
    assert decode(inside_texts, wide).valid.size == 2


def test_too_large_is_told_before_anything_is_read() -> None:
    assert only_refusal(decode(b"{" * 20_000)) == ("too_large", "20000 bytes; at most 10000 are read")
    raw = as_bytes(valid_event("message"))
    assert decode(raw, limit=len(raw)).valid.size == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"  ", b"[]", b"null", b"\xff", b"{}x", b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":-Infinity}',
        b'{"a":"\x01"}',
        b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', b'{"a":01}', b"{'a':1}", b'{"a":1,}', b'{"a":' * 1000,
    ],
)  # fmt: skip
def test_what_is_no_json_object(raw: bytes) -> None:
    assert only_refusal(decode(raw))[0] == "invalid_json"


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e999", "-" + "9" * 30])
def test_numbers_beyond_all_limits_are_refused(number: str) -> None:
    raw = as_bytes(valid_event("message"))[:-1] + f', "char_count": {number}}}'.encode()
    code, detail = only_refusal(decode(raw))
    assert code == "invalid_field"
    assert len(detail) <= MAX_DETAIL


def test_details_are_short_one_line_and_never_quote_people() -> None:
    event = valid_event("message") | {
        "member_id": "person\n" * 20,
        "kind": "k\n\x1b" * 3000,
        "reply_to_member_id": 42_424,
    }
    detail = only_refusal(decode(json.dumps(event).encode(), limit=100_000))[1]
    assert len(detail) <= MAX_DETAIL
    assert detail.isprintable()
    assert "person" not in detail
    assert "42" not in detail.replace("42_", "")


def test_pseudonymised_chunks_hold_no_id_of_a_person() -> None:
    class Masked:
        def column(self, ids: list[str | None]) -> list[str | None]:
            return [None if id_ is None else "masked" for id_ in ids]

    decoder = Decoder(10_000, Masked())
    joined = decoder.decode("join", [as_bytes(valid_event("join"))], None).columns
    assert (joined["member_id"], joined["inviter_id"]) == (["masked"], ["masked"])
    assert joined["community_id"] == ["读书会🌱"]
    referred = decoder.decode("referral", [as_bytes(valid_event("referral"))], None).columns
    assert (referred["referrer_id"], referred["referee_id"]) == (["masked"], ["masked"])
    assert decoder.decode("order", [as_bytes(valid_event("order"))], None).columns["staff_id"] == [None]
