"""Partitions with the referral programs, joined by what they send each other; and made-up feeds of invitations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.partitioning import partition_for
from schemas.topics import TOPIC_OF
from streams.programs import programs_of
from streams.rules import Rules as RulesModel
from streams.rules import RulesFile
from streams.rules_campaigns import CampaignRules
from tests.batches import DAY_MS, HOUR_MS, Event, Replay, event
from tests.oracle.referral_facts import FactsOracle
from tests.oracle.referrals import Campaign, ReferralOracle, times_in_ms
from tests.sent_facts import check_facts

KEYS = {
    "referral_nodes": ("campaign_id", "member_id"),
    "referral_edges": ("campaign_id", "edge_id"),
    "referral_credits": ("campaign_id", "edge_id", "state"),
    "referral_revenue": ("campaign_id", "member_id", "currency"),
    "milestones": ("campaign_id", "subject_kind", "subject_id", "target"),
}
START_MS = 1_767_225_600_000  # 2026-01-01
COMMUNITIES = ("读书会🌱", "wecom:三/群", "c")
PLATFORM_OF = {"读书会🌱": "wecom", "wecom:三/群": "wecom"}
"""Some of their events name it; those of the third community name none."""
PEOPLE = ("小王", "小李", "小张", "d", "e", "f")

Rules = Mapping[str, CampaignRules]


class FixedRules(RulesFile):
    """A rules file with these campaigns, without a file."""

    def __init__(self, campaigns: Rules) -> None:
        super().__init__(None)
        self._rules = RulesModel(campaigns=dict(campaigns))


class Network:
    """Partitions; what one sends is appended to the topics of the partition of its key."""

    def __init__(self, partitions: int, rules: Rules | None = None, batch_max_records: int = 1000) -> None:
        self.partitions = partitions
        programs = programs_of(FixedRules(rules or {}))
        options: dict[str, Any] = {"batch_max_records": batch_max_records, "programs_of": programs, "keys": KEYS}
        self.replays = [Replay(partitions=partitions, number=number, **options) for number in range(partitions)]
        self._delivered = [0] * partitions

    def of(self, key: str) -> Replay:
        """The partition of a key."""
        return self.replays[partition_for(key.encode(), self.partitions)]

    def send(self, feed: list[Event]) -> None:
        """Append events to their topics."""
        for one in feed:
            self.of(one["community_id"]).send(one)

    def deliver(self, chance: random.Random | None = None) -> None:
        """Let what was sent arrive; some of it twice."""
        for number, replay in enumerate(self.replays):
            fresh = replay.outbox[self._delivered[number] :]
            if chance is not None and fresh and chance.random() < 0.3:
                fresh = [*fresh, *chance.choices(fresh, k=2)]
            for one in (one for one in fresh if one.topic in replay.topics):  # milestones are for others
                self.of(one.key).send_record(one.topic, one.key.encode(), one.value)
            self._delivered[number] = len(replay.outbox)

    def flush(self, replay: Replay, chance: random.Random) -> None:
        """A flush of one partition, in the middle of which its worker may die."""
        plan = replay.collect()
        died = chance.randrange(5)  # 0: before the checkpoint; 1: after it; 2: while it sends; 3, 4: never
        if died > 0:
            replay.checkpoint(plan)
        if died == 2:
            replay.outbox += plan.outbox[: chance.randint(0, len(plan.outbox))]
        if died > 2:
            replay.land(plan.landing)
        else:
            replay.restart()
        self.deliver(chance)

    def settle(self) -> None:
        """Until nothing is left to read or to send."""
        while True:
            for replay in self.replays:
                replay.drain()
                replay.flush()
            self.deliver()
            if all(len(replay.at_end()) == len(replay.topics) for replay in self.replays):
                return

    def now_of(self, community: str) -> int:
        """*Now* of a community, as far as the events of its partition tell."""
        return self.of(community).partition.reference_ms

    def landed(self, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Rows by key, times in ms, without versions; of money only rows with any."""
        found = {}
        for replay in self.replays:
            for row in map(times_in_ms, replay.rows(table)):
                found[tuple(row.pop(name) for name in KEYS[table])] = row
        return found


def differences(network: Network, oracle: ReferralOracle) -> list[str]:
    """Where landed rows and the offline rebuild differ, a line each."""
    return oracle.differences({table: network.landed(table) for table in KEYS})


def made_up_rules(chance: random.Random) -> tuple[Rules, dict[str, Campaign]]:
    """Rules of the campaign `春`, for the programs and for the oracle; all other campaigns have defaults."""
    days, require = chance.choice([1, 3, 7]), chance.choice(["nothing", "activity", "paid_order"])
    grace, staff = chance.choice([0, 10, 120]), chance.random() < 0.3
    bounded, new_to = chance.random() < 0.3, chance.choice(["community", "platform"])
    start, end = ("2026-01-02", "2026-01-20") if bounded else (None, None)
    fields = {"days_to_maturity": days, "require": require, "grace_minutes": grace, "staff_may_refer": staff}
    fields["new_to"] = new_to
    ours = CampaignRules.model_validate(fields | {"start": start, "end": end})
    theirs = Campaign(
        days=days, require=require, grace_minutes=grace, staff_may_refer=staff, new_to=new_to,
        start=START_MS + DAY_MS if bounded else None, end=START_MS + 19 * DAY_MS if bounded else None,
    )  # fmt: skip
    return {"春": ours}, {"春": theirs}


def made_up_feed(chance: random.Random, count: int, people: Sequence[str] = ()) -> list[Event]:
    """Events of a few people in a few communities, in order of arrival.

    Referral events come up to a month after their time, all others inside the lateness; some come twice.
    """
    span_ms = chance.choice([2 * HOUR_MS, 12 * DAY_MS, 30 * DAY_MS])
    grain_ms = chance.choice([1, 60_000, HOUR_MS])  # coarse: many events of the same ms
    people = people or PEOPLE[: chance.randint(2, len(PEOPLE))]
    arrivals: list[tuple[int, int, Event]] = []
    for number in range(count):
        at_ms = START_MS + chance.randrange(span_ms) // grain_ms * grain_ms
        one = made_up_event(chance, people, number, at_ms)
        if chance.random() < 0.8:
            one["platform"] = PLATFORM_OF.get(one["community_id"])
        delay_ms = chance.randrange(30 * DAY_MS if one["event_type"] == "referral" else DAY_MS // 2)
        arrivals.append((at_ms + delay_ms, number, one))
        if chance.random() < 0.1:
            arrivals.append((at_ms + delay_ms + HOUR_MS, number, one))
    return [one for *_, one in sorted(arrivals, key=lambda arrival: arrival[:2])]


def made_up_event(chance: random.Random, people: Sequence[str], number: int, at_ms: int) -> Event:
    """An event of any type; ids sort differently from their times."""
    community, event_id = chance.choice(COMMUNITIES), f"{chance.randrange(100):02d}/{number}"
    member, other = chance.choice(people), chance.choice(people)
    role = chance.choice(["member"] * 6 + ["staff", "admin", "bot"])
    what = chance.random()
    if what < 0.4:
        campaign = chance.choice(["春", "春", "夏%"])
        return event(
            "referral",
            event_id,
            at_ms,
            community,
            campaign_id=campaign,
            referrer_id=member,
            referee_id=other,
            **chance.choice([{"via": "link"}, {}]),
        )
    if what < 0.6:
        invited = {"inviter_id": other, "source": "海报-1"} if chance.random() < 0.6 else {}
        named = {"campaign_id": "春"} if chance.random() < 0.3 else {}
        return event("join", event_id, at_ms, community, member_id=member, role=role, **invited, **named)
    if what < 0.64:
        action = chance.choice(["left", "removed", "gone"])
        return event("join", event_id, at_ms, community, member_id=member, action=action, inviter_id=other)
    if what < 0.66:
        taken = at_ms // (DAY_MS // 4)  # its lines lie close together, as those of real snapshots do
        line = {"snapshot_id": f"s{taken}", "snapshot_size": 1 + taken % 2}
        return event("join", event_id, at_ms, community, member_id=member, action="present", **line)
    if what < 0.85:
        kind = chance.choice(["text", "reaction"])
        return event("message", event_id, at_ms, community, member_id=member, sender_role=role, kind=kind)
    status = chance.choice(["paid", "paid", "refunded", "cancelled"])
    money = {"amount_minor": chance.choice([0, 100, 2**53]), "currency": chance.choice(["CNY", "EUR"])}
    return event("order", event_id, at_ms, community, member_id=member, status=status, **money)


def applied(feed: list[Event]) -> list[tuple[str, Event]]:
    """The events of a feed with their topics, each once; of repeated ones the first counts."""
    distinct = {(one["event_type"], one["community_id"], one["event_id"]): one for one in reversed(feed)}
    return [(TOPIC_OF[one["event_type"]], one) for one in distinct.values()]


def oracle_of(network: Network, feed: list[Event], campaigns: Mapping[str, Campaign]) -> ReferralOracle:
    """The offline rebuild of a feed."""
    return ReferralOracle(applied(feed), network.now_of, campaigns)


def check_sent_facts(network: Network, feed: list[Event], campaigns: Mapping[str, Campaign]) -> None:
    """What was sent of each fact at last is what is true."""
    sent = [record for replay in network.replays for record in replay.outbox]
    check_facts(sent, FactsOracle(applied(feed), network.now_of, campaigns).said)
