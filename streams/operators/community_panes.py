"""What communities did from check to check, exact at every check; the figures that alerts on communities rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.vocabulary import INTERACTION_KINDS
from streams.operators import check_kernel as kernel
from streams.operators.arrivals import Arrivals
from streams.operators.base import NEVER, Batch, Ints, Mask, StateRows, fixed_binary, grown, rows_of
from streams.operators.members import Members
from streams.operators.tallies import STAFF_ROLES

Calendars = tuple[Ints, Mask, int]
"""Number of each community's calendar; which days are left out, a row a calendar; and the first of these days."""

_CHUNK = 4096
_MINUTE_MS = 60_000
_NO_PANE = -(1 << 30)
_PANE = np.dtype([("community", "<u4"), ("pane", "<i4"), ("figures", "<i4", kernel.COUNTED)])
_COMMUNITY = np.dtype(
    [("number", "<u4"), ("head", "<i4"), ("first", "<i4"), ("loading", "<i4"), ("last_promotion_ms", "<i8")]
)
_MOST_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen while events were taken in: checks and quits with the columns that `check_kernel` names."""

    checks: npt.NDArray[np.float64]
    quits: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Extra:
    """Questions that turned out to be unanswered: before which place of the batch, in which community and pane."""

    place: Ints
    community: Ints
    pane: Ints


class CommunityPanes:
    """Panes of all communities of a partition; 2.3 kB a community and 5 bytes a member."""

    names = ("check_panes", "check_communities", "check_members")

    def __init__(self) -> None:
        self._ring = np.zeros((0, kernel.SLOTS, len(kernel.FIGURES)), np.int32)
        self._changed = np.zeros((0, kernel.SLOTS), np.bool_)
        self._total = np.zeros(0, np.int64)
        self._rows = np.zeros(0, _COMMUNITY)
        self._written = np.zeros(0, _COMMUNITY)
        self._size = np.zeros(0, np.int64)
        self.watched = np.zeros(0, np.bool_)
        """Communities that are checked however little happens in them."""
        self._inside = np.zeros(0, np.int8)
        self._inside_written = np.zeros(0, np.int8)
        self._spoke = np.zeros(0, np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._ring.nbytes + self._inside.nbytes + self._inside_written.nbytes + self._spoke.nbytes

    def room(self, communities: int, members: int) -> None:
        """Make room for so many communities and members."""
        if communities > len(self._rows):
            fresh = np.zeros((), _COMMUNITY)
            fresh["head"], fresh["first"] = -1, np.iinfo(np.int32).max
            fresh["loading"], fresh["last_promotion_ms"] = _NO_PANE, NEVER
            self._rows = grown(self._rows, communities, fresh)
            self._written = grown(self._written, communities, fresh)
            self._ring, self._changed = grown(self._ring, communities, 0), grown(self._changed, communities, False)
            self._total, self._size = grown(self._total, communities, 0), grown(self._size, communities, 0)
            self.watched = grown(self.watched, communities, False)
        if members > len(self._inside):
            self._inside, self._inside_written = (
                grown(self._inside, members, 0),
                grown(self._inside_written, members, 0),
            )
            self._spoke = grown(self._spoke, members, _NO_PANE)

    def take(
        self,
        batch: Batch,
        arrivals: Arrivals,
        pane: Ints,
        reached: Ints,
        ends: Ints,
        calendars: Calendars,
        extra: Extra,
    ) -> Seen:
        """Take a batch in, and let panes end.

        Args:
            pane: of each event's time, in the order of ``arrivals``.
            reached: pane of *now* when each event was applied.
            ends: by community, the pane of *now* after the batch.
            calendars: which days are left out.
            extra: questions found unanswered.
        """
        kinds = event_kinds(batch, arrivals)
        community, member, time_ms = arrivals.community, arrivals.member, arrivals.occurred_at_ms
        where = None
        if len(extra.place):
            count = len(extra.place)
            places = np.concatenate([np.arange(len(community)) * 2 + 1, extra.place * 2])
            where = np.argsort(places, kind="stable")
            # A question was asked before it could be found unanswered: *now* is what it is for the next event.
            after = np.append(reached, _NO_PANE)[extra.place]
            community = np.concatenate([community, extra.community])[where]
            member = np.concatenate([member, np.full(count, -1)])[where]
            time_ms = np.concatenate([time_ms, np.zeros(count, np.int64)])[where]
            reached = np.concatenate([reached, after])[where]
            pane = np.concatenate([pane, extra.pane])[where]
            kinds = np.concatenate([kinds, np.full(count, kernel.IS_UNANSWERED)])[where]
        seen = self._run(community, member, time_ms, pane, reached, kinds, ends, calendars)
        if where is not None:
            seen.quits[:, 0] = where[seen.quits[:, 0]]
        return seen

    def let_pass(self, ends: Ints, calendars: Calendars, extra: Extra) -> Seen:
        """Let panes end without events; ``ends`` is the pane of *now* by community."""
        community = extra.community
        kinds = np.full(len(community), kernel.IS_UNANSWERED)
        nobody, never = np.full(len(community), -1), np.zeros(len(community), np.int64)
        return self._run(community, nobody, never, extra.pane, ends[community], kinds, ends, calendars)

    def _run(
        self, community: Ints, member: Ints, time_ms: Ints, pane: Ints, reached: Ints, kinds: Ints, ends: Ints,
        calendars: Calendars,
    ) -> Seen:  # fmt: skip
        calendar, left_out, first_day = calendars
        checks, quits = [], []
        rows, at = self._rows, 0
        head, first, loading = (np.ascontiguousarray(rows[name]) for name in ("head", "first", "loading"))
        last_promotion_ms = np.ascontiguousarray(rows["last_promotion_ms"])
        while at <= len(community):
            found = np.empty((_MOST_ROWS, len(kernel.CHECK)), np.float64)
            left = np.empty((_MOST_ROWS, len(kernel.QUIT)), np.int64)
            at, filled, quitted = kernel.take(
                at, community, member, time_ms, pane, reached, kinds, ends, self._ring, self._total, head, first,
                loading, last_promotion_ms, self._size, self.watched, calendar, self._changed, self._inside,
                self._spoke, left_out, first_day, found, left,
            )  # fmt: skip
            checks.append(found[:filled])
            quits.append(left[:quitted])
        for name, column in (("head", head), ("first", first), ("loading", loading)):
            rows[name] = column
        rows["last_promotion_ms"] = last_promotion_ms
        return Seen(np.concatenate(checks), np.concatenate(quits))

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._changed)) + int(np.count_nonzero(self._rows != self._written))

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        found = []
        community, slot = np.nonzero(self._changed)
        if len(community):
            self._changed[:] = False
            panes = np.zeros(len(community), _PANE)
            head = self._rows["head"][community]
            panes["community"], panes["pane"] = community, head - ((head - slot) & (kernel.SLOTS - 1))
            panes["figures"] = self._ring[community, slot, : kernel.COUNTED]
            keys = (community * kernel.SLOTS + slot).astype(">u4")
            found.append(StateRows("check_panes", fixed_binary(keys), fixed_binary(panes)))
        moved = np.flatnonzero(self._rows != self._written)
        if len(moved):
            self._rows["number"][moved] = moved
            self._written[moved] = self._rows[moved]
            found.append(
                StateRows("check_communities", fixed_binary(moved.astype(">u4")), fixed_binary(self._rows[moved]))
            )
        chunks = np.unique(np.flatnonzero(self._inside != self._inside_written) // _CHUNK)
        if len(chunks):
            size = int(chunks.max() + 1) * _CHUNK
            padded = grown(self._inside[:size].copy(), size, 0)[:size].reshape(-1, _CHUNK)
            self._inside_written[:] = self._inside
            found.append(StateRows("check_members", fixed_binary(chunks.astype(">u4")), fixed_binary(padded[chunks])))
        return found

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array, communities: int, members: int) -> None:
        """Take rows back, those of communities before those of panes."""
        self.room(communities, members)
        if name == "check_communities":
            rows = rows_of(payloads, _COMMUNITY)
            self._rows[rows["number"]] = rows
            self._written[rows["number"]] = rows
        elif name == "check_panes":
            panes = rows_of(payloads, _PANE)
            head = self._rows["head"][panes["community"]]
            panes = panes[(panes["pane"] > head - kernel.SLOTS) & (panes["pane"] <= head)]
            slot = panes["pane"] & (kernel.SLOTS - 1)
            self._ring[panes["community"], slot, : kernel.COUNTED] = panes["figures"]
            np.add.at(self._total, panes["community"], panes["figures"].sum(axis=1))
        else:
            numbers = rows_of(keys, np.dtype(">u4")).astype(np.int64)
            values = rows_of(payloads, np.dtype((np.int8, _CHUNK)))
            for number, value in zip(numbers.tolist(), values, strict=True):
                here = slice(number * _CHUNK, min((number + 1) * _CHUNK, len(self._inside)))
                self._inside[here] = value[: here.stop - here.start]
            self._inside_written[:] = self._inside

    def restored(self, members: Members, community_of: Ints, last_spoke: Ints) -> None:
        """Work out what follows from the rows; ``last_spoke`` is the pane in which each member spoke last."""
        who = np.flatnonzero(members.last_minute[: len(last_spoke), 0] >= 0)
        self._spoke[who] = last_spoke[who]
        head = self._rows["head"][community_of[who]]
        who = who[(last_spoke[who] > head - kernel.SLOTS) & (last_spoke[who] <= head)]
        slot = last_spoke[who] & (kernel.SLOTS - 1)
        np.add.at(self._ring[:, :, kernel.SPEAKERS], (community_of[who], slot), 1)
        self._size += np.bincount(community_of[np.flatnonzero(self._inside == 1)], minlength=len(self._size))


def event_kinds(batch: Batch, arrivals: Arrivals) -> Ints:
    """What each event is, as bits, in the order of ``arrivals``."""
    kinds = np.zeros(len(arrivals), np.int64)
    messages = batch.get("message")
    if messages is not None:
        staff = messages.where("sender_role", *STAFF_ROLES)
        spoken = ~messages.where("kind", *INTERACTION_KINDS)
        promotion = messages.numbers("is_promotion") != 0
        bits = np.where(spoken, kernel.IS_SPOKEN, 0) | np.where(promotion, kernel.IS_PROMOTION, 0)
        bits |= np.where(staff, 0, kernel.IS_ACTIVE | np.where(spoken, kernel.IS_SPEAKER, 0))
        asked = messages.columns.arrow("is_question")
        if asked.null_count < len(asked):
            question = asked.fill_null(False).to_numpy(zero_copy_only=False)
            bits |= np.where(question & ~staff, kernel.IS_QUESTION, 0)
        kinds[arrivals.of_type["message"]] = bits
    joins = batch.get("join")
    if joins is not None:
        bits = np.where(joins.where("action", "joined"), kernel.IS_JOIN | kernel.IS_IN, 0)
        bits |= np.where(joins.where("action", "present"), kernel.IS_IN, 0)
        bits |= np.where(joins.where("action", "left"), kernel.IS_QUIT, 0)
        kinds[arrivals.of_type["join"]] = bits
    kinds[arrivals.leaves] |= kernel.IS_OUT
    return kinds
