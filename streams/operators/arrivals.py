"""A batch as alerts see it: who did something when, in the order of the merge, and how far time had come by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.operators.base import NEVER, Batch, Ints, Mask
from streams.operators.tallies import STAFF_ROLES

TYPES = ("message", "join", "order", "referral")
LEAVING = ("left", "removed", "gone")


@dataclass(frozen=True, slots=True)
class Moments:
    """How the reference (what moves *now*) rose: ``reference_ms`` never falls and begins with its value before."""

    reference_ms: Ints

    def first_at_or_after(self, due_ms: Ints) -> Ints:
        """The reference when each due time was first behind it; where it is still ahead, the due time itself."""
        at = np.searchsorted(self.reference_ms, due_ms, "left")
        found = self.reference_ms[np.minimum(at, len(self.reference_ms) - 1)]
        return np.where(at < len(self.reference_ms), found, due_ms)

    @property
    def last_ms(self) -> int:
        """The reference at the end."""
        return int(self.reference_ms[-1])


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Events of all types, one after the other as they were merged.

    ``reached_ms`` is, for each, the larger of its own time and the reference before it. ``active``: it shows that its
    member is there (a message or interaction of a non-staff sender, a paid order). ``of_type`` gives the positions of
    the events of a type, in the order of the batch; ``leaves`` those of members that left, were removed or are gone,
    also of those whom a roster snapshot missed, for whom there is no event.
    """

    occurred_at_ms: Ints
    community: Ints
    member: Ints
    reached_ms: Ints
    active: Mask
    of_type: dict[str, Ints]
    leaves: Ints
    moments: Moments

    def __len__(self) -> int:
        return len(self.occurred_at_ms)

    def with_leaves(self, behind: Ints, members: Ints) -> Arrivals:
        """The same with more members that leave, each behind the event at a position, at its time and of its
        community."""
        order = np.argsort(behind, kind="stable")
        behind, members = behind[order], members[order]
        at = behind + 1

        def moved(positions: Ints) -> Ints:
            shifted: Ints = positions + np.searchsorted(at, positions, "right")
            return shifted

        return Arrivals(
            np.insert(self.occurred_at_ms, at, self.occurred_at_ms[behind]),
            np.insert(self.community, at, self.community[behind]),
            np.insert(self.member, at, members),
            np.insert(self.reached_ms, at, self.reached_ms[behind]),
            np.insert(self.active, at, False),
            {name: moved(positions) for name, positions in self.of_type.items()},
            np.sort(np.concatenate([moved(self.leaves), at + np.arange(len(at))])),
            self.moments,
        )


def arrivals_of(batch: Batch, reference_ms: int) -> Arrivals:
    """The batch in merge order; ``reference_ms`` is the largest event time before it (NEVER: none)."""
    parts = [(name, events) for name in TYPES if (events := batch.get(name)) is not None]
    times = np.concatenate([events.occurred_at_ms for _, events in parts])
    active = []
    for name, events in parts:
        if name == "message":
            active.append(~events.where("sender_role", *STAFF_ROLES))
        elif name == "order":
            active.append(events.where("status", "paid"))
        else:
            active.append(np.zeros(len(events), np.bool_))
    order = np.argsort(
        np.concatenate([_place(events.place, events.occurred_at_ms) for _, events in parts]), kind="stable"
    )
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    of_type = {}
    start = 0
    for name, events in parts:
        of_type[name] = position[start : start + len(events)]
        start += len(events)
    joins = batch.get("join")
    leaves = np.empty(0, np.int64)
    if joins is not None:
        leaves = np.sort(of_type["join"][joins.where("action", *LEAVING)])
    times = times[order]
    reference = np.maximum.accumulate(np.concatenate(([max(reference_ms, NEVER)], times)))
    return Arrivals(
        times,
        np.concatenate([events.community for _, events in parts])[order],
        np.concatenate([events.member for _, events in parts])[order],
        np.maximum(times, reference[:-1]),
        np.concatenate(active)[order],
        of_type,
        leaves,
        Moments(reference),
    )


def turns(subject: Ints) -> Ints:
    """For events sorted by subject, then arrival: the how-manieth event of its subject each is, from 0."""
    if len(subject) == 0:
        return np.empty(0, np.int64)
    begins = np.concatenate(([True], subject[1:] != subject[:-1]))
    number: Ints = np.arange(len(subject)) - np.maximum.accumulate(np.where(begins, np.arange(len(subject)), 0))
    return number


def _place(place: Ints | None, occurred_at_ms: Ints) -> Ints:
    """The place in the merge; without one, as merging a single batch would order it."""
    return place if place is not None else np.maximum.accumulate(occurred_at_ms)
