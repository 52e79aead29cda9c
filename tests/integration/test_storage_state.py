"""State and claims: whole checkpoints or nothing, the newest claim or nobody."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from sinks import claims
from sinks.claims import Claim
from sinks.clickhouse import ClickHouse
from sinks.schema import STATE
from sinks.state import STATE_SCHEMA, delete_expired, insert_state, read_state
from streams.errors import ClaimLost, RetryableSinkError

_numbers = itertools.count(60_000)


@pytest.fixture
def partition() -> int:
    """A Kafka partition no other test uses."""
    return next(_numbers)


def state(
    keys: Sequence[bytes], version: int, *, payload: bytes = b"", expires_at: int = 0, deleted: int = 0
) -> pa.Table:
    count = len(keys)
    columns = [
        pa.array(["members"] * count),
        pa.array(keys, pa.binary()),
        pa.array([payload] * count, pa.binary()),
        pa.array([expires_at] * count, pa.int64()),
        pa.array([deleted] * count, pa.uint8()),
        pa.array([version] * count, pa.uint64()),
    ]
    return pa.table(columns, schema=STATE_SCHEMA)


def payloads(store: ClickHouse, partition: int) -> dict[bytes, bytes]:
    rows = read_state(store, partition)
    return dict(zip(rows["key"].to_pylist(), rows["payload"].to_pylist(), strict=True))


def stored(store: ClickHouse, partition: int) -> int:
    return int(store.scalar(f"SELECT count() FROM {STATE} WHERE partition = {{p:UInt16}}", {"p": partition}))


# --- state ---------------------------------------------------------------------------------------------------


def test_what_is_read_back_is_the_newest_version_of_each_key_in_bytes(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    raw = bytes(range(256))
    insert_state(store, partition, state([b"\xff\x00", b"b"], 1, payload=b"old"), claim)
    insert_state(store, partition, state([b"\xff\x00"], 2, payload=raw), claim)
    assert payloads(store, partition) == {b"\xff\x00": raw, b"b": b"old"}
    assert read_state(store, partition).column_names == ["operator", "key", "payload", "expires_at", "version"]


def test_an_older_version_written_late_changes_nothing(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    insert_state(store, partition, state([b"a"], 7, payload=b"new"), claim)
    insert_state(store, partition, state([b"a"], 6, payload=b"old"), claim)
    assert payloads(store, partition) == {b"a": b"new"}


def test_a_deleted_key_is_gone_until_it_is_written_again(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    insert_state(store, partition, state([b"a", b"b"], 1), claim)
    insert_state(store, partition, state([b"a"], 2, deleted=1), claim)
    assert set(payloads(store, partition)) == {b"b"}
    insert_state(store, partition, state([b"a"], 3, payload=b"back"), claim)
    assert payloads(store, partition) == {b"a": b"back", b"b": b""}


def test_sending_the_same_rows_again_changes_nothing(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    rows = state([b"a", b"b"], 1, payload=b"x")
    for _ in range(3):
        insert_state(store, partition, rows, claim)
    assert payloads(store, partition) == {b"a": b"x", b"b": b"x"}


def test_partitions_do_not_see_each_other(store: ClickHouse, partition: int) -> None:
    other = next(_numbers)
    insert_state(store, partition, state([b"a"], 1), claims.register(store, partition, "w"))
    assert payloads(store, other) == {}
    with pytest.raises(ClaimLost):
        insert_state(store, other, state([b"a"], 1), Claim(1, uuid.uuid4()))


def test_a_checkpoint_of_200_000_rows_is_one_part(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    keys = [number.to_bytes(16, "little") for number in range(200_000)]
    insert_state(store, partition, state(keys, 1, payload=b"p" * 160), claim)
    parts = store.rows(
        "SELECT rows FROM system.parts WHERE database = 'qunpulse_store' AND table = 'state' AND active "
        f"AND partition = '{partition}'"
    )
    assert parts == [(200_000,)]


def test_more_rows_than_one_block_are_refused_before_they_are_sent(
    store: ClickHouse, partition: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claims.register(store, partition, "w")
    monkeypatch.setattr("sinks.state.BLOCK_ROWS", 10)
    with pytest.raises(ValueError, match="cap the dirty rows"):
        insert_state(store, partition, state([b"%d" % n for n in range(11)], 1), claim)


def test_an_insert_that_takes_longer_than_it_may_ends_and_keeps_nothing(store: ClickHouse, partition: int) -> None:
    """Whoever takes a partition over waits for as long as an insert may run, and then reads."""
    claim = claims.register(store, partition, "w")
    keys = [number.to_bytes(16, "little") for number in range(200_000)]
    with pytest.raises(RetryableSinkError, match="longer than it may"):
        insert_state(store, partition, state(keys, 1), claim, timeout_seconds=0.001)
    assert stored(store, partition) == 0
    insert_state(store, partition, state(keys, 1), claim)
    assert stored(store, partition) == 200_000


# --- claims --------------------------------------------------------------------------------------------------


def test_nobody_owns_a_new_partition_and_claims_count_up(store: ClickHouse, partition: int) -> None:
    assert claims.newest(store, partition) is None
    first = claims.register(store, partition, "w1")
    second = claims.register(store, partition, "w2")
    assert (first.number, second.number) == (1, 2)
    standing = claims.newest(store, partition)
    assert standing is not None
    assert (standing.claim, standing.worker, standing.released) == (second, "w2", False)


def test_a_claim_knows_whom_it_took_over_from(store: ClickHouse, partition: int) -> None:
    first = claims.register(store, partition, "w1")
    assert claims.newest(store, partition, before=first) is None
    claims.release(store, partition, first)
    second = claims.register(store, partition, "w2")
    predecessor = claims.newest(store, partition, before=second)
    assert predecessor is not None
    assert (predecessor.claim, predecessor.worker, predecessor.released) == (first, "w1", True)


def test_a_stale_claim_writes_nothing_and_is_told_so(store: ClickHouse, partition: int) -> None:
    stale = claims.register(store, partition, "paused")
    insert_state(store, partition, state([b"a"], 1, payload=b"before"), stale)
    claims.register(store, partition, "successor")
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a", b"b"], 2, payload=b"after"), stale)
    assert stored(store, partition) == 1
    assert payloads(store, partition) == {b"a": b"before"}


def test_a_released_claim_writes_nothing_even_while_nobody_else_has_claimed(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    claims.release(store, partition, claim)
    standing = claims.newest(store, partition)
    assert standing is not None
    assert standing.released
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a"], 1), claim)
    assert stored(store, partition) == 0


def test_a_claim_that_was_never_registered_writes_nothing(store: ClickHouse, partition: int) -> None:
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a"], 1), Claim(1, uuid.uuid4()))
    registered = claims.register(store, partition, "w")
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a"], 1), Claim(registered.number, uuid.uuid4()))
    assert stored(store, partition) == 0


@pytest.mark.parametrize("larger_first", [True, False])
def test_of_two_claims_with_the_same_number_the_larger_uuid_wins(
    store: ClickHouse, partition: int, larger_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # UUIDs whose halves compare the other way round: the order must be that of their text, everywhere
    small, large = uuid.UUID(int=(1 << 120) + 1), uuid.UUID(int=1 << 121)
    owners = [large, small] if larger_first else [small, large]
    monkeypatch.setattr(claims, "newest", lambda *_args, **_kwargs: None)  # both read before either wrote
    for owner in owners:
        with pytest.raises(ClaimLost):
            claims.register(store, partition, "w", owner)
    monkeypatch.undo()
    standing = claims.newest(store, partition)
    assert standing is not None
    assert standing.claim == Claim(1, large)
    insert_state(store, partition, state([b"a"], 1), Claim(1, large))
    with pytest.raises(ClaimLost):
        insert_state(store, partition, state([b"a"], 2), Claim(1, small))


def test_of_many_who_claim_at_once_at_most_one_may_write(store: ClickHouse, partition: int) -> None:
    racers = 6
    line = threading.Barrier(racers)
    won: list[Claim] = []

    def race(number: int) -> bool:
        line.wait()
        try:
            claim = claims.register(store, partition, f"racer-{number}")
            won.append(claim)
            line_of_one = state([b"mine"], number + 1, payload=str(number).encode())
            insert_state(store, partition, line_of_one, claim)
        except ClaimLost:
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        list(pool.map(race, range(racers)))
    standing = claims.newest(store, partition)
    assert standing is not None
    # whoever may write now is exactly the newest; everybody else is refused from here on
    allowed = 0
    for claim in won:
        try:
            insert_state(store, partition, state([b"later"], 100), claim)
            allowed += 1
            assert claim == standing.claim
        except ClaimLost:
            assert claim != standing.claim
    assert allowed <= 1


# --- expiry --------------------------------------------------------------------------------------------------


def test_an_expired_key_leaves_with_all_its_versions(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    insert_state(store, partition, state([b"expiring", b"kept", b"never"], 1, payload=b"1"), claim)  # none expires yet
    insert_state(store, partition, state([b"expiring"], 2, expires_at=1000), claim)
    insert_state(store, partition, state([b"kept"], 2, payload=b"2", expires_at=2000), claim)
    delete_expired(store, partition, before_ms=1500)
    assert payloads(store, partition) == {b"kept": b"2", b"never": b"1"}
    # not only hidden: no version of the key is left that could come back
    assert store.rows(
        f"SELECT count() FROM {STATE} WHERE partition = {{p:UInt16}} AND key = 'expiring'", {"p": partition}
    ) == [(0,)]


def test_a_key_whose_life_was_extended_stays(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    insert_state(store, partition, state([b"a"], 1, payload=b"old", expires_at=1000), claim)
    insert_state(store, partition, state([b"a"], 2, payload=b"new", expires_at=9000), claim)
    delete_expired(store, partition, before_ms=5000)
    assert payloads(store, partition) == {b"a": b"new"}


def test_a_deleted_key_leaves_with_all_its_versions(store: ClickHouse, partition: int) -> None:
    claim = claims.register(store, partition, "w")
    insert_state(store, partition, state([b"a", b"b"], 1), claim)
    insert_state(store, partition, state([b"a"], 2, deleted=1), claim)
    delete_expired(store, partition, before_ms=0)
    assert stored(store, partition) == 1
    assert set(payloads(store, partition)) == {b"b"}


def test_expiry_of_one_partition_leaves_the_others_alone(store: ClickHouse, partition: int) -> None:
    other = next(_numbers)
    for number in (partition, other):
        claim = claims.register(store, number, "w")
        insert_state(store, number, state([b"a"], 1, expires_at=1000), claim)
    delete_expired(store, partition, before_ms=5000)
    assert (stored(store, partition), stored(store, other)) == (0, 1)


def test_expiring_nothing_starts_no_mutation(store: ClickHouse, partition: int) -> None:
    insert_state(store, partition, state([b"a"], 1), claims.register(store, partition, "w"))
    mutations = "SELECT count() FROM system.mutations WHERE table = 'state'"
    before = store.scalar(mutations)
    delete_expired(store, partition, before_ms=5000)
    delete_expired(store, next(_numbers), before_ms=5000)
    assert store.scalar(mutations) == before
