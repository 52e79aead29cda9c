"""The accounting of a partition: what became of every record, by topic."""

from __future__ import annotations

from dataclasses import dataclass, fields

from schemas.topics import READ_TOPICS


@dataclass(slots=True)
class TopicAccount:
    """Records of one topic by outcome, cumulative; ``consumed`` is always the sum of the others."""

    applied: int = 0
    duplicate: int = 0
    late: int = 0
    dead_lettered: int = 0
    misrouted: int = 0
    next_offset: int = 0
    event_clock_ms: int = -1
    consumed: int = 0

    def balanced(self) -> bool:
        """Whether every record consumed has exactly one outcome."""
        return self.consumed == self.outcomes()

    def outcomes(self) -> int:
        """The sum of the five outcomes."""
        return self.applied + self.duplicate + self.late + self.dead_lettered + self.misrouted

    def numbers(self) -> list[int]:
        """The fields in order, for a checkpoint."""
        return [getattr(self, field.name) for field in fields(self)]


OUTCOMES = ("applied", "duplicate", "late", "dead_lettered", "misrouted")


def new_accounts() -> dict[str, TopicAccount]:
    """Empty accounts of all topics that are read."""
    return {topic: TopicAccount() for topic in READ_TOPICS}
