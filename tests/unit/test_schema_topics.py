"""Topics are co-partitioned, and the broker's clock stamps events."""

import pytest

from schemas.topics import (
    ALERTS,
    COMMANDS,
    DEADLETTERS,
    EVENT_TOPICS,
    MILESTONES,
    OUTBOX_TOPICS,
    READ_TOPICS,
    REFERRAL_FACTS,
    TOPIC_OF,
    TOUCHES,
    TYPE_OF,
    topic_specs,
)


def test_all_topics_have_the_same_number_of_partitions() -> None:
    assert {spec.partitions for spec in topic_specs(7)} == {7}


def test_every_topic_is_specified_once() -> None:
    side = [REFERRAL_FACTS, COMMANDS, ALERTS, MILESTONES, TOUCHES]
    assert [spec.name for spec in topic_specs(1)] == [*EVENT_TOPICS, DEADLETTERS, *side]


def test_what_is_read_or_written_is_specified() -> None:
    assert {*READ_TOPICS, *OUTBOX_TOPICS} <= {spec.name for spec in topic_specs(1)}


def test_every_topic_is_stamped_by_the_broker() -> None:
    assert all(spec.config["message.timestamp.type"] == "LogAppendTime" for spec in topic_specs(4))


def test_only_alerts_are_compacted_since_only_they_have_one_key_for_one_thing() -> None:
    assert [spec.name for spec in topic_specs(1) if spec.config["cleanup.policy"] == "compact"] == [ALERTS]


def test_types_and_topics_name_each_other() -> None:
    assert {TYPE_OF[topic]: topic for topic in EVENT_TOPICS} == TOPIC_OF


def test_no_partition_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        topic_specs(0)
