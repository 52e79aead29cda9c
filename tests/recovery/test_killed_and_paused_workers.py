"""Workers that are killed, paused or joined by others: what landed equals the batch recomputation all the same."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Thread

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.feeds import FLUSH_EVERY, disorderly, oracle_of, records_of
from tests.pipeline import Pipeline

SETTINGS = {"dead_letter_stop_share": 1, "flush_interval_seconds": 0.2, "batch_max_records": 1_000}


class Scenario:
    """A feed that is being sent in the background while things happen to the workers."""

    def __init__(self, pipeline: Pipeline, folder: Path, seed: int) -> None:
        self.pipeline = pipeline
        path = folder / "feed.ndjson"
        self.feed = disorderly(path, seed)
        self.settings = SETTINGS | {"rules_file": f"{path}.rules.yaml"}
        self.records = records_of(self.feed)
        self.half = len(self.records) // 2

    def send(self, start: int, stop: int) -> Thread:
        """Send a part of the feed in the background."""
        part = self.records[start:stop]
        sending = Thread(target=self.pipeline.send_records, args=(part, FLUSH_EVERY), daemon=True)
        sending.start()
        return sending

    def check(self, until: int | None = None) -> None:
        """Everything sent so far has landed, exactly."""
        self.pipeline.wait_landed()
        oracle = oracle_of(self.feed, until)
        self.pipeline.check(oracle)
        self.pipeline.check_now(oracle)
        for topic, counters in self.pipeline.accounts().items():
            expected = oracle.accounting.get(topic, {})
            assert counters["applied"] == expected.get("applied", 0), topic
            assert counters["duplicate"] == expected.get("duplicate", 0), topic
            assert counters["late"] == 0


@pytest.fixture
def scenario(pipeline: Pipeline, tmp_path: Path) -> Scenario:
    """A feed of its own for each test."""
    return Scenario(pipeline, tmp_path, seed=11)


def test_a_worker_killed_in_the_middle_of_a_feed_and_restarted_loses_and_doubles_nothing(scenario: Scenario) -> None:
    pipeline = scenario.pipeline
    first = pipeline.start_worker(**scenario.settings)
    sending = scenario.send(0, len(scenario.records))
    pipeline.wait_consumed(1_500)
    first.kill()
    first.wait()
    second = pipeline.start_worker(**scenario.settings)
    pipeline.wait_consumed(4_500)
    second.kill()
    second.wait()
    pipeline.start_worker(**scenario.settings)
    sending.join()
    scenario.check()


def test_a_paused_worker_that_was_replaced_writes_nothing_when_it_wakes_up(scenario: Scenario) -> None:
    pipeline = scenario.pipeline
    sleeper = pipeline.start_worker(**scenario.settings)
    scenario.send(0, scenario.half).join()
    pipeline.wait_consumed(1_500)
    sleeper.send_signal(signal.SIGSTOP)  # longer than the session: the group gives its partitions to the other one
    other = pipeline.start_worker(**scenario.settings)
    scenario.send(scenario.half, len(scenario.records)).join()
    pipeline.wait_landed()
    assert other.poll() is None
    sleeper.send_signal(signal.SIGCONT)
    pipeline.wait_log(sleeper, "revoked|owns it now|taken over|ours under claim")
    scenario.check()
    pipeline.stop_workers()
    scenario.check()


def test_figures_are_the_same_for_any_number_of_workers(stack: EmbeddedStack, tmp_path: Path) -> None:
    """Three, of whom two leave one after the other: everything so far is exact each time before the next one goes."""
    pipeline = Pipeline(stack, tmp_path, partitions=6)
    try:
        scenario = Scenario(pipeline, tmp_path, seed=12)
        for _ in range(3):
            pipeline.wait_ready(pipeline.start_worker(**scenario.settings))
        third = len(scenario.records) // 3
        for part, leaving in enumerate((*pipeline.workers[:2], None)):
            stop = len(scenario.records) if leaving is None else (part + 1) * third
            sending = scenario.send(part * third, stop)
            pipeline.wait_consumed(part * third + third // 2)
            assert [worker.poll() for worker in pipeline.workers] == [0] * part + [None] * (3 - part)
            sending.join()
            scenario.check(stop)
            if leaving is not None:
                leaving.terminate()
                leaving.wait(30)
        owners = {row[0] for row in pipeline.clickhouse.rows("SELECT DISTINCT worker FROM qunpulse_store.claims")}
        assert len(owners) == 3, f"only {owners} ever owned a partition"
    finally:
        pipeline.close()
