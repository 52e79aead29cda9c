"""Milestones as they were sent, compared with how the targets of their subjects stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition

from schemas import milestones
from schemas.milestones import Milestone
from schemas.topics import MILESTONES
from tests.oracle.targets import Standing, Subject


def check_sent(sent: Iterable[Milestone], expected: Mapping[Subject, Standing]) -> None:
    """What was sent of each milestone at last says how it stands, once a change; what comes again is the same."""
    latest: dict[str, Milestone] = {}
    for one in sent:
        known = latest.get(one.milestone_id)
        assert known is None or one.revision > known.revision or one == known  # sent again after a crash
        latest[one.milestone_id] = one
    for subject, standing in expected.items():
        found = latest.pop(milestones.milestone_id(*subject), None)
        assert standing.reached is None or found is not None
        if found is not None:
            assert (found.opened_at, found.deadline_at) == standing[:2]
            assert (found.reached_at, found.taken_back_at) == standing[3:]
            stands = standing.reached is not None and standing.taken_back is None
            assert found.state == ("reached" if stands else "taken_back")
    assert not latest


def read_milestones(bootstrap_servers: str, partitions: int) -> list[Milestone]:
    """All records of the topic, each partition's in their order."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    places = [TopicPartition(MILESTONES, number) for number in range(partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: list[Milestone] = []
    while any(consumer.position(place) < end for place, end in ends.items()):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                found.append(milestones.decode(record.value))
                assert record.key.decode() == found[-1].campaign_id
    consumer.close()
    return found
