"""Workers die and come while invitations flow: forest, ledger, money and milestones equal the offline rebuild."""

from __future__ import annotations

import random
from pathlib import Path
from threading import Thread

import pytest

from infra.embedded.stack import EmbeddedStack
from schemas.milestones import Milestone
from schemas.topics import TOPIC_OF
from tests.landed_referrals import check_referrals, landed, oracle_of
from tests.oracle.referrals import Campaign
from tests.oracle.targets import Asked, Standing, standings
from tests.pipeline import Feed, Pipeline
from tests.referral_network import made_up_feed
from tests.sent_milestones import check_sent, read_milestones

SETTINGS = {"flush_interval_seconds": 0.2, "batch_max_records": 300}
EVENTS, PEOPLE = 2_000, 200


def feed_of(seed: int) -> Feed:
    """Invitations, joins, messages and orders."""
    people = [f"成员{number}" for number in range(PEOPLE)]
    return [(TOPIC_OF[one["event_type"]], one) for one in made_up_feed(random.Random(seed), EVENTS, people)]


CAMPAIGN = Campaign(days=2, require="nothing", grace_minutes=60)
TARGET = Asked("accepted_invitations", 1, 20, CAMPAIGN)
RULES = """campaigns:
  春:
    {days_to_maturity: 2, require: nothing, grace_minutes: 60,
     target: {kind: accepted_invitations, count: 1, within_days: 20}}
"""


def rules_file(folder: Path) -> dict[str, str]:
    """The settings that name a rules file with the same campaign and target."""
    path = folder / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return {"rules_file": str(path)}


def sent_in_the_background(pipeline: Pipeline, feed: Feed) -> Thread:
    # Flushed so often that no topic falls behind the others by half the lateness: nothing comes late.
    sending = Thread(target=pipeline.send, args=(feed, 8), daemon=True)
    sending.start()
    return sending


def check(pipeline: Pipeline, feed: Feed, sent: list[Milestone]) -> None:
    """All is as the offline rebuild says, and there is something of everything."""
    assert sum(account["late"] for account in pipeline.accounts().values()) == 0
    oracle = oracle_of(feed, pipeline.partitions, {"春": CAMPAIGN})
    assert {state for _, _, state in oracle.credits} == {"pending", "matured", "reversed", "rejected"}
    check_referrals(pipeline, oracle)
    expected = standings([event for _, event in feed], {"春": TARGET}, oracle)
    reached = {one.taken_back is None for one in expected.values() if one.reached is not None}
    assert reached == {True, False}, "some stand, some were taken back"
    rows = landed(pipeline)["milestones"]
    assert {
        key[:3]: Standing(row["opened_at"], row["deadline_at"], row["count"], row["reached_at"], row["revoked_at"])
        for key, row in rows.items()
    } == expected
    check_sent(sent, expected)


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.long), 2, pytest.param(3, marks=pytest.mark.long)]
)
def test_workers_that_are_killed_come_and_leave_pay_nobody_twice_and_forget_nobody(
    stack: EmbeddedStack, tmp_path: Path, workers: int
) -> None:
    pipeline = Pipeline(stack, tmp_path)
    try:
        feed, rules = feed_of(9), rules_file(tmp_path)
        killed = pipeline.start_worker(**SETTINGS, **rules)
        sending = sent_in_the_background(pipeline, feed)
        pipeline.wait_consumed(EVENTS // 4)  # facts count as records too
        killed.kill()  # SIGKILL: whatever it had not checkpointed comes again
        killed.wait()
        successors = [pipeline.start_worker(**SETTINGS, **rules) for _ in range(workers)]
        for worker in successors:
            pipeline.wait_ready(worker)
        pipeline.wait_consumed(EVENTS)
        successors[0].terminate()  # leaves cleanly: the others take its partitions over
        if workers == 1:
            pipeline.wait_ready(pipeline.start_worker(**SETTINGS, **rules))
        sending.join()
        pipeline.wait_landed()
        check(pipeline, feed, read_milestones(stack.kafka_bootstrap_servers, pipeline.partitions))
        owners = {row[0] for row in pipeline.clickhouse.rows("SELECT DISTINCT worker FROM qunpulse_store.claims")}
        assert len(owners) == len(pipeline.workers), f"only {owners} ever owned a partition"
    finally:
        pipeline.close()
