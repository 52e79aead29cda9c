"""A consumer group in which one member reads everything and the others stand by.

Digests, limits per channel and the cap per assignee count over all partitions: alerts of one community lie on many of
them, since the topic is keyed by alert. So two agents share no work; the second one takes over when the first is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from kafka import ConsumerRebalanceListener
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

_VERSION: Final = 0
_ACTIVE: Final = b"active"


class SoleMemberAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives every partition to one member, and to the same one for as long as it stays."""

    name = "qunpulse-sole-member"

    def __init__(self) -> None:
        self.active = False

    def assign(self, cluster: Any, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """Assignment by member id."""
        chosen = min((member.metadata.user_data != _ACTIVE, member.member_id) for member in members)[1]
        topics = sorted({topic for member in members for topic in member.metadata.topics})
        everything = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        return {
            member.member_id: ConsumerProtocolAssignment(
                _VERSION, everything if member.member_id == chosen else [], b""
            )
            for member in members
        }

    def metadata(self, topics: Any) -> ConsumerProtocolSubscription:
        """What a member says of itself: its topics, and whether it is the one that delivers."""
        return ConsumerProtocolSubscription(_VERSION, list(topics), _ACTIVE if self.active else b"")

    def on_assignment(self, assignment: Any, generation: int) -> None:
        """Keep whether it is the one."""
        self.active = bool(assignment.partitions())


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Whether this member is the one, and how surely.

    The consumer's own thread, which also sends heartbeats, calls the listener: it only notes what happened.

    `certain` is a lease: a process that was stopped and goes on after another one has taken over must not send what it
    still holds, so nothing is sent unless the membership was seen to be good within the last `seconds`.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.assignor = SoleMemberAssignor()
        self.joined = False
        self.ours = False
        self._seconds = seconds
        self._monotonic = monotonic
        self._seen_at = -float("inf")

    def seen(self) -> None:
        """The membership is good now."""
        self._seen_at = self._monotonic()

    def certain(self) -> bool:
        """Whether this is surely the one that delivers."""
        return self.ours and self._monotonic() - self._seen_at < self._seconds

    def on_partitions_assigned(self, assigned: Any) -> None:
        """The group has agreed."""
        self.joined = True
        self.ours = bool(assigned)
        self._seen_at = self._monotonic()

    def on_partitions_revoked(self, revoked: Any) -> None:
        """The group agrees anew; until then nothing is sent."""
        self.ours = False

    def on_partitions_lost(self, lost: Any) -> None:
        """The group went on without this member."""
        self.ours = False
        self.assignor.active = False
