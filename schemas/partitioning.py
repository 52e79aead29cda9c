"""Which partition a key belongs to: Kafka's default partitioner (murmur2), computed here.

Workers check it for every community, because a producer with another partitioner (librdkafka's default is CRC32) would
split one community over two workers.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The unsigned 32-bit murmur2 hash, exactly as `org.apache.kafka.common.utils.Utils.murmur2` computes it."""
    length = len(key)
    h = (_SEED ^ length) & _WORD
    whole = length & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(key[i : i + 4], "little") * _MIX) & _WORD
        k ^= k >> 24
        k = (k * _MIX) & _WORD
        h = ((h * _MIX) & _WORD) ^ k
    if length > whole:
        h ^= int.from_bytes(key[whole:], "little")
        h = (h * _MIX) & _WORD
    h ^= h >> 13
    h = (h * _MIX) & _WORD
    return h ^ (h >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """The partition (0 … partitions-1) a record with this key goes to under Kafka's default partitioner."""
    # The sign bit is masked as Java does it; a modulo of the negative number would name another partition.
    return (murmur2(key) & 0x7FFFFFFF) % partitions
