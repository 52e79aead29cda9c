"""The tables operators are built of, against dictionaries: what is written and read back is what was there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.figures import FIGURES
from streams.operators.base import NEVER, Keys, Mask, binary, fixed_binary, grown, rows_of
from streams.operators.directory import Directory
from streams.operators.keyed_rows import KeyedRows
from streams.operators.panes import PaneTable, pane_keys, split_keys, summed
from streams.operators.presence import Presence, merged, packed, pane_and_member, presence_keys, unpacked
from streams.operators.segments import Segments
from tests.state_store import StateStore

FRESH = np.zeros((), np.dtype([("count", "<u4"), ("least", "<i8")]))


def keyed_rows() -> KeyedRows:
    return KeyedRows("rows", FRESH)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "add", "flush", "forget", "restart"]), st.integers(0, 9)), max_size=30)
)
def test_keyed_rows_are_a_dictionary_that_survives_restarts(actions: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.keyed_rows._FEW", 0)
        patch.setattr("streams.operators.keyed_rows._LEAVING_AT_ONCE", 2)
        table, store, model, horizon = keyed_rows(), StateStore(), dict[int, int](), 0

        def flush() -> None:
            store.write(table.state(table.take_changed()))
            assert table.dirty_count() == 0

        for action, number in actions:
            if action == "add":
                keys = np.unique(np.array([horizon + number, horizon + number // 2, horizon + 2**40], np.uint64))
                rows = table.find(keys)
                table.rows["count"][rows] += 1
                table.touch(rows)
                for key in keys.tolist():
                    model[key] = model.get(key, 0) + 1
            elif action == "forget":
                horizon += number // 3
                table.forget(np.uint64(horizon).__le__)
            elif action == "flush":
                flush()
            else:
                flush()
                table = keyed_rows()
                if (written := store.rows("rows")) is not None:
                    table.restore(*written)
        flush()
        restored = keyed_rows()
        if (written := store.rows("rows")) is not None:
            restored.restore(*written)
        for one in (table, restored):
            found = dict(zip(one.keys[: len(one)].tolist(), one.rows["count"][: len(one)].tolist(), strict=True))
            assert {key: count for key, count in found.items() if key >= horizon} == {
                key: count for key, count in model.items() if key >= horizon
            }
            assert found.items() <= model.items()


def nothing_stays(keys: Keys) -> Mask:
    return np.zeros(len(keys), np.bool_)


def test_a_changed_row_stays_until_it_is_written() -> None:
    table = keyed_rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.keyed_rows._FEW", 0)
        table.touch(table.find(np.array([1, 2], np.uint64)))
        assert [(len(part), part.deleted) for part in table.state(table.take_changed())] == [(2, False)]
        table.touch(table.find(np.array([1, 2], np.uint64)))
        table.forget(nothing_stays)
        assert len(table) == 2
        assert [(len(part), part.deleted) for part in table.state(table.take_changed())] == [(2, False)]
        table.find(np.array([3, 4, 5], np.uint64))
        table.forget(nothing_stays)  # the table has doubled since the last time
        assert [(len(part), part.deleted) for part in table.state(table.take_changed())] == [(2, True)]
        assert table.state(table.take_changed()) == []


def test_keys_that_are_let_go_together_leave_the_state_over_several_flushes() -> None:
    table = keyed_rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.keyed_rows._FEW", 0)
        patch.setattr("streams.operators.keyed_rows._LEAVING_AT_ONCE", 2)
        table.touch(table.find(np.arange(5, dtype=np.uint64)))
        table.state(table.take_changed())
        table.forget(nothing_stays)
        leaving = [table.state(table.take_changed()) for _ in range(4)]
    assert [[(len(part), part.deleted) for part in parts] for parts in leaving] == [
        *([[(2, True)]] * 2),
        [(1, True)],
        [],
    ]
    keys = np.concatenate([rows_of(part.keys, np.dtype(">u8")) for parts in leaving for part in parts])
    assert sorted(keys.tolist()) == list(range(5))


def test_a_row_that_will_be_let_go_is_never_stored() -> None:
    table = keyed_rows()
    table.forget(nothing_stays)
    table.touch(table.find(np.array([1, 2], np.uint64)))
    changed = table.take_changed()
    assert changed.tolist() == [0, 1], "it lands all the same"
    assert table.state(changed) == []


def test_rows_stay_where_they_are_while_others_are_added() -> None:
    table = keyed_rows()
    first = table.find(np.array([3, 7], np.uint64))
    table.rows["count"][first] = [30, 70]
    rows = table.find(np.array([1, 3, 5, 7, 9], np.uint64))
    assert table.rows["count"][rows].tolist() == [0, 30, 0, 70, 0]
    assert len(table) == 5
    assert table.find(np.empty(0, np.uint64)).tolist() == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "add", "expire", "flush", "restart"]), st.integers(0, 5)), max_size=25)
)
def test_segments_hold_every_living_entry_and_few_dead_ones(actions: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.segments.SEGMENT_ENTRIES", 3)
        segments, store, living, next_entry = Segments("set", "<u8"), StateStore(), list[int](), 0

        def flush() -> None:
            store.write(segments.dirty(lambda: np.array(living, np.uint64), len(living)))

        for action, number in actions:
            if action == "add":
                new = list(range(next_entry, next_entry + number))
                next_entry += number
                living += new
                segments.append(np.array(new, np.uint64))
            elif action == "expire":
                del living[:number]
            else:
                flush()
                if action == "restart":
                    segments = Segments("set", "<u8")
                    if (written := store.rows("set")) is not None:
                        segments.restore(*written)
        flush()
        written = store.rows("set")
        entries = [] if written is None else Segments("set", "<u8").restore(*written).tolist()
        assert set(living) <= set(entries)
        assert len(entries) == len(set(entries))
        assert len(entries) <= 2 * len(living) + 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 7)), max_size=8), min_size=1, max_size=8
    ),
    st.integers(0, 6),
)
def test_presence_tells_what_is_new_to_the_set(batches: list[list[tuple[int, int, int]]], forget_after: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.presence._FEW", 0)
        presence, model, oldest = Presence(1000), dict[tuple[int, int], int](), 0
        community_of = np.zeros(4, np.int64)
        for at, batch in enumerate(batches):
            entries = [(pane, member, flags) for pane, member, flags in batch if pane >= oldest]
            pane, member, flags = (np.array([one[field] for one in entries], np.int64) for field in range(3))
            keys, new = presence.add(*merged(presence_keys(pane, member), flags))
            found = dict(
                zip(zip(*(part.tolist() for part in pane_and_member(keys)), strict=True), new.tolist(), strict=True)
            )
            expected: dict[tuple[int, int], int] = {}
            for place, bits in (((one[0], one[1]), one[2]) for one in entries):
                expected[place] = expected.get(place, 0) | (bits & ~model.get(place, 0))
            assert found == {place: bits for place, bits in expected.items() if bits}
            for place, bits in expected.items():
                model[place] = model.get(place, 0) | bits
            if at == forget_after:
                oldest = 3
                presence.forget(community_of, np.array([oldest * 1000]))
        keys, flags = presence.alive(community_of, np.array([oldest * 1000]))
        living = zip(*(part.tolist() for part in (*pane_and_member(keys), flags)), strict=True)
        assert {(pane, member): bits for pane, member, bits in living} == {
            place: bits for place, bits in model.items() if place[0] >= oldest
        }


@given(st.lists(st.tuples(st.integers(0, 2**29 - 1), st.integers(0, 2**32 - 1), st.integers(1, 7)), max_size=10))
def test_packed_presence_is_unpacked_the_same(entries: list[tuple[int, int, int]]) -> None:
    pane, member, flags = (np.array([one[field] for one in entries], np.int64) for field in range(3))
    keys, bits = unpacked(packed(presence_keys(pane, member), flags))
    assert pane_and_member(keys)[0].tolist() == pane.tolist()
    assert pane_and_member(keys)[1].tolist() == member.tolist()
    assert bits.tolist() == flags.tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**32 - 1), st.integers(0, 9)), max_size=20))
def test_pane_keys_sort_by_community_then_time_and_sum_up(entries: list[tuple[int, int, int]]) -> None:
    community, pane, count = (np.array([one[field] for one in entries], np.int64) for field in range(3))
    keys, sums = summed(pane_keys(community, pane), count[:, None])
    expected: dict[tuple[int, int], int] = {}
    for one, at, number in entries:
        expected[one, at] = expected.get((one, at), 0) + number
    places = list(zip(*(part.tolist() for part in split_keys(keys)), strict=True))
    assert places == sorted(expected)
    assert sums[:, 0].tolist() == [expected[place] for place in places]


def test_a_pane_leaves_when_it_ended_at_the_horizon_and_not_before() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.operators.keyed_rows._FEW", 0)
        table = PaneTable("pane", 60_000)
        table.find(pane_keys(np.array([0, 0, 1]), np.array([9, 10, 9])))
        table.settle(np.array([600_000, NEVER]))
        assert split_keys(table.keys[: len(table)])[1].tolist() == [10, 9]
        assert table.figures.shape[1] == len(FIGURES)


IDS = st.sampled_from(["a", "b", "社群", "社群二", "x" * 64, "𠮷", "a b"])


def numbers_of(directory: Directory, pairs: list[tuple[str, str]]) -> list[int]:
    """The numbers of members of communities, unknown ones added."""
    names, ids = (pa.array([pair[at] for pair in pairs], pa.string()) for at in (0, 1))
    community = directory.communities(names)
    directory.add_communities(names.filter(pa.array(community < 0)).unique().to_pylist())
    community = directory.communities(names)
    unknown = directory.find_members(community, ids) < 0
    numbers = directory.members(community, ids)
    assert (numbers[unknown] >= len(directory.member_ids) - len(set(numbers[unknown].tolist()))).all()
    assert directory.find_members(community, ids).tolist() == numbers.tolist()
    return numbers.tolist()  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(IDS, IDS), max_size=30), st.integers(1, 7), st.sets(st.integers(0, 29)))
def test_directory_numbers_are_dense_and_come_back(pairs: list[tuple[str, str]], size: int, lost: set[int]) -> None:
    directory = Directory()
    known: dict[tuple[str, str], int] = {}
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        for pair, number in zip(part, numbers_of(directory, part), strict=True):
            assert known.setdefault(pair, number) == number
            home = int(directory.community_of[number])
            assert (directory.community_names[home], directory.member_ids[number]) == pair
    assert sorted(known.values()) == list(range(len(known)))
    # Only some of them were ever written: the others' numbers stay unused after a restart.
    kept = {pair: number for pair, number in known.items() if number not in lost}
    restored = Directory()
    for name in sorted({name for name, _ in kept}):
        restored.restore_community(directory.community_names.index(name), name)
    keys = pa.array([f"{name}\0{member}".encode() for name, member in kept], pa.large_binary())
    assert directory.keys(np.array(list(kept.values()), np.int64)).to_pylist() == keys.to_pylist()
    restored.restore_members(np.array(list(kept.values()), np.int64), keys)
    again = dict(zip(pairs, numbers_of(restored, pairs), strict=True))
    assert {pair: again[pair] for pair in kept} == kept
    fresh = [number for pair, number in again.items() if pair not in kept]
    assert sorted(fresh) == list(
        range(max(kept.values(), default=-1) + 1, max(kept.values(), default=-1) + 1 + len(fresh))
    )


def test_binary_rows_are_read_back_also_from_a_slice() -> None:
    rows = np.array([(1, -5), (2, 7), (3, 9)], FRESH.dtype)
    array = fixed_binary(rows)
    assert rows_of(array, FRESH.dtype).tolist() == rows.tolist()
    assert rows_of(array.slice(1, 2), FRESH.dtype).tolist() == rows[1:].tolist()
    assert rows_of(pa.chunked_array([array, array]), FRESH.dtype).tolist() == [*rows.tolist(), *rows.tolist()]
    assert len(rows_of(array.slice(0, 0), FRESH.dtype)) == 0


def test_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        rows_of(binary([b"too short"]), FRESH.dtype)


def test_grown_keeps_rows_and_fills_new_ones() -> None:
    array = grown(np.array([1, 2]), 3, -1)
    assert array[:2].tolist() == [1, 2]
    assert len(array) >= 3
    assert set(array[2:].tolist()) == {-1}
    assert grown(array, 2, 0) is array
