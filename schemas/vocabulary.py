"""The words that events are made of: open vocabularies (kind, via) and closed ones (roles, actions, statuses).

An *open* vocabulary may carry words we do not know yet: such a word lands as `other` (kind) or `unknown` (via), the
raw word kept beside it, and is counted. A *closed* one is refused when a word is not in it, because figures hang on it.
"""

from typing import Final, Literal

EventType = Literal["message", "join", "order", "referral"]
EVENT_TYPES: Final[tuple[EventType, ...]] = ("message", "join", "order", "referral")

Role = Literal["member", "expert", "owner", "admin", "staff", "bot"]
RosterAction = Literal["joined", "left", "removed", "gone", "present"]
OrderStatus = Literal["paid", "refunded", "cancelled"]

SPEAKING_KINDS: Final[tuple[str, ...]] = (
    "text", "image", "video", "audio", "file", "link", "sticker", "mini_program", "share", "poll", "other",
)  # fmt: skip
INTERACTION_KINDS: Final[tuple[str, ...]] = (
    "reaction", "vote", "check_in", "red_packet", "survey", "lottery", "card", "coupon_claim", "coupon_use", "attend",
    "live_view", "click",
)  # fmt: skip
KINDS: Final = frozenset(SPEAKING_KINDS + INTERACTION_KINDS)
UNKNOWN_KIND: Final = "other"

VIA_WORDS: Final[tuple[str, ...]] = ("invite", "qr_code", "link", "search", "ad", "offline", "import", "unknown")
UNKNOWN_VIA: Final = "unknown"
