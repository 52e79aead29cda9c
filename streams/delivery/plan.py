"""Who is told of an alert, on which channel, at once or in a digest; decided once, when the alert is read."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from schemas.alerts import SEVERITIES, AlertRecord
from sinks.alert_deliveries import Delivery, DeliveryKey, Form, Planned
from streams.rules_alerts import AlertsRules

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

STALE_AFTER_MS: Final = DAY_MS
"""A record that lay unread for longer is told in a digest: a first start must not ring for a week of old alerts."""

BACKLOG_PATIENCE_MS: Final = 60_000
"""How long a digest of such records waits for the rest of them."""

Untold = Literal["duplicate", "replay", "unrouted", "for_nobody", "never_opened"]
"""Why a record leads to no delivery."""


class Arrived(NamedTuple):
    """An alert record as it was read; `appended_at` is its Kafka timestamp, ms since 1970 UTC."""

    alert: AlertRecord
    appended_at: int


@dataclass(slots=True)
class Plan:
    """What follows from some records: new deliveries, and how many records led to none, by reason."""

    deliveries: list[Delivery] = field(default_factory=list)
    untold: dict[Untold, int] = field(default_factory=lambda: defaultdict(int))


class Planner:
    """Keeps the counts that limit single messages; takes the time as an argument.

    `recent` are the single messages planned in the last day, so that limits hold across a restart.
    """

    def __init__(self, rules: AlertsRules, recent: Iterable[Planned] = (), *, include_replays: bool = False) -> None:
        self.rules = rules
        self._include_replays = include_replays
        self._hour = 0
        self._singles: dict[tuple[str, str], int] = defaultdict(int)  # in that hour, by channel and community
        self._new_of: dict[str, deque[tuple[int, str]]] = defaultdict(deque)  # by assignee: when, which alert
        for one in sorted(recent, key=lambda planned: planned.planned_at):
            self._count(one.channel, one.community_id, one.assignee, one.alert_id, one.state, one.planned_at)

    def plan(self, arrived: Sequence[Arrived], known: Mapping[DeliveryKey, Form], now_ms: int) -> Plan:
        """Deliveries that these records call for and that do not stand in the ledger (`known`) already."""
        plan = Plan()
        forms = dict(known)
        # Among those read together the severest come first, then those with the most at risk, for as long as there is
        # room for single messages; an opening always comes before what became of it.
        for alert, appended_at in sorted(arrived, key=_rank):
            if alert.replay and not self._include_replays:
                plan.untold["replay"] += 1
            elif alert.urgency == "nobody":
                plan.untold["for_nobody"] += 1
            else:
                self._plan_one(alert, appended_at, now_ms, forms, plan)
        return plan

    def _plan_one(
        self, alert: AlertRecord, appended_at: int, now_ms: int, forms: dict[DeliveryKey, Form], plan: Plan
    ) -> None:
        channels = self._channels(alert)
        if not channels:
            plan.untold["unrouted"] += 1
            return
        stale = now_ms - appended_at > STALE_AFTER_MS
        told_of_opening = self._channels(_as_opened(alert)) if alert.state != "opened" else {}
        new: list[Delivery] = []
        reason: Untold = "duplicate"
        single: bool | None = None
        for channel, digest in channels.items():
            key = DeliveryKey(alert.alert_id, alert.state, channel)
            if key in forms:
                continue
            opening = forms.get(DeliveryKey(alert.alert_id, "opened", channel))
            if opening is None and (channel in told_of_opening or alert.state == "expired"):
                reason = "never_opened"  # nobody there knows the alert, so nobody needs to know that it is over
                continue
            if single is None:
                single = alert.urgency == "now" and not stale and self._assignee_has_room(alert, now_ms)
            form: Form = "single" if single and not digest and opening != "digest" else "digest"
            if form == "single" and not self._channel_has_room(channel, alert, now_ms):
                form = "digest"
            forms[key] = form
            new.append(_delivery(alert, channel, form, now_ms, stale=stale))
        for one in new:
            if one.form == "single":
                self._count(one.channel, alert.community_id, alert.assignee, alert.alert_id, alert.state, now_ms)
        if not new:
            plan.untold[reason] += 1
        plan.deliveries += new

    def _channels(self, alert: AlertRecord) -> dict[str, bool]:
        """Channels that routes lead to, and whether all of those routes want digests only."""
        found: dict[str, bool] = {}
        for route in self.rules.routes:
            if route.matches(alert):
                for channel in route.channels:
                    found[channel] = found.get(channel, True) and route.digest
        return found

    def _channel_has_room(self, channel: str, alert: AlertRecord, now_ms: int) -> bool:
        rules = self.rules.channels[channel]
        counted = self._singles[channel, alert.community_id] if now_ms // HOUR_MS == self._hour else 0
        return counted < rules.singles_per_hour or alert.severity in rules.at_once

    def _assignee_has_room(self, alert: AlertRecord, now_ms: int) -> bool:
        if not alert.assignee or alert.state != "opened":
            return True
        told = self._new_of[alert.assignee]
        while told and told[0][0] <= now_ms - DAY_MS:
            told.popleft()
        return len({alert_id for _, alert_id in told}) < self.rules.new_per_assignee_and_day

    def _count(self, channel: str, community_id: str, assignee: str, alert_id: str, state: str, at_ms: int) -> None:
        if at_ms // HOUR_MS != self._hour:
            self._hour = at_ms // HOUR_MS
            self._singles.clear()
        self._singles[channel, community_id] += 1
        if state == "opened" and assignee:
            self._new_of[assignee].append((at_ms, alert_id))


def _rank(one: Arrived) -> tuple[bool, int, float]:
    return (one.alert.state != "opened", -SEVERITIES.index(one.alert.severity), -one.alert.value_at_risk)


def _as_opened(alert: AlertRecord) -> AlertRecord:
    return msgspec.structs.replace(alert, state="opened")


def _delivery(alert: AlertRecord, channel: str, form: Form, now_ms: int, *, stale: bool) -> Delivery:
    if form == "single":
        due_at = now_ms
    elif stale:
        due_at = now_ms + BACKLOG_PATIENCE_MS
    else:
        due_at = (now_ms // HOUR_MS + 1) * HOUR_MS
    return Delivery(alert=alert, channel=channel, form=form, planned_at=now_ms, due_at=due_at)
