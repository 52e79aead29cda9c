"""Bodies in each Content-Encoding, in one frame or many, cut anywhere."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from infra.embedded.content_codings import UnknownCoding, best_coding, decoded, encoded

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("coding", _COMPRESS)
@given(parts=st.lists(st.binary(max_size=2000), max_size=5), cut=st.integers(1, 50))
def test_frames_in_a_row_cut_anywhere_give_the_plain_bytes(coding: str, parts: list[bytes], cut: int) -> None:
    body = b"".join(map(_COMPRESS[coding], parts))
    pieces = [body[i : i + cut] for i in range(0, len(body), cut)]
    assert b"".join(decoded(pieces, coding)) == b"".join(parts)


@pytest.mark.parametrize("coding", _COMPRESS)
@given(body=st.binary(max_size=5000))
def test_what_is_encoded_can_be_read_again(coding: str, body: bytes) -> None:
    assert b"".join(decoded([encoded(memoryview(body), coding)], coding)) == body


@pytest.mark.parametrize("coding", _COMPRESS)
def test_a_cut_off_or_broken_body_is_an_error_not_fewer_rows(coding: str) -> None:
    body = _COMPRESS[coding](b"row\n" * 1000)
    with pytest.raises(ValueError, match=coding):
        list(decoded([body[:-6]], coding))
    with pytest.raises(ValueError, match=coding):
        list(decoded([b"no such thing at all"], coding))


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(UnknownCoding, match="rot13"):
        list(decoded([b"x"], "rot13"))


def test_the_first_coding_the_client_names_is_taken() -> None:
    assert best_coding("lz4,zstd,gzip") == "lz4"
    assert best_coding("snappy, GZIP;q=0.5, deflate") == "gzip"
    assert best_coding("gzip;q=0, deflate") == "deflate"
    assert best_coding("identity") is None
    assert best_coding("") is None
