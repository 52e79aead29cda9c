"""What an alert says: one plain sentence with its figures, and what to do. No names of people, ever."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from schemas.alerts import AlertKind
from streams.rules_churn import Tier

_EPOCH = date(1970, 1, 1)

_ACTIONS: dict[tuple[AlertKind, Tier], str] = {
    ("silent", "ordinary"): "Nothing personal needed: mention a topic they took part in when it comes up again.",
    ("silent", "active"): "Invite them to a topic they used to take part in.",
    ("silent", "key_opinion"): "Ask them for their opinion on something concrete, in private.",
    ("silent", "high_value"): "Let their own adviser write to them in private, one to one.",
    ("lapsed_buyer", "ordinary"): "Send an offer that fits what they bought.",
    ("lapsed_buyer", "active"): "Send an offer that fits what they bought, and invite them to a topic about it.",
    ("lapsed_buyer", "key_opinion"): "Offer them an early look at something new, in private.",
    ("lapsed_buyer", "high_value"): "Let their own adviser write to them in private with an offer of their own.",
    ("left", "ordinary"): "Look at what was posted before they left; write only if they had bought.",
    ("left", "active"): "Ask in private what made them leave; offer a group that fits better.",
    ("left", "key_opinion"): "Call or write in private today: others follow them.",
    ("left", "high_value"): "Let their own adviser call or write in private today.",
}


_HEALTH_ACTIONS: dict[AlertKind, str] = {
    "activity_drop": "Ask the regulars in private what changed; open a topic that worked before.",
    "exodus": "Look at what was posted before they left; stop promotions for now and ask some of them why.",
    "zombie": "Stop promotions, talk with the few who still speak, or merge the community into another.",
    "over_promotion": "Post fewer promotions this week, and something of use in between.",
    "stalled_growth": "Look at where members came from before, and open that source again.",
    "unanswered": "Answer the question, or say who will.",
    "rule_violation": "Look at the messages; remind the member of the rules, or remove what breaks them.",
    "resync_needed": "Have the connector send a complete member list.",
    "feed_silent": "Look at the connector and its login; alerts on silence wait until it is back.",
}


def health_action(kind: AlertKind) -> str:
    """What to do about an alert on a community or feed."""
    return _HEALTH_ACTIONS[kind]


def suggested_action(kind: AlertKind, tier: Tier) -> str:
    """What to do about an alert on a member of a tier."""
    return _ACTIONS[kind, tier]


def day_text(day: int) -> str:
    """A day since 1970-01-01 as people write it."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def time_text(time_ms: int) -> str:
    """A time, UTC, to the minute."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def days_text(days: float) -> str:
    """`1 day`, `2.5 days`."""
    return f"{days:g} day" + ("" if days == 1 else "s")


def silent_reason(last_day: int, active_days_30: int, typical: float, longest: int, silent: int, chance: float) -> str:
    """Why a member's silence is worth an alert."""
    return (
        f"Was active on {days_text(active_days_30)} of the 30 up to {day_text(last_day)}, usually every "
        f"{days_text(typical)} and never more than {days_text(longest)} apart lately; silent for {days_text(silent)} "
        f"now. Of members like this, {round(chance * 100)} of 100 then stayed away for another 30 days."
    )


def lapsed_reason(orders: int, last_day: int, silent: float, usual: float | None, alive: float) -> str:
    """Why a buyer is taken for lapsed."""
    habit = f", usually every {days_text(round(usual, 1))}" if usual is not None else ""
    times = "once" if orders == 1 else f"on {orders} days"
    return (
        f"Bought {times}{habit}, last on {day_text(last_day)}, which is {days_text(round(silent))} ago; the chance of "
        f"still being a customer is {round(alive * 100)} in 100."
    )


def left_reason(left_ms: int, gone: bool, member_days: int | None, last_one: bool) -> str:
    """Why somebody is reported as having left."""
    how = "Was gone" if gone else "Left"
    stay = f" after {days_text(member_days)}" if member_days is not None else ""
    where = "; it was the last community of the platform seen here" if last_one else ""
    return f"{how} on {time_text(left_ms)}{stay}{where}."


def span_text(milliseconds: float) -> str:
    """A length of time as people say it: `45 minutes`, `7 hours`, `3 days`."""
    minutes = milliseconds / 60_000
    if minutes < 120:
        return f"{round(minutes)} minutes"
    return f"{round(minutes / 60)} hours" if minutes < 48 * 60 else f"{round(minutes / 1440)} days"


def percent_text(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %"


def feed_reason(feed: str, last_ms: int, silent_ms: int, longest_ms: int) -> str:
    """Why a feed is taken for down."""
    usual = (
        f"its longest gap in four weeks was {span_text(longest_ms)}" if longest_ms else "it never paused for an hour"
    )
    return f"Nothing has come from {feed} since {time_text(last_ms)}, for {span_text(silent_ms)}; {usual}."


def drop_reason(day: float, usual_day: float, week: float, usual_week: float) -> str:
    """Why a community is taken for much less active."""
    return (
        f"{day:g} messages and interactions in 24 hours where such a day usually has {usual_day:g}, "
        f"{week:g} in seven days instead of {usual_week:g}; less than in any of the four weeks before."
    )


def exodus_reason(leaves: int, members: int, usual: float, promotions: int) -> str:
    """Why leaving is taken for an exodus; ``promotions`` of two days, 0 when none was in the last 24 hours."""
    several = "s" if promotions > 1 else ""
    why = f"It follows {promotions} promotion{several} of two days" if promotions else "No promotion went before it"
    return (
        f"{leaves} of {members} members left of their own accord within 24 hours; "
        f"a usual day of the four weeks before had {usual:.1f}. {why}"
    )


def zombie_reason(speakers: int, members: int, promotion_share: float | None, unanswered_share: float | None) -> str:
    """Why a community is taken for dead."""
    parts = [f"{speakers} of {members} members spoke in 30 days"]
    if promotion_share is not None:
        parts.append(f"{percent_text(promotion_share)} of the messages were promotions")
    if unanswered_share is not None:
        parts.append(f"{percent_text(unanswered_share)} of the questions got no answer")
    return "; ".join(parts) + "."


def promotion_reason(promotions: int, quits_after: int, quits: int, members: int) -> str:
    """Why promotions are taken for too many."""
    return (
        f"Every member got {promotions} promotions in seven days, and {quits_after} of the {quits} who left in them "
        f"did so within 24 hours of one; the community has {members} members."
    )


def growth_reason(joins: int, before: int) -> str:
    """Why growth is taken for stalled."""
    return f"{joins} joined in the last 28 days, {before} in the 28 days before."


def unanswered_reason(asked_ms: int, minutes: int, estimated: bool) -> str:
    """Why a question is taken for unanswered."""
    guess = " (estimated: this feed does not say what is a reply)" if estimated else ""
    return f"A question asked on {time_text(asked_ms)} got no answer in {minutes} minutes of service{guess}."


def violation_reason(what: str, count: int) -> str:
    """Which rule was broken."""
    span = "one minute" if what == "messages" else "24 hours"
    return f"{count} {what} within {span} by one member who is not staff."


def resync_reason(since_ms: int) -> str:
    """Why the member list is out of step."""
    return f"A change of the member list is missing since {time_text(since_ms)}; its size is uncertain."
