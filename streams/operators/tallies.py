"""Which figures an event counts in: the counting rules, applied to a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.vocabulary import INTERACTION_KINDS
from streams.operators.base import Batch, Events, Ints, Mask
from streams.operators.panes import FIGURE
from streams.operators.presence import ACTIVE, BUYER, SPEAKER

STAFF_ROLES = ("staff", "bot")


@dataclass(slots=True)
class Tallies:
    """What a batch adds to the figures.

    ``occurred_at_ms``, ``community``, ``member``: one entry an event of a counting type (messages, joins, orders one
    after the other). ``figures``: per summed figure the positions of the events that count in it.
    ``present``: positions of the events that make their member present, with the flags in ``presence``.
    """

    occurred_at_ms: Ints
    community: Ints
    member: Ints
    figures: dict[int, Ints]
    present: Ints
    presence: Ints

    @property
    def counted(self) -> Ints:
        """Positions of the events that stand in ``member_days``, ascending, each once."""
        names = ("messages", "interactions", "orders", "refunds")
        return np.sort(np.concatenate([self.figures[FIGURE[name]] for name in names]))


def tally(batch: Batch) -> Tallies | None:
    """The tallies of a batch, or None when nothing in it counts (referrals only)."""
    parts = [events for name in ("message", "join", "order") if (events := batch.get(name)) is not None]
    if not parts:
        return None
    figures: dict[int, list[Ints]] = {position: [] for position in FIGURE.values()}
    present: list[Ints] = []
    presence: list[Ints] = []
    start = 0

    def count(name: str, mask: Mask) -> None:
        figures[FIGURE[name]].append(np.flatnonzero(mask) + start)

    def mark(mask: Mask, flags: int) -> None:
        where = np.flatnonzero(mask) + start
        present.append(where)
        presence.append(np.full(len(where), flags, np.int64))

    for name in ("message", "join", "order"):
        events = batch.get(name)
        if events is None:
            continue
        if name == "message":
            _messages(events, count, mark)
        elif name == "join":
            count("joins", events.where("action", "joined"))
            count("leaves", events.where("action", "left", "removed", "gone"))
        else:
            paid = events.where("status", "paid")
            count("orders", paid)
            count("refunds", events.where("status", "refunded"))
            mark(paid, ACTIVE | BUYER)
        start += len(events)

    return Tallies(
        np.concatenate([part.occurred_at_ms for part in parts]),
        np.concatenate([part.community for part in parts]),
        np.concatenate([part.member for part in parts]),
        {position: _joined(found) for position, found in figures.items()},
        _joined(present),
        _joined(presence),
    )


def _messages(events: Events, count: Any, mark: Any) -> None:
    staff = events.where("sender_role", *STAFF_ROLES)
    member = ~staff
    interaction = events.where("kind", *INTERACTION_KINDS) & member
    speaking = member & ~interaction
    count("staff_messages", staff)
    count("messages", speaking)
    count("interactions", interaction)
    count("promotions", member & events.numbers("is_promotion").astype(np.bool_))
    count("links", events.where("kind", "link") & member)
    count("check_ins", events.where("kind", "check_in") & member)
    count("replies", speaking & (events.given("reply_to") | events.given("reply_to_member_id")))
    mark(speaking, SPEAKER | ACTIVE)
    mark(interaction, ACTIVE)


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
