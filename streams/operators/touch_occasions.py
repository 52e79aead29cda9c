"""When there is something to say to a member: occasions fall due, each once.

Nothing is done per event but for orders, joins and check-ins. A long silence is looked for lazily: every member is
looked at when it would be silent for long, had it done nothing since the last look, and is filed anew if it had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.touches import TouchKind
from streams.operators.base import NEVER, Batch, Ints
from streams.operators.program import ProgramContext
from streams.operators.roster import LEFT, NOTHING, ROLE_RANK
from streams.operators.tallies import STAFF_ROLES
from streams.operators.timers import NO_DUE, Timers
from streams.rules_touches import TouchRules

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TIMED: tuple[TouchKind, ...] = ("repurchase", "welcome", "win_back", "streak")


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something to say to a member: about what (ms) and since when it is due (ms)."""

    due_ms: int
    kind: TouchKind
    member: int
    occasion_ms: int


class Occasions:
    """Occasions of one partition's members; times of members are read from the members operator."""

    def __init__(self, context: ProgramContext) -> None:
        self._context = context
        self._timers: dict[TouchKind, Timers] = {kind: Timers() for kind in TIMED}
        self._thanks: dict[int, int] = {}
        self._known = 0
        self.streaks: dict[int, tuple[int, int]] = {}
        """Last local day with a check-in, and how many in a row, by member."""
        self.changed: set[int] = set()

    def apply(self, batch: Batch, rules: TouchRules) -> None:
        """Take orders, joins and check-ins of a batch in."""
        self._meet(rules)
        orders = batch.get("order")
        if orders is not None:
            paid = orders.where("status", "paid")
            for member, at_ms in zip(orders.member[paid].tolist(), orders.occurred_at_ms[paid].tolist(), strict=True):
                self._thanks[member] = max(at_ms, self._thanks.get(member, NEVER))
            self._expect_orders(np.unique(orders.member[paid]))
        joins = batch.get("join")
        if joins is not None:
            newcomers = np.unique(joins.member[joins.where("action", "joined")])
            joined_ms = self._context.members.fields(newcomers, "joined_ms")["joined_ms"]
            self._timers["welcome"].set(newcomers, joined_ms + rules.welcome_after_hours * HOUR_MS)
        messages = batch.get("message")
        if messages is not None:
            checked = messages.where("kind", "check_in")
            if checked.any():
                checked &= ~messages.where("sender_role", *STAFF_ROLES)
                self._check_in(
                    messages.member[checked], messages.community[checked], messages.occurred_at_ms[checked], rules
                )

    def _meet(self, rules: TouchRules) -> None:
        """File members who are new here for a look."""
        size = len(self._context.directory.member_ids)
        if size > self._known:
            members = np.arange(self._known, size)
            self._known = size
            self._timers["win_back"].set(members, self._seen_ms(members) + rules.win_back_days * DAY_MS)

    def _seen_ms(self, members: Ints) -> Ints:
        rows = self._context.members.fields(members, "seen_ms", "first_seen_ms")
        seen: Ints = np.where(rows["seen_ms"] == NEVER, rows["first_seen_ms"], rows["seen_ms"]).astype(np.int64)
        # a number that is given but not yet used by an event
        return np.where(rows["first_seen_ms"] == -NEVER, 0, seen)

    def _expect_orders(self, buyers: Ints) -> None:
        """The next order comes as long after the last as the member's orders lie apart on average."""
        rows = self._context.members.fields(buyers, "orders", "first_order_ms", "last_order_ms")
        orders = rows["orders"].astype(np.int64)
        apart_ms = (rows["last_order_ms"] - rows["first_order_ms"]) // np.maximum(orders - 1, 1)
        regular = (orders > 1) & (apart_ms >= DAY_MS)
        self._timers["repurchase"].set(buyers, np.where(regular, rows["last_order_ms"] + apart_ms, NO_DUE))

    def _check_in(self, members: Ints, communities: Ints, at_ms: Ints, rules: TouchRules) -> None:
        days = self._context.communities.days(communities, at_ms)
        for place in np.argsort(days, kind="stable").tolist():
            member, day = int(members[place]), int(days[place])
            last_day, length = self.streaks.get(member, (day - 2, 0))
            if day <= last_day:
                continue  # a day that came late mends no streak
            self.streaks[member] = day, length + 1 if day == last_day + 1 else 1
            self.changed.add(member)
        self._expect_check_ins(np.unique(members), rules)

    def _expect_check_ins(self, members: Ints, rules: TouchRules) -> None:
        """A streak is spoken of in the evening of the day after the last check-in, while it can still go on."""
        found = [self.streaks[member] for member in members.tolist()]
        days, lengths = np.array(found, np.int64).reshape(-1, 2).T
        communities = self._context.directory.community_of[members]
        due_ms = self._context.communities.starts_ms(communities, days + 1) + rules.streak_hour * HOUR_MS
        self._timers["streak"].set(members, np.where(lengths >= rules.streak_min_days, due_ms, NO_DUE))

    def fall_due(self, now_ms: Ints, rules: TouchRules) -> list[Occasion]:
        """What is due by *now* (by community number), the longest due first."""
        self._meet(rules)
        found = [Occasion(at_ms, "thanks", member, at_ms) for member, at_ms in self._thanks.items()]
        self._thanks = {}
        latest_ms = int(now_ms.max(initial=NEVER))
        for kind, timers in self._timers.items():
            members, due_ms = timers.fall_due(latest_ms)
            now = now_ms[self._context.directory.community_of[members]]
            timers.set(members[due_ms > now], due_ms[due_ms > now])
            ripe = due_ms <= now
            found += self._look(kind, members[ripe], due_ms[ripe], now[ripe], rules)
        there = self._may_be_told(np.array([one.member for one in found], np.int64))
        return sorted((one for one, told in zip(found, there.tolist(), strict=True) if told), key=_order)

    def _look(self, kind: TouchKind, members: Ints, due_ms: Ints, now_ms: Ints, rules: TouchRules) -> list[Occasion]:
        if len(members) == 0:
            return []
        if kind == "win_back":
            since_ms = self._seen_ms(members)
            due_ms = since_ms + rules.win_back_days * DAY_MS
            wanted = due_ms <= now_ms
            again_ms = np.where(wanted, now_ms + rules.win_back_days * DAY_MS, due_ms)
            self._timers[kind].set(members, again_ms)
        elif kind == "welcome":
            rows = self._context.members.fields(members, "joined_ms", "seen_ms")
            since_ms, wanted = rows["joined_ms"], rows["seen_ms"] < rows["joined_ms"]
        elif kind == "repurchase":
            since_ms = self._context.members.fields(members, "last_order_ms")["last_order_ms"]
            wanted = np.ones(len(members), np.bool_)
        else:
            communities = self._context.directory.community_of[members]
            days = np.array([self.streaks[member][0] for member in members.tolist()], np.int64)
            since_ms, wanted = self._context.communities.starts_ms(communities, days), np.ones(len(members), np.bool_)
        rows_ = zip(due_ms[wanted].tolist(), members[wanted].tolist(), since_ms[wanted].tolist(), strict=True)
        return [Occasion(due, kind, member, since) for due, member, since in rows_]

    def _may_be_told(self, members: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether members are there and no staff."""
        role = self._context.members.fields(members, "role")["role"]
        staff = (role != NOTHING) & ((role & 7) >= ROLE_RANK["staff"])
        told: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (self._context.members.status(members) != LEFT) & ~staff
        return told

    def restored(self, since_ms: int, rules: TouchRules) -> None:
        """File everybody after a restart; what was due by ``since_ms`` was looked at before."""
        self._known = 0
        self._meet(rules)
        members = np.arange(self._known)
        rows = self._context.members.fields(members, "orders", "joined_ms")
        self._expect_orders(members[rows["orders"] > 1])
        joined = members[rows["joined_ms"] != NEVER]
        self._timers["welcome"].set(joined, rows["joined_ms"][joined] + rules.welcome_after_hours * HOUR_MS)
        if self.streaks:
            self._expect_check_ins(np.array(sorted(self.streaks), np.int64), rules)
        for kind, timers in self._timers.items():
            past = members[timers.due_ms(members) <= since_ms]
            later_ms = since_ms + rules.win_back_days * DAY_MS if kind == "win_back" else NO_DUE
            timers.set(past, np.full(len(past), later_ms))

    def __len__(self) -> int:
        return sum(len(timers) for timers in self._timers.values())


def _order(one: Occasion) -> tuple[int, TouchKind, int]:
    return one.due_ms, one.kind, one.member
