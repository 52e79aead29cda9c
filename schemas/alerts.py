"""Alerts as they travel on `community.alerts.v1`, and what operators answer on `community.commands.v1`.

An alert is an episode: every change of it is one more record with the same `alert_id` and a higher `revision`, and
whoever reads keeps the highest revision of an id. The topic is compacted under the id, so a new reader gets the latest
of every episode. Commands are keyed by community, so that they reach the worker that keeps the community's episodes.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

AlertKind = Literal[
    "silent",
    "lapsed_buyer",
    "left",
    "activity_drop",
    "exodus",
    "zombie",
    "over_promotion",
    "stalled_growth",
    "unanswered",
    "rule_violation",
    "resync_needed",
    "feed_silent",
]
AlertState = Literal["opened", "acknowledged", "resolved", "expired"]
Severity = Literal["low", "medium", "high", "critical"]
Urgency = Literal["now", "digest", "nobody"]
CommandAction = Literal["acknowledge", "resolve", "mute", "unmute", "verdict", "forget"]
Verdict = Literal["useful", "noise"]

ALERT_KINDS: Final[tuple[AlertKind, ...]] = get_args(AlertKind)
MEMBER_ALERT_KINDS: Final[tuple[AlertKind, ...]] = ("silent", "lapsed_buyer", "left", "unanswered", "rule_violation")
ALERT_STATES: Final[tuple[AlertState, ...]] = get_args(AlertState)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # from the least severe
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

EvidenceValue = int | float | str | bool | None

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_TimeMs = Annotated[int, Meta(ge=0)]


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert episode. Times are milliseconds since 1970 UTC."""

    alert_id: Annotated[_Id, Meta(description="Id of the episode, see `alert_id`; key of the record.")]
    revision: Annotated[int, Meta(ge=1, description="Rises with every change; the highest of an id counts.")]
    kind: Annotated[AlertKind, Meta(description="What the alert is about.")]
    community_id: Annotated[str, Meta(max_length=64, description="Community; empty where a whole feed is meant.")]
    member_id: Annotated[str, Meta(max_length=64, description="Member; empty for an alert about a community.")] = ""
    platform: Annotated[str, Meta(max_length=32, description="Platform; empty if unknown.")] = ""
    feed: Annotated[str, Meta(max_length=32, description="Feed (connector) it stands on; empty if unknown.")] = ""
    assignee: Annotated[str, Meta(max_length=200, description="Who should act: the member's staff_id, else the "
                                  "community's assignee; empty if nobody is named.")] = ""  # fmt: skip
    state: Annotated[AlertState, Meta(description="Where the episode stands.")]
    severity: Annotated[Severity, Meta(description="How much it matters, from the member's tier or the rule.")]
    opened_at: Annotated[_TimeMs, Meta(description="When the rule's condition was met.")]
    updated_at: Annotated[_TimeMs, Meta(description="When it took the state it is in.")]
    resolved_at: Annotated[_TimeMs | None, Meta(description="When it was resolved or expired; null before.")] = None
    reason: Annotated[str, Meta(description="Why it was raised, as one plain sentence without names of people.")]
    evidence: Annotated[dict[str, EvidenceValue], Meta(description="The figures it rests on; names end in their unit.")]
    suggested_action: Annotated[str, Meta(description="What to do about it, as one plain sentence.")] = ""
    value_at_risk: Annotated[float, Meta(ge=0, description="What may be lost; the larger one is told first.")] = 0.0
    urgency: Annotated[Urgency, Meta(description="now: may be told at once; digest: only as a line of a digest; "
                                     "nobody: told to nobody.")] = "now"  # fmt: skip
    replay: Annotated[bool, Meta(description="Whether it comes from a replay of history rather than from now.")] = False


class CommandRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator wants done; one record each, applied once whatever is sent again."""

    command_id: Annotated[_Id, Meta(description="Id of the command; the same id is applied once.")]
    community_id: Annotated[str, Meta(max_length=64, description="Community it concerns; key of the record.")]
    issued_at: Annotated[_TimeMs, Meta(description="When it was said, milliseconds since 1970 UTC.")]
    issued_by: Annotated[str, Meta(max_length=64, description="Who said it.")] = ""
    action: Annotated[CommandAction, Meta(description="What is wanted.")]
    alert_id: Annotated[_Id | None, Meta(description="The alert it is about; null for mute, unmute and forget.")] = None
    kind: Annotated[AlertKind | None, Meta(description="mute, unmute: only alerts of this kind; null: all.")] = None
    member_id: Annotated[_Id | None, Meta(description="mute, unmute: only this member; forget: whom.")] = None
    until: Annotated[_TimeMs | None, Meta(description="mute: when it ends, milliseconds since 1970 UTC.")] = None
    reason: Annotated[str, Meta(max_length=500, description="Why, in the operator's words.")] = ""
    verdict: Annotated[Verdict | None, Meta(description="verdict: whether the alert was useful or noise.")] = None


_NEEDS: Final[dict[CommandAction, tuple[str, ...]]] = {
    "acknowledge": ("alert_id",),
    "resolve": ("alert_id",),
    "mute": ("until", "reason"),
    "unmute": (),
    "verdict": ("alert_id", "verdict"),
    "forget": ("member_id",),
}

Record = TypeVar("Record", AlertRecord, CommandRecord)

_encoder = msgspec.json.Encoder()
_alerts = msgspec.json.Decoder(AlertRecord)
_commands = msgspec.json.Decoder(CommandRecord)


def alert_id(
    kind: AlertKind, community_id: str, member_id: str = "", *, fact: int | str, feed: str = "", platform: str = ""
) -> str:
    """The id of the episode that `kind` opens about its subject because of `fact`: `silent-` and 24 hex digits.

    `fact` is the event fact the episode stands on (last seen, time of leaving, start of the pane; ms since 1970 UTC, or
    a text such as an event id), never the time at which it was noticed: so a replay arrives at the same id. 96 bits of
    SHA-256: among a billion alerts two meet with a chance of one in 10^11.
    """
    # As a JSON list and not joined by some character: ids may hold any, and ("a|b", "c") must not meet ("a", "b|c").
    subject = _encoder.encode([kind, platform, feed, community_id, member_id, fact])
    return f"{kind}-{hashlib.sha256(subject).hexdigest()[:24]}"


def mute_id(community_id: str, member_id: str | None, kind: AlertKind | None) -> str:
    """The id of what a mute silences; muting the same again replaces it, unmuting takes it away."""
    subject = _encoder.encode([community_id, member_id or "", kind or ""])
    return f"mute-{hashlib.sha256(subject).hexdigest()[:24]}"


def encode(record: AlertRecord | CommandRecord) -> bytes:
    """The record's JSON, UTF-8."""
    return _encoder.encode(record)


def decode_alert(value: bytes) -> AlertRecord:
    """The alert in a record's value. Raises ValueError that names the field and what was expected."""
    try:
        return _alerts.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"no alert record: {error}") from None


def decode_command(value: bytes) -> CommandRecord:
    """The command in a record's value. Raises ValueError that names the field and what was expected."""
    try:
        command = _commands.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"no command record: {error}") from None
    missing = [name for name in _NEEDS[command.action] if getattr(command, name) in (None, "")]
    if missing:
        raise ValueError(f"no command record: {command.action} needs {' and '.join(missing)}")
    return command


def alert_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the values on `community.alerts.v1`."""
    return _schema(
        "alert", AlertRecord, "One revision of an alert episode; the highest revision of an alert_id counts."
    )


def command_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the values on `community.commands.v1`."""
    schema = _schema("command", CommandRecord, "What an operator wants done; a repeated command_id changes nothing.")
    needs = [
        {"if": {"properties": {"action": {"const": action}}}, "then": {"required": list(fields)}}
        for action, fields in _NEEDS.items()
        if fields
    ]
    return schema | {"allOf": needs}


def _schema(title: str, model: type[msgspec.Struct], description: str) -> dict[str, Any]:
    _, definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:qunpulse:{title}:v1",
        "$comment": "Generated from schemas/alerts.py by `qunpulse schema export`; do not edit.",
    }
    body: dict[str, Any] = definitions[model.__name__]
    return head | body | {"title": title, "description": description}
