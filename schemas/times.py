"""RFC 3339 times to milliseconds since 1970 (UTC), one by one and in columns.

Accepted is `YYYY-MM-DDThh:mm:ss[.f…]` with 1 to 9 digits of fraction (truncated to milliseconds, never rounded) and an
offset: `Z` or `±hh:mm`. `t` and `z` may be lower case and `-00:00` reads as UTC, as RFC 3339 allows. Refused are a
missing offset, a space instead of `T`, `24:00`, days a month does not have. A leap second is accepted where one can be
(23:59:60 UTC on the last day of a month) and becomes the last millisecond before midnight, so that it stays in its day.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

NOT_A_TIME: Final = int(np.iinfo(np.int64).min)
"""Stands in a column of times where the text was no time."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

# Days from 1970-01-01 to the first of each month of the years 0 to 9999, and each month's length.
_MONTH_STARTS: Final = (
    np.arange(np.datetime64("0000-01"), np.datetime64("10000-02")).astype("datetime64[D]").astype(np.int64)
)
_MONTH_LENGTHS: Final = np.diff(_MONTH_STARTS)

_SECONDS_LENGTH: Final = 19  # "YYYY-MM-DDThh:mm:ss"
_DIGITS: Final = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_MARKS: Final = ((4, "-"), (7, "-"), (13, ":"), (16, ":"))
_LOWER: Final = 0x20  # sets the lower-case bit of an ASCII letter
_MAX_FRACTION: Final = 9


def parse_time(text: str) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z; ValueError says what is wrong with the text."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("expected an RFC 3339 time with seconds and offset, like 2024-05-01T09:30:00+08:00")
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise ValueError(f"there is no day {text[:10]}") from None
    offset_hour, offset_minute = int(match[9] or 0), int(match[10] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        raise ValueError("hours go to 23, minutes and seconds to 59, offsets to 23:59")
    offset = (offset_hour * 60 + offset_minute) * (-1 if match[8] == "-" else 1)
    minutes = days * 1440 + hour * 60 + minute - offset
    if second == 60:
        next_day = minutes // 1440 + 1 + _EPOCH_DAY
        if minutes % 1440 != 1439 or next_day < 2 or date.fromordinal(next_day).day != 1:
            raise ValueError("a second 60 exists only at 23:59:60 UTC on the last day of a month")
        return minutes * 60_000 + 59_999
    return minutes * 60_000 + second * 1000 + int((match[7] or "0").ljust(3, "0")[:3])


def parse_times(texts: Sequence[str]) -> NDArray[np.int64]:
    """A column of times in milliseconds; NOT_A_TIME where `parse_time` would raise. About 0.1 µs a time."""
    if not texts:
        return np.empty(0, np.int64)
    times = _parse_same_length(texts, len(texts[0]))
    if times is not None:
        return times
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    times = np.empty(len(texts), np.int64)
    for length in np.unique(lengths).tolist():
        where = np.flatnonzero(lengths == length)
        group = [texts[i] for i in where.tolist()]
        parsed = _parse_same_length(group, length)
        times[where] = parsed if parsed is not None else _one_by_one(group)
    return times


def _parse_same_length(texts: Sequence[str], length: int) -> NDArray[np.int64] | None:
    """The times when all texts have this length and plain characters only, else None."""
    try:
        raw = "\n".join(texts).encode("ascii") + b"\n"
    except UnicodeEncodeError:
        return None
    width, count = length + 1, len(texts)
    if len(raw) != width * count or length <= _SECONDS_LENGTH:
        return None
    grid = np.frombuffer(raw, np.uint8).reshape(count, width)
    # As many line breaks as texts, each at the end of its row: so every text fills its row exactly. Asking every
    # text for its length would cost more than all that follows.
    if np.count_nonzero(grid == ord("\n")) != count or (grid[:, -1] != ord("\n")).any():
        return None
    # One row per character position: each check below then runs over contiguous memory.
    chars = np.ascontiguousarray(grid[:, :-1].T)
    zulu = (chars[-1] | _LOWER) == ord("z")
    if zulu.all():
        times, odd = _columns(chars, length - 1)
    elif not zulu.any() and length >= _SECONDS_LENGTH + 6:
        times, odd = _columns(chars, length - 6)
        shift, odd_offset = _offset_ms(chars[-6:])
        times -= shift
        odd |= odd_offset
    else:
        return None
    for i in np.flatnonzero(odd).tolist():
        times[i] = _time_or_mark(texts[i])
    return times


def _columns(chars: NDArray[np.uint8], end: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times without their offset, and which rows are odd: not certainly right, left to `parse_time`."""
    digits = chars - ord("0")  # anything that is no digit wraps around to more than 9
    odd = (chars[10] | _LOWER) != ord("t")
    for position, mark in _MARKS:
        odd |= chars[position] != ord(mark)
    for position in _DIGITS:
        odd |= digits[position] > 9
    millis = np.zeros(chars.shape[1], np.int64)
    if end > _SECONDS_LENGTH:
        fraction = end - _SECONDS_LENGTH - 1
        if not 1 <= fraction <= _MAX_FRACTION:
            odd[:] = True
            return millis, odd
        odd |= chars[_SECONDS_LENGTH] != ord(".")
        for i in range(fraction):
            digit = digits[_SECONDS_LENGTH + 1 + i]
            odd |= digit > 9
            if i < 3:
                millis += digit.astype(np.int64) * 10 ** (2 - i)

    def number(start: int) -> NDArray[np.int64]:
        tens: NDArray[np.int64] = digits[start].astype(np.int64) * 10
        tens += digits[start + 1]
        return tens

    year = number(0) * 100 + number(2)
    month, day, hour, minute, second = (number(start) for start in (5, 8, 11, 14, 17))
    odd |= (year < 1) | (month < 1) | (month > 12) | (day < 1) | (hour > 23) | (minute > 59) | (second > 59)
    months = np.where(odd, 0, year * 12 + month - 1)  # rows that are odd must not index past the table
    odd |= day > _MONTH_LENGTHS[months]
    days = _MONTH_STARTS[months] + day - 1
    millis += ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    return millis, odd


def _offset_ms(chars: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The offsets `±hh:mm` in milliseconds (positive is east of Greenwich), and which rows are odd."""
    digits = chars - ord("0")
    odd = ((chars[0] != ord("+")) & (chars[0] != ord("-"))) | (chars[3] != ord(":"))
    for position in (1, 2, 4, 5):
        odd |= digits[position] > 9
    hours = digits[1].astype(np.int64) * 10 + digits[2]
    minutes = digits[4].astype(np.int64) * 10 + digits[5]
    odd |= (hours > 23) | (minutes > 59)
    shift: NDArray[np.int64] = (hours * 60 + minutes) * 60_000
    shift[chars[0] == ord("-")] *= -1
    return shift, odd


def _one_by_one(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(_time_or_mark, texts), np.int64, len(texts))


def _time_or_mark(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        return NOT_A_TIME
