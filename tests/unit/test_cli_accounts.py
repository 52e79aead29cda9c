"""The books of `status` and `demo`: sums, the equation, and what still has to land."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.topics import EVENT_TOPICS, JOINS, MESSAGES
from streams.accounts import Account, PartitionAccount, backlog, by_topic
from streams.kafka_cluster import Span

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def _part(account: Account, next_offset: int) -> PartitionAccount:
    return PartitionAccount(account, next_offset, None, NOW)


def test_a_topic_is_the_sum_of_its_partitions_and_silent_topics_have_zeros() -> None:
    books = {
        (MESSAGES, 0): _part(Account(10, 7, 1, 1, 1, 0), 10),
        (MESSAGES, 1): _part(Account(5, 4, 0, 0, 0, 1), 5),
    }
    accounts = by_topic(books)
    assert list(accounts) == list(EVENT_TOPICS)
    assert accounts[MESSAGES] == Account(15, 11, 1, 1, 1, 1)
    assert accounts[JOINS] == Account()
    assert accounts[MESSAGES].balanced
    assert accounts[MESSAGES].equation().endswith("OK")


def test_a_lost_or_doubled_record_breaks_the_books() -> None:
    assert not Account(10, 9).balanced
    assert not Account(10, 11).balanced
    assert Account(10, 9).equation().endswith("BROKEN")


def test_what_has_not_landed_is_counted_per_partition() -> None:
    books = {(MESSAGES, 0): _part(Account(8, 8), 8), (MESSAGES, 1): _part(Account(5, 5), 5)}
    spans = {
        (MESSAGES, 0): Span(0, 10),
        (MESSAGES, 1): Span(0, 5),
        (MESSAGES, 2): Span(0, 3),  # nobody has read from it yet
        (MESSAGES, 3): Span(7, 7),  # all its records are past their retention
    }
    assert backlog(books, spans) == {(MESSAGES, 0): 2, (MESSAGES, 1): 0, (MESSAGES, 2): 3, (MESSAGES, 3): 0}
