"""History through the very operators that workers run, one day after the other; what comes out are the alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from schemas.alerts import AlertRecord, decode_alert
from schemas.columns import Columns
from streams.backtest.events import Feed
from streams.model_fit import History, history_of
from streams.operators.base import NEVER, Ints, Mask
from streams.operators.bgnbd import Floats
from streams.operators.churn import ChurnProgram
from streams.operators.churn_model import ChurnModel
from streams.operators.community import CommunityOperators
from streams.operators.local_days import DAY_MS, LocalDays
from streams.operators.program import ProgramContext
from streams.operators.tallies import STAFF_ROLES
from streams.rules_model import Rules

LATENESS_MS = DAY_MS
_TAKE_EVERY = 50


@dataclass(frozen=True, slots=True)
class BuyersThen:
    """What was thought of all buyers at the start of a day: P(alive), and days since the last purchase."""

    day: int
    member: Ints
    alive: Floats
    since_days: Ints


@dataclass(slots=True)
class Replayed:
    """The alerts of a replay by id (latest revision), and what was thought of buyers at the days asked for."""

    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    buyers: list[BuyersThen] = field(default_factory=list)


def replay(
    feed: Feed,
    rules: Rules,
    model: ChurnModel,
    ask_about_buyers: set[int] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Replayed:
    """Run a feed through the operators as a caught-up worker would: time passes at the end of every day.

    ``ask_about_buyers`` are days (since 1970-01-01) at whose start P(alive) of all buyers is noted.
    """

    def zone_of(community: str, platform: str | None) -> str:
        return rules.timezone_of(community, platform)

    operators = CommunityOperators(feed.directory, zone_of, LATENESS_MS)
    rules = member_by_member(rules)
    context = ProgramContext(0, 1, feed.directory, operators.communities, operators.members, LATENESS_MS)
    program = ChurnProgram(context, lambda: rules, model, replay=True)
    found = Replayed()
    communities = len(feed.directory.community_names)
    clock_ms = np.full(communities, NEVER)
    total = feed.last_ms // DAY_MS - feed.first_ms // DAY_MS + 1
    for number, (end_ms, batch) in enumerate(feed.days(), start=1):
        operators.apply(batch)
        program.apply(batch)
        for events in batch.by_type.values():
            np.maximum.at(clock_ms, events.community, events.occurred_at_ms)
        now_ms = np.full(communities, end_ms - 1)
        program.advance(now_ms, clock_ms)
        for record in program.outbox():
            found.alerts[record.record_id] = decode_alert(record.value)
        if ask_about_buyers and end_ms // DAY_MS in ask_about_buyers:
            found.buyers.append(_buyers(program, end_ms // DAY_MS))
        if number % _TAKE_EVERY == 0:  # as a flush would, so that nothing grows with the length of history
            program.settle(clock_ms)
            program.dirty()
            program.derived()
            operators.settle(clock_ms)
            operators.take(now_ms)
        progress(number, total)
    return found


def member_by_member(rules: Rules) -> Rules:
    """The rules without what holds alerts on members back while a whole community or its feed is quiet.

    What they are compared with holds nothing back either, and an archive's gaps are no outages.
    """
    off = {"enabled": False}
    alerts = rules.alerts.model_copy(
        update={
            "activity_drop": rules.alerts.activity_drop.model_copy(update=off),
            "feed_silent": rules.alerts.feed_silent.model_copy(update=off),
        }
    )
    return rules.model_copy(update={"alerts": alerts})


def _buyers(program: ChurnProgram, day: int) -> BuyersThen:
    purchases = program.lapsed.purchases
    slots = np.arange(len(purchases))
    days, _, last = purchases.statistics(slots)
    slots = slots[days > 0]
    at = np.full(len(slots), day)
    return BuyersThen(day, purchases.members(slots), program.lapsed.alive(slots, at), day - last[days > 0])


def history_in(feed: Feed, rules: Rules, last_day: int | None = None) -> History:
    """Active local days and standing purchases of a feed up to a day: what a model is fitted on.

    Purchases taken back at any time up to that day do not count.
    """
    zones = LocalDays()
    names = feed.directory.community_names
    zone = np.array([zones.index(rules.timezone_of(name)) for name in names])
    members: list[Ints] = []
    days: list[Ints] = []
    buyers: list[Ints] = []
    bought: list[Ints] = []
    for event_type, events in feed.by_type.items():
        local = zones.days(zone[events.community], events.occurred_at_ms)
        inside: Mask = local <= (np.iinfo(np.int64).max if last_day is None else last_day)
        if event_type == "message":
            inside &= ~events.where("sender_role", *STAFF_ROLES)
        elif event_type == "order":
            stands = inside & events.where("status", "paid")
            stands &= ~_taken_back(events.columns, events.member, inside)
            buyers.append(events.member[stands])
            bought.append(local[stands])
            inside &= events.where("status", "paid")
        else:
            continue
        members.append(events.member[inside])
        days.append(local[inside])
    ids = feed.directory.member_ids.names(np.arange(len(feed.directory.member_ids))).to_pylist()
    pairs = list(zip([names[n] for n in feed.directory.community_of.tolist()], ids, strict=True))

    def of(numbers: list[Ints]) -> list[tuple[str, str]]:
        return [pairs[n] for part in numbers for n in part.tolist()]

    none = np.empty(0, np.int64)
    return history_of(
        of(members),
        np.concatenate(days) if days else none,
        of(buyers),
        np.concatenate(bought) if bought else none,
        last_day if last_day is not None else feed.last_ms // DAY_MS,
    )


def _taken_back(columns: Columns, member: Ints, inside: Mask) -> Mask:
    """Which orders were cancelled, or refunded in full, by an event that counts."""
    left: dict[tuple[int, object], float] = {}
    rows = list(zip(member.tolist(), columns["status"], columns["order_id"], columns["original_order_id"],
                    columns["amount_minor"], inside.tolist(), strict=True))  # fmt: skip
    for who, status, order, original, amount, counts in rows:
        if counts and status != "paid":
            key = (who, original or order)
            left[key] = left.get(key, 0.0) + (float("inf") if status == "cancelled" else float(str(amount)))
    gone = [
        status == "paid" and left.get((who, order), -1.0) >= float(str(amount))
        for who, status, order, _, amount, _ in rows
    ]
    return np.array(gone, np.bool_)
