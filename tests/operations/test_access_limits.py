"""Limits on what is sent to us: size, depth, length of every text and list, whoever sends it and on whichever topic."""

from __future__ import annotations

import json
import typing
from typing import Any

import annotated_types
import numpy as np
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas import alerts, facts
from schemas.codec import Decoder
from schemas.events import MODELS
from schemas.topics import SIDE_TOPICS
from schemas.vocabulary import EventType
from streams.engine.record_block import Record
from streams.engine.side_records import SideRecords
from streams.settings import Settings
from tests.broken_payloads import as_bytes, valid_event

MOST = Settings().max_record_bytes
TYPES: tuple[EventType, ...] = ("message", "join", "order", "referral")


def limited_texts(model: type[BaseModel]) -> dict[str, int]:
    """Fields that are a text of anybody's choice, with the longest that is taken."""
    return {name: limit for name, field in model.model_fields.items() if (limit := _longest(field, str)) is not None}


def refused(event_type: EventType, event: dict[str, Any]) -> list[str]:
    chunk = Decoder(MOST).decode(event_type, [as_bytes(event)], np.array([2_000_000_000_000], np.int64))
    return [refusal.code for refusal in chunk.refusals]


@pytest.mark.parametrize("event_type", TYPES)
def test_every_text_of_every_event_has_a_longest_length_that_holds(event_type: EventType) -> None:
    limits = limited_texts(MODELS[event_type])
    assert {"event_id", "community_id", "platform", "feed"} <= limits.keys()
    for name, limit in limits.items():
        at_the_limit = valid_event(event_type) | {name: ("ABC" if name == "currency" else "群" * limit)}
        assert refused(event_type, at_the_limit) == [], name
        assert refused(event_type, at_the_limit | {name: "A" * (limit + 1)}) == ["invalid_field"], name


@pytest.mark.parametrize("event_type", TYPES)
def test_no_field_of_an_event_takes_a_text_or_list_without_end(event_type: EventType) -> None:
    for name, field in MODELS[event_type].model_fields.items():
        kinds = _kinds(field.annotation)
        if str in kinds:
            assert _longest(field, str) is not None, name
        if list in kinds:
            assert _longest(field, list) is not None, name


def test_lists_are_taken_up_to_their_limit_and_no_further() -> None:
    item = {"sku": "A", "quantity": 1, "amount_minor": 1}
    for event_type, name, one, limit in (
        ("message", "labels", "a", 8), ("order", "coupon_codes", "a", 10), ("order", "items", item, 200),
    ):  # fmt: skip
        event = valid_event(event_type)  # type: ignore[arg-type]
        assert refused(event_type, event | {name: [one] * limit}) == []  # type: ignore[arg-type]
        assert refused(event_type, event | {name: [one] * (limit + 1)}) == ["invalid_field"]  # type: ignore[arg-type]


@pytest.mark.parametrize("event_type", TYPES)
def test_a_record_is_taken_up_to_its_size_and_depth_and_no_further(event_type: EventType) -> None:
    event = valid_event(event_type)
    room = MOST - len(as_bytes(event | {"text": ""}))
    assert refused(event_type, event | {"text": "x" * room}) == []
    assert refused(event_type, event | {"text": "x" * (room + 1)}) == ["too_large"]
    for depth, codes in ((63, []), (64, ["invalid_json"]), (10_000, ["invalid_json"])):
        raw = as_bytes(event)[:-1] + b', "more": ' + b"[" * depth + b"]" * depth + b"}"
        chunk = Decoder(MOST).decode(event_type, [raw])
        assert [refusal.code for refusal in chunk.refusals] == codes, depth


@pytest.mark.parametrize("topic", SIDE_TOPICS)
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_what_is_too_large_or_deep_on_a_side_topic_is_refused_and_ends_no_worker(topic: str, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = b'{"x":' + opening * 40_000 + b"1" + closing * 40_000 + b"}"
    records = [Record(at, 0, b"k", value) for at, value in enumerate((deep, b" " * (MOST + 1)))]
    side = SideRecords(0, 1, MOST)
    side.add(topic, records)
    outcome = side.apply(topic, [], 10)
    assert outcome is not None
    assert [one.code for one in outcome.refused] == ["invalid_json", "too_large"]


def test_readers_of_alerts_commands_and_facts_are_not_ended_by_depth() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for read in (alerts.decode_alert, alerts.decode_command, facts.decode):
        with pytest.raises(ValueError, match=r"^no "):
            read(deep)


def test_every_text_of_a_command_has_a_longest_length_that_holds() -> None:
    command = {
        "command_id": "c", "community_id": "g", "issued_at": 1, "action": "mute", "until": 2, "reason": "节日",
    }  # fmt: skip
    alerts.decode_command(json.dumps(command).encode())
    schema = alerts.command_schema()["properties"]
    texts = {name: found["maxLength"] for name, found in schema.items() if "maxLength" in found}
    assert {"command_id", "community_id", "issued_by", "reason"} <= texts.keys()
    for name, limit in texts.items():
        alerts.decode_command(json.dumps(command | {name: "群" * limit}).encode())
        with pytest.raises(ValueError, match=name):
            alerts.decode_command(json.dumps(command | {name: "a" * (limit + 1)}).encode())


def _kinds(annotation: Any) -> set[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return set()
    if origin is list:
        return {list}
    return {kind for part in typing.get_args(annotation) for kind in _kinds(part)} | {annotation}


def _longest(field: FieldInfo, kind: type) -> int | None:
    """The largest max_length anywhere in a field's annotation, if it may be of this kind."""
    if kind not in _kinds(field.annotation):
        return None
    return next((m.max_length for m in _metadata(field) if isinstance(m, annotated_types.MaxLen)), None)


def _metadata(field: FieldInfo) -> list[Any]:
    found = list(field.metadata)
    pending = [field.annotation]
    while pending:
        part = pending.pop()
        for one in getattr(part, "__metadata__", ()):
            found += one.metadata if isinstance(one, FieldInfo) else [one]
        if typing.get_origin(part) is not list:
            pending += typing.get_args(part)
    return found
