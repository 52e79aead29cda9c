"""Topics are co-partitioned, and the broker's clock stamps events."""

import pytest

from schemas.topics import DEADLETTERS, EVENT_TOPICS, TOPIC_OF, TYPE_OF, topic_specs


def test_all_topics_have_the_same_number_of_partitions() -> None:
    assert {spec.partitions for spec in topic_specs(7)} == {7}


def test_every_event_topic_and_the_dead_letters_are_specified_once() -> None:
    assert [spec.name for spec in topic_specs(1)] == [*EVENT_TOPICS, DEADLETTERS]


def test_events_are_stamped_by_the_broker() -> None:
    assert all(spec.config["message.timestamp.type"] == "LogAppendTime" for spec in topic_specs(4))


def test_types_and_topics_name_each_other() -> None:
    assert {TYPE_OF[topic]: topic for topic in EVENT_TOPICS} == TOPIC_OF


def test_no_partition_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        topic_specs(0)
