"""ClickHouse's compressed blocks, as the JDBC driver reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.embedded.block_compression import BLOCK_BYTES, compressed, decompressed

PLAIN = "上海群 1\n".encode()


@given(st.binary(max_size=300), st.integers(1, 50))
def test_what_was_compressed_comes_back_however_it_is_cut(body: bytes, piece: int) -> None:
    sent = compressed(body)
    assert b"".join(decompressed(sent[i : i + piece] for i in range(0, len(sent), piece))) == body


def test_a_long_body_is_several_blocks() -> None:
    body = b"0123456789" * (BLOCK_BYTES // 4)
    assert [len(block) for block in decompressed([compressed(body)])] == [BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES // 2]


def test_one_changed_byte_is_noticed() -> None:
    sent = bytearray(compressed(PLAIN * 20))
    sent[-1] ^= 1
    with pytest.raises(ValueError, match="another checksum"):
        list(decompressed([bytes(sent)]))


def test_a_body_that_breaks_off_or_is_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="in the middle of a compressed block"):
        list(decompressed([compressed(PLAIN)[:-3]]))
    with pytest.raises(ValueError, match="not in ClickHouse's compressed blocks"):
        list(decompressed([b"SELECT 1 this is no block at all, only text"]))
