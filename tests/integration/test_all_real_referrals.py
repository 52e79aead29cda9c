"""All real invitations, as the README's table shows them: every landed row equals the offline rebuild."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.landed_referrals import check_referrals, oracle_of
from tests.oracle import read_events
from tests.oracle.referrals import Campaign, ReferralOracle
from tests.pipeline import Pipeline, shared_data

REGISTRY = "divvi/referrals.ndjson.gz"
JOINS, REFERRALS = "qa_load/joins.ndjson.gz", "qa_load/referrals.ndjson.gz"
CHAT = "qa_load:invites"


@pytest.mark.long
def test_a_registry_with_repeated_events_and_self_referrals_lands_as_the_forest_of_its_edges(
    pipeline: Pipeline,
) -> None:
    feed = read_events(shared_data(REGISTRY))
    assert len(feed) == 43_123
    pipeline.send(feed)
    pipeline.start_worker()
    pipeline.wait_landed()
    assert pipeline.accounts()["community.referrals.v1"]["duplicate"] == 529
    oracle = oracle_of(feed, pipeline.partitions)
    check_referrals(pipeline, oracle)
    reasons = Counter(row["reason"] for row in oracle.edges.values())
    assert reasons["self_referral"] == 37


@pytest.mark.long
def test_invitations_of_a_chat_group_mature_and_are_reversed_as_its_members_come_and_go(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    feed = read_events(shared_data("qa_load/messages.ndjson.gz", JOINS, REFERRALS))
    pipeline.send(feed)
    pipeline.start_worker(rules_file=rules_file(tmp_path))
    pipeline.wait_landed()
    assert sum(account["late"] for account in pipeline.accounts().values()) == 0
    oracle = oracle_of(feed, pipeline.partitions, {CHAT: Campaign(require="activity")})
    check_referrals(pipeline, oracle)
    check_variety(oracle)


def rules_file(folder: Path) -> str:
    """A rules file that says what the chat group's campaign asks of a newcomer."""
    path = folder / "rules.yaml"
    path.write_text(f"campaigns:\n  {CHAT}: {{require: activity}}\n", encoding="utf-8")
    return str(path)


def check_variety(oracle: ReferralOracle) -> None:
    """There are credits in every state."""
    states = Counter(state for _, _, state in oracle.credits)
    assert min(states[name] for name in ("pending", "matured", "reversed", "rejected")) > 0, states
