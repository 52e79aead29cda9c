"""The machine code of the scanner; see `schemas.scanner` for what it is for.

`buf` holds the chunk's bytes, `words` the eight bytes from each of them on as one number: most steps look at eight
bytes at once (S. E. Anderson, Bit Twiddling Hacks: "Determine if a word has a byte equal to n"). Every record is
followed by a line break, which is no part of any token but white space, and the chunk by enough zeros to read words
behind its end: so only white space has to be asked where the record ends. All of it stands in one file because Numba's
cache looks at one file only. The types are for readers: Numba finds its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite.ir import Constant, IntType
from numba import njit, uint64
from numba.extending import intrinsic
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Longs = NDArray[np.int64]
Sizes = NDArray[np.int32]
Flags = NDArray[np.bool_]

TEXT, WORD, CURRENCY, TIME, INTEGER, BOOLEAN, OTHER = range(7)
"""What a field holds. OTHER (lists, fractions) is plain only where it is absent or null."""

_PLACES = 64
_QUOTE, _BACKSLASH, _COLON, _COMMA = ord('"'), ord("\\"), ord(":"), ord(",")
_OPEN, _CLOSE, _ZERO, _NINE = ord("{"), ord("}"), ord("0"), ord("9")

_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(_QUOTE * 0x0101010101010101)
_BACKSLASHES = np.uint64(_BACKSLASH * 0x0101010101010101)
_SPACES = np.uint64(0x2020202020202020)

_FOUR, _FIVE = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFFFF)
_NULL, _TRUE, _FALSE = (np.uint64(int.from_bytes(word, "little")) for word in (b"null", b"true", b"false"))


@intrinsic
def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits below the lowest set bit of a word that has one."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], Constant(IntType(1), 1))

    return uint64(uint64), build


@njit(cache=True, nogil=True)
def scan_records(
    buf: Bytes,
    words: Words,
    ends: Longs,
    max_record_bytes: int,
    key_words: Words,
    key_masks: Words,
    key_first: Longs,
    key_length: Longs,
    kinds: Bytes,
    low: Longs,
    high: Longs,
    nullable: Bytes,
    required: int,
    word_bytes: Bytes,
    word_begin: Longs,
    word_first: Longs,
    months: Longs,
    begin: Longs,
    size: Sizes,
    number: Longs,
    plain: Flags,
) -> None:
    guesses = np.full(_PLACES, -1, np.int64)
    start = 0
    for record in range(len(ends)):
        end = ends[record]
        plain[record] = end - start <= max_record_bytes and _scan_record(
            buf,
            words,
            start,
            end,
            record,
            key_words,
            key_masks,
            key_first,
            key_length,
            kinds,
            low,
            high,
            nullable,
            required,
            word_bytes,
            word_begin,
            word_first,
            months,
            guesses,
            begin,
            size,
            number,
        )
        start = end + 1


@njit(cache=True, nogil=True)
def _scan_record(
    buf: Bytes,
    words: Words,
    at: int,
    end: int,
    record: int,
    key_words: Words,
    key_masks: Words,
    key_first: Longs,
    key_length: Longs,
    kinds: Bytes,
    low: Longs,
    high: Longs,
    nullable: Bytes,
    required: int,
    word_bytes: Bytes,
    word_begin: Longs,
    word_first: Longs,
    months: Longs,
    guesses: Longs,
    begin: Longs,
    size: Sizes,
    number: Longs,
) -> bool:
    at = _skip_space(buf, at, end)
    if buf[at] != _OPEN:
        return False
    at = _skip_space(buf, at + 1, end)
    seen = 0
    there = 0
    place = 0
    while True:
        if buf[at] != _QUOTE:
            return False
        at += 1
        field = -1
        # Records of one producer have their fields in one order: the field last seen at this place comes first.
        guess = guesses[place]
        if guess >= 0 and _is_key(words, at, key_words, key_masks, key_first, guess):
            field = guess
            at += key_length[guess]
        else:
            stop, _ = _text(buf, words, at)
            if stop < 0:
                return False
            for candidate in range(len(kinds)):
                if _is_key(words, at, key_words, key_masks, key_first, candidate):
                    field = candidate
                    guesses[place] = candidate
                    break
            at = stop + 1
        place = min(place + 1, _PLACES - 1)
        at = _skip_space(buf, at, end)
        if buf[at] != _COLON:
            return False
        at = _skip_space(buf, at + 1, end)
        if field < 0:
            at = _skip_unknown(buf, words, at)
            if at < 0:
                return False
        else:
            bit = 1 << field
            if seen & bit:
                return False
            seen |= bit
            kind = kinds[field]
            if words[at] & _FOUR == _NULL:
                if not nullable[field]:
                    return False
                at += 4
            elif kind == INTEGER:
                value, at = _integer(buf, at)
                if at < 0 or value < low[field] or value > high[field]:
                    return False
                number[field, record] = value
                size[field, record] = 0
                there |= bit
            elif kind == BOOLEAN:
                if words[at] & _FOUR == _TRUE:
                    number[field, record] = 1
                    at += 4
                elif words[at] & _FIVE == _FALSE:
                    number[field, record] = 0
                    at += 5
                else:
                    return False
                size[field, record] = 0
                there |= bit
            elif kind == OTHER or buf[at] != _QUOTE:
                return False
            else:
                at += 1
                stop, characters = _text(buf, words, at)
                if stop < 0:
                    return False
                if kind == TEXT:
                    if characters > high[field] or characters < low[field]:
                        return False
                elif kind == TIME:
                    value = _time(buf, at, stop, months)
                    if value < low[field] or value > high[field]:
                        return False
                    number[field, record] = value
                elif kind == WORD:
                    word = _word(buf, at, stop, word_bytes, word_begin, word_first, field)
                    if word < 0:
                        return False
                    number[field, record] = word
                elif stop - at != 3 or not (_capital(buf[at]) and _capital(buf[at + 1]) and _capital(buf[at + 2])):
                    return False
                begin[field, record] = at
                size[field, record] = stop - at
                there |= bit
                at = stop + 1
        at = _skip_space(buf, at, end)
        if buf[at] == _COMMA:
            at = _skip_space(buf, at + 1, end)
        elif buf[at] == _CLOSE:
            break
        else:
            return False
    return there & required == required and _skip_space(buf, at + 1, end) == end


@njit(cache=True, nogil=True)
def _skip_space(buf: Bytes, at: int, end: int) -> int:
    if buf[at] > 0x20:
        return at
    while at < end and (buf[at] == 0x20 or buf[at] == 0x0A or buf[at] == 0x0D or buf[at] == 0x09):
        at += 1
    return at


@njit(cache=True, nogil=True)
def _is_key(words: Words, at: int, key_words: Words, key_masks: Words, key_first: Longs, field: int) -> bool:
    """Whether a field's name and a closing quote stand at a place."""
    for k in range(key_first[field], key_first[field + 1]):
        if words[at] & key_masks[k] != key_words[k]:
            return False
        at += 8
    return True


@njit(cache=True, nogil=True)
def _text(buf: Bytes, words: Words, at: int) -> tuple[int, int]:
    """Where the closing quote of a text stands and its characters; −1 for escapes, control characters, no UTF-8."""
    start = at
    beyond_ascii = word = ends = np.uint64(0)
    at -= 8
    while ends == np.uint64(0):
        at += 8
        beyond_ascii |= word
        word = words[at]
        quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
        ends = (quotes - _EACH) & ~quotes
        ends |= (backslashes - _EACH) & ~backslashes
        ends |= (word - _SPACES) & ~word
        ends &= _HIGH
    beyond_ascii |= word & (ends ^ (ends - np.uint64(1)))  # the lowest mark is right, those above it may not be
    at += int(_trailing_zeros(ends) >> np.uint64(3))
    if buf[at] != _QUOTE:
        return -1, 0
    if beyond_ascii & _HIGH == np.uint64(0):
        return at, at - start
    characters = _utf8_characters(buf, start, at)
    return at if characters >= 0 else -1, characters


@njit(cache=True, nogil=True)
def _utf8_characters(buf: Bytes, at: int, stop: int) -> int:
    """How many characters bytes spell, −1 where they are not UTF-8 (The Unicode Standard, table 3-7)."""
    count = 0
    while at < stop:
        first = buf[at]
        if first < 0x80:
            more = 0
        elif 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
        elif 0xF0 <= first <= 0xF4:
            more = 3
        else:
            return -1
        if at + more >= stop:
            return -1
        for k in range(1, more + 1):
            if buf[at + k] & 0xC0 != 0x80:
                return -1
        second = buf[at + 1]
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):  # too long; a surrogate
            return -1
        if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):  # too long; beyond Unicode
            return -1
        at += more + 1
        count += 1
    return count


@njit(cache=True, nogil=True)
def _integer(buf: Bytes, at: int) -> tuple[int, int]:
    """The integer at a place and where it ends; end −1 when there is none that is plain."""
    if buf[at] == _ZERO:
        return 0, at + 1  # a digit behind it is found out by whoever expects a comma
    value, start = 0, at
    while _ZERO <= buf[at] <= _NINE:
        value = value * 10 + int(buf[at] - _ZERO)
        at += 1
        if at - start > 18:
            return 0, -1
    return value, at if at > start else -1


@njit(cache=True, nogil=True)
def _skip_unknown(buf: Bytes, words: Words, at: int) -> int:
    """Behind a plain text, integer or literal of a field nobody knows; −1 for everything else."""
    if buf[at] == _QUOTE:
        stop, _ = _text(buf, words, at + 1)
        return stop + 1 if stop >= 0 else -1
    if words[at] & _FOUR == _TRUE or words[at] & _FOUR == _NULL:
        return at + 4
    if words[at] & _FIVE == _FALSE:
        return at + 5
    _, stop = _integer(buf, at)
    return stop


@njit(cache=True, nogil=True)
def _capital(letter: int) -> bool:
    return ord("A") <= letter <= ord("Z")


@njit(cache=True, nogil=True)
def _word(buf: Bytes, at: int, stop: int, word_bytes: Bytes, word_begin: Longs, word_first: Longs, field: int) -> int:
    """Position of a text among the legal words of a field, or -1."""
    for word in range(word_first[field], word_first[field + 1]):
        first = word_begin[word]
        if word_begin[word + 1] - first == stop - at:
            same = True
            for i in range(stop - at):
                if buf[at + i] != word_bytes[first + i]:
                    same = False
                    break
            if same:
                return word - word_first[field]
    return -1


@njit(cache=True, nogil=True)
def _two_digits(buf: Bytes, at: int) -> int:
    """The number two digits make, or a very negative one."""
    tens, ones = buf[at], buf[at + 1]
    if tens < _ZERO or tens > _NINE or ones < _ZERO or ones > _NINE:
        return -1_000_000
    return int(tens - _ZERO) * 10 + int(ones - _ZERO)


@njit(cache=True, nogil=True)
def _time(buf: Bytes, at: int, stop: int, months: Longs) -> int:
    """Milliseconds since 1970 of an RFC 3339 time as `schemas.times` reads it; -1 where that one must decide."""
    length = stop - at
    if length < 20 or length > 35:
        return -1
    if buf[at + 4] != ord("-") or buf[at + 7] != ord("-") or buf[at + 10] != ord("T"):
        return -1
    if buf[at + 13] != _COLON or buf[at + 16] != _COLON:
        return -1
    century, years = _two_digits(buf, at), _two_digits(buf, at + 2)
    month, day = _two_digits(buf, at + 5), _two_digits(buf, at + 8)
    hour, minute, second = _two_digits(buf, at + 11), _two_digits(buf, at + 14), _two_digits(buf, at + 17)
    year = century * 100 + years
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23:
        return -1
    if minute < 0 or minute > 59 or second < 0 or second > 59:  # leap seconds are left to the other one
        return -1
    which = year * 12 + month - 1
    if day > months[which + 1] - months[which]:
        return -1
    millis = 0
    place = at + 19
    if buf[place] == ord("."):
        place += 1
        digits = 0
        while _ZERO <= buf[place] <= _NINE:
            if digits < 3:
                millis = millis * 10 + int(buf[place] - _ZERO)
            digits += 1
            place += 1
        if digits < 1 or digits > 9:
            return -1
        for _ in range(digits, 3):
            millis *= 10
    shift = 0
    if buf[place] == ord("Z"):
        place += 1
    elif buf[place] == ord("+") or buf[place] == ord("-"):
        if stop - place != 6 or buf[place + 3] != _COLON:
            return -1
        hours, minutes = _two_digits(buf, place + 1), _two_digits(buf, place + 4)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return -1
        shift = hours * 60 + minutes
        if buf[place] == ord("-"):
            shift = -shift
        place += 6
    if place != stop:
        return -1
    minutes_of_day = (months[which] + day - 1) * 1440 + hour * 60 + minute - shift
    return minutes_of_day * 60_000 + second * 1000 + millis
