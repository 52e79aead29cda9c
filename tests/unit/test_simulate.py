"""The simulated feed: reproducible, valid, alive like a real one, and true to its truth."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from schemas.codec import Decoder
from schemas.topics import MESSAGES, TOPIC_OF, TYPE_OF
from streams.errors import InputError
from streams.rules import load_rules
from streams.simulation import Plan, SimulatedFeed, live_events, simulate, write_feed
from tests.oracle import milliseconds

PLAN = Plan(events=30_000, seed=7, communities=8, days=180, duplicates=0.02, out_of_order=0.05, broken=0.01)


@pytest.fixture(scope="module")
def feed() -> SimulatedFeed:
    return simulate(PLAN)


@pytest.fixture(scope="module")
def events(feed: SimulatedFeed) -> list[dict[str, Any]]:
    """Distinct events in the order of their arrival."""
    seen: dict[tuple[str, str, str], dict[str, Any]] = {}
    for place, line in enumerate(feed.lines):
        if place not in feed.broken_lines:
            event = json.loads(line)
            seen.setdefault((event["event_type"], event["community_id"], event["event_id"]), event)
    return list(seen.values())


def truths(feed: SimulatedFeed, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in feed.truth if entry["truth"] == kind]


def messages(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event_type"] == "message"]


def test_the_same_plan_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    plan = Plan(events=2_000, seed=3, communities=4, duplicates=0.1, out_of_order=0.1, broken=0.1)
    first, second, other = (tmp_path / name for name in ("a.ndjson", "b.ndjson", "c.ndjson"))
    write_feed(first, plan)
    write_feed(second, plan)
    write_feed(other, Plan(events=2_000, seed=4, communities=4, duplicates=0.1, out_of_order=0.1, broken=0.1))
    for suffix in ("", ".truth.ndjson", ".rules.yaml"):
        assert Path(f"{first}{suffix}").read_bytes() == Path(f"{second}{suffix}").read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert len(list(tmp_path.iterdir())) == 9


def test_exactly_the_broken_lines_are_refused(feed: SimulatedFeed) -> None:
    by_topic: dict[str, list[int]] = {topic: [] for topic in TYPE_OF}
    for place, line in enumerate(feed.lines):
        try:
            by_topic[TOPIC_OF[json.loads(line)["event_type"]]].append(place)
        except (ValueError, KeyError, TypeError):
            by_topic[MESSAGES].append(place)
    refused = set()
    now_ms = milliseconds("2026-01-01T00:00:00Z")
    for topic, places in by_topic.items():
        appended = np.full(len(places), now_ms)
        chunk = Decoder(262_144).decode(TYPE_OF[topic], [feed.lines[place] for place in places], appended)
        refused |= {places[refusal.index] for refusal in chunk.refusals}
    assert refused == set(feed.broken_lines)
    assert len(feed.broken_lines) == 300
    assert all(b"\n" not in line for line in feed.lines)


def test_there_are_as_many_events_as_asked_for_and_duplicates_come_on_top(
    feed: SimulatedFeed, events: list[dict[str, Any]]
) -> None:
    assert len(events) == PLAN.events
    assert len(feed.lines) == PLAN.events + feed.duplicates + len(feed.broken_lines)
    assert feed.duplicates == pytest.approx(0.02 * PLAN.events, rel=0.2)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [milliseconds(event["occurred_at"]) for event in events]
    assert min(times) >= start.timestamp() * 1000
    assert max(times) <= (start + timedelta(days=180)).timestamp() * 1000


def test_nothing_arrives_displaced_by_more_than_the_maximum(feed: SimulatedFeed) -> None:
    clock, behind, displaced = 0, 0, 0
    for place, line in enumerate(feed.lines):
        if place in feed.broken_lines:
            continue
        at = milliseconds(json.loads(line)["occurred_at"])
        clock = max(clock, at)
        behind = max(behind, clock - at)
        displaced += clock > at
    assert 3 * 3_600_000 < behind <= PLAN.max_displacement_seconds * 1000
    assert displaced > 0.05 * PLAN.events


def test_in_order_and_clean_unless_asked_otherwise() -> None:
    plain = simulate(Plan(events=3_000, seed=1, communities=5))
    times = [milliseconds(json.loads(line)["occurred_at"]) for line in plain.lines]
    assert times == sorted(times)
    assert (plain.duplicates, plain.broken_lines) == (0, {})


def test_days_and_weeks_have_their_rhythm_in_local_time(events: list[dict[str, Any]]) -> None:
    shanghai = [
        datetime.fromisoformat(event["occurred_at"]).astimezone(ZoneInfo("Asia/Shanghai"))
        for event in messages(events)
        if event["community_id"] == "wecom:上海读书会"
    ]
    hours = Counter(at.hour for at in shanghai)
    assert sum(hours[hour] for hour in (19, 20, 21)) > 8 * sum(hours[hour] for hour in (2, 3, 4))
    weekend = sum(at.weekday() >= 5 for at in shanghai) / len(shanghai)
    assert weekend > 2 / 7 * 1.1  # a hobby: busier when people are free

    new_york = [event["occurred_at"] for event in messages(events) if event["community_id"].startswith("discord:")]
    asleep = sum(7 <= datetime.fromisoformat(text).astimezone(UTC).hour < 10 for text in new_york)
    assert asleep < 0.05 * len(new_york)


def test_a_few_members_write_most(events: list[dict[str, Any]]) -> None:
    written = Counter(
        (event["community_id"], event["member_id"])
        for event in messages(events)
        if event.get("sender_role", "member") == "member"
    )
    counts = np.array(sorted(written.values(), reverse=True))
    assert counts[: len(counts) // 10].sum() > 0.35 * counts.sum()
    assert np.median(counts) < counts.mean() / 1.8


def test_whoever_churned_does_nothing_any_more(feed: SimulatedFeed, events: list[dict[str, Any]]) -> None:
    churned = {
        (entry["community_id"], entry["member_id"]): (milliseconds(entry["churned_at"]), entry["how"])
        for entry in truths(feed, "churn")
    }
    assert {how for _, how in churned.values()} == {"left", "removed", "unnoticed", "silent"}
    left = {}
    for event in events:
        actor = (event["community_id"], event.get("member_id") or event["referrer_id"])
        if actor not in churned or event.get("action") == "present":
            continue
        at = milliseconds(event["occurred_at"])
        assert at <= churned[actor][0], event
        if event.get("action") in ("left", "removed"):
            left[actor] = (at, event["action"])
    assert left == {actor: end for actor, end in churned.items() if end[1] in ("left", "removed")}


def test_members_come_by_several_ways_and_invitations_run_deep(events: list[dict[str, Any]]) -> None:
    joins = [event for event in events if event.get("action") == "joined"]
    assert {"invite", "qr_code", "link", "search", "ad"} <= {event.get("via") for event in joins}
    depth: dict[tuple[str, str], int] = {}
    joined: set[tuple[str, str]] = set()
    for event in sorted(joins, key=lambda event: milliseconds(event["occurred_at"])):
        member = (event["community_id"], event["member_id"])
        inviter = (event["community_id"], event.get("inviter_id", ""))
        depth[member] = depth.get(inviter, 0) + 1 if event.get("inviter_id") else 0
        joined.add(member)
    assert max(depth.values()) >= 3
    referrals = [event for event in events if event["event_type"] == "referral"]
    assert all(event["referrer_id"] != event["referee_id"] for event in referrals)
    assert len(referrals) > 0.1 * len(joins)


def test_snapshots_are_complete_and_list_nobody_who_was_gone(feed: SimulatedFeed, events: list[dict[str, Any]]) -> None:
    gone = {
        (entry["community_id"], entry["member_id"]): milliseconds(entry["churned_at"])
        for entry in truths(feed, "churn")
        if entry["how"] != "silent"
    }
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        if event.get("action") == "present":
            lines.setdefault((event["community_id"], event["snapshot_id"]), []).append(event)
    assert len(lines) >= 4
    for (community, _), listed in lines.items():
        assert len(listed) == listed[0]["snapshot_size"] == len({event["member_id"] for event in listed})
        at = {event["occurred_at"] for event in listed}
        assert len(at) == 1
        taken = milliseconds(at.pop())
        assert all(gone.get((community, event["member_id"]), taken) >= taken for event in listed)


def test_buyers_buy_as_the_truth_says_and_refunds_follow_their_order(
    feed: SimulatedFeed, events: list[dict[str, Any]]
) -> None:
    orders = [event for event in events if event["event_type"] == "order"]
    paid = Counter((event["community_id"], event["member_id"]) for event in orders if event["status"] == "paid")
    buyers = truths(feed, "buyer")
    assert paid == {(entry["community_id"], entry["member_id"]): entry["purchases"] for entry in buyers}
    amounts = {(event["community_id"], event["order_id"]): event for event in orders if event["status"] == "paid"}
    refunds = [event for event in orders if event["status"] == "refunded"]
    assert refunds
    for refund in refunds:
        original = amounts[refund["community_id"], refund.get("original_order_id", refund["order_id"])]
        assert refund["amount_minor"] <= original["amount_minor"]
        assert milliseconds(refund["occurred_at"]) >= milliseconds(original["occurred_at"])
    assert {event["status"] for event in orders} == {"paid", "refunded", "cancelled"}
    for order in amounts.values():
        total = sum(item["amount_minor"] for item in order["items"])
        assert order["amount_minor"] == total - order.get("discount_minor", 0)


def _hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """Gauss's 2F1 by its series."""
    term = total = 1.0
    for k in range(2_000):
        term *= (a + k) * (b + k) / (c + k) / (k + 1) * z
        total += term
    return total


def test_purchases_follow_the_bg_nbd_process() -> None:
    """Mean of x, the repeat purchases by time t, against equation 9 of Fader, Hardie & Lee (2005)."""
    from streams.simulation.purchases import ALPHA_WEEKS, HOURS_PER_WEEK, A, B, R, _purchase_times

    chance = np.random.Generator(np.random.PCG64(1))
    weeks, repeats = 52.0, []
    for _ in range(20_000):
        rate, dropout = chance.gamma(R, 1 / ALPHA_WEEKS), chance.beta(A, B)
        times, _ = _purchase_times(0.0, 1e9, rate, dropout, chance)
        first = times[0]
        repeats.append(sum(at <= first + weeks * HOURS_PER_WEEK for at in times) - 1)
    ratio = ALPHA_WEEKS / (ALPHA_WEEKS + weeks)
    expected = (A + B - 1) / (A - 1) * (1 - ratio**R * _hypergeometric(R, B, A + B - 1, weeks / (ALPHA_WEEKS + weeks)))
    assert np.mean(repeats) == pytest.approx(expected, rel=0.05)


def test_replies_answer_earlier_messages_of_the_community(events: list[dict[str, Any]]) -> None:
    author = {(event["community_id"], event["event_id"]): event for event in messages(events)}
    replies = [event for event in messages(events) if event.get("reply_to")]
    assert len(replies) > 0.15 * len(author)
    for reply in replies:
        answered = author[reply["community_id"], reply["reply_to"]]
        assert answered["member_id"] == reply["reply_to_member_id"]
        assert milliseconds(answered["occurred_at"]) <= milliseconds(reply["occurred_at"])


def test_the_rules_beside_the_feed_are_valid_and_name_every_community(tmp_path: Path) -> None:
    path = tmp_path / "模拟.ndjson"
    feed = write_feed(path, Plan(events=500, seed=1, communities=25))
    rules = load_rules(tmp_path / "模拟.ndjson.rules.yaml")
    communities = {json.loads(line)["community_id"] for line in feed.lines}
    assert communities <= set(rules.communities)
    assert rules.communities["wecom:上海读书会"].timezone == "Asia/Shanghai"


@pytest.mark.parametrize(
    "numbers",
    [
        {"events": 0},
        {"communities": 0},
        {"days": 0},
        {"seed": -1},
        {"broken": 1.5},
        {"duplicates": -0.1},
    ],
)
def test_impossible_plans_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot simulate"):
        Plan(**({"events": 10, "seed": 1} | numbers))


@pytest.mark.parametrize("plan", [Plan(events=1, seed=1), Plan(events=7, seed=1, communities=1, days=1)])
def test_the_smallest_feeds_work(plan: Plan) -> None:
    assert len(simulate(plan).lines) == plan.events


def test_another_start_moves_everything() -> None:
    feed = simulate(Plan(events=100, seed=1, communities=2, days=10, start=date(2020, 2, 25)))
    assert all(json.loads(line)["occurred_at"].startswith("2020-0") for line in feed.lines)


def test_the_live_stream_runs_at_its_rate_with_the_times_of_now() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    slept = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now, slept
        now += timedelta(seconds=seconds)
        slept += seconds

    stream = live_events(seed=1, rate=50.0, communities=3, now=lambda: now, sleep=sleep)
    events = [next(stream) for _ in range(6_000)]  # more than one round
    assert slept == pytest.approx(6_000 / 50, rel=0.1)
    ids = {(event["event_type"], event["community_id"], event["event_id"]) for event in events}
    assert len(ids) == 6_000
    times = [milliseconds(event["occurred_at"]) for event in events]
    assert times == sorted(times)
    assert len({event["community_id"] for event in events}) == 3
    assert {event["event_type"] for event in events} == {"message", "join", "order", "referral"}
