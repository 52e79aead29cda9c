"""The dedup index is a dictionary that takes 24 bytes an id."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.dedup import ENTRY, FOR_EVER, UNKNOWN, DedupIndex, _murmur3, describe, minute_of
from tests.hashing import hashes
from tests.state_store import StateStore

MINUTE_MS = 60_000


def keys_of(ids: list[int]) -> np.ndarray:
    """Hashes of which many share their first half, as two ids may by chance."""
    return np.array([(one // 3, one) for one in ids], np.uint64).reshape(-1, 2)


def what_of(community: int, minute: int) -> int:
    times = np.array([minute * MINUTE_MS])
    return int(describe(np.array([community]), np.array([0]), times, for_ever=minute == FOR_EVER)[0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_index_answers_as_a_dictionary_does(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.engine.dedup._FEW", 0)
        patch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 4)
        index, store = DedupIndex(), StateStore()
        model: dict[int, int] = {}
        horizon = [0, 0]
        for _ in range(data.draw(st.integers(1, 8))):
            ids = data.draw(st.lists(st.integers(0, 60), unique=True, max_size=20))
            fresh = [one for one in ids if one not in model]
            # An id belongs to one community, and its topic tells whether it is remembered for ever.
            ahead = data.draw(st.integers(0, 5))
            whats = [what_of(one % 2, FOR_EVER if one % 5 == 0 else horizon[one % 2] + ahead) for one in fresh]
            index.add(keys_of(fresh), np.array(whats, np.uint64))
            model.update(zip(fresh, whats, strict=True))
            action = data.draw(st.sampled_from(["", "older", "forget", "write", "restart"]))
            if action == "older":
                horizon[data.draw(st.integers(0, 1))] += data.draw(st.integers(0, 4))
                # What has expired may come again: it is no longer known to the model.
                model = {
                    one: what
                    for one, what in model.items()
                    if minute_of(np.array([what], np.uint64))[0] >= horizon[what >> 44]
                }
            elif action == "forget":
                index.forget(np.array(horizon))
            elif action in ("write", "restart"):
                store.write(index.dirty(np.array(horizon)))
                if action == "restart":
                    index = DedupIndex()
                    if (rows := store.rows("dedup")) is not None:
                        index.restore(*rows)
            everyone = list(range(61))
            for one, found in zip(everyone, index.find(keys_of(everyone)).tolist(), strict=True):
                if one in model:
                    assert found == model[one]
                elif found != int(UNKNOWN):
                    assert minute_of(np.array([found], np.uint64))[0] < horizon[found >> 44], "an id nobody added"


def filled(count: int, minute: int = 1000) -> tuple[DedupIndex, np.ndarray, np.ndarray]:
    """An index of so many ids, added in batches of several sizes."""
    index = DedupIndex()
    hashed = hashes(0, ["群"] * count, [f"message-{n}" for n in range(count)])
    what = describe(
        np.zeros(count, np.int64), np.arange(count), np.arange(count) % 60 * MINUTE_MS + minute * MINUTE_MS, False
    )
    start = 0
    for size in np.resize([20_000, 1, 700, 5000], count).tolist():
        index.add(hashed[start : start + size], what[start : start + size])
        start += size
        if start >= count:
            break
    return index, hashed, what


def test_an_id_takes_24_bytes() -> None:
    index, hashed, what = filled(200_000)
    assert len(index) == 200_000
    assert index.nbytes / len(index) <= 24
    assert (index.find(hashed) == what).all()
    assert (index.find(hashes(0, ["群"] * 999, [f"other-{n}" for n in range(999)])) == UNKNOWN).all()
    assert (index.find(hashes(1, ["群"] * 999, [f"message-{n}" for n in range(999)])) == UNKNOWN).all(), "other topic"


def test_expired_ids_leave_memory_and_checkpoint() -> None:
    index, hashed, what = filled(150_000)
    store = StateStore()
    store.write(index.dirty(np.array([0])))
    alive = minute_of(what) >= 1050
    index.forget(np.array([1050]))
    store.write(index.dirty(np.array([1050])))
    assert len(index) == np.count_nonzero(alive)
    rows = store.rows("dedup")
    assert rows is not None
    assert sum(map(len, rows[1].to_pylist())) == np.count_nonzero(alive) * ENTRY.itemsize
    restored = DedupIndex()
    restored.restore(*rows)
    assert (restored.find(hashed[alive]) == what[alive]).all()
    assert (restored.find(hashed[~alive]) == UNKNOWN).all()


def test_an_id_that_comes_again_after_it_expired_is_the_new_one_also_after_a_restart() -> None:
    index, store = DedupIndex(), StateStore()
    for minute in (10, 20, 30):  # nothing is forgotten: too few ids to be worth it
        index.add(keys_of([5]), np.array([what_of(0, minute)], np.uint64))
        assert index.find(keys_of([5])).tolist() == [what_of(0, minute)]
        store.write(index.dirty(np.array([minute])))
    restored = DedupIndex()
    restored.restore(*store.every()["dedup"])
    assert restored.find(keys_of([5])).tolist() == [what_of(0, 30)]


def test_ids_of_two_communities_and_of_odd_spelling_do_not_meet() -> None:
    places = [("a", "b-c"), ("a-b", "c"), ("社群", "一"), ("社", "群一"), ("", "a"), ("a", "")]
    found = hashes(0, [community for community, _ in places], [event_id for _, event_id in places])
    assert len({tuple(one) for one in found.tolist()}) == len(places)


def test_the_same_id_in_two_topics_is_two_ids() -> None:
    # XXH3 with the topic as its seed gave ("a", "id-47") of referrals and ("b", "id-44") of messages one hash.
    letters = [chr(ord("a") + n) for n in range(8)]
    names = [letter for letter in letters for _ in range(100)]
    for template in ("{}", "id-{}", "message-{}", "a-rather-long-id-of-an-event-{}"):
        ids = [template.format(n) for n in range(100)] * len(letters)
        found = np.concatenate([hashes(topic, names, ids) for topic in range(4)])
        assert len(np.unique(found, axis=0)) == 4 * len(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "00000000000000000000000000000000"),
        ("hello", "cbd8a7b341bd9b025b1e906a48ae1d19"),
        ("The quick brown fox jumps over the lazy dog", "e34bbc7bbc071b6c7a433ca9c49a9347"),
    ],
)
def test_the_hash_is_murmurhash3(text: str, expected: str) -> None:
    found = np.empty((1, 2), np.uint64)
    data, offsets = np.frombuffer(text.encode() or b"\0", np.uint8), np.array([0, len(text)], np.int32)
    _murmur3(data, offsets, np.zeros(1, np.int64), np.zeros((1, 2), np.uint64), np.uint64(0), found)
    assert "".join(f"{word:016x}" for word in found[0].tolist()) == expected


def test_no_lookup_and_no_add_of_nothing_fails() -> None:
    index = DedupIndex()
    empty = np.empty((0, 2), np.uint64)
    index.add(empty, np.empty(0, np.uint64))
    assert index.find(empty).tolist() == []
    assert index.dirty(np.array([], np.int64)) == []
    index.forget(np.array([], np.int64))
    assert len(index) == 0
