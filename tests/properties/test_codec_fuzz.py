"""Thousands of broken payloads: every one refused with a code of the closed list, nothing raised, good ones kept."""

from collections import Counter

import numpy as np

from schemas.codec import Decoder
from schemas.refusals import CODES, MAX_DETAIL
from schemas.topics import TYPE_OF
from tests.broken_payloads import BREAKS, as_bytes, broken_payloads, valid_event

NOW_MS = 1_750_000_000_000
ROUNDS = 150


def test_every_broken_payload_is_refused_among_good_ones() -> None:
    payloads = list(broken_payloads(ROUNDS * len(BREAKS), seed=7))
    seen: Counter[str] = Counter()
    for topic, event_type in TYPE_OF.items():
        broken = [value for in_topic, _, value in payloads if in_topic == topic]
        good = as_bytes(valid_event(event_type))
        values = [value for pair in zip(broken, [good] * len(broken), strict=True) for value in pair]
        chunk = Decoder(262_144).decode(event_type, values, np.full(len(values), NOW_MS))
        assert chunk.valid.tolist() == list(range(1, len(values), 2))
        assert [refusal.index for refusal in chunk.refusals] == list(range(0, len(values), 2))
        for refusal in chunk.refusals:
            assert refusal.code in CODES
            assert 0 < len(refusal.detail) <= MAX_DETAIL
            assert refusal.detail.isprintable()
            seen[refusal.code] += 1
    assert seen.keys() == set(CODES) - {"conflicting_duplicate"}  # which only the dedup index can tell


def test_the_generator_is_reproducible() -> None:
    assert list(broken_payloads(300, seed=3)) == list(broken_payloads(300, seed=3))
    assert list(broken_payloads(300, seed=3)) != list(broken_payloads(300, seed=4))


def test_a_deep_record_is_found_however_few_brackets_its_neighbours_have() -> None:
    deep = as_bytes(valid_event("message"))[:-1] + b', "extra": ' + b"[" * 64 + b"]" * 64 + b"}"
    for neighbours in (0, 1, 100, 1_500):
        chunk = Decoder(262_144).decode("message", [b"", *[b"x"] * neighbours, deep], None)
        assert len(chunk.valid) == 0, f"accepted beside {neighbours} records without a bracket"
