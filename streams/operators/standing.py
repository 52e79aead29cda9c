"""How members stood at a place of the batch that is being taken in.

`members` and `rhythm` know them as they are after the whole batch. An alert that opens in its middle must not see what
came behind: the same events in other batches would give it another severity, or none. So whoever opens one asks here,
with the place (position in `arrivals`) of the event with which it opened; that event itself counts.

Few alerts open in a batch, so this works backwards: fields as they were before the batch, plus the member's own events
up to the place. Nothing is done for members about whom nobody asks.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from streams.operators.arrivals import Arrivals
from streams.operators.base import NEVER, Batch, Ints, Mask
from streams.operators.member_rows import Fields
from streams.operators.members import BEFORE
from streams.operators.program import ProgramContext
from streams.operators.rhythm import Rhythms, recent_days
from streams.operators.roster import ACTION_RANK, NOTHING, ROLE_RANK, heard_ms, ranked, ranked_time

AFTERWARDS = np.iinfo(np.int64).max
"""The place behind all events: how things stand now."""

_MOST = np.iinfo(np.int64).max


class Standing:
    """Members, their rhythms and the rosters, at any place of the batch in hand; between batches as they are."""

    def __init__(self, partition: ProgramContext, rhythms: Rhythms) -> None:
        self._partition = partition
        self._rhythms = rhythms
        self._in_hand: _InHand | None = None

    def begin(self, batch: Batch, arrivals: Arrivals, clock_ms: Ints, listed_ms: dict[int, int]) -> None:
        """Take a batch in hand, before any rhythm takes its days in.

        Args:
            batch: the members took it in already.
            arrivals: its events.
            clock_ms: event clock by community number, before the batch.
            listed_ms: the latest complete snapshot (ms) before the batch, of communities that had one in it.
        """
        touched, _ = self._partition.members.before
        days = self._rhythms.last_day(touched), self._rhythms.recent(touched)
        self._in_hand = _InHand(batch, arrivals, clock_ms.copy(), listed_ms, *days)

    def end(self) -> None:
        """The batch is over."""
        self._in_hand = None

    def places(self, community: Ints, due_ms: Ints, stale: Mask) -> Ints:
        """Of things that fell due, the place at which that was seen: with the event with which *now* came so far.

        A stale one was seen when the event clock of its own community had come so far as well.
        """
        if self._in_hand is None:
            return np.full(len(due_ms), AFTERWARDS)
        return self._in_hand.places(community, due_ms, stale)

    def of(self, members: Ints, places: Ints) -> Fields:
        """Fields of `members` as they were at a place, one for each member."""
        found = dict(self._partition.members.fields(members, *BEFORE))
        if self._in_hand is not None:
            touched, before = self._partition.members.before
            for at, row, place in _touched(members, places, touched):
                now = {name: before[name][row] for name in BEFORE}
                for name, value in self._in_hand.added(now, int(members[at]), place).items():
                    found[name][at] = value
        return found

    def active_days_30(self, members: Ints, places: Ints) -> Ints:
        """Active days in the 30 that end with each member's last one, at a place."""
        found = self._rhythms.active_days_30(members)
        if self._in_hand is not None:
            touched, _ = self._partition.members.before
            for at, row, place in _touched(members, places, touched):
                here = self._in_hand.events_of(int(members[at]), place)
                here = here[self._in_hand.arrivals.active[here]]
                arrivals = self._in_hand.arrivals
                days = self._partition.communities.days(arrivals.community[here], arrivals.occurred_at_ms[here])
                last, recent = int(self._in_hand.last_day[row]), int(self._in_hand.recent[row])
                found[at] = recent_days(last, recent, np.unique(days).tolist())
        return found

    def is_in(self, member: int, place: int) -> bool:
        """Whether a member had been seen, and had not left, at a place."""
        one = np.array([member])
        rows = self.of(one, np.array([place]))
        if rows["first_seen_ms"][0] == -NEVER:
            return False  # its events were fetched, and not applied yet
        leaving = rows["roster"][0] != NOTHING and (rows["roster"][0] & 7) >= ACTION_RANK["left"]
        if leaving and rows["posted_ms"][0] <= ranked_time(rows["roster"])[0]:
            return False
        listed_ms = self._listed_ms(int(self._partition.directory.community_of[member]), place)
        return bool(max(heard_ms(rows)[0], 0) >= listed_ms)

    def _listed_ms(self, community: int, place: int) -> int:
        """Time of a community's latest snapshot that was complete at a place."""
        members = self._partition.members
        if self._in_hand is not None and community in self._in_hand.listed_ms:
            arrivals = self._in_hand.arrivals
            for row, listed_ms in reversed(members.snapshots):
                at = int(arrivals.of_type["join"][row])
                if at <= place and int(arrivals.community[at]) == community:
                    return listed_ms
            return self._in_hand.listed_ms[community]
        return int(members.latest_snapshots_ms(len(self._partition.directory.community_names))[community])


class _InHand:
    """A batch, its events by member, and what was before it."""

    def __init__(
        self,
        batch: Batch,
        arrivals: Arrivals,
        clock_ms: Ints,
        listed_ms: dict[int, int],
        last_day: Ints,
        recent: Ints,
    ) -> None:
        self._batch = batch
        self.arrivals = arrivals
        self._clock_ms = clock_ms
        self.listed_ms = listed_ms
        self.last_day, self.recent = last_day, recent

    def places(self, community: Ints, due_ms: Ints, stale: Mask) -> Ints:
        arrivals = self.arrivals
        places = np.searchsorted(arrivals.reached_ms, due_ms, "left")
        for at in np.flatnonzero(stale).tolist():
            if self._clock_ms[community[at]] < due_ms[at]:
                mine = (arrivals.community == community[at]) & (arrivals.occurred_at_ms >= due_ms[at])
                places[at] = max(places[at], int(mine.argmax()) if mine.any() else len(mine))
        return np.where(places < len(arrivals), places, AFTERWARDS)

    def events_of(self, member: int, place: int) -> Ints:
        """Places of a member's events up to one."""
        order, ordered = self._by_member
        start, stop = np.searchsorted(ordered, [member, member + 1])
        mine = order[start:stop]
        return mine[: int(np.searchsorted(mine, place, "right"))]

    def added(self, before: dict[str, Any], member: int, place: int) -> dict[str, Any]:
        """The fields of a member with its events up to a place, in the way in which `members` adds them."""
        here = self.events_of(member, place)
        if len(here) == 0:
            return before
        times, paid = self.arrivals.occurred_at_ms[here], here[self._paid[here]]
        found = before | {
            "first_seen_ms": min(before["first_seen_ms"], times.min()),
            "role": max(before["role"], self._role[here].max()),
            "roster": max(before["roster"], self._roster[here].max()),
            "joined_ms": max(before["joined_ms"], self._joined_ms[here].max()),
            "posted_ms": max(before["posted_ms"], self._posted_ms[here].max()),
            "referrals": before["referrals"] + np.count_nonzero(self._referred[here]),
        }
        if len(paid):
            times = self.arrivals.occurred_at_ms[paid]
            found |= {
                "orders": before["orders"] + len(paid),
                "monetary_minor": min(sum(self._amount[paid].tolist(), int(before["monetary_minor"])), _MOST),
                "first_order_ms": min(before["first_order_ms"], times.min()),
                "last_order_ms": max(before["last_order_ms"], times.max()),
            }
        return found

    @cached_property
    def _by_member(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.arrivals.member, kind="stable")
        return order, self.arrivals.member[order]

    def _spread(self, event_type: str, values: Any, otherwise: int) -> Ints:
        """Values of the events of a type, by place; ``otherwise`` for the others."""
        found = np.full(len(self.arrivals), otherwise, np.int64)
        events = self._batch.get(event_type)
        if events is not None:
            found[self.arrivals.of_type[event_type]] = values(events)
        return found

    @cached_property
    def _role(self) -> Ints:
        found = [
            self._spread(name, lambda one: ranked(one.occurred_at_ms, one.ranks(column, ROLE_RANK)), int(NOTHING))  # noqa: B023
            for name, column in (("message", "sender_role"), ("join", "role"))
        ]
        return np.maximum(*found)

    @cached_property
    def _roster(self) -> Ints:
        return self._spread(
            "join", lambda one: ranked(one.occurred_at_ms, one.ranks("action", ACTION_RANK)), int(NOTHING)
        )

    @cached_property
    def _joined_ms(self) -> Ints:
        return self._spread(
            "join", lambda one: np.where(one.where("action", "joined"), one.occurred_at_ms, NEVER), NEVER
        )

    @cached_property
    def _posted_ms(self) -> Ints:
        return self._spread("message", lambda one: one.occurred_at_ms, NEVER)

    @cached_property
    def _paid(self) -> Mask:
        return self._spread("order", lambda one: one.where("status", "paid"), 0) > 0

    @cached_property
    def _amount(self) -> Ints:
        return self._spread("order", lambda one: one.numbers("amount_minor"), 0)

    @cached_property
    def _referred(self) -> Mask:
        return self._spread("referral", lambda _: 1, 0) > 0


def _touched(members: Ints, places: Ints, touched: Ints) -> list[tuple[int, int, int]]:
    """Those of the members that a batch touched: position, row among the (ascending) touched ones, place."""
    if len(touched) == 0:
        return []
    row = np.minimum(np.searchsorted(touched, members), len(touched) - 1)
    at = np.flatnonzero((touched[row] == members) & (places != AFTERWARDS))
    return list(zip(at.tolist(), row[at].tolist(), places[at].tolist(), strict=True))
