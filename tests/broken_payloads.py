"""Broken records of every kind that a feed can hold, reproducible by seed; each must end as a dead letter."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from schemas.topics import EVENT_TOPICS, TYPE_OF
from schemas.vocabulary import EventType

_COMMON: Final = {
    "schema_version": 1,
    "occurred_at": "2024-05-01T09:30:00.123+08:00",
    "platform": "telegram",
}
_OWN: Final[dict[EventType, dict[str, Any]]] = {
    "message": {"member_id": "m-1", "kind": "text", "char_count": 12},
    "join": {"member_id": "m-1", "action": "joined", "via": "invite", "inviter_id": "m-2"},
    "order": {
        "member_id": "m-1",
        "order_id": "o-1",
        "status": "paid",
        "amount_minor": 990,
        "currency": "CNY",
        "items": [{"sku": "A1", "quantity": 1, "amount_minor": 990}],
    },
    "referral": {"campaign_id": "spring", "referrer_id": "m-1", "referee_id": "m-2"},
}


def valid_event(event_type: EventType, number: int = 0, community_id: str = "读书会🌱") -> dict[str, Any]:
    """A valid event of the type, with the id `number`."""
    common = {"event_id": f"e-{number}", "event_type": event_type, "community_id": community_id, **_COMMON}
    own: dict[str, Any] = json.loads(json.dumps(_OWN[event_type]))  # a copy: callers may change what is in it
    return common | own


def as_bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def broken_payloads(n: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """`n` broken records as (topic, key, value), all kinds of `BREAKS` in turn; the same for the same seed."""
    chance = random.Random(seed)
    kinds = list(BREAKS.values())
    for number in range(n):
        topic = chance.choice(EVENT_TOPICS)
        event_type = TYPE_OF[topic]
        community_id = f"community-{chance.randrange(50)}"
        event = valid_event(event_type, number, community_id)
        yield topic, community_id.encode(), kinds[number % len(kinds)](chance, event)


def _random_bytes(chance: random.Random, event: dict[str, Any]) -> bytes:
    return b"\x00" + chance.randbytes(chance.randrange(400))


def _empty(chance: random.Random, event: dict[str, Any]) -> bytes:
    return b" " * chance.randrange(3)


def _truncated(chance: random.Random, event: dict[str, Any]) -> bytes:
    raw = as_bytes(event)
    return raw[: chance.randrange(1, len(raw) - 1)]


def _flipped_byte(chance: random.Random, event: dict[str, Any]) -> bytes:
    raw = bytearray(as_bytes(event))
    raw[chance.randrange(len(raw))] = chance.choice((0xFF, 0xC0, 0xF5))  # nowhere valid in UTF-8
    return bytes(raw)


def _wrong_type(chance: random.Random, event: dict[str, Any]) -> bytes:
    field = chance.choice(list(event))
    wrong: list[Any] = [{}, [[1]], {"a": 1}, True if not isinstance(event[field], bool) else 1]
    wrong.append(5.5 if isinstance(event[field], str) else "5")
    return as_bytes(event | {field: chance.choice(wrong)})


def _missing(chance: random.Random, event: dict[str, Any]) -> bytes:
    required = [name for name in event if name not in ("platform", "char_count", "via", "inviter_id", "items")]
    del event[chance.choice(required)]
    return as_bytes(event)


def _null(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event | {chance.choice(("event_id", "occurred_at", "community_id", "event_type")): None})


def _huge_text(chance: random.Random, event: dict[str, Any]) -> bytes:
    field = chance.choice(("event_id", "community_id"))
    return as_bytes(event | {field: chance.choice("x群😀") * chance.choice((65, 1000, 20_000))})


def _huge_record(chance: random.Random, event: dict[str, Any]) -> bytes:
    if chance.random() < 0.95:  # seldom the real thing, or a long run would be gigabytes of it
        return as_bytes(event | {"schema_version": 0, "text": "x" * 3000})
    return as_bytes(event | {"text": "x" * 300_000})  # above the default `max_record_bytes`


def _empty_id(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event | {chance.choice(("event_id", "community_id")): ""})


def _nul(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event | {chance.choice(("event_id", "community_id")): "a\x00b"})


def _lone_surrogate(chance: random.Random, event: dict[str, Any]) -> bytes:
    return json.dumps(event | {"event_id": f"a{chance.choice((chr(0xD800), chr(0xDC00)))}b"}).encode()


def _not_a_number(chance: random.Random, event: dict[str, Any]) -> bytes:
    number = chance.choice(("nan", "inf", "-inf"))
    return as_bytes(event | {chance.choice(("value", "anything")): float(number)})


def _huge_number(chance: random.Random, event: dict[str, Any]) -> bytes:
    number = chance.choice(("9" * 30, "9" * 400, "9" * 5000, "1e999", "-1"))
    raw = as_bytes(event)
    return raw[:-1] + b', "schema_version": ' + number.encode() + b"}"


def _deep(chance: random.Random, event: dict[str, Any]) -> bytes:
    depth = chance.choice((64, 100, 1000, 5000))  # inside the event itself: 65 levels and more
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = b"1" if closing == b"}" else b""
    return as_bytes(event)[:-1] + b', "extra": ' + opening * depth + inner + closing * depth + b"}"


def _future(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event | {"occurred_at": chance.choice(("2199-01-01T00:00:00Z", "2250-06-01T12:00:00+08:00"))})


def _past(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event | {"occurred_at": chance.choice(("1999-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z"))})


def _bad_time(chance: random.Random, event: dict[str, Any]) -> bytes:
    bad = (
        "2024-02-30T00:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T09:30:00",
        "2024-05-01",
        "yesterday",
        "1714527000",
    )
    return as_bytes(event | {"occurred_at": chance.choice(bad)})


def _unknown_version(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes({"event_type": "?", "schema_version": chance.choice((2, 3, 999))} | {"new_field": event})


def _other_type(chance: random.Random, event: dict[str, Any]) -> bytes:
    others = [event_type for event_type in (*TYPE_OF.values(), "MESSAGE", "") if event_type != event["event_type"]]
    return as_bytes(event | {"event_type": chance.choice(others)})


def _no_object(chance: random.Random, event: dict[str, Any]) -> bytes:
    return chance.choice((b"[]", b"null", b"5", b'"text"', b"[" + as_bytes(event) + b"]"))


def _two_objects(chance: random.Random, event: dict[str, Any]) -> bytes:
    return as_bytes(event) + chance.choice((b"", b"\n", b",")) + as_bytes(event)


def _other_encoding(chance: random.Random, event: dict[str, Any]) -> bytes:
    encoding = chance.choice(("utf-16", "utf-32", "utf-8-sig"))
    return json.dumps(event, ensure_ascii=False).encode(encoding)


BREAKS: Final[dict[str, Callable[[random.Random, dict[str, Any]], bytes]]] = {
    "random bytes": _random_bytes,
    "empty": _empty,
    "truncated": _truncated,
    "flipped byte": _flipped_byte,
    "wrong type": _wrong_type,
    "missing field": _missing,
    "null for a required field": _null,
    "huge text": _huge_text,
    "huge record": _huge_record,
    "empty id": _empty_id,
    "NUL in an id": _nul,
    "lone surrogate": _lone_surrogate,
    "not a number": _not_a_number,
    "huge number": _huge_number,
    "deep nesting": _deep,
    "future time": _future,
    "time before 2000": _past,
    "bad time": _bad_time,
    "unknown version": _unknown_version,
    "type of another topic": _other_type,
    "no object": _no_object,
    "two objects": _two_objects,
    "other encoding": _other_encoding,
}
"""How a record can be broken, by name."""
