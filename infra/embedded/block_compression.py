"""ClickHouse's own compression of HTTP bodies: the one of `compress=1` and `decompress=1`, which the JDBC driver uses.

A body is a row of blocks. Each is, little-endian: 16 bytes CityHash128 (ClickHouse's 1.0.2) of all that follows, one
byte method, 4 bytes size of method, sizes and payload together, 4 bytes size of the payload when decompressed, payload.
Format: ClickHouse's documentation, "Compression" of the native protocol; src/Compression/CompressedReadBufferBase.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

BLOCK_BYTES = 1 << 20
_HEADER = struct.Struct("<BII")
_CHECKSUM_BYTES = 16
_LZ4, _NONE = 0x82, 0x02
_LARGEST_BLOCK = 1 << 30  # ClickHouse's own limit


def compressed(body: bytes | memoryview) -> bytes:
    """The body as LZ4 blocks of at most `BLOCK_BYTES` decompressed bytes each."""
    import lz4.block

    view = memoryview(body)
    pieces = []
    for start in range(0, len(view), BLOCK_BYTES):
        plain = view[start : start + BLOCK_BYTES]
        payload = lz4.block.compress(plain, store_size=False)
        block = _HEADER.pack(_LZ4, _HEADER.size + len(payload), len(plain)) + payload
        pieces += [_checksum(block), block]
    return b"".join(pieces)


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The plain bytes of a body that comes in blocks (LZ4 or stored), whole blocks at a time.

    Raises ValueError for a body that ends inside a block, a wrong checksum, or a method other than these two.
    """
    import lz4.block

    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        while (block := _first_block(kept)) is not None:
            method, size, plain_size = _HEADER.unpack_from(block)
            if _checksum(block) != bytes(kept[:_CHECKSUM_BYTES]):
                raise ValueError("a compressed block of the request body has another checksum than it says")
            del kept[: _CHECKSUM_BYTES + size]
            if method == _LZ4:
                try:
                    yield lz4.block.decompress(block[_HEADER.size :], uncompressed_size=plain_size)
                except lz4.block.LZ4BlockError as error:
                    raise ValueError(f"a block of the request body is not valid LZ4: {error}") from error
            elif method == _NONE:
                yield block[_HEADER.size :]
            else:
                raise ValueError(f"a block of the request body is compressed by method {method:#x}; send LZ4")
    if kept:
        raise ValueError("the request body ends in the middle of a compressed block")


def _first_block(kept: bytearray) -> bytes | None:
    """The first block behind its checksum, or None until all of it is there."""
    if len(kept) < _CHECKSUM_BYTES + _HEADER.size:
        return None
    _, size, plain_size = _HEADER.unpack_from(kept, _CHECKSUM_BYTES)
    if not (_HEADER.size <= size <= _LARGEST_BLOCK and plain_size <= _LARGEST_BLOCK):
        raise ValueError("the request body is not in ClickHouse's compressed blocks")
    end = _CHECKSUM_BYTES + size
    return bytes(kept[_CHECKSUM_BYTES:end]) if len(kept) >= end else None


def _checksum(block: bytes) -> bytes:
    from clickhouse_cityhash.cityhash import CityHash128

    number = int(CityHash128(block))
    return struct.pack("<QQ", number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF)
