"""What becomes of each record: applied, duplicate, late or conflicting — one record after the other."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from tests.oracle.reading import milliseconds

Verdict = Literal["applied", "duplicate", "late", "conflicting"]
Event = dict[str, Any]


def actor_of(event: Event) -> str:
    """The member who did it; of a referral, the one who referred."""
    return str(event["referrer_id"] if event["event_type"] == "referral" else event["member_id"])


def judge(events: Iterable[tuple[str, Event]], lateness_ms: int | None) -> list[tuple[Verdict, int]]:
    """The verdict and the time in ms of every record, in the order they are applied.

    With `lateness_ms` None nothing is ever late and every id is remembered for ever.
    """
    clocks: dict[str, int] = {}
    seen: dict[tuple[str, str, str], tuple[int, str]] = {}
    verdicts: list[tuple[Verdict, int]] = []
    for topic, event in events:
        at, community = milliseconds(event["occurred_at"]), event["community_id"]
        key = (topic, community, event["event_id"])
        horizon = None
        if lateness_ms is not None and event["event_type"] != "referral" and community in clocks:
            horizon = clocks[community] - lateness_ms
        known = seen.get(key)
        if known is not None and horizon is not None and known[0] < horizon:
            known = None  # forgotten
        verdict: Verdict
        if known is not None:
            verdict = "duplicate" if known == (at, actor_of(event)) else "conflicting"
        elif horizon is not None and at < horizon:
            verdict = "late"
        else:
            verdict = "applied"
            seen[key] = (at, actor_of(event))
            clocks[community] = max(clocks.get(community, at), at)
        verdicts.append((verdict, at))
    return verdicts


def accounting(events: Iterable[tuple[str, Event]], verdicts: Iterable[tuple[Verdict, int]]) -> dict[str, Counter[str]]:
    """Per topic how many records met which end."""
    counts: dict[str, Counter[str]] = {}
    ends = Counter((topic, verdict) for (topic, _), (verdict, _) in zip(events, verdicts, strict=True))
    for (topic, verdict), count in ends.items():
        counts.setdefault(topic, Counter())[verdict] = count
    return counts
