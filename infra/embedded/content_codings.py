"""Content-Encoding of requests and responses: gzip, deflate, lz4, zstd, br where its package is installed.

Clients of ClickHouse compress block by block, so one body may be many compressed frames in a row; a decoder here
goes on with a new frame where one ends.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class UnknownCoding(Exception):
    """A Content-Encoding that cannot be read here."""


def _lz4() -> Any:
    return importlib.import_module("lz4.frame")


def _zstd() -> Any:
    try:
        return importlib.import_module("compression.zstd")  # Python 3.14
    except ModuleNotFoundError:
        return importlib.import_module("backports.zstd")


_FRAME_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
    "lz4": lambda: _lz4().LZ4FrameDecompressor(),
    "zstd": lambda: _zstd().ZstdDecompressor(),
}

_ENCODERS: dict[str, Callable[[bytes | memoryview], bytes]] = {
    "lz4": lambda body: bytes(_lz4().compress(body)),
    "zstd": lambda body: bytes(_zstd().compress(body, 1)),
    "gzip": lambda body: _deflated(body, 31),
    "deflate": lambda body: _deflated(body, 15),
}


def _deflated(body: bytes | memoryview, window_bits: int) -> bytes:
    encoder = zlib.compressobj(3, zlib.DEFLATED, window_bits)
    return encoder.compress(body) + encoder.flush()


def decoded(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the plain bytes of a body in `coding` ('' or 'identity': as it is).

    Raises UnknownCoding for a coding that is not known, ValueError for bytes that are not in it.
    """
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        yield from chunks
        return
    if coding == "br":
        yield from _decoded_brotli(chunks)
        return
    new_decoder = _FRAME_DECODERS.get(coding)
    if new_decoder is None:
        raise UnknownCoding(coding)
    decoder = None
    for chunk in chunks:
        rest = chunk
        while rest:
            if decoder is None:
                decoder = new_decoder()
            try:
                plain = decoder.decompress(rest)
            except Exception as error:  # each codec raises an error class of its own
                raise ValueError(f"the request body is not valid {coding}: {error}") from error
            rest = b""
            if decoder.eof:
                rest, decoder = decoder.unused_data or b"", None
            if plain:
                yield plain
    if decoder is not None:
        raise ValueError(f"the request body ends in the middle of its {coding} data")


def _decoded_brotli(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        brotli = importlib.import_module("brotli")
    except ModuleNotFoundError:
        raise UnknownCoding("br") from None
    decoder = brotli.Decompressor()
    for chunk in chunks:
        try:
            yield bytes(decoder.process(chunk))
        except brotli.error as error:
            raise ValueError(f"the request body is not valid br: {error}") from error


def best_coding(accept_encoding: str) -> str | None:
    """The coding to answer in: the first one the client names that can be written here."""
    for item in accept_encoding.split(","):
        name, _, weight = item.strip().lower().partition(";")
        if name in _ENCODERS and weight.replace(" ", "") not in {"q=0", "q=0.0"}:
            return name
    return None


def encoded(body: bytes | memoryview, coding: str) -> bytes:
    """Return `body` in `coding`, one that `best_coding` gave."""
    return _ENCODERS[coding](body)
