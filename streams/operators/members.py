"""What is known of each member: when it was seen, what it did, whether it is in, and at which rhythm it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.vocabulary import INTERACTION_KINDS
from streams.operators.active_days import FIELDS as DAY_FIELDS
from streams.operators.active_days import note_days, rhythm
from streams.operators.base import (
    NEVER,
    Batch,
    Events,
    Ints,
    Keys,
    Mask,
    StateRows,
    distinct,
    fixed_binary,
    grown,
    rows_of,
)
from streams.operators.directory import Directory
from streams.operators.member_rows import Fields, Groups, MemberRows
from streams.operators.presence import ACTIVE, pane_and_member
from streams.operators.roster import (
    ACTION_RANK,
    LEFT,
    NOTHING,
    ROLE_RANK,
    ROLES,
    STATUSES,
    Roster,
    heard_ms,
    ranked,
    status_of,
)
from streams.operators.tallies import STAFF_ROLES

_TIMES = ("seen_ms", "posted_ms", "joined_ms", "listed_joined_ms", "left_ms", "last_order_ms")
_ROW = np.dtype(
    [
        ("number", "<u4"),
        ("first_seen_ms", "<i8"),
        *((name, "<i8") for name in _TIMES),
        ("roster", "<i8"),
        ("role", "<i8"),
        ("first_order_ms", "<i8"),
        ("monetary_minor", "<i8"),
        ("messages", "<u4"),
        ("interactions", "<u4"),
        ("orders", "<u4"),
        ("referrals", "<u4"),
        ("last_minute", "<i4", 3),
        ("active_days_30", "u1"),
        ("typical_gap_days", "<f4"),
        *DAY_FIELDS,
    ]
)

BEFORE = ("first_seen_ms", "role", "orders", "monetary_minor", "referrals", "first_order_ms", "last_order_ms",
          "joined_ms", "roster", "posted_ms")  # fmt: skip
"""Fields of which `Members` remembers what they were before the last batch."""


def _fresh() -> npt.NDArray[Any]:
    row = np.zeros((), _ROW)
    row["first_seen_ms"] = row["first_order_ms"] = -NEVER
    for name in _TIMES:
        row[name] = NEVER
    row["roster"] = row["role"] = NOTHING
    row["last_minute"] = -1
    row["typical_gap_days"] = np.nan
    return row


class Members:
    """One row a member, by member number. Every change is a sum, a minimum or a maximum: no order of events matters."""

    names = ("members",)

    def __init__(self, directory: Directory, roster: Roster) -> None:
        self._directory = directory
        self._roster = roster
        self._rows = MemberRows(_fresh())
        self._dirty = np.empty(0, np.bool_)
        self._new_days = np.empty(0, np.bool_)
        self._size = np.empty(0, np.int64)
        self.roster_breaks: list[tuple[int, bool]] = []
        """As `Roster.breaks` has them."""
        self.snapshots: list[tuple[int, int]] = []
        """As `Roster.completions` has them."""
        self.before: tuple[Ints, Fields] = (np.empty(0, np.int64), {})
        """The members that the last batch touched, ascending, and some of their fields as they were before it."""

    def __len__(self) -> int:
        return len(self._directory.member_ids)

    def sizes(self, communities: int) -> Ints:
        """Roster size (in or observed) by community number."""
        self._size = grown(self._size, communities, 0)
        return self._size[:communities]

    @property
    def last_minute(self) -> npt.NDArray[np.int32]:
        """Minute of the latest presence by member number and flag; rolling windows move it."""
        self._room()
        last_minute: npt.NDArray[np.int32] = self._rows["last_minute"]
        return last_minute

    def apply(self, batch: Batch, active_days: tuple[Keys, Ints]) -> list[int]:
        """Count a batch; ``active_days`` are the (day, member) pairs that gained presence, with the gained flags.

        Returns:
            Communities whose roster size, or need of a resync, may have changed.
        """
        self._room()
        self.roster_breaks, self.snapshots = [], []
        touched = distinct(np.concatenate([events.member for events in batch.by_type.values()]))
        before = self._in_roster(touched)
        self.before = (touched, self._rows.of(touched, *BEFORE))
        self._see(batch)
        self._note_days(*active_days)
        self._dirty[touched] = True
        change = self._in_roster(touched).astype(np.int64) - before
        community = self._directory.community_of[touched]
        self.sizes(len(self._directory.community_names))
        np.add.at(self._size, community, change)
        changed: list[int] = distinct(community[change != 0]).tolist()
        joins = batch.get("join")
        if joins is not None:
            completed, resync_changed = self._roster.apply(joins)
            self.roster_breaks, self.snapshots = self._roster.breaks, self._roster.completions
            if completed:
                self._recount(completed)
            changed += completed + resync_changed
        return changed

    def _see(self, batch: Batch) -> None:
        rows = self._rows
        for event_type, events in batch.by_type.items():
            groups, times = Groups(events.member), events.occurred_at_ms
            rows.lower("first_seen_ms", groups, times)
            if event_type == "message":
                rows.raise_("seen_ms", groups, times)
                rows.raise_("posted_ms", groups, times)
                self._set_role(groups, events, "sender_role")
                self._count_messages(groups, events)
            elif event_type == "join":
                self._set_role(groups, events, "role")
                self._set_roster(groups, events)
            elif event_type == "order":
                self._count_orders(events)
            else:
                rows.add("referrals", groups, np.ones(len(events), np.int64))

    def _set_role(self, groups: Groups, events: Events, column: str) -> None:
        rank = events.ranks(column, ROLE_RANK)
        self._rows.raise_("role", groups, ranked(events.occurred_at_ms, rank))

    def _set_roster(self, groups: Groups, joins: Events) -> None:
        rows, times = self._rows, joins.occurred_at_ms
        rank = joins.ranks("action", ACTION_RANK)
        rows.raise_("roster", groups, ranked(times, rank))
        rows.raise_("joined_ms", groups, np.where(rank == ACTION_RANK["joined"], times, NEVER))
        rows.raise_("left_ms", groups, np.where(rank >= ACTION_RANK["left"], times, NEVER))
        listed = [NEVER if at is None else at for at in joins.columns["joined_at"]]
        present = rank == ACTION_RANK["present"]
        rows.raise_("listed_joined_ms", groups, np.where(present, np.array(listed, np.int64), NEVER))

    def _count_messages(self, groups: Groups, messages: Events) -> None:
        member = ~messages.where("sender_role", *STAFF_ROLES)
        interaction = messages.where("kind", *INTERACTION_KINDS)
        self._rows.add("messages", groups, (member & ~interaction).astype(np.int64))
        self._rows.add("interactions", groups, (member & interaction).astype(np.int64))

    def _count_orders(self, orders: Events) -> None:
        paid = orders.where("status", "paid")
        if not paid.any():
            return
        rows, times = self._rows, orders.occurred_at_ms[paid]
        groups = Groups(orders.member[paid])
        rows.add("orders", groups, np.ones(len(times), np.int64))
        rows.raise_("seen_ms", groups, times)
        rows.lower("first_order_ms", groups, times)
        rows.raise_("last_order_ms", groups, times)
        rows.add_amounts("monetary_minor", groups, orders.numbers("amount_minor")[paid])

    def _note_days(self, pairs: Keys, flags: Ints) -> None:
        day, member = pane_and_member(pairs[(flags & ACTIVE) != 0])
        note_days(self._rows, member, day)
        self._new_days[member] = True

    def _in_roster(self, members: Ints) -> Mask:
        rows = self._rows.of(members, "roster", "posted_ms", "left_ms", "first_seen_ms")
        status, _ = status_of(rows, self._roster.missed_ms(self._directory.community_of[members], heard_ms(rows)))
        inside: Mask = (status != LEFT) & (rows["first_seen_ms"] != -NEVER)
        return inside

    def _recount(self, communities: list[int]) -> None:
        members = np.flatnonzero(np.isin(self._directory.community_of, communities))
        inside = members[self._in_roster(members)]
        counts = np.bincount(self._directory.community_of[inside], minlength=len(self._size))
        self._size[communities] = counts[communities]
        # Whoever the snapshot misses has left: all of these rows may read differently now.
        self._dirty[members[self._rows["first_seen_ms"][members] != -NEVER]] = True

    def fields(self, members: Ints, *names: str) -> Fields:
        """Some fields of some members, as they are now."""
        self._room()
        return self._rows.of(members, *names)

    def status(self, members: Ints) -> Ints:
        """Status of members now: ACTIVE, LEFT or OBSERVED of `roster`."""
        rows = self._rows.of(members, "roster", "posted_ms", "left_ms")
        status, _ = status_of(rows, self._roster.missed_ms(self._directory.community_of[members], heard_ms(rows)))
        return status.astype(np.int64)

    def heard_ms(self, members: Ints) -> Ints:
        """When members were last heard of, as far as a snapshot is concerned; NEVER who was not."""
        return heard_ms(self._rows.of(members, "roster", "posted_ms"))

    def latest_snapshots_ms(self, communities: int) -> Ints:
        """As `Roster.latest_ms` has them."""
        return self._roster.latest_ms(communities)

    def missed_ms(self, members: Ints) -> Ints:
        """Time of the first complete snapshot since each member was last heard of; NEVER where it is not missing."""
        heard = heard_ms(self._rows.of(members, "roster", "posted_ms"))
        missed = self._roster.missed_ms(self._directory.community_of[members], heard)
        return np.where(heard == NEVER, NEVER, missed)

    def touch(self, members: Ints) -> None:
        """Mark members as changed."""
        self._dirty[members] = True

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._dirty))

    def take_changed(self) -> Ints:
        """Numbers of the members changed since the last call; calling it makes them clean."""
        changed = np.flatnonzero(self._dirty)
        self._dirty[changed] = False
        stale = np.flatnonzero(self._new_days)
        self._new_days[stale] = False
        active_30, gap = rhythm(self._rows.of(stale, "days", "day_count"))
        self._rows["active_days_30"][stale] = active_30
        self._rows["typical_gap_days"][stale] = gap
        return changed

    def state(self, changed: Ints) -> list[StateRows]:
        """State rows of the given members: key ``community\\0member``."""
        if len(changed) == 0:
            return []
        self._rows["number"][changed] = changed
        return [StateRows("members", self._directory.keys(changed), fixed_binary(self._rows.packed(changed)))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back; communities must be known to the directory."""
        rows = rows_of(payloads, _ROW)
        numbers = rows["number"].astype(np.int64)
        self._directory.restore_members(numbers, keys)
        self._room()
        self._rows.unpack(numbers, rows)

    def recount(self) -> None:
        """Work out all roster sizes, after everything else is restored."""
        communities = len(self._directory.community_names)
        self.sizes(communities)
        members = np.arange(len(self), dtype=np.int64)
        inside = members[self._in_roster(members)]
        self._size[:communities] = np.bincount(self._directory.community_of[inside], minlength=communities)

    def table(self, changed: Ints, names: pa.Array) -> pa.Table:
        """Derived rows of the given members; ``names`` are the community names by number."""
        rows = self._rows.of(changed)
        community = self._directory.community_of[changed]
        status, left_ms = status_of(rows, self._roster.missed_ms(community, heard_ms(rows)))
        joined_ms = np.where(rows["joined_ms"] != NEVER, rows["joined_ms"], rows["listed_joined_ms"])
        orders = rows["orders"]
        between = np.where(orders > 0, rows["last_order_ms"] - rows["first_order_ms"], 0) / 86_400_000
        role = np.where(rows["role"] == NOTHING, 0, rows["role"] & 7)
        gap = rows["typical_gap_days"]
        return pa.table(
            {
                "community_id": names.take(pa.array(community)),
                "member_id": self._directory.member_ids.names(changed),
                "status": pa.array(STATUSES).take(pa.array(status)),
                "role": pa.array(ROLES).take(pa.array(role)),
                "first_seen_at": _times(rows["first_seen_ms"]),
                "last_seen_at": _times(rows["seen_ms"]),
                "joined_at": _times(joined_ms),
                "left_at": _times(left_ms),
                "messages": pa.array(np.ascontiguousarray(rows["messages"])),
                "interactions": pa.array(np.ascontiguousarray(rows["interactions"])),
                "orders": pa.array(np.ascontiguousarray(orders)),
                "referrals": pa.array(np.ascontiguousarray(rows["referrals"])),
                "active_days_30": pa.array(np.ascontiguousarray(rows["active_days_30"])),
                "typical_gap_days": pa.array(np.ascontiguousarray(gap), mask=np.isnan(gap)),
                "x": pa.array(np.maximum(orders.astype(np.int64) - 1, 0).astype(np.uint32)),
                "t_x_days": pa.array(between.astype(np.float32)),
                "monetary_minor": pa.array(np.ascontiguousarray(rows["monetary_minor"])),
            }
        )

    def _room(self) -> None:
        size = len(self)
        if size > len(self._dirty):
            self._rows.grow(size)
            self._dirty = grown(self._dirty, size, False)
            self._new_days = grown(self._new_days, size, False)


def _times(milliseconds: npt.NDArray[Any]) -> pa.Array:
    values = milliseconds.astype(np.int64)
    return pa.array(values, mask=values == NEVER).cast(pa.timestamp("ms", "UTC"))
