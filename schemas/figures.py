"""The figures of an activity window, in the order of every activity table, view and pane."""

from typing import Final

FIGURES: Final = (
    "messages",
    "speakers",
    "interactions",
    "active_members",
    "staff_messages",
    "joins",
    "leaves",
    "orders",
    "refunds",
    "buyers",
    "promotions",
    "links",
    "check_ins",
    "replies",
)
