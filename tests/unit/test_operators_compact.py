"""Compact columns hold what was put in: hashes, texts, links, and sums over subtrees."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.operators.hash_index import UNKNOWN_ROW, HashIndex, distinct, hashes_of
from streams.operators.referral_links import chains_of, lasting, ways_up
from streams.operators.text_column import TextColumn
from streams.operators.word_list import WordList


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=3), max_size=30), max_size=8))
def test_a_hash_index_is_a_dict(batches: list[list[bytes]]) -> None:
    index, known = HashIndex(), dict[bytes, int]()
    for texts in batches:
        hashed = hashes_of(texts)
        assert index.find(hashed).tolist() == [known.get(text, UNKNOWN_ROW) for text in texts]
        first, kinds = distinct(hashed)
        assert [texts[at] for at in first[kinds].tolist()] == texts
        assert first.tolist() == [texts.index(texts[at]) for at in first.tolist()]
        new = [at for at in first.tolist() if texts[at] not in known]
        rows = np.arange(len(known), len(known) + len(new))
        index.add(hashed[new], rows)
        known.update(zip([texts[at] for at in new], rows.tolist(), strict=True))
        assert index.find(hashed).tolist() == [known[text] for text in texts]
    assert len(index) == len(known)


def test_hashes_that_share_their_first_word_are_told_apart() -> None:
    index = HashIndex()
    hashed = np.array([[7, 1], [7, 2], [7, 3]], np.uint64)
    index.add(hashed[:2], np.array([10, 20]))
    assert index.find(hashed).tolist() == [10, 20, UNKNOWN_ROW]
    assert index.nbytes == 32


@given(st.lists(st.lists(st.text(max_size=5), max_size=6), max_size=5), st.randoms(use_true_random=False))
def test_a_text_column_is_a_list(batches: list[list[str]], chance: random.Random) -> None:
    column, texts = TextColumn(), list[str]()
    for batch in batches:
        column.extend([text.encode("utf-8", "ignore") for text in batch])
        texts += [text.encode("utf-8", "ignore").decode() for text in batch]
        rows = np.array(chance.choices(range(len(texts)), k=5) if texts else [], np.int64)
        assert column.take(rows).to_pylist() == [texts[row] for row in rows.tolist()]
        assert [column[row].decode() for row in range(len(column))] == texts


def test_words_keep_the_number_of_their_first_sight() -> None:
    words = WordList()
    assert words.codes(["二", "一", "二"]) == [0, 1, 0]
    assert words.codes(["一", "二"]) == [1, 0]
    assert (words.code("三"), words.words, len(words)) == (2, ["二", "一", "三"], 3)


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_links_that_last_are_those_that_lead_to_a_root(size: int, chance: random.Random) -> None:
    roots = np.array(chance.sample(range(size), chance.randint(1, size)))
    top = np.array([chance.randrange(size + 2) for _ in roots])
    steps = np.array([chance.randint(1, 3) for _ in roots])
    standing, ends, depth = lasting(roots, top, steps)
    onward = dict(zip(roots.tolist(), zip(top.tolist(), steps.tolist(), strict=True), strict=True))
    for at, root in enumerate(roots.tolist()):
        node, walked = root, 0
        while node in onward and walked < 1000:
            node, walked = onward[node][0], walked + onward[node][1]
        assert standing[at] == (node not in onward)
        if standing[at]:
            assert (ends[at], depth[at]) == (node, walked)


@pytest.mark.parametrize("length", [5, 63, 64, 65, 300])
def test_ways_up_that_are_too_long_are_given_back(length: int) -> None:
    above, steps = np.maximum(np.arange(length, dtype=np.int32) - 1, 0), np.ones(length, np.int32)
    steps[0] = 0
    left = ways_up(above, steps, np.array([length - 1, 1]))
    assert left.tolist() == ([] if length <= 66 else [length - 1])
    if not len(left):
        assert (above[length - 1], steps[length - 1]) == (0, length - 1)


@given(st.lists(st.integers(0, 4), max_size=20))
def test_chains_hang_the_items_of_an_owner_together(owners: list[int]) -> None:
    items = np.arange(100, 100 + len(owners))
    order, following, heads = chains_of(np.array(owners, np.int64), items)
    ordered = items[order].tolist()
    behind = dict(zip(ordered, following.tolist(), strict=True))
    for owner in set(owners):
        mine = [item for item, of in zip(items.tolist(), owners, strict=True) if of == owner]
        (head,) = [item for item, first in zip(ordered, heads.tolist(), strict=True) if first and item in mine]
        chain = [head]
        while behind[chain[-1]] != -1:
            chain.append(behind[chain[-1]])
        assert chain == mine
