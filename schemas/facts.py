"""Referral facts as they travel on `community.referral-facts.v1`, keyed by `campaign_id`.

A fact says one thing about the referee of an edge (or, for `staff`, about its referrer) in one community. It is sent
again with a higher `revision` whenever what it says changes, and whoever reads keeps the highest revision of a
`fact_id`; so facts may be repeated and arrive in any order. A time that is null takes the fact back.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from schemas.events import LATEST_TIME_MS

EdgeOrigin = Literal["referral", "join"]

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_TimeMs = Annotated[int, Meta(ge=0, le=LATEST_TIME_MS - 1)]
_Minor = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_TAKEN_BACK: Final = "null takes the fact back."


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True, gc=False):
    fact_id: Annotated[str, Meta(min_length=1, max_length=1000, description="Id of the fact, see `fact_id`.")]
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1, description="Rises with every change; the highest counts.")]
    campaign_id: Annotated[str, Meta(min_length=1, max_length=80, description="Campaign; key of the record.")]
    community_id: Annotated[_Id, Meta(description="Community it was seen in.")]
    occurred_at: Annotated[_TimeMs, Meta(description="Event time it rests on, milliseconds since 1970 UTC.")]


class EdgeFact(_Fact, frozen=True, kw_only=True, tag="edge"):
    """Somebody brought somebody: a referral event, or a join that names its inviter. Never changes."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    referrer_id: Annotated[_Id, Meta(description="Who brought.")]
    origin: Annotated[EdgeOrigin, Meta(description="Topic of the event: a referral or a join.")]
    event_id: Annotated[_Id, Meta(description="The event's id; unique together with origin and community.")]
    via: Annotated[str, Meta(max_length=64, description="How, in the event's words.")] = ""
    source: Annotated[str, Meta(max_length=64, description="Channel or QR state code of a join; else empty.")] = ""
    platform: Annotated[str, Meta(max_length=32, description="Platform the event names; empty if none.")] = ""
    outside_campaign: Annotated[bool, Meta(description="Whether it lies outside the campaign's start and end.")] = False


class AlreadyMemberFact(_Fact, frozen=True, kw_only=True, tag="already_member"):
    """The referee was there already: edges after `known_from` earn nothing."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    known_from: Annotated[_TimeMs | None, Meta(description="First seen, plus the campaign's grace; " + _TAKEN_BACK)]
    platform: Annotated[
        str,
        Meta(max_length=32, description="Not empty: it concerns edges into all communities of this platform."),
    ] = ""


class QualifiedFact(_Fact, frozen=True, kw_only=True, tag="qualified"):
    """The referee stayed and did what the campaign asks until its credit fell due."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    qualified_at: Annotated[_TimeMs | None, Meta(description="When the credit fell due; " + _TAKEN_BACK)]


class LeftFact(_Fact, frozen=True, kw_only=True, tag="left"):
    """The referee left the community, for whatever reason; the first time counts."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    left_at: Annotated[_TimeMs | None, Meta(description="First time of leaving; " + _TAKEN_BACK)]


class CameBackFact(_Fact, frozen=True, kw_only=True, tag="came_back"):
    """The referee joined again after it had left. It earns nobody anything."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    came_back_at: Annotated[_TimeMs | None, Meta(description="Latest time of joining again; " + _TAKEN_BACK)]


class OrdersFact(_Fact, frozen=True, kw_only=True, tag="orders"):
    """All orders of the referee in the community so far in one currency: absolute totals, not increments."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
    orders: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Paid orders.")]
    paid_minor: Annotated[_Minor, Meta(description="Sum of paid amounts, minor units.")]
    refunded_minor: Annotated[_Minor, Meta(description="Sum of refunded amounts, minor units.")]


class StaffFact(_Fact, frozen=True, kw_only=True, tag="staff"):
    """The referrer was staff (or a bot) here: its edges into this community from then on are kept apart."""

    referrer_id: Annotated[_Id, Meta(description="Who brought.")]
    staff_from: Annotated[_TimeMs | None, Meta(description="Since when it is known as staff; " + _TAKEN_BACK)]
    may_refer: Annotated[bool, Meta(description="Whether the campaign lets staff earn credit.")] = False


class JoinedFact(_Fact, frozen=True, kw_only=True, tag="joined"):
    """The referee joined the community, for the first time: its invitation is accepted."""

    referee_id: Annotated[_Id, Meta(description="Who was brought.")]
    joined_at: Annotated[_TimeMs | None, Meta(description="First time of joining; " + _TAKEN_BACK)]


class GroupOrderFact(_Fact, frozen=True, kw_only=True, tag="group_order"):
    """An order of a group buy and when it counts: while it is paid, and neither cancelled nor wholly refunded.

    `occurred_at` is its first payment.
    """

    group_buy_id: Annotated[_Id, Meta(description="The group buy.")]
    order_id: Annotated[_Id, Meta(description="The order.")]
    spans: Annotated[
        list[tuple[_TimeMs, _TimeMs | None]],
        Meta(description="From when until when it counts, milliseconds since 1970 UTC; null: until further notice."),
    ]


class AskFact(_Fact, frozen=True, kw_only=True, tag="ask"):
    """Where on the platform has this referee been? Sent to every partition, under a key of its own."""

    platform: Annotated[str, Meta(min_length=1, max_length=32, description="The platform.")]
    referee_id: Annotated[_Id, Meta(description="Who was brought.")]


Fact: TypeAlias = (
    EdgeFact
    | AlreadyMemberFact
    | QualifiedFact
    | LeftFact
    | CameBackFact
    | OrdersFact
    | StaffFact
    | JoinedFact
    | GroupOrderFact
    | AskFact
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


def path_of(*parts: str) -> str:
    """Parts joined by `/`, with the `%` and `/` inside them escaped, so that different parts never meet in one text."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def edge_id(origin: str, community_id: str, event_id: str) -> str:
    """The id of an edge inside its campaign: `referral/wecom:grp-1/ev-12`."""
    return path_of(origin, community_id, event_id)


def fact_id(kind: str, campaign_id: str, community_id: str, *about: str) -> str:
    """The id of a fact; `about` is the member (of an `edge` origin and event id, of `orders` member and currency)."""
    return path_of(kind, campaign_id, community_id, *about)


def encode(fact: Fact) -> bytes:
    """The fact's JSON, UTF-8."""
    return _encoder.encode(fact)


def decode(value: bytes) -> Fact:
    """The fact in a record's value. Raises ValueError that names the field and what was expected."""
    try:
        fact = _decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"no referral fact: {error}") from None
    if b"\\u0000" in value:  # a pattern for each field would cost every fact what only a forged one needs
        for name, text in msgspec.structs.asdict(fact).items():
            if isinstance(text, str) and "\0" in text:
                raise ValueError(f"no referral fact: the character NUL is in no id - at `$.{name}`")
    return fact


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the topic's values, one branch a kind."""
    (body,), definitions = msgspec.json.schema_components([Fact], ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qunpulse:referral-fact:v1",
        "$comment": "Generated from schemas/facts.py by `qunpulse schema export`; do not edit.",
        "title": "referral-fact",
        "description": "What is known of the referee of an edge in one community; the highest revision counts.",
    }
    return {**head, **body, "$defs": definitions}
