"""What alerts on communities wait for, as defined: the next event of a feed, an answer, a missing change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NEVER = 1 << 60
Event = dict[str, Any]
Rules = dict[str, Any]


def is_staff(one: Event) -> bool:
    """Whether a message is that of an employee or a bot."""
    return one.get("sender_role", "member") in ("staff", "bot")


@dataclass
class Feed:
    """A connector: heard since ``first`` and ``last``, with its gaps of an hour and more by when they ended (ms)."""

    first: int
    last: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    silent: bool = False

    def hear(self, at: int) -> None:
        """An event came; a gap that was called a silence is no habit."""
        if at - self.last >= HOUR and not self.silent:
            self.gaps.append((at, at - self.last))
        self.silent, self.last = False, at

    def due(self, rules: Rules) -> int:
        """From when on it is silent beyond its habit."""
        known = self.last - self.first >= rules["min_history_days"] * DAY
        return self.last + self._patience(rules) if known else NEVER

    def unusual(self, rules: Rules) -> int:
        """From when on it is quieter than ever, or half way to be called silent."""
        known = self.last - self.first >= rules["min_history_days"] * DAY
        return self.last + max(self._patience(rules) // 2, self._longest()) + 1 if known else NEVER

    def _patience(self, rules: Rules) -> int:
        return max(rules["min_minutes"] * MINUTE, round(rules["factor"] * self._longest()))

    def _longest(self) -> int:
        return max((gap for at, gap in self.gaps if at // DAY > self.last // DAY - 28), default=0)


def due_at(asked: int, rules: Rules) -> int:
    """When a question counts as unanswered where all hours are served."""
    return asked + max(rules["after_minutes"], rules["estimated_minutes"]) * MINUTE


@dataclass
class Question:
    """A member's question, until it is answered or long forgotten."""

    community: str
    member: str
    event_id: str
    asked: int
    due: int
    estimated: bool
    told: bool = False
    opened: bool = False

    def answered_by(self, one: Event, rules: Rules) -> bool:
        """Whether a message of the same or another community answers it."""
        if one["community_id"] != self.community or one["member_id"] == self.member:
            return False
        if one.get("reply_to") == self.event_id or one.get("reply_to_member_id") == self.member:
            return True
        soon = one["at"] <= self.asked + rules["estimated_minutes"] * MINUTE
        return self.estimated and not self.told and soon


@dataclass
class Chain:
    """Changes of a member list as (version before, version after), in the order in which they came."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    broken_at: int = NEVER
    told: bool = False

    @property
    def broken(self) -> bool:
        """Whether, besides the very first, a change began with a version that no change ended with."""
        return len({before for before, _ in self.changes} - {after for _, after in self.changes}) > 1
