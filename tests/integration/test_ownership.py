"""Taking a partition over: who let go is not waited for, who did not is, and whoever wrote since has the state."""

from __future__ import annotations

import itertools
import threading
import uuid

import pytest

from sinks import claims
from sinks.clickhouse import ClickHouse
from sinks.state import insert_state
from streams.engine.ownership import Ownership
from streams.errors import ClaimLost
from tests.integration.test_storage_state import state

_numbers = itertools.count(50_000)
INSERT_TIMEOUT_SECONDS = 7


class Patience(threading.Event):
    """A stop event that notes how long it was waited for, and does not let anybody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def partition() -> int:
    """A Kafka partition no other test uses."""
    return next(_numbers)


@pytest.fixture
def ownership(store: ClickHouse, patience: Patience) -> Ownership:
    return Ownership(store, "me", INSERT_TIMEOUT_SECONDS, patience)


def test_an_owner_that_did_not_let_go_is_waited_out_before_its_state_is_read(
    store: ClickHouse, ownership: Ownership, partition: int, patience: Patience
) -> None:
    gone = claims.register(store, partition, "gone")
    insert_state(store, partition, state([b"a"], 1, payload=b"its"), gone)
    taken = ownership.take_over(partition, None)
    assert patience.waits == [INSERT_TIMEOUT_SECONDS + 1], "longer than an insert of its may run"
    assert taken.state is not None
    assert taken.state["payload"].to_pylist() == [b"its"]
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a"], 2), gone)
    insert_state(store, partition, state([b"a"], 2), taken.claim)


def test_an_owner_that_let_go_is_not_waited_for(
    store: ClickHouse, ownership: Ownership, partition: int, patience: Patience
) -> None:
    claims.release(store, partition, claims.register(store, partition, "gone"))
    assert ownership.take_over(partition, None).state is not None
    assert patience.waits == []


def test_a_new_partition_is_nobodys_to_wait_for(ownership: Ownership, partition: int, patience: Patience) -> None:
    taken = ownership.take_over(partition, None)
    assert taken.claim.number == 1
    assert taken.state is not None
    assert len(taken.state) == 0
    assert patience.waits == []


def test_a_partition_that_comes_back_to_who_released_it_last_keeps_its_state_in_memory(
    ownership: Ownership, partition: int, patience: Patience
) -> None:
    first = ownership.take_over(partition, None).claim
    ownership.release(partition, first)
    again = ownership.take_over(partition, first)
    assert again.state is None, "nothing to read: nobody wrote since"
    assert again.claim.number == first.number + 1
    assert patience.waits == []


@pytest.mark.parametrize("released", [True, False])
def test_a_partition_that_somebody_else_had_meanwhile_is_read_again(
    store: ClickHouse, ownership: Ownership, partition: int, patience: Patience, released: bool
) -> None:
    first = ownership.take_over(partition, None).claim
    ownership.release(partition, first)
    between = claims.register(store, partition, "between", uuid.uuid4())
    insert_state(store, partition, state([b"a"], 1), between)
    if released:
        claims.release(store, partition, between)
    again = ownership.take_over(partition, first)
    assert again.state is not None
    assert again.state["key"].to_pylist() == [b"a"]
    assert patience.waits == ([] if released else [INSERT_TIMEOUT_SECONDS + 1])


def test_a_worker_that_is_told_to_stop_while_it_waits_owns_nothing(
    store: ClickHouse, ownership: Ownership, partition: int, patience: Patience
) -> None:
    claims.register(store, partition, "gone")
    patience.set()
    with pytest.raises(ClaimLost, match="stopped while waiting for its last owner"):
        ownership.take_over(partition, None)
