"""Real invitations and a target through real Kafka: forest, ledger, money and milestones are as worked out offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.integration.test_all_real_referrals import CHAT, JOINS, REFERRALS, REGISTRY, check_variety
from tests.landed_referrals import check_referrals, oracle_of
from tests.oracle import TOPIC_OF, read_events
from tests.oracle.referrals import Campaign
from tests.pipeline import Feed, Pipeline, shared_data
from tests.sent_milestones import read_milestones
from tests.views.examples import Event, join, referral

PART = 6_000
"""Events of the registry that are enough for every day: they hold repeated ids and self-referrals."""

THREE_FRIENDS = "邀三友"
RULES = {
    CHAT: {"require": "nothing"},  # without its messages nobody is active
    THREE_FRIENDS: {"target": {"kind": "accepted_invitations", "count": 3, "within_days": 3}},
}


def three_friends() -> Feed:
    """王芳 brings two into one community and one into another."""
    here = [referral(f"2024-05-01 1{n}:00", "王芳", f"友{n}", THREE_FRIENDS) for n in (0, 1)]
    here += [join(f"2024-05-01 1{n}:30", f"友{n}") for n in (0, 1)]
    there = [referral("2024-05-01 12:00", "王芳", "友2", THREE_FRIENDS), join("2024-05-01 12:30", "友2")]
    return numbered(here, 0, "一群") + numbered(there, 10, "二群")


def numbered(events: list[Event], first: int, community: str) -> list[tuple[str, Event]]:
    """Events of a community with ids, and their topics."""
    common = {"schema_version": 1, "community_id": community}
    return [
        (TOPIC_OF[event["event_type"]], common | {"event_id": f"{first + number}"} | event)
        for number, event in enumerate(events)
    ]


@dataclass(frozen=True)
class Landed:
    """What was sent, and the pipeline where all of it has landed."""

    pipeline: Pipeline
    feed: Feed


@pytest.fixture(scope="module")
def landed(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """Both networks and the friends; when all of that had landed, one of the friends left again."""
    folder = tmp_path_factory.mktemp("referrals")
    rules = folder / "rules.yaml"
    rules.write_text(json.dumps({"campaigns": RULES}, ensure_ascii=False), encoding="utf-8")
    feed = read_events(shared_data(JOINS, REFERRALS)) + read_events(shared_data(REGISTRY))[:PART] + three_friends()
    left = numbered([join("2024-05-02 12:30", "友2", "left")], 20, "二群")
    pipeline = Pipeline(stack, folder)
    try:
        pipeline.send(feed)
        pipeline.start_worker(rules_file=str(rules))
        pipeline.wait_landed()
        pipeline.send(left)
        pipeline.wait_landed()
        pipeline.stop_workers()
        yield Landed(pipeline, [*feed, *left])
    finally:
        pipeline.close()


def test_real_invitations_of_two_networks_land_as_the_forests_and_ledgers_of_their_edges(landed: Landed) -> None:
    oracle = oracle_of(landed.feed, landed.pipeline.partitions, {CHAT: Campaign(require="nothing")})
    check_referrals(landed.pipeline, oracle)
    check_variety(oracle)
    assert landed.pipeline.accounts()["community.referrals.v1"]["duplicate"] > 0
    assert "self_referral" in {row["reason"] for row in oracle.edges.values()}


def test_a_target_reached_over_two_communities_is_told_once_and_taken_back_once(
    landed: Landed, stack: EmbeddedStack
) -> None:
    sent = read_milestones(stack.kafka_bootstrap_servers, landed.pipeline.partitions)
    assert [(one.revision, one.state, one.campaign_id, one.subject_id, one.count) for one in sent] == [
        (1, "reached", THREE_FRIENDS, "王芳", 3),
        (2, "taken_back", THREE_FRIENDS, "王芳", 2),
    ]
    rates = landed.pipeline.clickhouse.rows("SELECT opened, reached, taken_back FROM qunpulse.target_rate")
    assert rates == [(1, 0, 1)]
