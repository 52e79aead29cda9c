"""How long people wait for what Kafka has taken in, told from fetches, ends and landings alone."""

from __future__ import annotations

from schemas.topics import JOINS, MESSAGES
from streams.engine.fetched import Fetched
from streams.engine.record_block import Record, RecordBlock


def block(*records: tuple[int, int]) -> RecordBlock:
    """A fetched block of (offset, append time)."""
    return RecordBlock.of([Record(offset, at, None, None) for offset, at in records])


def test_the_oldest_is_the_first_record_of_the_oldest_fetch_that_has_not_landed() -> None:
    fetched = Fetched()
    assert fetched.oldest_ms is None
    fetched.note(MESSAGES, block((0, 100), (1, 110)))
    fetched.note(JOINS, block((0, 90)))
    fetched.note(MESSAGES, block((2, 120)))
    assert fetched.oldest_ms == 90
    fetched.note_landed({MESSAGES: 1, JOINS: 1})
    assert fetched.oldest_ms == 100, "a fetch that has landed in part has not landed"
    fetched.note_landed({MESSAGES: 2})
    assert fetched.oldest_ms == 120
    fetched.note_landed({MESSAGES: 3})
    assert fetched.oldest_ms is None


def test_what_is_not_even_fetched_waits_since_it_was_first_seen() -> None:
    fetched = Fetched()
    fetched.note_end(MESSAGES, 0, now_ms=500)
    assert fetched.oldest_ms is None
    fetched.note_end(MESSAGES, 10, now_ms=1_000)
    fetched.note_end(MESSAGES, 20, now_ms=9_000)
    assert fetched.oldest_ms == 1_000, "a consumer that hangs is not called fresh"


def test_a_feed_that_never_pauses_is_not_called_stale_for_being_fetched_all_the_time() -> None:
    fetched = Fetched()
    for now_ms in range(0, 600_000, 1_000):
        end = now_ms // 100
        fetched.note_end(MESSAGES, end + 10, now_ms)
        fetched.note(MESSAGES, block((end + 5, now_ms - 20), (end + 9, now_ms - 10)))
        fetched.note_landed({MESSAGES: end + 10})
        assert fetched.oldest_ms is None or fetched.oldest_ms >= now_ms - 2_000


def test_what_is_fetched_anew_counts_once() -> None:
    fetched = Fetched()
    fetched.start(MESSAGES, consumed=7, next_offset=8)
    fetched.note(MESSAGES, block((8, 100), (9, 110)))
    assert fetched.records(MESSAGES) == 9
    fetched.start(MESSAGES, consumed=7, next_offset=8)
    assert (fetched.records(MESSAGES), fetched.oldest_ms) == (7, None)
