"""Messages and interactions: most of what happens."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.simulation.happenings import Happenings
from streams.simulation.lives import Lives
from streams.simulation.moments import moments, written
from streams.simulation.plan import Plan

# Kinds and their shares, for members, for those who promote things, and for staff and bots.
_KINDS: Final = (
    "text", "image", "sticker", "link", "audio", "video", "file", "mini_program", "share", "poll", "hologram",
    "reaction", "check_in", "vote", "red_packet", "click", "coupon_claim", "lottery", "survey", "live_view", "attend",
)  # fmt: skip
_HABITS: Final = {
    "member": (
        690, 70, 60, 18, 15, 8, 3, 6, 6, 2, 1,
        60, 25, 10, 8, 6, 4, 2, 2, 3, 1,
    ),
    "promoter": (
        350, 60, 20, 300, 5, 20, 1, 120, 80, 1, 0,
        20, 5, 2, 6, 5, 3, 1, 1, 0, 0,
    ),
    "staff": (
        600, 90, 10, 120, 10, 20, 15, 80, 20, 12, 0,
        20, 2, 0, 1, 0, 0, 0, 0, 0, 0,
    ),
}  # fmt: skip
_FIRST_INTERACTION: Final = _KINDS.index("reaction")
_REPLIES: Final = 0.22
_QUESTIONS: Final = 0.09
_PROMOTES: Final = {"member": 0.004, "promoter": 0.45, "staff": 0.2}
_LABELS: Final = (["投诉"], ["求助"], ["question", "delivery"])


def talk_weights(lives: Lives, hours: float) -> NDArray[np.float64]:
    """How many messages each life gets, relative to the others'."""
    return lives.talk * np.maximum(lives.until(hours) - lives.joined, 0.0)


def add_chatter(happenings: Happenings, lives: Lives, counts: NDArray[np.int64], plan: Plan) -> None:
    """`counts` messages of each life, spread over it."""
    community = happenings.community
    chance = plan.chance(6, community.number)
    total = int(counts.sum())
    if not total:
        return
    rows = np.repeat(np.arange(len(lives)), counts)
    until = lives.until(float(community.clock.hours))
    own = lives.joined[rows] + chance.random(total) * (until - lives.joined)[rows]
    order = np.argsort(own, kind="stable")
    rows, own = rows[order], own[order]
    at_ms = moments(community, own)

    habits = [_habit(role, promoter) for role, promoter in zip(lives.roles, lives.promoter.tolist(), strict=True)]
    kinds = _kinds_of([habits[row] for row in rows.tolist()], chance)
    interaction = kinds >= _FIRST_INTERACTION
    speech = kinds == 0
    back = np.minimum(chance.geometric(0.35, total), np.arange(total))  # how many messages ago: mostly the last ones
    answers = (back > 0) & np.where(interaction, kinds == _FIRST_INTERACTION, chance.random(total) < _REPLIES)
    lengths = np.where(speech, np.minimum(chance.lognormal(2.9, 1.0, total) + 1, 4000), 0).astype(np.int64)
    mentions = np.where(~interaction, chance.poisson(0.08, total), 0)
    asks = speech & (chance.random(total) < _QUESTIONS)
    promotes = chance.random(total) < np.array([_PROMOTES[habit] for habit in habits])[rows]
    labelled = np.where(speech & (chance.random(total) < 0.006), chance.integers(0, len(_LABELS), total), -1)
    numbers = chance.integers(1, 6, total)

    first = len(happenings.events)
    prefix = f"{plan.run}{community.number}-m"
    knows_questions = community.platform.knows_questions
    columns = zip(
        at_ms.tolist(), written(community, at_ms), rows.tolist(), kinds.tolist(), lengths.tolist(), mentions.tolist(),
        answers.tolist(), back.tolist(), asks.tolist(), promotes.tolist(), labelled.tolist(), numbers.tolist(),
        strict=True,
    )  # fmt: skip
    row_list = rows.tolist()
    common = {"community_id": community.community_id, "platform": community.platform.name}
    for i, (at, text, row, kind, length, named, answer, ago, ask, promote, label, number) in enumerate(columns):
        event: dict[str, Any] = {
            "event_id": f"{prefix}{first + i}",
            "event_type": "message",
            "schema_version": 1,
            "occurred_at": text,
            **common,
            "member_id": lives.member_ids[row],
            "kind": _KINDS[kind],
        }
        role = lives.roles[row]
        if role != "member":
            event["sender_role"] = role
        if length:
            event["char_count"] = length
            if knows_questions:
                event["is_question"] = ask
        if named:
            event["mentions"] = named
        if answer:
            event["reply_to"] = f"{prefix}{first + i - ago}"
            event["reply_to_member_id"] = lives.member_ids[row_list[i - ago]]
        if promote:
            event["is_promotion"] = True
        if label >= 0:
            event["labels"] = _LABELS[label]
        if kind > _FIRST_INTERACTION:
            _detail(event, number)
        happenings.at_ms.append(at)
        happenings.events.append(event)


def _habit(role: str, promoter: bool) -> str:
    if role in ("staff", "bot"):
        return "staff"
    return "promoter" if promoter else "member"


def _kinds_of(habits: list[str], chance: np.random.Generator) -> NDArray[np.int64]:
    draws = chance.random(len(habits))
    names = np.array(habits)
    kinds = np.zeros(len(habits), np.int64)
    for habit, shares in _HABITS.items():
        here = names == habit
        bounds = np.cumsum(shares) / sum(shares)
        kinds[here] = np.minimum(np.searchsorted(bounds, draws[here], side="right"), len(_KINDS) - 1)
    return kinds


def _detail(event: dict[str, Any], number: int) -> None:
    """What an interaction is about, where there is something."""
    kind = event["kind"]
    if kind in ("vote", "lottery", "attend", "live_view", "coupon_claim", "survey"):
        event["object_id"] = f"{kind}-{number}"
    if kind == "survey":
        event["value"] = float(number)
    elif kind == "live_view":
        event["value"] = number * 63.5
    elif kind == "coupon_claim":
        event["campaign_id"] = f"coupons-{number}"
