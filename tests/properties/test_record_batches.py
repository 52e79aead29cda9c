"""Kafka's record batches as blocks hold what aiokafka's own parser reads, and damage is found, never read past."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import memory_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.record_batches import BlockBatch, BlockRecords
from streams.engine.record_block import Record, RecordBlock
from streams.engine.transport import _Blocks

NOTHING, GZIP, SNAPPY, LZ4, ZSTD = range(5)
HEADER = 61

maybe_bytes = st.none() | st.binary(max_size=200) | st.text(max_size=40).map(str.encode)
one_record = st.tuples(
    st.integers(0, 2**45), maybe_bytes, maybe_bytes, st.lists(st.tuples(st.text(max_size=8), maybe_bytes), max_size=2)
)
batches = st.lists(
    st.tuples(st.integers(NOTHING, ZSTD), st.integers(0, 3), st.lists(one_record, min_size=1, max_size=30)),
    min_size=1,
    max_size=5,
)


def batch_of(codec: int, offset: int, records: Sequence[tuple], appended_ms: int | None = None) -> bytes:
    """A batch of records as a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 30)
    for at, (time_ms, key, value, headers) in enumerate(records):
        assert builder.append(at, time_ms, key, value, headers) is not None
    raw = bytearray(builder.build())
    raw[:8] = offset.to_bytes(8, "big")
    if appended_ms is not None:  # as a topic with LogAppendTime stores it: the broker stamps the whole batch
        raw[22] |= 0x08
        raw[35:43] = appended_ms.to_bytes(8, "big")
    return bytes(raw)


def read(raw: bytes, fetch_offset: int = 0) -> tuple[list[Record], int]:
    """Records as the worker's transport gets them, and the offset that it will ask for next."""
    reader = _Blocks(None, BlockRecords(raw), [], fetch_offset, None, None, False, 0)
    return [record for block in reader for record in block], reader.next_fetch_offset


def read_plainly(raw: bytes) -> list[Record]:
    """Records as aiokafka's own parser reads them."""
    records, found = memory_records.MemoryRecords(raw), []
    while records.has_next():
        found += [Record(one.offset, one.timestamp, one.key, one.value) for one in records.next_batch()]
    return found


@given(batches, st.none() | st.integers(0, 2**45))
@settings(max_examples=200, deadline=None)
def test_a_block_holds_what_was_sent_however_it_was_packed(made: list, appended_ms: int | None) -> None:
    raw, offset = b"", 7
    for codec, gap, records in made:
        offset += gap
        raw += batch_of(codec, offset, records, appended_ms)
        offset += len(records)
    found, following = read(raw)
    assert found == read_plainly(raw)
    assert [record.value for record in found] == [record[2] for _, _, records in made for record in records]
    assert following == offset


@given(st.lists(one_record, min_size=1, max_size=20), st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_batch_is_called_corrupt_or_read_as_aiokafka_reads_it(records: list, data: st.DataObject) -> None:
    raw = bytearray(batch_of(NOTHING, 0, records))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(HEADER, len(raw) - 1), st.integers(0, 255)), max_size=4)
    ):
        raw[place] = byte
    try:
        expected = read_plainly(bytes(raw))
    except (CorruptRecordException, UnicodeDecodeError):  # the latter for a header; we do not read headers
        return
    try:
        found = [record for block in BlockBatch(raw) for record in block]
    except CorruptRecordException:
        return
    assert found == expected


def test_the_checksum_is_looked_at_before_anything_is_read() -> None:
    raw = bytearray(batch_of(NOTHING, 0, [(1, b"k", "你好".encode(), [])]))
    raw[-3] ^= 1
    checked = _Blocks(None, BlockRecords(bytes(raw)), [], 0, None, None, True, 0)
    with pytest.raises(CorruptRecordException):
        next(checked)


def test_what_is_older_than_the_position_is_skipped_by_its_offset() -> None:
    raw = batch_of(LZ4, 0, [(1, None, b"%d" % n, []) for n in range(10)])
    raw += batch_of(NOTHING, 10, [(1, None, b"%d" % n, []) for n in range(10, 20)])
    found, following = read(raw, 10)
    assert [record.offset for record in found] == list(range(10, 20))
    assert following == 20
    block = RecordBlock.of(read(raw)[0])
    assert [record.value for record in block.since(17)] == [b"17", b"18", b"19"]
    assert len(block.since(20)) == 0


def test_the_message_format_of_old_brokers_is_read_too() -> None:
    builder = LegacyRecordBatchBuilder(1, NOTHING, 1 << 20)
    for at in range(3):
        builder.append(at, 5, b"k", b"v%d" % at)
    assert [record.value for record in read(bytes(builder.build()))[0]] == [b"v0", b"v1", b"v2"]


def test_the_seam_is_where_aiokafka_looks_for_it() -> None:
    assert (fetcher.MemoryRecords, fetcher.PartitionRecords) == (BlockRecords, _Blocks)
