"""The fields of a batch of events as Arrow columns, which cost nothing to cut, filter and hand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

ITEM: Final = pa.struct(
    [("sku", pa.string()), ("category", pa.string()), ("quantity", pa.int64()), ("amount_minor", pa.int64())]
)
_TYPES: Final[dict[str, pa.DataType]] = {
    "char_count": pa.int64(),
    "mentions": pa.int64(),
    "is_question": pa.bool_(),
    "is_promotion": pa.bool_(),
    "labels": pa.list_(pa.string()),
    "value": pa.float64(),
    "snapshot_size": pa.int64(),
    "joined_at": pa.int64(),
    "amount_minor": pa.int64(),
    "coupon_codes": pa.list_(pa.string()),
    "discount_minor": pa.int64(),
    "items": pa.list_(ITEM),
}


def type_of(name: str) -> pa.DataType:
    """The Arrow type of a field of the contract; times are in ms."""
    return _TYPES.get(name, pa.string())


class Columns(Mapping[str, list[Any]]):
    """Columns of one length, by contract name.

    ``columns[name]`` is a list of Python values (made when it is asked for; do not change it), ``arrow(name)`` the
    Arrow array, ``words(name)`` a column of few different texts as numbers. ``items`` are tuples in lists, structs in
    Arrow.
    """

    __slots__ = ("_arrays", "_lists", "_words")

    def __init__(self, arrays: dict[str, pa.Array]) -> None:
        self._arrays = arrays
        self._lists: dict[str, list[Any]] = {}
        self._words: dict[str, tuple[list[str | None], NDArray[np.int64]]] = {}

    @classmethod
    def of_lists(cls, lists: Mapping[str, Sequence[Any]]) -> Columns:
        """Columns of Python values."""
        return cls({name: _array(name, values) for name, values in lists.items()})

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """One behind the other; all have the same names."""
        if len(parts) == 1:
            return parts[0]
        return cls({name: _concatenated([part.arrow(name) for part in parts]) for name in parts[0]})

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._lists:
            values = self._arrays[name].to_pylist()
            if name == "items":
                values = [items and [tuple(item.values()) for item in items] for items in values]
            self._lists[name] = values
        return self._lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def arrow(self, name: str) -> pa.Array:
        """The column; may be dictionary-encoded."""
        return self._arrays[name]

    def words(self, name: str) -> tuple[list[str | None], NDArray[np.int64]]:
        """The different texts of a column, and for each event the position of its own (-1 where absent)."""
        if name not in self._words:
            encoded = dictionary_of(self._arrays[name])
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            self._words[name] = encoded.dictionary.to_pylist(), codes
        return self._words[name]

    def given(self, name: str) -> NDArray[np.bool_]:
        """Where a column has a value."""
        array = self._arrays[name]
        if array.null_count == 0:
            return np.ones(len(array), np.bool_)
        if array.null_count == len(array):
            return np.zeros(len(array), np.bool_)
        given: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
        return given

    def changed(self, **arrays: pa.Array) -> Columns:
        """The same columns but for the given ones."""
        return Columns({**self._arrays, **arrays})

    def part(self, span: slice) -> Columns:
        """A stretch of the rows; copies nothing."""
        return Columns({name: array[span] for name, array in self._arrays.items()})

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """The given rows, in their order."""
        wanted = pa.array(rows)
        return Columns({name: array.take(wanted) for name, array in self._arrays.items()})


def dictionary_of(array: pa.Array) -> pa.DictionaryArray:
    """The array, dictionary-encoded."""
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def text_column(
    joined: NDArray[np.uint8], begin: NDArray[np.int64], size: NDArray[np.int32], default: str | None = None
) -> pa.Array:
    """Texts cut out of a buffer of UTF-8; where the size is -1 the text is absent (or the default)."""
    count = len(begin)
    absent = int(np.count_nonzero(size < 0))
    if absent == count:
        return pa.nulls(count, pa.string()) if default is None else pa.repeat(default, count)
    offsets = np.empty(count + 1, np.int32)
    data = np.empty(_lay_out(size, offsets), np.uint8)
    _copy_texts(joined, begin, offsets, data)
    there = None
    if absent:
        there = pa.py_buffer(np.packbits(size >= 0, bitorder="little"))
    array = pa.Array.from_buffers(
        pa.string(), count, [there, pa.py_buffer(offsets), pa.py_buffer(data)], null_count=absent
    )
    return array if default is None else array.fill_null(default)


def text_buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of a column of texts, and the n + 1 places where they begin and end."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    _, offsets, data = texts.buffers()
    if len(texts) == 0 or offsets is None:
        return np.zeros(1, np.uint8), np.zeros(len(texts) + 1, np.int32)
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return text, np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]


@njit(cache=True, nogil=True)
def _lay_out(size, offsets):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(len(size)):
        offsets[i] = total
        total += max(size[i], 0)
    offsets[len(size)] = total
    return total


@njit(cache=True, nogil=True)
def _copy_texts(source, begin, offsets, data):  # type: ignore[no-untyped-def]
    for i in range(len(begin)):
        first, start = offsets[i], begin[i]
        for k in range(offsets[i + 1] - first):
            data[first + k] = source[start + k]


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    kind = type_of(name)
    if name == "items":
        fields = ITEM.names
        values = [items and [dict(zip(fields, item, strict=True)) for item in items] for items in values]
    return pa.array(values, kind)


def _concatenated(arrays: list[pa.Array]) -> pa.Array:
    if any(pa.types.is_dictionary(array.type) for array in arrays):
        # Parts may have different dictionaries.
        return pa.chunked_array([dictionary_of(array) for array in arrays]).unify_dictionaries().combine_chunks()
    return pa.concat_arrays(arrays)
