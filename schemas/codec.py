"""From the bytes of a chunk of records to columns of valid events: the hot path.

What is plain is read by `schemas.scanner`, in machine code and without an object for any event. msgspec decides about
the others, and whatever it refuses goes to `schemas.examination`, one by one, so broken records cost no more than
themselves. Nothing raises for input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.columns import Columns, dictionary_of
from schemas.events import EARLIEST_EVENT_MS, LATEST_TIME_MS, PEOPLE
from schemas.examination import examine
from schemas.hot_structs import DECODE, STRUCTS
from schemas.layout import layout_of
from schemas.lines import Lines
from schemas.refusals import Refusal, refusal
from schemas.scanner import scan
from schemas.screening import suspects_among
from schemas.times import parse_times
from schemas.vocabulary import KINDS, UNKNOWN_KIND, UNKNOWN_VIA, VIA_WORDS, EventType

FUTURE_TOLERANCE_MS: Final = 5 * 60_000

_BLOCK: Final = 1000  # records
_as_tuple: Final = msgspec.structs.astuple
_VIAS: Final = frozenset(VIA_WORDS)
_NOT_A_COLUMN: Final = frozenset({"event_type", "schema_version", "occurred_at"})


class Pseudonymiser(Protocol):
    """Replaces ids of people; the same id always by the same pseudonym."""

    def column(self, ids: list[str | None]) -> list[str | None]:
        """The pseudonyms of a column of ids; None stays None."""
        ...


@dataclass(slots=True)
class DecodedChunk:
    """The valid events of a chunk as columns, and a refusal for every other record.

    valid: positions in the chunk of the valid events, ascending (int64)
    occurred_at_ms: their event times, ms since 1970 UTC (int64)
    columns: every other field of the event's model but `event_type` and `schema_version`, by its contract name; one
        value for each valid event, defaults filled in, None where absent. `joined_at` is in ms; `items` is a list of
        (sku, category, quantity, amount_minor). `kind_raw` / `via_raw` hold an unknown word, else None.
    refusals: one for each record that is not valid, by ascending position
    """

    event_type: EventType
    valid: NDArray[np.int64]
    occurred_at_ms: NDArray[np.int64]
    columns: Columns
    refusals: list[Refusal] = field(default_factory=list)


class Decoder:
    """Decodes chunks of records; one per worker. Holds no state but the pseudonymiser's cache."""

    def __init__(self, max_record_bytes: int, pseudonymiser: Pseudonymiser | None = None) -> None:
        self._max_record_bytes = max_record_bytes
        self._pseudonymiser = pseudonymiser

    def decode(
        self,
        event_type: EventType,
        values: Sequence[bytes | None],
        appended_at_ms: NDArray[np.int64] | None = None,
    ) -> DecodedChunk:
        """Columns of the valid events among `values`, and the refusals of the others.

        `appended_at_ms` are the broker's append times, against which future times are judged; a negative one (no
        time known), or None for all, means that there is no such judgement.
        """
        refusals: dict[int, Refusal] = {}
        values = Lines.of(values)
        valid, times, columns = self._plain(event_type, values)
        if len(valid) < len(values):
            odd = np.delete(np.arange(len(values)), valid)
            found, odd_times, odd_columns = self._odd(event_type, values, odd, appended_at_ms, refusals)
            if len(found):
                order = np.argsort(np.concatenate((valid, found)), kind="stable")
                valid = np.concatenate((valid, found))[order]
                times = np.concatenate((times, odd_times))[order]
                columns = Columns.joined([columns, odd_columns]).take(order)
        if appended_at_ms is not None:
            future = _in_the_future(times, appended_at_ms[valid])
            if future.any():
                for index in valid[future].tolist():
                    refusals[index] = _from_the_future(event_type, index, values[index])
                kept = np.flatnonzero(~future)
                valid, times, columns = valid[kept], times[kept], columns.take(kept)
        columns = self._finished(event_type, columns)
        return DecodedChunk(event_type, valid, times, columns, [refusals[i] for i in sorted(refusals)])

    def _plain(self, event_type: EventType, lines: Lines) -> tuple[NDArray[np.int64], NDArray[np.int64], Columns]:
        """Positions, times and columns of the records that the scanner can read."""
        found = scan(event_type, lines, self._max_record_bytes)
        valid = np.flatnonzero(found.plain)
        begin, size, number = found.begin, found.size, found.number
        if len(valid) < len(lines):
            begin, size, number = begin[:, valid], size[:, valid], number[:, valid]
        layout = layout_of(event_type)
        arrays = {
            name: layout.column(at, lines.joined, begin[at], size[at], number[at])
            for at, name in enumerate(layout.names)
            if name not in _NOT_A_COLUMN
        }
        return valid, number[layout.names.index("occurred_at")], Columns(arrays)

    def _odd(
        self,
        event_type: EventType,
        values: Sequence[bytes | None],
        odd: NDArray[np.int64],
        appended_at_ms: NDArray[np.int64] | None,
        refusals: dict[int, Refusal],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Columns]:
        """Positions, times and columns of the valid events among the records at the given positions."""
        lists: dict[str, list[Any]] = {name: [] for name in STRUCTS[event_type].__struct_fields__}
        positions = odd.tolist()
        # In blocks small enough for the processor's cache: transposing them while they are warm saves a fifth.
        for start in range(0, len(positions), _BLOCK):
            block = positions[start : start + _BLOCK]
            _append_rows(lists, self._decode_block(event_type, [values[at] for at in block], block, refusals))
        valid = odd
        if refusals:
            valid = np.setdiff1d(odd, np.fromiter(refusals, np.int64, len(refusals)), assume_unique=True)
        times = parse_times(lists["occurred_at"])
        wrong = (times < EARLIEST_EVENT_MS) | (times >= LATEST_TIME_MS)
        if appended_at_ms is not None:
            wrong &= ~_in_the_future(times, appended_at_ms[valid])  # that is judged with the others'
        if event_type == "join":
            wrong |= _wrong_joined_at(lists["joined_at"])
        if wrong.any():
            for index in valid[wrong].tolist():
                refusals[index] = self._wrong_time(event_type, index, values[index])
            kept = np.flatnonzero(~wrong)
            valid, times = valid[kept], times[kept]
            lists = {name: [column[i] for i in kept.tolist()] for name, column in lists.items()}
        for name in _NOT_A_COLUMN:
            del lists[name]
        if event_type == "join":
            lists["joined_at"] = _times_or_none(lists["joined_at"])
        if event_type == "order":
            lists["items"] = [items and [_as_tuple(item) for item in items] for items in lists["items"]]
        return valid, times, Columns.of_lists(lists)

    def _decode_block(
        self,
        event_type: EventType,
        values: Sequence[bytes | None],
        positions: list[int],
        refusals: dict[int, Refusal],
    ) -> list[Any]:
        """The events of a block of records that stand at `positions` of the chunk, without the refused ones."""
        try:
            records: Sequence[bytes] = values  # type: ignore[assignment]  # a None among them is found out right here
            odd = suspects_among(records, self._max_record_bytes)
        except TypeError:
            records = [value if value is not None else b"" for value in values]
            odd = suspects_among(records, self._max_record_bytes)
        events: list[Any] = []
        feed = map(DECODE[event_type], records)
        while True:
            try:
                # `extend` keeps what it took when the iterator raises, and the iterator stands behind the failed
                # record: the next round goes on from there. So a broken record costs its own examination only.
                events.extend(feed)
                break
            except (ValueError, RecursionError):
                odd.add(len(events))
                events.append(None)
        for i in odd:
            outcome = examine(event_type, positions[i], values[i], self._max_record_bytes)
            if isinstance(outcome, Refusal):
                refusals[positions[i]] = outcome
                events[i] = None
            else:
                events[i] = outcome
        return [event for event in events if event is not None] if odd else events

    def _wrong_time(self, event_type: EventType, index: int, raw: bytes | None) -> Refusal:
        outcome = examine(event_type, index, raw, self._max_record_bytes)
        if isinstance(outcome, Refusal):
            return outcome
        return refusal(index, "invalid_field", "occurred_at or joined_at: not a time that can be kept")

    def _finished(self, event_type: EventType, columns: Columns) -> Columns:
        """The columns as `DecodedChunk` promises them."""
        changed = {"feed": _default_feed(columns.arrow("feed"), columns.arrow("platform"))}
        match event_type:
            case "message":
                changed["kind"], changed["kind_raw"] = _fold_words(columns.arrow("kind"), KINDS, UNKNOWN_KIND)
            case "join" | "referral":
                changed["via"], changed["via_raw"] = _fold_words(columns.arrow("via"), _VIAS, UNKNOWN_VIA)
        if self._pseudonymiser is not None:
            for name in PEOPLE & columns.keys():
                changed[name] = pa.array(self._pseudonymiser.column(columns[name]), pa.string())
        return columns.changed(**changed)


def _in_the_future(times: NDArray[np.int64], appended_at_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    future: NDArray[np.bool_] = (appended_at_ms >= 0) & (times > appended_at_ms + FUTURE_TOLERANCE_MS)
    return future


def _from_the_future(event_type: EventType, index: int, raw: bytes | None) -> Refusal:
    text = DECODE[event_type](raw or b"").occurred_at  # type: ignore[attr-defined]
    words = f"occurred_at: {text} is more than 5 minutes after the broker received the record"
    return refusal(index, "future_timestamp", words)


def _append_rows(columns: dict[str, list[Any]], events: list[Any]) -> None:
    flat: list[Any] = []
    for event in events:
        flat += _as_tuple(event)
    width = len(columns)
    for i, column in enumerate(columns.values()):
        # Slices with a stride transpose faster than zip(*rows), which holds an iterator for every row.
        column.extend(flat[i::width])


def _wrong_joined_at(texts: list[str | None]) -> NDArray[np.bool_]:
    """Where `joined_at` is no time that the store can hold."""
    wrong = np.zeros(len(texts), np.bool_)
    there = [i for i, text in enumerate(texts) if text is not None]
    if there:
        times = parse_times([text for text in texts if text is not None])
        wrong[there] = (times < 0) | (times >= LATEST_TIME_MS)
    return wrong


def _times_or_none(texts: list[str | None]) -> list[int | None]:
    times = iter(parse_times([text for text in texts if text is not None]).tolist())
    return [None if text is None else next(times) for text in texts]


def _default_feed(feed: pa.Array, platform: pa.Array) -> pa.Array:
    if feed.null_count == len(feed):
        return platform
    return pc.coalesce(pc.if_else(pc.equal(feed, ""), None, feed), platform)


def _fold_words(words: pa.Array, known: frozenset[str], unknown: str) -> tuple[pa.Array, pa.Array]:
    """The words, unknown ones replaced by `unknown`; and the raw unknown words, null for the others."""
    encoded = dictionary_of(words)
    found = encoded.dictionary.to_pylist()
    if known.issuperset(found):
        return encoded, pa.nulls(len(words), pa.string())
    indices = encoded.indices
    folded = pa.array([word if word in known else unknown for word in found], pa.string())
    raw = pa.array([None if word in known else word for word in found], pa.string())
    return folded.take(indices).dictionary_encode(), raw.take(indices)
