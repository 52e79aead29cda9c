"""Milestones as they travel on `community.milestones.v1`, keyed by `campaign_id`: targets reached, or lost again.

There is one milestone per campaign and member (or group buy). It is sent when the target is reached, and again with a
higher `revision` whenever what it says changes: whoever reads keeps the highest revision of a `milestone_id`. What is
`reached` can still be taken back until `deadline_at`, and as long as events may come late (a day) after it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.facts import path_of

SubjectKind = Literal["member", "group"]
MilestoneState = Literal["reached", "taken_back"]

_Ms = Annotated[int, Meta(ge=0)]


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """A target and the member or group that reached it, or from whom it was taken back."""

    milestone_id: Annotated[str, Meta(min_length=1, max_length=600, description="Its id, see `milestone_id`.")]
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1, description="Rises with every change; the highest counts.")]
    campaign_id: Annotated[str, Meta(min_length=1, max_length=80, description="Campaign; key of the record.")]
    subject_kind: Annotated[SubjectKind, Meta(description="Whether a member or a group buy reached it.")]
    subject_id: Annotated[str, Meta(min_length=1, max_length=64, description="The member_id or group_buy_id.")]
    target: Annotated[str, Meta(max_length=100, description="What was asked for, in words.")]
    state: Annotated[MilestoneState, Meta(description="Whether it stands or was taken back before its deadline.")]
    count: Annotated[int, Meta(ge=0, description="How many count by now, or did at the deadline.")]
    opened_at: Annotated[_Ms, Meta(description="When it opened, milliseconds since 1970 UTC.")]
    reached_at: Annotated[
        _Ms | None, Meta(description="When it was reached, the last time; null: never, as is known now.")
    ]
    taken_back_at: Annotated[_Ms | None, Meta(description="When it was lost again; null while it stands.")] = None
    deadline_at: Annotated[_Ms | None, Meta(description="Until when it could be reached or lost; null: for ever.")] = (
        None
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Milestone)


def milestone_id(campaign_id: str, subject_kind: str, subject_id: str) -> str:
    """The id of a milestone: `campaign/member/m-17`, each part escaped like parts of a fact's id."""
    return path_of(campaign_id, subject_kind, subject_id)


def encode(milestone: Milestone) -> bytes:
    """The milestone's JSON, UTF-8."""
    return _encoder.encode(milestone)


def decode(value: bytes) -> Milestone:
    """The milestone in a record's value. Raises ValueError that names the field and what was expected."""
    try:
        return _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no milestone: {error}") from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the topic's values."""
    (body,), definitions = msgspec.json.schema_components([Milestone], ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qunpulse:milestone:v1",
        "$comment": "Generated from schemas/milestones.py by `qunpulse schema export`; do not edit.",
        "title": "milestone",
        "description": "A target of a campaign that was reached or lost again; the highest revision counts.",
    }
    return {**head, **body, "$defs": definitions}
