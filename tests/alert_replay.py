"""Feeds driven through a partition that runs the alerts, and the alerts that land."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.alerts import CommandRecord, encode
from schemas.topics import COMMANDS
from streams.operators.churn import ChurnProgram
from streams.rules_model import Rules
from tests.batches import DAY_MS, HOUR_MS, Event, Replay, event

START_MS = 19_800 * DAY_MS  # a Monday at midnight, UTC
CIRCLE = "wecom:上海读书会"
ALERT_KEYS = {"alerts": ("alert_id",), "alert_mutes": ("mute_id",), "alert_verdicts": ("alert_id", "issued_by"),
              "alert_feeds": ("feed", "partition")}  # fmt: skip


def alert_replay(rules: dict[str, Any] | None = None, replay: bool = False, **settings: Any) -> Replay:
    """A partition with the alert program; ``rules`` as in a rules file, ``replay``: of history."""
    current = Rules.model_validate(rules or {})
    return Replay(
        programs_of=lambda context: [ChurnProgram(context, lambda: current, replay=replay)], keys=ALERT_KEYS, **settings
    )


def at(day: float, hour: float = 12) -> int:
    """The time of an hour on a day since START_MS."""
    return START_MS + round(day * DAY_MS) + round(hour * HOUR_MS)


def says(member: str, day: float, hour: float = 12, community: str = CIRCLE, **fields: Any) -> Event:
    """A message of a member."""
    time_ms = at(day, hour)
    return event("message", f"{member}-{time_ms}", time_ms, community, member_id=member, **fields)


def buys(member: str, day: float, order: str = "", community: str = CIRCLE, **fields: Any) -> Event:
    """An order of a member."""
    time_ms = at(day)
    name = order or f"o-{member}-{time_ms}"
    return event(
        "order", f"{name}-{fields.get('status', 'paid')}", time_ms, community, member_id=member, order_id=name, **fields
    )


def moves(member: str, day: float, action: str, community: str = CIRCLE, **fields: Any) -> Event:
    """A member joins or leaves."""
    time_ms = at(day)
    return event("join", f"{member}-{action}-{time_ms}", time_ms, community, member_id=member, action=action, **fields)


def command(action: str, command_id: str, day: float, **fields: Any) -> bytes:
    """The value of a command record."""
    return encode(
        CommandRecord(
            **{
                "command_id": command_id,
                "community_id": CIRCLE,
                "issued_at": at(day),
                "issued_by": "王芳",
                "action": action,
            }
            | fields
        )
    )


def tell(replay: Replay, *values: bytes) -> None:
    """Send commands and have them applied."""
    for value in values:
        replay.send_record(COMMANDS, CIRCLE.encode(), value)
    replay.fetch(COMMANDS, len(values))
    while replay.partition.waiting:
        replay.apply()


def run(replay: Replay, events: Iterable[Event], now: float | None = None) -> None:
    """Send events in the order of their times, apply them, and flush.

    With ``now`` (days since START_MS) time then passes day by day until then, as for a worker that is running.
    """
    replay.send(*sorted(events, key=lambda one: str(one["occurred_at"])))
    replay.drain()
    replay.flush()
    if now is not None:
        for reference_ms in range(replay.partition.reference_ms, at(now, 0), DAY_MS):
            replay.flush(reference_ms)
        replay.flush(at(now, 0))


def alerts(replay: Replay, *kinds: str) -> list[dict[str, Any]]:
    """The landed alerts of some kinds (all when none is named), by opening time."""
    found = [row for row in replay.rows("alerts") if not kinds or row["kind"] in kinds]
    return sorted(found, key=lambda row: (row["opened_at"], row["alert_id"]))
