"""The input contract: the four events, one JSON object a record. These models are its one definition.

JSON Schema, AsyncAPI and the decoder of the hot path are derived from them. Types are strict: `"5"`, `5.0` and `true`
are no integers, `1` is no boolean. Fields that are not named here are ignored and never stored. `null` means *absent*
and is accepted wherever a field is optional without a default. Lengths count characters (Unicode code points), not
bytes.

No string may contain NUL (U+0000): it is legal JSON, but C programs behind BI tools end a text there, and two ids that
differ only after it would look like one.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from schemas.times import parse_time
from schemas.vocabulary import (
    INTERACTION_KINDS,
    SPEAKING_KINDS,
    UNKNOWN_KIND,
    UNKNOWN_VIA,
    VIA_WORDS,
    EventType,
    OrderStatus,
    Role,
    RosterAction,
)

SCHEMA_VERSION: Final = 1
MAX_INT32: Final = 2**31 - 1
MAX_AMOUNT: Final = 2**53  # the largest range of integers that JSON readers of every language keep exact
NO_NUL: Final = r"^[^\u0000]*$"

EARLIEST_EVENT_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z: what is older is a wrong unit or an unset clock
LATEST_TIME_MS: Final = 10_413_792_000_000  # 2300-01-01T00:00:00Z: where ClickHouse's DateTime64 ends


def _read_time(found: Any) -> int:
    if not isinstance(found, str):
        raise ValueError("expected a text with an RFC 3339 time, like 2024-05-01T09:30:00+08:00")  # noqa: TRY004
    return parse_time(found)


def event_time_in_range(ms: int) -> int:
    """Return `ms`, or raise ValueError when no event can have happened then."""
    if not EARLIEST_EVENT_MS <= ms < LATEST_TIME_MS:
        raise ValueError("expected a time from 2000-01-01T00:00:00Z on and before the year 2300")
    return ms


def stored_time_in_range(ms: int) -> int:
    """Return `ms`, or raise ValueError when the store cannot hold that time."""
    if not 0 <= ms < LATEST_TIME_MS:
        raise ValueError("expected a time from 1970-01-01T00:00:00Z on and before the year 2300")
    return ms


_TIME_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?"
        "([Zz]|[+-][0-9]{2}:[0-9]{2})$",
    }
)
EventTime = Annotated[int, BeforeValidator(_read_time), AfterValidator(event_time_in_range), _TIME_SCHEMA]
StoredTime = Annotated[int, BeforeValidator(_read_time), AfterValidator(stored_time_in_range), _TIME_SCHEMA]

Version = Annotated[
    int,
    Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION),  # no Literal: that would take `true` for 1
    WithJsonSchema({"type": "integer", "const": SCHEMA_VERSION}),
]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
Name32 = Annotated[str, Field(max_length=32, pattern=NO_NUL)]
Name64 = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Count = Annotated[int, Field(ge=0, le=MAX_INT32)]
PositiveCount = Annotated[int, Field(ge=1, le=MAX_INT32)]
Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT)]
SignedAmount = Annotated[int, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
Currency = Annotated[str, Field(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$")]

_TYPE_TEXT = "Type of the event; must be that of the topic it is sent to."
_KINDS_TEXT = (
    f"What was posted. Speaking: {', '.join(SPEAKING_KINDS)}. Interaction: {', '.join(INTERACTION_KINDS)}. "
    f"Open: an unknown word counts as `{UNKNOWN_KIND}` and is kept beside it."
)
_VIA_TEXT = (
    f"How they came: {', '.join(VIA_WORDS)}. Open: an unknown word counts as `{UNKNOWN_VIA}` and is kept beside it."
)
_CAMPAIGN_TEXT = "Campaign it belongs to."


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        # What is wrong is shown by our own words, which shorten it and never quote an id of a person.
        hide_input_in_errors=True,
    )


class Event(_Strict):
    """What all events have in common."""

    event_id: Id = Field(
        description="Unique within its community and topic; a repeated one is a duplicate and counts once."
    )
    event_type: EventType = Field(description=_TYPE_TEXT)
    schema_version: Version = Field(description="Version of this contract.")
    occurred_at: EventTime = Field(
        description="When it happened: RFC 3339 with seconds and offset, 2000 or later, at most 5 minutes after the "
        "broker receives it. Kept in milliseconds, further digits (9 at most) are cut off."
    )
    community_id: Id = Field(description="The community (group, room, server) it happened in; also the record's key.")
    platform: Name32 | None = Field(default=None, description="Platform, e.g. wecom, telegram, discord.")
    feed: Name32 | None = Field(default=None, description="The connector that sent it; default: the platform.")


class Message(Event):
    """A member posted something or interacted with something. Never carries the text itself."""

    event_type: Literal["message"] = Field(description=_TYPE_TEXT)
    member_id: Id = Field(description="Who posted: one account, the same in every community of a platform.")
    sender_role: Role = Field(
        default="member",
        description="Role of the sender in this community; an employee is `staff`, whatever else they are. Messages of "
        "staff and bots count apart from members'.",
    )
    kind: Word = Field(description=_KINDS_TEXT, examples=["text", "image", "check_in"])
    char_count: Count = Field(default=0, description="Length of the text, in characters.")
    mentions: Count = Field(default=0, description="Number of accounts mentioned.")
    reply_to: Id | None = Field(default=None, description="`event_id` of the message this one answers.")
    reply_to_member_id: Id | None = Field(default=None, description="Who is answered.")
    is_question: bool | None = Field(default=None, description="Whether it asks something; absent: not known.")
    is_promotion: bool = Field(default=False, description="Whether it promotes something.")
    labels: Annotated[list[Word], Field(max_length=8)] | None = Field(
        default=None, description="Labels given by the platform or a classifier."
    )
    object_id: Id | None = Field(
        default=None, description="What it is about: the poll, lottery, coupon, live show or the like."
    )
    value: float | None = Field(
        default=None, description="A number that goes with the kind (rating, seconds watched, …); finite."
    )
    campaign_id: Id | None = Field(default=None, description=_CAMPAIGN_TEXT)


class Join(Event):
    """The roster changed: somebody joined or left, or a line of a roster snapshot."""

    event_type: Literal["join"] = Field(description=_TYPE_TEXT)
    member_id: Id = Field(description="Whose membership it is about.")
    action: RosterAction = Field(
        description="`joined`; `left` by themselves; `removed` by somebody; `gone` for an unknown reason; `present` "
        "for a line of a roster snapshot."
    )
    role: Role = Field(default="member", description="Role in the community; an employee is `staff`.")
    via: Word = Field(default=UNKNOWN_VIA, description=_VIA_TEXT, examples=["invite", "qr_code"])
    inviter_id: Id | None = Field(default=None, description="Member who invited them.")
    source: Name64 | None = Field(default=None, description="Channel, or state of the QR code.")
    campaign_id: Id | None = Field(default=None, description=_CAMPAIGN_TEXT)
    roster_version_before: Id | None = Field(
        default=None, description="Platform's version of the roster before the change; a broken chain is noticed."
    )
    roster_version_after: Id | None = Field(default=None, description="The roster's version after the change.")
    snapshot_id: Id | None = Field(default=None, description="Snapshot of the roster this line belongs to.")
    snapshot_size: PositiveCount | None = Field(default=None, description="Number of lines of that snapshot.")
    joined_at: StoredTime | None = Field(
        default=None, description="When they joined, where a snapshot knows it: RFC 3339, 1970 or later."
    )


class OrderItem(_Strict):
    """A line of an order."""

    sku: Id = Field(description="Article number.")
    category: Name64 | None = Field(default=None, description="Category of the article.")
    quantity: PositiveCount = Field(description="Pieces.")
    amount_minor: Amount = Field(description="Amount of the line, in minor units of the order's currency.")


class Order(Event):
    """An order was paid, refunded or cancelled."""

    event_type: Literal["order"] = Field(description=_TYPE_TEXT)
    member_id: Id = Field(description="The buyer.")
    order_id: Id = Field(description="The order; of a refund, possibly an id of its own.")
    status: OrderStatus = Field(description="What happened to the order.")
    original_order_id: Id | None = Field(default=None, description="The order a refund with its own id refers to.")
    amount_minor: Amount = Field(description="Amount paid or refunded, in minor units (cents, fen).")
    currency: Currency = Field(description="ISO 4217, three capital letters.", examples=["CNY", "EUR"])
    coupon_codes: Annotated[list[Word], Field(max_length=10)] | None = Field(
        default=None, description="Coupons that were used."
    )
    discount_minor: SignedAmount | None = Field(default=None, description="Discount, in minor units.")
    campaign_id: Id | None = Field(default=None, description=_CAMPAIGN_TEXT)
    group_buy_id: Id | None = Field(default=None, description="Group buy it belongs to.")
    staff_id: Id | None = Field(default=None, description="Employee who served the buyer.")
    items: Annotated[list[OrderItem], Field(max_length=200)] | None = Field(
        default=None, description="Lines of the order."
    )


class Referral(Event):
    """Somebody brought somebody, within a campaign."""

    event_type: Literal["referral"] = Field(description=_TYPE_TEXT)
    campaign_id: Id = Field(description=_CAMPAIGN_TEXT)
    referrer_id: Id = Field(description="Who brought them.")
    referee_id: Id = Field(description="Who was brought.")
    via: Word | None = Field(default=None, description=_VIA_TEXT, examples=["invite", "link"])


MODELS: Final[dict[EventType, type[Event]]] = {
    "message": Message,
    "join": Join,
    "order": Order,
    "referral": Referral,
}

PEOPLE: Final = frozenset({"member_id", "reply_to_member_id", "inviter_id", "referrer_id", "referee_id", "staff_id"})
"""The fields that hold ids of people: pseudonymised where that is set, and never quoted in a refusal."""
