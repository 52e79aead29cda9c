"""The committed contract is what the models say, says what the models do, and breaks nobody."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from schemas.compatibility import breaking_changes
from schemas.deadletter import HEADER_PREFIX, DeadLetter
from schemas.events import MODELS
from schemas.examples import EXAMPLES
from schemas.export import HERE, as_json, check, drift, export, incompatibilities
from schemas.jsonschema_document import json_schema
from schemas.refusals import CODES
from schemas.topics import topic_specs
from schemas.vocabulary import EVENT_TYPES, EventType
from tests.properties.test_codec_agreement import by_pydantic, mutated

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the code

VALIDATORS = {event_type: Draft202012Validator(json_schema(event_type)) for event_type in EVENT_TYPES}


def test_the_committed_contract_is_current_and_compatible() -> None:
    assert check() == []


def test_export_writes_a_file_for_each_event_and_the_topics(tmp_path: Path) -> None:
    written = export(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "jsonschema/message.json", "jsonschema/join.json", "jsonschema/order.json", "jsonschema/referral.json",
        "jsonschema/referral-fact.json", "jsonschema/milestone.json", "jsonschema/touch.json",
        "jsonschema/alert.json", "jsonschema/command.json", "asyncapi.yaml",
    ]  # fmt: skip
    assert drift(tmp_path) == []


def test_drift_is_told_by_file(tmp_path: Path) -> None:
    export(tmp_path)
    (tmp_path / "jsonschema/join.json").unlink()
    (tmp_path / "jsonschema/old.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").write_text("asyncapi: 3.0.0\n")
    findings = drift(tmp_path)
    assert [finding.split(":")[0] for finding in findings] == [
        "jsonschema/join.json",
        "asyncapi.yaml",
        "jsonschema/old.json",
    ]
    assert "qunpulse schema export" in findings[0]


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_examples_are_valid_by_model_and_schema(event_type: EventType) -> None:
    Draft202012Validator.check_schema(json_schema(event_type))
    VALIDATORS[event_type].validate(EXAMPLES[event_type])
    MODELS[event_type].model_validate(EXAMPLES[event_type])


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_field_is_described(event_type: EventType) -> None:
    schema = json_schema(event_type)
    assert set(schema["properties"]) == set(MODELS[event_type].model_fields)
    for field in schema["properties"].values():
        assert field["description"].endswith("."), field


@UNHURRIED
@given(mutated())
def test_what_the_model_accepts_the_schema_accepts(case: tuple[EventType, bytes]) -> None:
    event_type, raw = case
    event = by_pydantic(event_type, raw)
    if not isinstance(event, str):
        VALIDATORS[event_type].validate(json.loads(raw))


def test_asyncapi_names_all_topics_and_what_they_refer_to_is_there() -> None:
    document = YAML(typ="safe").load(HERE / "asyncapi.yaml")
    assert document["asyncapi"] == "3.0.0"
    channels = {channel["address"]: channel for channel in document["channels"].values()}
    assert set(channels) == {spec.name for spec in topic_specs(1)}
    for spec in topic_specs(1):
        said = channels[spec.name]["bindings"]["kafka"].get("topicConfiguration", {"cleanup.policy": ["delete"]})
        assert said == {"cleanup.policy": [spec.config["cleanup.policy"]]}, spec.name
    headers = document["components"]["messages"]["dead_letter"]["headers"]["properties"]
    assert set(headers) == {HEADER_PREFIX + name for name in DeadLetter.model_fields}
    assert headers["qunpulse-code"]["enum"] == list(CODES)
    for reference in references(document):
        file, _, inside = reference.partition("#")
        found: Any = YAML(typ="safe").load(HERE / file) if file else document
        for part in filter(None, inside.split("/")):
            found = found[part]
        assert isinstance(found, dict)


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [reference for entry in node for reference in references(entry)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [reference for entry in node.values() for reference in references(entry)]
    return []


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("event_type", "change", "reason"),
    [
        ("message", lambda s: s["properties"].pop("labels"), "$.labels: was removed"),
        ("message", lambda s: s["required"].append("platform"), "$.platform: is required now, was optional"),
        (
            "message",
            lambda s: (s["properties"].update(x={"type": "string"}), s["required"].append("x")),
            "$.x: is required now, was unknown",
        ),
        ("message", lambda s: s["properties"]["kind"].update(maxLength=32), "$.kind: maxLength fell from 64 to 32"),
        ("message", lambda s: s["properties"]["kind"].update(minLength=2), "$.kind: minLength rose from 1 to 2"),
        ("message", lambda s: s["properties"]["kind"].update(pattern="^[a-z]+$"), "$.kind: pattern was"),
        ("message", lambda s: s["properties"]["char_count"].pop("default"), "$.char_count: the default was 0"),
        ("message", lambda s: s["properties"]["sender_role"]["enum"].remove("bot"), "'bot' is no longer accepted"),
        ("message", lambda s: s["properties"]["kind"].update(enum=["text"]), "$.kind: any value was accepted"),
        ("message", lambda s: s["properties"]["char_count"].update(type="string"), "$.char_count: integer was"),
        ("message", lambda s: s["properties"]["schema_version"].update(const=2), "1 is no longer accepted"),
        ("message", lambda s: s["properties"]["platform"]["anyOf"].pop(), "$.platform: null was accepted"),
        (
            "message",
            lambda s: s["properties"]["platform"]["anyOf"][0].update(maxLength=8),
            "$.platform: maxLength fell",
        ),
        ("message", lambda s: s["properties"]["labels"]["anyOf"][0].update(maxItems=4), "$.labels: maxItems fell"),
        (
            "message",
            lambda s: s["properties"]["labels"]["anyOf"][0]["items"].update(maxLength=4),
            "$.labels[]: maxLength fell from 64 to 4",
        ),
        ("message", lambda s: s["properties"]["value"]["anyOf"][0].update(type="integer"), "$.value: number was"),
        ("message", lambda s: s.update(additionalProperties=False), "$: unknown fields were ignored"),
        ("order", lambda s: s["$defs"]["OrderItem"]["required"].append("category"), "$.items[].category: is required"),
        (
            "order",
            lambda s: s["$defs"]["OrderItem"]["properties"]["quantity"].update(minimum=2),
            "$.items[].quantity: minimum rose from 1 to 2",
        ),
        ("order", lambda s: s["properties"]["amount_minor"].update(multipleOf=5), "multipleOf was None and is 5"),
    ],
)
def test_breaking_changes_name_path_and_reason(event_type: EventType, change: Change, reason: str) -> None:
    old, new = json_schema(event_type), copy.deepcopy(json_schema(event_type))
    change(new)
    findings = breaking_changes(old, new)
    assert len(findings) == 1
    assert reason in findings[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(mood={"type": "string"}),
        lambda s: s["required"].remove("kind"),
        lambda s: s["properties"]["kind"].update(maxLength=128),
        lambda s: s["properties"]["kind"].pop("pattern"),
        lambda s: s["properties"]["sender_role"]["enum"].append("guest"),
        lambda s: s["properties"]["char_count"].update(type="number"),
        lambda s: s["properties"]["kind"].update(description="Other words.", examples=["x"]),
        lambda s: s["properties"].update(
            char_count={"anyOf": [s["properties"]["char_count"], {"type": "null"}], "default": 0}
        ),
    ],
)
def test_widening_breaks_nobody(change: Change) -> None:
    new = json_schema("message")
    change(new)
    assert breaking_changes(json_schema("message"), new) == []


def test_a_change_is_breaking_for_exactly_those_it_refuses() -> None:
    schema = json_schema("message")
    assert breaking_changes(schema, schema) == []
    assert breaking_changes({}, {}) == []
    assert breaking_changes({}, schema) != []


def test_incompatibilities_are_told_against_the_last_release(tmp_path: Path) -> None:
    assert incompatibilities(tmp_path) != []
    for version, limit in (("v9", 64), ("v10", 99)):
        (tmp_path / version).mkdir()
        old = json_schema("message")
        old["properties"]["kind"]["maxLength"] = limit
        (tmp_path / version / "message.json").write_text(as_json(old), encoding="utf-8")
    (tmp_path / "v10" / "fax.json").write_text("{}")
    assert incompatibilities(tmp_path) == [
        "fax against v10: the event was removed",
        "message against v10: $.kind: maxLength fell from 99 to 64",
    ]
