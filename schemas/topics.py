"""The topics events travel on, and the settings each needs at the broker.

Every topic that carries events of a community is keyed by `community_id` and has the same number of partitions, so
that one community's events of all kinds meet on the same partition number, with the same worker.
"""

from dataclasses import dataclass, field
from typing import Final

from schemas.vocabulary import EventType

MESSAGES: Final = "community.messages.v1"
JOINS: Final = "community.joins.v1"
ORDERS: Final = "community.orders.v1"
REFERRALS: Final = "community.referrals.v1"
EVENT_TOPICS: Final[tuple[str, ...]] = (MESSAGES, JOINS, ORDERS, REFERRALS)

DEADLETTERS: Final = "community.deadletter.v1"
REFERRAL_FACTS: Final = "community.referral-facts.v1"
ALERTS: Final = "community.alerts.v1"
COMMANDS: Final = "community.commands.v1"
MILESTONES: Final = "community.milestones.v1"
TOUCHES: Final = "community.touches.v1"
SIDE_TOPICS: Final[tuple[str, ...]] = (REFERRAL_FACTS, COMMANDS)
"""Read beside the events by the owner of the same partition number, in arrival order instead of by event time."""
READ_TOPICS: Final[tuple[str, ...]] = EVENT_TOPICS + SIDE_TOPICS
OUTBOX_TOPICS: Final[tuple[str, ...]] = (REFERRAL_FACTS, ALERTS, MILESTONES, TOUCHES)
"""Written by workers, after the checkpoint that decided on the record."""

TOPIC_OF: Final[dict[EventType, str]] = {
    "message": MESSAGES,
    "join": JOINS,
    "order": ORDERS,
    "referral": REFERRALS,
}
TYPE_OF: Final[dict[str, EventType]] = {topic: event_type for event_type, topic in TOPIC_OF.items()}

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class TopicSpec:
    """What a topic must look like at the broker; `config` holds Kafka's own setting names and texts."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def topic_specs(partitions: int) -> list[TopicSpec]:
    """The topics a deployment needs, all with `partitions` partitions (co-partitioning rests on that)."""
    if partitions < 1:
        raise ValueError(f"a topic needs at least one partition, not {partitions}")
    event_config = {
        # A future `occurred_at` is measured against the broker's clock; the producer's own would agree with it.
        "message.timestamp.type": "LogAppendTime",
        # Retention counts from the append, so imported history stays as long as live events do: long enough to
        # rebuild a season, short enough to forget.
        "retention.ms": str(90 * _DAY_MS),
        "cleanup.policy": "delete",
    }
    dead_letter_config = {
        # The append time is when it was found bad; the time of the original record rides in a header.
        "message.timestamp.type": "LogAppendTime",
        # Longer than the events: somebody has to find, understand and replay them.
        "retention.ms": str(365 * _DAY_MS),
        "cleanup.policy": "delete",
        # A dead letter is its record plus headers; under the limit of the event topics the largest would not fit.
        "max.message.bytes": str(2 * 1024 * 1024),
    }
    configs = dict.fromkeys(EVENT_TOPICS, event_config)
    configs[DEADLETTERS] = dead_letter_config
    # As long as the events they are made of: a rebuild reads both from their beginnings and makes the facts anew.
    configs[REFERRAL_FACTS] = event_config
    # What an operator once said (a mute, a verdict) cannot be made anew from anything else.
    configs[COMMANDS] = event_config | {"retention.ms": str(365 * _DAY_MS)}
    configs[ALERTS] = {
        "message.timestamp.type": "LogAppendTime",
        # Keyed by alert: the newest state of each is kept for ever, so that a reader that starts anew learns what is
        # open. A day passes first, in which a reader that was away still meets every state.
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(_DAY_MS),
    }
    # A reward or a shop's system may be down for weeks; the rows in ClickHouse stay.
    configs[MILESTONES] = event_config
    configs[TOUCHES] = event_config
    return [TopicSpec(topic, partitions, dict(config)) for topic, config in configs.items()]
