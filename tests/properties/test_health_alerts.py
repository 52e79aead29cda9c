"""Alerts on communities are a function of the merged events: however these are cut, and whoever crashes on the way."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streams.rules_model import Rules
from tests.alert_replay import alert_replay, alerts
from tests.batches import HOUR_MS, Event, Replay
from tests.health_feed import troubled
from tests.oracle.health import HealthOracle
from tests.properties.test_landed_rows import play
from tests.recount import ms_of

RULES: dict[str, Any] = {
    "alerts": {
        "exodus": {"min_leaves": 3, "cool_down_days": 1},
        "over_promotion": {"max_promotions_7d": 5, "min_quits_after": 1},
        "zombie": {"max_speaker_share": 0.6, "min_members": 5, "min_promotion_share": 0.2, "min_unanswered_share": 0.3},
        "stalled_growth": {"max_share": 0.5, "recovered_share": 0.8},
        "feed_silent": {"min_minutes": 60},
        "rule_violation": {"links_a_day": 3},
        "activity_drop": {"day_share": 0.6, "week_share": 0.7, "recovered_share": 0.8, "min_expected_events": 10},
    }
}


def disordered(chance: random.Random, feed: list[Event], lateness_ms: int) -> list[Event]:
    """The feed in an order in which nothing is late."""
    put_off = [(ms_of(one["occurred_at"]) + chance.randrange(lateness_ms), at) for at, one in enumerate(feed)]
    return [feed[at] for _, at in sorted(put_off)]


def outcome(replay: Replay) -> dict[str, tuple[Any, ...]]:
    """All that landed of each alert, by its id; kind, subject and state first."""
    return {
        row["alert_id"]: (row["kind"], row["community_id"], row["member_id"], row["state"], tuple(row.items()))
        for row in alerts(replay)
    }


@settings(max_examples=5, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
def test_alerts_on_communities_are_the_same_however_batches_are_cut_and_whoever_crashes(seed: int) -> None:
    chance = random.Random(seed)
    feed = troubled(chance)
    if chance.random() < 0.5:
        feed = disordered(chance, feed, 10 * HOUR_MS)
    whole, cut = alert_replay(RULES), alert_replay(RULES)
    for replay in (whole, cut):
        replay.send(*feed)
    whole.drain()
    whole.flush()
    play(cut, chance)
    assert outcome(cut) == outcome(whole)


def test_the_made_up_feed_knows_all_kinds_of_trouble() -> None:
    kinds: set[str] = set()
    for seed in range(6):
        replay = alert_replay(RULES)
        replay.send(*troubled(random.Random(seed)))
        replay.drain()
        replay.flush()
        kinds |= {row["kind"] for row in alerts(replay)}
    wanted = {"activity_drop", "exodus", "zombie", "over_promotion", "stalled_growth", "unanswered", "rule_violation"}
    assert wanted | {"resync_needed", "feed_silent", "left"} <= kinds


@pytest.mark.parametrize("seed", [3])
def test_replaying_everything_opens_nothing_new(seed: int) -> None:
    feed = troubled(random.Random(seed))
    replay = alert_replay(RULES)
    replay.send(*feed)
    replay.drain()
    replay.flush()
    once, sent = outcome(replay), len(replay.outbox)
    replay.send(*feed)
    replay.drain()
    replay.flush()
    assert (outcome(replay), len(replay.outbox)) == (once, sent)


KINDS = (
    "activity_drop", "exodus", "zombie", "over_promotion", "stalled_growth", "unanswered", "rule_violation",
    "resync_needed", "feed_silent",
)  # fmt: skip


@settings(max_examples=3, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**32))
def test_alerts_on_communities_are_those_of_the_oracle(seed: int) -> None:
    feed = troubled(random.Random(seed))
    current = Rules.model_validate(RULES).alerts
    oracle = HealthOracle({kind: getattr(current, kind).model_dump() for kind in KINDS})
    oracle.take([{**one, "at": ms_of(one["occurred_at"])} for one in feed])
    replay = alert_replay(RULES)
    replay.send(*feed)
    play(replay, random.Random(seed))
    found = {
        (row["kind"], row["feed"] or row["community_id"], row["member_id"], round(row["opened_at"].timestamp() * 1000))
        for row in alerts(replay, *KINDS)
    }
    assert found == oracle.opened
