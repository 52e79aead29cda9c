"""Reads a chunk of plain JSON records in machine code: where each field's text stands, and its number.

*Plain* is what machines write: one object of known fields, texts without escapes, integers without sign or exponent,
times with Z or an offset. Whatever else a record holds (escapes, nested values, repeated keys, fractions, anything
wrong) makes it not plain: the scanner then says nothing about it, and msgspec decides. So it may refuse too much and
costs only time; what it calls plain it has checked against every rule of the contract.

The interpreter spends most of its time on making and dropping objects; here no object is made for any event.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from schemas.layout import layout_of
from schemas.lines import Lines
from schemas.scanner_code import scan_records
from schemas.vocabulary import EventType


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in a chunk: arrays of fields × records.

    begin, size: where a text stands in the chunk's bytes, and its bytes; size -1 where the field is absent
    number: the integer, the time in ms, 1 or 0 of a boolean, or the position of the word among the legal ones
    plain: whether the record was read; where not, its column of the other arrays means nothing
    """

    begin: NDArray[np.int64]
    size: NDArray[np.int32]
    number: NDArray[np.int64]
    plain: NDArray[np.bool_]


def scan(event_type: EventType, lines: Lines, max_record_bytes: int) -> Scan:
    """Read the records of a chunk.

    Args:
        event_type: what all of them should be.
        lines: the records.
        max_record_bytes: longer ones are not plain.
    """
    layout = layout_of(event_type)
    fields, records = len(layout.names), len(lines)
    found = Scan(
        np.empty((fields, records), np.int64),
        np.full((fields, records), -1, np.int32),
        np.empty((fields, records), np.int64),
        np.empty(records, np.bool_),
    )
    scan_records(
        lines.joined,
        np.ndarray((len(lines.joined) - 7,), "<u8", lines.joined, strides=(1,)),
        lines.ends,
        max_record_bytes,
        layout.key_words,
        layout.key_masks,
        layout.key_first,
        layout.key_length,
        layout.kinds,
        layout.low,
        layout.high,
        layout.nullable,
        layout.required,
        layout.word_bytes,
        layout.word_begin,
        layout.word_first,
        _month_starts(),
        found.begin,
        found.size,
        found.number,
        found.plain,
    )
    return found


@cache
def _month_starts() -> NDArray[np.int64]:
    """Days from 1970-01-01 to the first of each month from year 0 on."""
    months = np.arange(np.datetime64("0000-01"), np.datetime64("10000-02"))
    return months.astype("datetime64[D]").astype(np.int64)
