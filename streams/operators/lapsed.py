"""`lapsed_buyer`: the chance that a buyer is still a customer, P(alive) of MBG/NBD, has fallen under the threshold."""

from __future__ import annotations

import numpy as np

from schemas.alerts import AlertState
from streams.operators.alert_context import AlertContext
from streams.operators.alert_words import day_text, lapsed_reason
from streams.operators.arrivals import Arrivals, Moments, turns
from streams.operators.base import Batch, Events, Ints, Mask
from streams.operators.bgnbd import Floats, lapses_at, p_alive
from streams.operators.overdue import Fallen, Overdue, Release
from streams.operators.purchases import Purchases, order_key
from streams.operators.tiers import are_staff, tiers_of
from streams.operators.timers import NO_DUE


class LapsedBuyers:
    """Watches who bought; by buyer (slot of `purchases`)."""

    def __init__(self, context: AlertContext, release: Release) -> None:
        self._context = context
        self.purchases = Purchases()
        self.overdue = Overdue(context.partition.lateness_ms, release, context.standing.places)

    def apply(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take the orders of a batch in, each buyer's one after the other as they arrived."""
        orders = batch.get("order")
        at, row = np.empty(0, np.int64), np.empty(0, np.int64)
        if orders is not None:
            at, row = arrivals.of_type["order"], np.arange(len(orders))
            self.purchases.slots(orders.member)
        # Leaving ends the wait for a purchase: it is taken in turn like an order, with no row of its own.
        leaves = arrivals.leaves[self.purchases.knows(arrivals.member[arrivals.leaves])]
        at = np.concatenate([at, leaves])
        if len(at) == 0:
            return
        row = np.concatenate([row, np.full(len(leaves), -1)])
        slot = self.purchases.slots(arrivals.member[at])
        order = np.lexsort((at, slot))
        at, row, slot = at[order], row[order], slot[order]
        turn = turns(slot)
        for number in range(int(turn.max()) + 1):
            ordered, gone = (turn == number) & (row >= 0), (turn == number) & (row < 0)
            if orders is not None and ordered.any():
                self._take(orders, row[ordered], slot[ordered], at[ordered], arrivals)
            if gone.any():
                self._end(slot[gone], at[gone], np.ones(np.count_nonzero(gone), np.bool_), arrivals, "expired")
                self.purchases.tell(slot[gone], True)
                self.overdue.expect(slot[gone], np.full(np.count_nonzero(gone), NO_DUE))

    def _end(self, slots: Ints, at: Ints, ends: Mask, arrivals: Arrivals, state: AlertState) -> Mask:
        """What was overdue by then opens; what is open is over, where ``ends``. Returns whose wait was over before."""
        told = self.purchases.told(slots)
        reached_ms = arrivals.reached_ms[at]
        fallen = self.overdue.had_fallen(slots, arrivals.community[at], at, reached_ms, arrivals.moments)
        late = slots[fallen.subjects]
        if len(late):
            self._open(late, fallen)
            self.overdue.expect(late, np.full(len(late), NO_DUE))
            told[fallen.subjects] = True
        for one in np.flatnonzero(told & ends).tolist():
            member, time_ms = int(arrivals.member[at[one]]), int(arrivals.occurred_at_ms[at[one]])
            self._context.episodes.close("lapsed_buyer", member, time_ms, state, int(reached_ms[one]))
        return told

    def _take(self, orders: Events, mine: Ints, slots: Ints, at: Ints, arrivals: Arrivals) -> None:
        day = self._context.partition.communities.days(orders.community[mine], orders.occurred_at_ms[mine])
        told = self._end(slots, at, orders.where("status", "paid")[mine], arrivals, "resolved")
        before = self.purchases.last_day(slots)
        columns = orders.columns
        for one, row, when in zip(slots.tolist(), mine.tolist(), day.tolist(), strict=True):
            status, amount = columns["status"][row], columns["amount_minor"][row]
            if status == "paid":
                self.purchases.paid(one, order_key(columns["order_id"][row]), when, amount)
            else:
                key = order_key(columns["original_order_id"][row] or columns["order_id"][row])
                self.purchases.taken_back(one, key, when, amount if status == "refunded" else None)
        newer = self.purchases.last_day(slots) > before
        told = (told & ~newer) | self.purchases.told_before(slots)
        self.purchases.tell(slots, told)
        self.overdue.expect(slots[told], np.full(np.count_nonzero(told), NO_DUE))
        self.expect(slots[~told], at[~told], arrivals.reached_ms[at[~told]])

    def expect(self, slots: Ints, places: Ints | None = None, reached_ms: Ints | None = None) -> None:
        """Work out by when buyers must buy again; ``places`` and ``reached_ms`` as `Overdue.expect` takes them."""
        members = self.purchases.members(slots)
        community = self._context.community_of(members)
        days, first, last = self.purchases.statistics(slots)
        due_ms = np.full(len(slots), NO_DUE)
        unit, parameters = self._context.model.buyers.unit_days, self._context.model.buyers.parameters
        for mine, profile in self._context.by_profile(community):
            rules = profile.rules.lapsed_buyer
            bought = np.maximum(days[mine] - 1, 0).astype(np.float64)
            spans = (last[mine] - first[mine]) / unit
            lapse = first[mine] + np.ceil(lapses_at(parameters, bought, spans, rules.alive_threshold) * unit)
            due_day = np.maximum(np.minimum(lapse, 1e6).astype(np.int64), last[mine] + rules.min_silent_days + 1)
            ends = (days[mine] >= rules.min_orders) & (due_day - last[mine] <= rules.latest_days) & rules.enabled
            who = np.flatnonzero(mine)[ends]
            at_ms = self._context.hours_into(community[who], due_day[ends], rules.at_hour)
            due_ms[who] = self._context.rested("lapsed_buyer", members[who], community[who], at_ms, rules.at_hour)
        self.overdue.expect(slots, due_ms, places, reached_ms)

    def fire(self, moments: Moments, now_ms: Ints, clock_ms: Ints) -> None:
        """Open alerts on those who are overdue now."""

        def community_of(slots: Ints) -> Ints:
            return self._context.community_of(self.purchases.members(slots))

        fallen = self.overdue.fall(community_of, moments, now_ms, clock_ms)
        if len(fallen.subjects):
            self.purchases.tell(fallen.subjects, True)
            self._open(fallen.subjects, fallen)

    def restored(self, slots: Ints) -> None:
        """Work out anew who is expected, after a restart."""
        self.expect(slots[~self.purchases.told(slots)])

    def alive(self, slots: Ints, day: Ints) -> Floats:
        """P(alive) of buyers at the start of a day."""
        days, first, last = self.purchases.statistics(slots)
        unit = self._context.model.buyers.unit_days
        bought = np.maximum(days - 1, 0).astype(np.float64)
        return p_alive(self._context.model.buyers.parameters, bought, (last - first) / unit, (day - first) / unit)

    def _open(self, slots: Ints, fallen: Fallen) -> None:
        members = self.purchases.members(slots)
        due_ms, places = fallen.due_ms, fallen.places
        community = self._context.community_of(members)
        standing = self._context.standing.of(members, places)
        active_30 = self._context.standing.active_days_30(members, places)
        staff = are_staff(standing)
        tier, worth = tiers_of(standing, active_30, self._context.rules.tiers)
        days, first, last = self.purchases.statistics(slots)
        day = self._context.partition.communities.days(community, due_ms)
        alive = self.alive(slots, day)
        start_ms = self._context.hours_into(community, last, 0)
        for one in range(len(slots)):
            rules = self._context.rules_of(int(community[one])).lapsed_buyer
            silent = int(day[one] - last[one])
            if staff[one] or silent > rules.latest_days:
                continue  # it was held back until it came too late
            orders, last_day = int(days[one]), int(last[one])
            usual = (last_day - int(first[one])) / (orders - 1) if orders > 1 else None
            opening = self._context.opening(
                "lapsed_buyer",
                int(members[one]),
                place=int(places[one]),
                fact=int(start_ms[one]),
                opened_ms=int(due_ms[one]),
                stale=bool(fallen.stale[one]),
                rules=rules,
                reason=lapsed_reason(orders, last_day, silent, usual, float(alive[one])),
                evidence={
                    "purchase_days": orders,
                    "days_since_purchase": silent,
                    "usual_gap_days": None if usual is None else round(usual, 1),
                    "alive_chance": round(float(alive[one]), 3),
                    "last_purchase_day": day_text(last_day),
                },
                tier=int(tier[one]),
                worth=float(worth[one]),
            )
            self._context.episodes.open(opening)
