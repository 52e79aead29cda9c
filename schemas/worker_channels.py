"""The topics besides events and dead letters, for the AsyncAPI document: who writes them, by which key."""

from dataclasses import dataclass
from typing import Final, Literal

from schemas.topics import ALERTS, COMMANDS, MILESTONES, REFERRAL_FACTS, TOUCHES


@dataclass(frozen=True)
class WorkerChannel:
    """One topic. `action` is qunpulse's; `payload` names a file in `jsonschema/`, or None until there is one."""

    topic: str
    message: str
    action: Literal["send", "receive"]
    description: str
    key: str
    payload: str | None = None
    cleanup: Literal["delete", "compact"] = "delete"


WORKER_CHANNELS: Final = (
    WorkerChannel(
        REFERRAL_FACTS,
        "referral_fact",
        "send",
        "What became of the referee of an edge. Workers write it for each other; a fact is sent again with a higher "
        "revision when it changes, and the highest revision of a fact_id counts.",
        "campaign_id, so that all facts of a campaign meet with one worker.",
        payload="referral-fact",
    ),
    WorkerChannel(
        COMMANDS,
        "command",
        "receive",
        "What operators say: acknowledge, resolve, mute, forget. `qunpulse alerts` writes it. A repeated command_id "
        "changes nothing.",
        "community_id, so that the worker of the community applies it.",
        payload="command",
    ),
    WorkerChannel(
        ALERTS,
        "alert",
        "send",
        "Every state of every alert; the highest revision of an alert_id counts.",
        "alert_id, so that compaction keeps the newest state of each alert.",
        payload="alert",
        cleanup="compact",
    ),
    WorkerChannel(
        MILESTONES,
        "milestone",
        "send",
        "A campaign's target that a member or a group reached, or no longer reaches; the highest revision counts.",
        "campaign_id.",
        payload="milestone",
    ),
    WorkerChannel(
        TOUCHES,
        "touch",
        "send",
        "What to say to whom next, for tools that talk to members; the highest revision counts.",
        "community_id.",
        payload="touch",
    ),
)
