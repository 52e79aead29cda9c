"""Touches: each occasion once, within what members and communities can bear, the same ones held out for ever."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from schemas.topics import TOUCHES
from schemas.touches import decode
from streams.operators.touches import TouchProgram, is_held_out
from streams.rules_touches import TouchRules
from tests.batches import DAY_MS, Event, Replay, event

START_MS = int(dt.datetime(2024, 5, 1, tzinfo=dt.UTC).timestamp() * 1000)
KEYS = {"touches": ("touch_id",)}
PLAIN: dict[str, Any] = {"enabled": True, "hold_out_share": 0.0, "member_gap_days": 1}


class Community:
    """One partition with touches, and a clock that goes on by messages of somebody nobody has anything to say to."""

    def __init__(self, replay: bool = False, zone: str = "UTC", **rules: Any) -> None:
        said = TouchRules.model_validate(PLAIN | rules)
        self.replay = Replay(
            zones={"群": zone},
            programs_of=lambda context: [TouchProgram(context, lambda: said, replay)],
            keys=KEYS,
        )
        self._sent = 0

    def at(self, day: float, event_type: str = "message", member: str = "店员", **fields: Any) -> Event:
        """An event so many days after the start."""
        self._sent += 1
        staff = {"sender_role": "staff"} if event_type == "message" and member == "店员" else {}
        named = {"member_id": member} if event_type != "referral" else {}
        return event(event_type, f"e{self._sent}", START_MS + int(day * DAY_MS), "群", **named, **staff, **fields)

    def send(self, *events: Event) -> None:
        """Send events one flush each: time goes on with each of them."""
        for one in events:
            self.replay.send(one)
            self.replay.drain()
            self.replay.flush()

    def pass_time(self, until_day: float, from_day: float = 0.0) -> None:
        """Let time pass, a quarter of a day a flush."""
        self.send(*(self.at(quarter / 4) for quarter in range(int(from_day * 4) + 1, int(until_day * 4) + 1)))

    @property
    def told(self) -> list[tuple[str, str, float]]:
        """Kind, member and time in days of what was sent."""
        found = [decode(one.value) for one in self.replay.outbox if one.topic == TOUCHES]
        return [(one.kind, one.member_id, round((one.decided_at - START_MS) / DAY_MS, 2)) for one in found]


def test_a_buyer_is_thanked_once_however_often_the_order_is_told() -> None:
    here = Community(kinds=["thanks"])
    paid = here.at(1, "order", "王芳", order_id="o1")
    here.send(paid, here.at(1.01, "order", "王芳", order_id="o1"), here.at(1.1, "order", "李雷", order_id="o2"))
    here.pass_time(3, 1.2)
    assert here.told == [("thanks", "王芳", 1.0), ("thanks", "李雷", 1.1)]


def test_a_newcomer_who_is_silent_is_welcomed_and_one_who_speaks_or_left_is_not() -> None:
    here = Community(kinds=["welcome"])
    here.send(*(here.at(0.5, "join", name) for name in ("沉默", "说话", "走了")))
    here.send(here.at(0.6, "message", "说话"), here.at(0.7, "join", "走了", action="left"))
    here.pass_time(3, 0.7)
    assert here.told == [("welcome", "沉默", 1.5)]


def test_a_regular_buyer_is_reminded_at_the_own_cycle() -> None:
    here = Community(kinds=["repurchase"])
    here.send(*(here.at(day, "order", "常客", order_id=f"o{day}") for day in (0, 8, 20)), here.at(20, "order", "新客"))
    here.pass_time(32, 20)
    assert here.told == [("repurchase", "常客", 30.0)]  # 20 days between first and last, two gaps


def test_somebody_silent_for_long_is_won_back_once_and_again_after_coming_back() -> None:
    here = Community(kinds=["win_back"], win_back_days=7)
    here.send(here.at(0, "message", "老友"), here.at(3, "message", "老友"))
    here.pass_time(30, 3)
    assert here.told == [("win_back", "老友", 10.0)]
    here.send(here.at(31, "message", "老友"))
    here.pass_time(40, 31)
    assert here.told[1:] == [("win_back", "老友", 38.0)]


def test_a_streak_is_spoken_of_in_the_evening_of_the_day_it_would_break() -> None:
    here = Community(kinds=["streak"], zone="Asia/Shanghai", streak_hour=20)
    for day in (0, 1, 2):
        here.send(*(here.at(day + 0.1, "message", name, kind="check_in") for name in ("断了", "没断")))
    here.send(here.at(3.2, "message", "没断", kind="check_in"))
    here.pass_time(3.9, 3.25)
    # days begin at 16 h UTC of the day before, so the evening is at 12 h UTC
    assert here.told == [("streak", "断了", 3.5)]


def test_one_member_is_not_told_twice_within_days() -> None:
    here = Community(kinds=["thanks"], member_gap_days=3)
    here.send(*(here.at(day, "order", "买家", order_id=f"o{day}") for day in range(8)))
    assert [day for _, _, day in here.told] == [0.0, 3.0, 6.0]


def test_a_community_bears_so_many_a_day() -> None:
    here = Community(kinds=["thanks"], community_per_day=2)
    here.send(*(here.at(1 + number / 100, "order", f"m{number}") for number in range(5)), here.at(2, "order", "m9"))
    assert [member for _, member, _ in here.told] == ["m0", "m1", "m9"]


def test_a_community_full_of_promotions_is_left_in_peace_until_they_are_a_week_old() -> None:
    here = Community(kinds=["thanks"], max_promotions_7d=3)
    here.send(*(here.at(1, "message", "店员", is_promotion=True) for _ in range(3)))
    here.send(*(here.at(day + 0.5, "order", f"m{day}") for day in (1, 5, 7, 8)))
    assert [member for _, member, _ in here.told] == ["m8"]


def test_those_held_out_are_landed_and_not_sent_and_are_the_same_for_ever() -> None:
    here = Community(kinds=["thanks"], hold_out_share=0.5, community_per_day=1000)
    here.send(*(here.at(1, "order", f"m{number}") for number in range(60)))
    rows = here.replay.rows("touches")
    held = {row["member_id"] for row in rows if row["held_out"]}
    assert len(rows) == 60
    assert 15 < len(held) < 45
    assert {member for _, member, _ in here.told} == {row["member_id"] for row in rows} - held
    assert held == {f"m{number}" for number in range(60) if is_held_out("thanks", "群", f"m{number}", 0.5)}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_the_share_held_out_is_what_the_rules_say(share: float) -> None:
    held = sum(is_held_out("thanks", "群", f"m{number}", share) for number in range(20_000))
    assert abs(held / 20_000 - share) < 4 * (share * (1 - share) / 20_000) ** 0.5 + 1e-9


def test_staff_and_history_and_a_switched_off_kind_are_passed_over() -> None:
    here = Community(kinds=["welcome"])
    here.send(here.at(0, "join", "同事", role="staff"), here.at(0, "join", "新人"), here.at(5))
    assert here.told == []  # nobody looked when it fell due, and days later is too late
    quiet = Community(enabled=False)
    quiet.send(quiet.at(1, "order", "买家"))
    assert quiet.told == quiet.replay.rows("touches") == []
    history = Community(replay=True, kinds=["thanks"])
    history.send(history.at(1, "order", "买家"))
    assert history.told == []
    assert [row["replay"] for row in history.replay.rows("touches")] == [1]


def test_a_worker_that_dies_tells_nobody_twice_and_nobody_less() -> None:
    """Killed after the checkpoint or before it: the same touches, told under the same ids."""

    def life(crash_every: int | None) -> tuple[list[dict[str, Any]], set[str]]:
        here = Community(win_back_days=7, streak_min_days=2, hold_out_share=0.3, member_gap_days=2, community_per_day=3)
        events = [here.at(day + 0.2, "message", name, kind="check_in") for day in range(4) for name in ("甲", "乙")]
        events += [here.at(day + 0.3, "order", f"m{day % 3}") for day in range(0, 20, 2)]
        events += [here.at(day + 0.4, "join", f"新{day}") for day in range(9)]
        events += [here.at(quarter / 4) for quarter in range(4 * 24)]
        for number, one in enumerate(sorted(events, key=lambda one: one["occurred_at"])):
            here.replay.send(one)
            here.replay.drain()
            if crash_every and number % crash_every == 0:
                here.replay.checkpoint(here.replay.collect()) if number % 2 else None
                here.replay.restart()
                here.replay.drain()
            here.replay.flush()
        return here.replay.rows("touches"), {one.record_id for one in here.replay.outbox}

    rows, sent = life(None)
    assert {row["kind"] for row in rows} == {"thanks", "repurchase", "welcome", "win_back", "streak"}
    for crash_every in (1, 5):
        assert life(crash_every) == (rows, sent)
