"""What is judged once a day, from all events of a community up to then."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from tests.oracle.health_waits import DAY, Event, Question, Rules, is_staff

Verdict = tuple[bool, bool]
"""Whether a condition holds enough to go on, and whether it is so far gone that it goes off."""


class Day:
    """A community as it was at a check; ``history`` (ms) is how long it has been known by then.

    ``fallen``: its questions that were found unanswered before.
    """

    def __init__(
        self, rules: dict[str, Rules], mine: list[Event], fallen: list[Question], at: int, history: int
    ) -> None:
        self._rules = rules
        self._mine = mine
        self._fallen = fallen
        self._at = at
        self._history = history
        self._size = len(members(mine))

    def judged(self) -> dict[str, Verdict]:
        """All conditions by kind."""
        return {
            "activity_drop": self._drop(self._rules["activity_drop"]),
            "stalled_growth": self._growth(self._rules["stalled_growth"]),
            "over_promotion": self._promotion(self._rules["over_promotion"]),
            "zombie": self._zombie(self._rules["zombie"]),
        }

    def _last(self, days: int, back: int = 0) -> list[Event]:
        """The events of so many days that end ``back`` days before the check."""
        first, last = self._at - (days + back) * DAY, self._at - back * DAY
        return [one for one in self._mine if first <= one["at"] < last]

    def _count(self, of: Callable[[Event], bool], days: int, back: int = 0) -> int:
        return sum(map(of, self._last(days, back)))

    def _compared(self, back: int) -> tuple[float, float, float]:
        weeks = [self._count(is_active, 1, back + 7 * week) for week in range(1, 5)]
        return self._count(is_active, 1, back), median(weeks), min(weeks)

    def _drop(self, rules: Rules) -> Verdict:
        days = [self._compared(back) for back in range(7)]
        on, off = False, True
        for span, found in {"day": days[:1], "week": days}.items():
            active, expected, lowest = (sum(column) for column in zip(*found, strict=True))
            if expected < rules["min_expected_events"]:
                continue
            on |= active <= rules[f"{span}_share"] * expected and active < lowest
            off &= active >= rules["recovered_share"] * expected
        return on and self._history > rules["min_history_days"] * DAY, off

    def _growth(self, rules: Rules) -> Verdict:
        joins, before = self._count(joined, 28), self._count(joined, 28, 28)
        stalled = before >= rules["min_joins_before"] and joins <= rules["max_share"] * before
        return stalled and self._history > 56 * DAY, 0 < joins >= rules["recovered_share"] * before

    def _promotion(self, rules: Rules) -> Verdict:
        promotions, after = self._count(promotes, 7), self._count(self._follows_one, 7)
        least = max(rules["min_quits_after"], rules["min_quit_share"] * self._size)
        mostly = after >= rules["min_quits_after_share"] * self._count(quits, 7)
        few = promotions < rules["recovered_factor"] * rules["max_promotions_7d"]
        much = promotions >= rules["max_promotions_7d"] and after >= least and mostly
        return much, few or after < rules["recovered_factor"] * least

    def _follows_one(self, one: Event) -> bool:
        """Whether somebody left within 24 hours of a promotion."""
        return quits(one) and any(promotes(ad) and one["at"] - DAY < ad["at"] <= one["at"] for ad in self._mine)

    def _zombie(self, rules: Rules) -> Verdict:
        said = [one for one in self._last(30) if one["event_type"] == "message"]
        asked = [one for one in said if one.get("is_question") and not is_staff(one)]
        fallen = [one for one in self._fallen if self._at - 30 * DAY <= one.asked < self._at]
        promoted, unanswered = sum(map(promotes, said)) / max(len(said), 1), len(fallen) / max(len(asked), 1)
        bad = len(said) >= rules["min_messages"] and promoted >= rules["min_promotion_share"]
        bad |= len(asked) >= rules["min_questions"] and unanswered >= rules["min_unanswered_share"]
        speakers = len({one["member_id"] for one in said if not is_staff(one)}) / max(self._size, 1)
        dead = bad and self._size >= rules["min_members"] and self._history > 30 * DAY
        alive = speakers > rules["max_speaker_share"] * rules["recovered_factor"]
        return dead and speakers <= rules["max_speaker_share"], not bad or alive


def members(mine: list[Event]) -> set[str]:
    """Who was seen and has not left since."""
    inside: set[str] = set()
    for one in mine:
        if one.get("action") in ("left", "removed", "gone"):
            inside.discard(one["member_id"])
        else:
            inside.add(one["member_id"])
    return inside


def is_active(one: Event) -> bool:
    """A message of somebody who is not staff."""
    return one["event_type"] == "message" and not is_staff(one)


def promotes(one: Event) -> bool:
    """A promotion, whoever posts it."""
    return one["event_type"] == "message" and bool(one.get("is_promotion"))


def joined(one: Event) -> bool:
    """A member joined."""
    return one.get("action") == "joined"


def quits(one: Event) -> bool:
    """A member left of its own accord."""
    return one.get("action") == "left"
