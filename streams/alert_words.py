"""Alerts in words: what each kind means, and evidence figures as a person would say them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from schemas.alerts import AlertKind, EvidenceValue

TITLES: Final[dict[AlertKind, str]] = {
    "silent": "member fell silent",
    "lapsed_buyer": "buyer is about to be lost",
    "left": "member left",
    "activity_drop": "activity has dropped",
    "exodus": "many members are leaving",
    "zombie": "hardly anybody speaks",
    "over_promotion": "too much promotion",
    "stalled_growth": "growth has stalled",
    "unanswered": "question without an answer",
    "rule_violation": "group rules broken",
    "resync_needed": "member list is out of step",
    "feed_silent": "feed fell silent",
}

MEANINGS: Final[dict[AlertKind, str]] = {
    "silent": "The member has been away for much longer than they usually are between two active days.",
    "lapsed_buyer": "By their own buying rhythm, the chance that this buyer comes back has become small.",
    "left": "The member left the last community of the platform that is watched here.",
    "activity_drop": "The community is far less active than in the same span of its previous weeks.",
    "exodus": "Far more members leave of their own accord than usual.",
    "zombie": "Few members speak, and much of what is said is promotion.",
    "over_promotion": "Members get much promotion, and leave after it.",
    "stalled_growth": "The community has all but stopped gaining members, though there is room.",
    "unanswered": "A member's question has not been answered within service hours.",
    "rule_violation": "Someone floods the group, or posts links or promotions without being staff.",
    "resync_needed": "Changes of the member list are missing; its size is uncertain until a complete snapshot comes.",
    "feed_silent": "Nothing has come from this feed for far longer than usual; alerts on silence are held back.",
}

# A figure's name ends in its unit; what stands before the unit is its subject.
_UNITS: Final = (
    ("_days", "days"),
    ("_hours", "hours"),
    ("_minutes", "minutes"),
    ("_seconds", "seconds"),
    ("_share", "share"),
    ("_ratio", "ratio"),
    ("_probability", "probability"),
    ("_percent", "percent"),
    ("_minor", "minor"),
    ("_at", "at"),
    ("_ms", "at"),
)
_SHORT: Final = {"p": "probability", "n": "number"}


def explain(evidence: Mapping[str, EvidenceValue], timezone: str = "UTC") -> list[tuple[str, str]]:
    """Each figure as (what it is, the figure with its unit), in the order given."""
    return [_figure(name, value, timezone) for name, value in evidence.items()]


def moment(ms: int, timezone: str = "UTC") -> str:
    """A time for people: date and minute in the zone, and the zone's name."""
    return f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)):%Y-%m-%d %H:%M} {timezone}"


def _figure(name: str, value: EvidenceValue, timezone: str) -> tuple[str, str]:
    stem, unit = next(
        ((name.removesuffix(ending), unit) for ending, unit in _UNITS if name.endswith(ending) and name != ending),
        (name, ""),
    )
    subject = " ".join(_SHORT.get(word, word) for word in stem.split("_") if word)
    if value is None:
        return subject, "not known"
    if isinstance(value, bool):
        return subject, "yes" if value else "no"
    if isinstance(value, str):
        return subject, value
    if unit == "at" and value > 10**11:  # ms since 1970; a smaller number is no time of ours
        return subject, moment(int(value), timezone)
    if unit in ("share", "probability") and 0 <= value <= 1:
        return f"{subject} {unit}".strip(), f"{100 * value:.1f} %"
    if unit == "percent":
        return subject, f"{_number(value)} %"
    if unit == "minor":
        return subject, f"{_number(value)} minor units"
    if unit == "ratio":
        return f"{subject} ratio", _number(value)
    return subject, f"{_number(value)} {_singular(unit, value)}".strip()


def _number(value: float) -> str:
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _singular(unit: str, value: float) -> str:
    return unit.removesuffix("s") if value == 1 else unit
