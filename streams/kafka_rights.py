"""What each of our Kafka users must be allowed, and nothing more: one list for ACLs, start-up checks and tests.

| user       | runs                                                                                   |
|------------|----------------------------------------------------------------------------------------|
| `worker`   | `qunpulse worker`                                                                      |
| `feeder`   | `qunpulse feed`, and any connector that writes events                                   |
| `deliver`  | `qunpulse alerts deliver`                                                              |
| `operator` | `qunpulse alerts ack`, `mute`, …, `qunpulse deadletters replay`, `qunpulse status`      |
| `admin`    | `qunpulse topics apply`, `qunpulse doctor`                                             |

READ and WRITE of a topic include DESCRIBE, as READ of a group does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.topics import ALERTS, COMMANDS, DEADLETTERS, EVENT_TOPICS, OUTBOX_TOPICS, READ_TOPICS, topic_specs

Role = Literal["worker", "feeder", "deliver", "operator", "admin"]
Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]

ROLES: Final[tuple[Role, ...]] = ("worker", "feeder", "deliver", "operator", "admin")


@dataclass(frozen=True, order=True)
class Right:
    """`operation` on the topic or consumer group of exactly this name."""

    resource: Literal["topic", "group"]
    name: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}"


def delivery_group(group_id: str) -> str:
    """Consumer group of the process that delivers alerts, beside the workers' `group_id`."""
    return f"{group_id}-alert-delivery"


def rights_of(role: Role, group_id: str) -> list[Right]:
    """Everything that a role needs, in the order of a listing."""
    every_topic = [spec.name for spec in topic_specs(1)]
    rights: list[Right] = []
    match role:
        case "worker":
            rights += _topics(READ_TOPICS, "READ")
            # Misrouted records go to the event topic they came from, refused ones to the dead letters.
            rights += _topics(dict.fromkeys((*EVENT_TOPICS, *OUTBOX_TOPICS, DEADLETTERS)), "WRITE")
            rights += [Right("group", group_id, "READ")]
        case "feeder":
            rights += _topics(EVENT_TOPICS, "WRITE")
        case "deliver":
            rights += [*_topics((ALERTS,), "READ"), Right("group", delivery_group(group_id), "READ")]
        case "operator":
            rights += _topics((*EVENT_TOPICS, COMMANDS), "WRITE")
            rights += _topics([topic for topic in READ_TOPICS if topic not in (*EVENT_TOPICS, COMMANDS)], "DESCRIBE")
        case "admin":
            for operation in ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"):
                rights += _topics(every_topic, operation)
            rights += [Right("group", group_id, "DESCRIBE")]  # the doctor looks whether workers are at work
    return sorted(rights)


def _topics(names: Sequence[str] | dict[str, None], operation: Operation) -> list[Right]:
    return [Right("topic", name, operation) for name in names]
