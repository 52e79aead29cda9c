"""Touches as they travel on `community.touches.v1`, keyed by `community_id`: what to say to whom next.

Tools that talk to members read the topic. There is one record per occasion (an order, a joining, a silence); after a
crash it may come again, and whoever reads keeps one of a `touch_id`. Members who are held out, so that the effect of
touches can be told, are not on the topic; view `touches` has them too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.facts import path_of

TouchKind = Literal["thanks", "repurchase", "welcome", "win_back", "streak"]

_Ms = Annotated[int, Meta(ge=0)]


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to say to one member."""

    touch_id: Annotated[str, Meta(min_length=1, max_length=600, description="Its id, see `touch_id`.")]
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1, description="Always 1: a touch is decided once.")]
    kind: Annotated[TouchKind, Meta(description="What for.")]
    community_id: Annotated[str, Meta(min_length=1, max_length=64, description="Community; key of the record.")]
    member_id: Annotated[str, Meta(min_length=1, max_length=64, description="To whom.")]
    occasion_at: Annotated[
        _Ms,
        Meta(
            description="What it stands on, milliseconds since 1970 UTC: the order, the joining, the last activity; of "
            "a streak the beginning of the last local day with a check-in."
        ),
    ]
    due_at: Annotated[_Ms, Meta(description="When it fell due, milliseconds since 1970 UTC.")]
    decided_at: Annotated[
        _Ms, Meta(description="Time of the community when it was decided, milliseconds since 1970 UTC.")
    ]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Touch)


def touch_id(kind: TouchKind, community_id: str, member_id: str, occasion_ms: int) -> str:
    """The id of a touch: `thanks/c-1/m-17/1714550400000`, each part escaped like parts of a fact's id."""
    return path_of(kind, community_id, member_id, str(occasion_ms))


def encode(touch: Touch) -> bytes:
    """The touch's JSON, UTF-8."""
    return _encoder.encode(touch)


def decode(value: bytes) -> Touch:
    """The touch in a record's value. Raises ValueError that names the field and what was expected."""
    try:
        return _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no touch: {error}") from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the topic's values."""
    (body,), definitions = msgspec.json.schema_components([Touch], ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qunpulse:touch:v1",
        "$comment": "Generated from schemas/touches.py by `qunpulse schema export`; do not edit.",
        "title": "touch",
        "description": "What to say to which member next; one record per occasion.",
    }
    return {**head, **body, "$defs": definitions}
