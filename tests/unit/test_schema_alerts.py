"""Alert and command records: ids that depend on the fact alone, JSON that survives, refusals that say what is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas.alerts import (
    ALERT_KINDS,
    AlertRecord,
    CommandRecord,
    alert_id,
    alert_schema,
    command_schema,
    decode_alert,
    decode_command,
    encode,
    mute_id,
)

OPENED = AlertRecord(
    alert_id=alert_id("silent", "wecom:上海读书会", "王芳", fact=1_700_000_000_000),
    revision=1,
    kind="silent",
    community_id="wecom:上海读书会",
    member_id="王芳",
    state="opened",
    severity="high",
    opened_at=1_700_000_000_000,
    updated_at=1_700_000_000_000,
    reason="沉默了 9 天",
    evidence={"silent_days": 9.0, "typical_gap_days": 2, "tier": "key_opinion", "estimated": False, "feed": None},
)
MUTE = {"command_id": "c1", "community_id": "群", "issued_at": 5, "action": "mute", "until": 9, "reason": "放假"}

texts = st.text(max_size=5)


def test_an_alert_survives_its_json() -> None:
    assert decode_alert(encode(OPENED)) == OPENED
    assert "上海读书会" in encode(OPENED).decode()  # people read the topic with any Kafka tool


def test_fields_of_a_later_release_are_passed_over() -> None:
    later = json.loads(encode(OPENED)) | {"mood": "grim"}
    assert decode_alert(json.dumps(later).encode()) == OPENED


@given(st.lists(st.tuples(st.sampled_from(ALERT_KINDS), texts, texts, texts, texts, st.integers() | texts), max_size=8))
def test_ids_differ_exactly_where_kind_subject_or_fact_differ(told: list[tuple]) -> None:  # type: ignore[type-arg]
    ids = {alert_id(k, c, m, feed=f, platform=p, fact=fact) for k, c, m, f, p, fact in told}
    assert len(ids) == len({(*others, type(fact), fact) for *others, fact in told})
    assert all(len(id_) <= 64 for id_ in ids)


def test_an_id_never_changes_between_releases() -> None:
    assert OPENED.alert_id == "silent-f9441136f39815bd6671f0bf"
    assert mute_id("群", None, "silent") == "mute-737abcba0c88921e7f42e6bd"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "grumpy"}, "'grumpy' - at `$.kind`"),
        ({"revision": 0}, "`int` >= 1 - at `$.revision`"),
        ({"opened_at": "now"}, "Expected `int`, got `str` - at `$.opened_at`"),
        ({"evidence": {"figures": [1]}}, "$.evidence"),
    ],
)
def test_a_broken_alert_is_refused_by_field(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match="no alert record") as refused:
        decode_alert(json.dumps(json.loads(encode(OPENED)) | change).encode())
    assert words in str(refused.value)


def test_a_command_survives_its_json_and_says_only_what_was_given() -> None:
    command = decode_command(json.dumps(MUTE).encode())
    assert command == CommandRecord(
        command_id="c1", community_id="群", issued_at=5, action="mute", until=9, reason="放假"
    )
    assert json.loads(encode(command)) == MUTE


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("acknowledge", "acknowledge needs alert_id"),
        ("verdict", "verdict needs alert_id and verdict"),
        ("mute", "mute needs until and reason"),
        ("forget", "forget needs member_id"),
        ("shout", "'shout' - at `$.action`"),
    ],
)
def test_a_command_without_what_its_action_needs_is_refused(action: str, words: str) -> None:
    bare = {"command_id": "c1", "community_id": "群", "issued_at": 5, "action": action}
    with pytest.raises(ValueError, match=r"no command record") as refused:
        decode_command(json.dumps(bare).encode())
    assert words in str(refused.value)


def test_the_schemas_accept_what_is_sent_and_refuse_what_is_refused() -> None:
    alerts, commands = Draft202012Validator(alert_schema()), Draft202012Validator(command_schema())
    alerts.validate(json.loads(encode(OPENED)))
    assert not alerts.is_valid(json.loads(encode(OPENED)) | {"kind": "grumpy"})
    commands.validate(MUTE)
    assert not commands.is_valid({name: value for name, value in MUTE.items() if name != "until"})
    for schema in (alert_schema(), command_schema()):
        assert all(field["description"].endswith(".") for field in schema["properties"].values())
