"""Real feeds through real Kafka: every landed row equals a batch recomputation."""

from __future__ import annotations

from tests.oracle import Oracle, read_events
from tests.pipeline import Pipeline, shared_data


def test_history_onboarded_later_lands_exactly_and_leaves_the_rest_unchanged(pipeline: Pipeline) -> None:
    """qa_load ends in 2023; gitter (2014 to 2016) and retail (2010 to 2011) come after it into the same folder."""
    first = read_events(shared_data("qa_load/messages.ndjson.gz", "qa_load/joins.ndjson.gz"))
    later = read_events(shared_data("freecodecamp_gitter/messages.ndjson.gz", "online_retail/orders.ndjson.gz"))
    pipeline.send(first)  # a backlog: nothing in it can come late, however its topics are read
    pipeline.start_worker()
    pipeline.wait_landed()
    pipeline.check(Oracle(first), may_be_empty=["revenue_1d"])

    pipeline.send(later)
    pipeline.wait_landed()
    oracle = Oracle([*first, *later])
    pipeline.check(oracle)
    pipeline.check_now(oracle)
    accounts = pipeline.accounts()
    assert accounts["community.messages.v1"]["duplicate"] == 945
    assert sum(account["late"] for account in accounts.values()) == 0
    assert sum(account["dead_lettered"] for account in accounts.values()) == 0
