"""Facts, landed forest, ledger and money equal the offline rebuild, whatever arrives when and whoever dies."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.referral_network import (
    Network,
    check_sent_facts,
    differences,
    made_up_feed,
    made_up_rules,
    oracle_of,
)

COUNTS, SEEDS, PARTITIONS = st.sampled_from([3, 8, 20, 60]), st.integers(0, 2**32), st.integers(1, 3)


def late(network: Network) -> int:
    """Events that came too late; the feeds are made to have none."""
    return sum(account.late for replay in network.replays for account in replay.partition.accounts.values())


@settings(max_examples=30, deadline=None)
@given(COUNTS, SEEDS, PARTITIONS)
def test_the_ledger_is_a_function_of_the_applied_events(count: int, seed: int, partitions: int) -> None:
    chance = random.Random(seed)
    rules, campaigns = made_up_rules(chance)
    network = Network(partitions, rules, batch_max_records=chance.choice([1, 7, 1000]))
    feed = made_up_feed(chance, count)
    network.send(feed)
    for _ in range(chance.randrange(12)):
        replay = chance.choice(network.replays)
        for topic in chance.sample(list(replay.topics), 3):
            replay.fetch(topic, chance.randint(1, 20))
        replay.apply()
        if chance.random() < 0.5:
            replay.flush()
            network.deliver(chance)
    network.settle()
    assert late(network) == 0
    assert differences(network, oracle_of(network, feed, campaigns)) == []
    check_sent_facts(network, feed, campaigns)


@settings(max_examples=15, deadline=None)
@given(COUNTS, SEEDS, PARTITIONS)
def test_the_ledger_does_not_show_who_died_on_the_way(count: int, seed: int, partitions: int) -> None:
    chance = random.Random(seed)
    rules, campaigns = made_up_rules(chance)
    network = Network(partitions, rules, batch_max_records=chance.choice([1, 7, 1000]))
    feed = made_up_feed(chance, count)
    network.send(feed)
    for _ in range(chance.randrange(4, 20)):
        replay = chance.choice(network.replays)
        for topic in chance.sample(list(replay.topics), 3):
            replay.fetch(topic, chance.randint(1, 20))
        replay.apply()
        if chance.random() < 0.5:
            network.flush(replay, chance)
    network.settle()
    oracle = oracle_of(network, feed, campaigns)
    assert differences(network, oracle) == []
    check_sent_facts(network, feed, campaigns)
    for replay in network.replays:
        replay.restart()
    network.settle()
    assert differences(network, oracle) == []
