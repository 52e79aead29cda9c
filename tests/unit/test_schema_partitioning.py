"""A community's partition is the one every Kafka client with the default partitioner sends it to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_murmur2

from schemas.partitioning import murmur2, partition_for

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the code


@UNHURRIED
@given(st.binary(max_size=200))
def test_hash_equals_the_one_of_the_kafka_client(key: bytes) -> None:
    assert murmur2(key) == kafka_murmur2(key) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # From Kafka's own UtilsTest.testMurmur2, as unsigned numbers.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hash_equals_the_vectors_of_kafka_itself(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


@UNHURRIED
@given(st.binary(max_size=70), st.integers(1, 64))
def test_partition_is_in_range(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions
