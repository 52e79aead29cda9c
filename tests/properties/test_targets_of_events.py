"""Targets over whole partitions: events in disorder and twice, late invitations, crashes, one to three partitions."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import milestones
from schemas.topics import MILESTONES
from streams.rules_campaigns import CampaignRules
from tests.batches import DAY_MS, HOUR_MS, Event, event
from tests.oracle.referrals import Campaign
from tests.oracle.targets import Asked, Standing, standings
from tests.referral_network import COMMUNITIES, START_MS, Network, made_up_feed, oracle_of
from tests.sent_milestones import check_sent


def made_up_targets(chance: random.Random) -> tuple[dict[str, CampaignRules], dict[str, Asked]]:
    """Targets of two campaigns of invitations and one of group buys, for the programs and for the oracle."""
    rules, asked = {}, {}
    for campaign, kind in (("春", "accepted_invitations"), ("夏%", "accepted_invitations"), ("拼", "group_buy_orders")):
        count, within = chance.randint(1, 3), chance.choice([None, 1, 3])
        ends = chance.random() < 0.3
        target = {"kind": kind, "count": count, "within_days": within}
        rules[campaign] = CampaignRules.model_validate(
            {"target": target, "require": "nothing", "end": "2026-01-04" if ends else None}
        )
        asked[campaign] = Asked(
            kind, count, within, Campaign(require="nothing", end=START_MS + 3 * DAY_MS if ends else None)
        )
    return rules, asked


def group_buys(chance: random.Random, count: int) -> list[Event]:
    """Payments, refunds and cancellations of few orders of few group buys, told in any community.

    In order of arrival: up to half a day late, some of them twice.
    """
    found: list[tuple[int, Event]] = []
    for number in range(count):
        of = chance.random()
        named: dict[str, Any] = {"campaign_id": "拼"} if of < 0.8 else {}
        named |= {"group_buy_id": chance.choice("AB")} if of < 0.7 else {}
        status = chance.choice(["paid", "paid", "paid", "refunded", "cancelled"])
        if status == "refunded":
            named = {"original_order_id": f"o{chance.randrange(5)}"} if chance.random() < 0.5 else {}
        at_ms = START_MS + chance.randrange(4 * DAY_MS) // HOUR_MS * HOUR_MS
        one = event(
            "order",
            f"g{number}",
            at_ms,
            chance.choice(COMMUNITIES),
            member_id="buyer",
            order_id=f"o{chance.randrange(5)}",
            status=status,
            amount_minor=chance.choice([0, 50, 100]),
            currency="CNY",
            **named,
        )
        found += [(at_ms + chance.randrange(DAY_MS // 2), one)] * chance.choice([1, 1, 1, 2])
    return [one for _, one in sorted(found, key=lambda arrival: arrival[0])]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32), st.integers(1, 3))
def test_targets_are_a_function_of_the_applied_events(count: int, seed: int, partitions: int) -> None:
    chance = random.Random(seed)
    rules, asked = made_up_targets(chance)
    network = Network(partitions, rules, batch_max_records=chance.choice([1, 7, 1000]))
    # The other orders would stand before these in their topic, and make them late.
    feed = [one for one in made_up_feed(chance, count) if one["event_type"] != "order"] + group_buys(chance, count // 2)
    network.send(feed)
    for _ in range(chance.randrange(10)):
        replay = chance.choice(network.replays)
        for topic in chance.sample(list(replay.topics), 3):
            replay.fetch(topic, chance.randint(1, 20))
        replay.apply()
        if chance.random() < 0.5:
            replay.flush()
            network.deliver(chance)
        if chance.random() < 0.2:
            replay.restart()
    network.settle()
    applied = {(one["event_type"], one["community_id"], one["event_id"]): one for one in reversed(feed)}
    late = sum(account.late for replay in network.replays for account in replay.partition.accounts.values())
    assert late == 0, "the feed is meant to have nothing late"
    campaigns = {campaign: one.rules for campaign, one in asked.items()}
    expected = standings(applied.values(), asked, oracle_of(network, feed, campaigns))

    landed = {
        key[:3]: Standing(row["opened_at"], row["deadline_at"], row["count"], row["reached_at"], row["revoked_at"])
        for key, row in network.landed("milestones").items()
    }
    assert landed == expected
    records = [record for replay in network.replays for record in replay.outbox if record.topic == MILESTONES]
    check_sent([milestones.decode(record.value) for record in records], expected)
