"""Kafka: does it answer, are the topics as they must be, is anything gone before it was read, what is its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from schemas.topics import READ_TOPICS, TopicSpec, topic_specs
from streams.accounts import Books
from streams.doctor.findings import Finding, ok, skipped, warning, wrong
from streams.kafka_cluster import KafkaCluster, Span, TopicState
from streams.settings import Settings

ALLOWED_SKEW_SECONDS = 2.0
"""A future `occurred_at` is measured against the broker's clock, silence against ours: they must agree by so much."""
_GROUP_AT_WORK = frozenset({"Stable", "PreparingRebalance", "CompletingRebalance"})


def look_at_topics(cluster: KafkaCluster, settings: Settings) -> Iterable[Finding]:
    """A line for each topic: there, partitions, replicas in sync, retention and the other settings."""
    specs = topic_specs(settings.partitions)
    states = cluster.topic_states(spec.name for spec in specs)
    for spec in specs:
        yield _judge_topic(spec, states.get(spec.name))


def _judge_topic(spec: TopicSpec, state: TopicState | None) -> Finding:
    check = f"topic {spec.name}"
    if state is None:
        return wrong(check, "it does not exist", "create the topics with `qunpulse topics apply`")
    if state.partitions != spec.partitions:
        return wrong(
            check,
            f"it has {state.partitions} partitions, the setting `partitions` says {spec.partitions}",
            f"set QUNPULSE_PARTITIONS={state.partitions} if all topics have so many; a topic with another count than "
            "the others must be made anew",
        )
    differing = [
        f"{name} is {state.config.get(name, 'not set')} instead of {value}"
        for name, value in spec.config.items()
        if state.config.get(name) != value
    ]
    if differing:
        return wrong(check, ", ".join(differing), "`qunpulse topics apply` sets it right")
    if state.leaderless:
        return wrong(
            check,
            f"partitions {_listed(state.leaderless)} have no leader: nobody can read or write them",
            "start the brokers that are down",
        )
    if state.out_of_sync:
        return warning(
            check,
            f"partitions {_listed(state.out_of_sync)} have replicas that are not in sync",
            "look at the brokers: one is down or cannot keep up; another failure would lose records",
        )
    return ok(check, f"{state.partitions} partitions, {_described(spec.config)}")


def look_at_retention(books: Books, spans: Mapping[tuple[str, int], Span]) -> Finding:
    """Whether Kafka has deleted records that no worker has read."""
    lost = {
        place: span.begin - books[place].next_offset
        for place, span in sorted(spans.items())
        if place in books and books[place].next_offset < span.begin
    }
    if not lost:
        return ok("unread records", "Kafka still has every record that is not landed")
    where = ", ".join(f"{count:,} of {topic} partition {partition}" for (topic, partition), count in lost.items())
    return wrong(
        "unread records",
        f"Kafka deleted records before they were read: {where}",
        "raise retention.ms or start more workers, then feed the missing time again; workers go on behind the gap",
    )


def look_at_clock(cluster: KafkaCluster, now: Callable[[], float] = time.time) -> Finding:
    """The newest append time that a broker wrote: one that is still to come shows that its clock is ahead of ours."""
    newest_ms = cluster.newest_append_ms(READ_TOPICS)
    if newest_ms is None:
        return skipped("clock of Kafka", "no record yet whose append time could be compared")
    ahead = newest_ms / 1000 - now()
    if ahead > ALLOWED_SKEW_SECONDS:
        return wrong(
            "clock of Kafka",
            f"its newest record was appended {ahead:.1f} s in the future of this machine",
            "synchronise the clocks (NTP) of the brokers and of this machine",
        )
    return ok("clock of Kafka", f"its newest record was appended {_ago(-ahead)} ago, not in the future")


def look_at_group(cluster: KafkaCluster, settings: Settings) -> tuple[Finding, int]:
    """Whether workers are at work in the consumer group, and how many."""
    state, members = cluster.group(settings.group_id)
    if state in _GROUP_AT_WORK and members:
        return ok("workers", f"{members} in the consumer group {settings.group_id}"), members
    return (
        warning(
            "workers",
            f"nobody is in the consumer group {settings.group_id}",
            "start one with `qunpulse worker`; until then events wait in Kafka",
        ),
        0,
    )


def _described(config: Mapping[str, str]) -> str:
    parts = []
    for name, value in config.items():
        parts.append(f"kept {int(value) // 86_400_000} days" if name == "retention.ms" else f"{name} {value}")
    return ", ".join(parts)


def _listed(partitions: Iterable[int]) -> str:
    return ", ".join(str(partition) for partition in sorted(partitions))


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
