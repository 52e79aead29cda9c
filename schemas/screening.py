"""Looks at a block of records at once for what msgspec does not judge: size, UTF-8, NUL, depth.

One look at the joined block costs a tenth of a look at every record. Only when it finds something are single records
looked at, and only the odd ones are handed on as suspects.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_NESTING: Final = 64

_OPENERS: Final = (ord("{"), ord("["))
_QUOTE: Final = ord('"')
_STEPS: Final = np.zeros(256, np.int64)
_STEPS[list(_OPENERS)] = 1
_STEPS[[ord("}"), ord("]")]] = -1
_IS_MARK: Final = _STEPS != 0
_IS_MARK[_QUOTE] = True


def suspects_among(records: Sequence[bytes], max_record_bytes: int) -> set[int]:
    """Positions of records that are too large, not UTF-8, too deep, or may hold the character NUL.

    Raises TypeError when one of them is no bytes (a tombstone).
    """
    if not records:
        return set()
    joined = b"\n".join(records)
    suspects: set[int] = set()

    def suspect(looks_odd: Callable[[bytes], bool]) -> None:
        suspects.update(index for index, raw in enumerate(records) if looks_odd(raw))

    if len(joined) > max_record_bytes and max(map(len, records)) > max_record_bytes:
        suspect(lambda raw: len(raw) > max_record_bytes)
    if not joined.isascii():
        try:
            joined.decode()  # valid together means each is valid: the line break between them ends every sequence
        except UnicodeDecodeError:
            suspect(_not_utf8)
    # NUL can only be written as this escape: raw control characters are no JSON.
    if b"\\" in joined and b"\\u0000" in joined:
        suspect(lambda raw: b"\\u0000" in raw)
    suspects.update(index for index in _many_brackets(records, joined) if nests_deeper(records[index], MAX_NESTING))
    return suspects


def nests_deeper(raw: bytes, limit: int) -> bool:
    """Whether brackets outside of texts nest deeper than `limit`; exact for valid JSON, raises for nothing."""
    if raw.count(b"{") + raw.count(b"[") <= limit:
        return False
    if b"\\" in raw:
        # Without escaped backslashes and quotes, every quote that is left begins or ends a text.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    chars = np.frombuffer(raw, np.uint8)
    marks = chars[_IS_MARK[chars]]
    outside = np.cumsum(marks == _QUOTE) & 1 == 0
    depth = np.cumsum(_STEPS[marks] * outside)
    return int(depth.max(initial=0)) > limit


def _many_brackets(records: Sequence[bytes], joined: bytes) -> list[int]:
    """Positions of records with more opening brackets than may be nested."""
    chars = np.frombuffer(joined, np.uint8)
    opened: NDArray[np.bool_] = chars == _OPENERS[0]
    if b"[" in joined:
        opened |= chars == _OPENERS[1]
    places = np.flatnonzero(opened)
    if len(places) <= MAX_NESTING:
        return []
    lengths = np.fromiter(map(len, records), np.int64, len(records))
    ends = np.cumsum(lengths + 1)  # with the line break behind each record
    in_record = np.diff(np.searchsorted(places, ends), prepend=0)
    many: list[int] = np.flatnonzero(in_record > MAX_NESTING).tolist()
    return many


def _not_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False
