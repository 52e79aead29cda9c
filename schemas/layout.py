"""How machine code reads the fields of each event type: derived from the pydantic models, so they cannot drift."""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le, MaxLen, MinLen
from numpy.typing import NDArray
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.columns import text_column, type_of
from schemas.events import EARLIEST_EVENT_MS, LATEST_TIME_MS, MODELS, NO_NUL
from schemas.scanner_code import BOOLEAN, CURRENCY, INTEGER, OTHER, TEXT, TIME, WORD
from schemas.vocabulary import EventType

_NO_LIMIT: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of an event type, as the scanner reads them.

    names: in the order of the model
    kinds: one of the constants of `schemas.scanner_code` for each
    words: the legal words of each WORD field
    defaults: by name, for fields that are optional with a default
    key_words, key_masks, key_first, key_length: the names with a closing quote as words of eight bytes, which of the
        words' bits count, the first word of each, and each one's bytes
    low, high: limits of the length in characters, of the integer, or of the time in ms
    nullable, required: 1 where null is as good as absent; bit mask of the fields that must be there
    """

    names: tuple[str, ...]
    kinds: NDArray[np.uint8]
    words: dict[str, tuple[str, ...]]
    defaults: dict[str, Any]
    key_words: NDArray[np.uint64]
    key_masks: NDArray[np.uint64]
    key_first: NDArray[np.int64]
    key_length: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    nullable: NDArray[np.uint8]
    required: int
    word_bytes: NDArray[np.uint8]
    word_begin: NDArray[np.int64]
    word_first: NDArray[np.int64]

    def column(
        self,
        field: int,
        joined: NDArray[np.uint8],
        begin: NDArray[np.int64],
        size: NDArray[np.int32],
        number: NDArray[np.int64],
    ) -> pa.Array:
        """The column of a field from its rows of a :class:`Scan`, defaults filled in."""
        name, kind = self.names[field], self.kinds[field]
        default = self.defaults.get(name)
        if kind in (TEXT, CURRENCY):
            return text_column(joined, begin, size, default)
        if kind == OTHER:
            return pa.nulls(len(size), type_of(name))
        absent = size < 0
        if kind == WORD:
            words = self.words[name]
            codes = np.where(absent, words.index(default) if default is not None else 0, number).astype(np.int32)
            mask = absent if default is None and absent.any() else None
            return pa.DictionaryArray.from_arrays(pa.array(codes, mask=mask), pa.array(words, pa.string()))
        if default is not None:
            return pa.array(np.where(absent, default, number)).cast(type_of(name))
        return pa.array(number, mask=absent).cast(type_of(name))


@cache
def layout_of(event_type: EventType) -> Layout:
    """The layout that a model describes. Raises TypeError for a field that nobody has taught it to read."""
    fields = MODELS[event_type].model_fields
    kinds, low, high, nullable, words, defaults = [], [], [], [], {}, {}
    required = 0
    for number, (name, field) in enumerate(fields.items()):
        kind, least, most, choices = _field_of(field.annotation, list(field.metadata))
        if kind == TIME and name == "occurred_at":
            least, most = EARLIEST_EVENT_MS, LATEST_TIME_MS - 1
        kinds.append(kind)
        low.append(least)
        high.append(most)
        if kind == WORD:
            words[name] = choices
        if field.default is PydanticUndefined:
            required |= 1 << number
        elif field.default is not None:
            defaults[name] = field.default
        nullable.append(int(field.default is None))
    every_word = [word for name in fields for word in words.get(name, ())]
    counts = [len(words.get(name, ())) for name in fields]
    key_words, key_masks, key_first = _as_words([f'{name}"'.encode() for name in fields])
    word_bytes, word_begin = _packed(every_word)
    return Layout(
        names=tuple(fields),
        kinds=np.array(kinds, np.uint8),
        words=words,
        defaults=defaults,
        key_words=key_words,
        key_masks=key_masks,
        key_first=key_first,
        key_length=np.array([len(name) + 1 for name in fields], np.int64),
        low=np.array(low, np.int64),
        high=np.array(high, np.int64),
        nullable=np.array(nullable, np.uint8),
        required=required,
        word_bytes=word_bytes,
        word_begin=word_begin,
        word_first=np.cumsum([0, *counts]),
    )


def _field_of(annotation: Any, metadata: list[Any]) -> tuple[int, int, int, tuple[str, ...]]:
    """Kind, lower and upper limit, and legal words of a field."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        parts = [part for one in extra for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _field_of(inner, metadata + parts)
    if origin in (Union, types.UnionType):
        (inner,) = [choice for choice in get_args(annotation) if choice is not types.NoneType]
        return _field_of(inner, metadata)
    if any(isinstance(one, BeforeValidator) for one in metadata):
        return TIME, 0, LATEST_TIME_MS - 1, ()
    if origin is Literal:
        return WORD, 0, 0, get_args(annotation)
    if annotation is bool:
        return BOOLEAN, 0, 1, ()
    if annotation is float or origin is list:
        return OTHER, 0, 0, ()
    minimum = next((one.min_length for one in metadata if isinstance(one, MinLen)), 0)
    maximum = next((one.max_length for one in metadata if isinstance(one, MaxLen)), _NO_LIMIT)
    patterns = {one.pattern for one in metadata if isinstance(getattr(one, "pattern", None), str)} - {NO_NUL}
    if annotation is str and not patterns:
        return TEXT, minimum, maximum, ()
    if annotation is str and patterns == {r"^[A-Z]{3}$"}:
        return CURRENCY, minimum, maximum, ()
    if annotation is int:
        least = next((int(str(one.ge)) for one in metadata if isinstance(one, Ge)), 0)
        most = next((int(str(one.le)) for one in metadata if isinstance(one, Le)), 2**53)
        return INTEGER, least, most, ()
    raise TypeError(f"the scanner cannot read {annotation!r} with {metadata!r}: teach it in schemas/layout.py")


def _packed(texts: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    encoded = [text.encode() for text in texts]
    begin = np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(b"".join(encoded) or b"\0", np.uint8), begin


def _as_words(names: list[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Names as words of eight bytes: the words, the bits of each that count, and where each name begins."""
    padded = [name.ljust(-len(name) // 8 * -8, b"\0") for name in names]
    masks = [(b"\xff" * len(name)).ljust(len(full), b"\0") for name, full in zip(names, padded, strict=True)]
    first = np.cumsum([0, *(len(full) // 8 for full in padded)])
    return np.frombuffer(b"".join(padded), "<u8"), np.frombuffer(b"".join(masks), "<u8"), first
