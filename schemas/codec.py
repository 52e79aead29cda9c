"""From the bytes of a chunk of records to columns of valid events: the hot path.

msgspec decides, record by record but without a Python frame for any; times are parsed in columns. Whatever is not
plainly valid goes to `schemas.examination`, one by one, so broken records cost no more than themselves. Nothing raises
for input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.events import EARLIEST_EVENT_MS, LATEST_TIME_MS, PEOPLE
from schemas.examination import examine
from schemas.hot_structs import DECODE, STRUCTS
from schemas.refusals import Refusal, refusal
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
        Python value for each valid event, defaults filled in, None where absent. `joined_at` is in ms; `items` is a
        list of (sku, category, quantity, amount_minor). `kind_raw` / `via_raw` hold an unknown word, else None. Lists
        may be shared between columns: do not change them in place.
    refusals: one for each record that is not valid, by ascending position
    """

    event_type: EventType
    valid: NDArray[np.int64]
    occurred_at_ms: NDArray[np.int64]
    columns: dict[str, list[Any]]
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
        columns: dict[str, list[Any]] = {name: [] for name in STRUCTS[event_type].__struct_fields__}
        # In blocks small enough for the processor's cache: transposing them while they are warm saves a fifth.
        for start in range(0, len(values), _BLOCK):
            events = self._decode_block(event_type, values[start : start + _BLOCK], start, refusals)
            _append_rows(columns, events)
        valid = np.arange(len(values))
        if refusals:
            valid = np.delete(valid, list(refusals))
        return self._chunk(event_type, values, valid, columns, refusals, appended_at_ms)

    def _decode_block(
        self, event_type: EventType, values: Sequence[bytes | None], start: int, refusals: dict[int, Refusal]
    ) -> list[Any]:
        """The events of a block of records that begins at position `start` of the chunk, without the refused ones."""
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
            outcome = examine(event_type, start + i, values[i], self._max_record_bytes)
            if isinstance(outcome, Refusal):
                refusals[start + i] = outcome
                events[i] = None
            else:
                events[i] = outcome
        return [event for event in events if event is not None] if odd else events

    def _chunk(
        self,
        event_type: EventType,
        values: Sequence[bytes | None],
        valid: NDArray[np.int64],
        columns: dict[str, list[Any]],
        refusals: dict[int, Refusal],
        appended_at_ms: NDArray[np.int64] | None,
    ) -> DecodedChunk:
        """Parse the times, drop the events whose times are wrong, and finish the columns."""
        texts = columns["occurred_at"]
        times = parse_times(texts)
        wrong = (times < EARLIEST_EVENT_MS) | (times >= LATEST_TIME_MS)
        future = np.zeros(len(times), np.bool_)
        if appended_at_ms is not None:
            appended = appended_at_ms[valid]
            future = (appended >= 0) & (times > appended + FUTURE_TOLERANCE_MS)
            wrong |= future
        if event_type == "join":
            wrong |= _wrong_joined_at(columns["joined_at"])
        if wrong.any():
            for i in np.flatnonzero(wrong).tolist():
                index = int(valid[i])
                if future[i]:
                    words = f"occurred_at: {texts[i]} is more than 5 minutes after the broker received the record"
                    refusals[index] = refusal(index, "future_timestamp", words)
                else:
                    refusals[index] = self._wrong_time(event_type, index, values[index])
            kept = np.flatnonzero(~wrong)
            valid, times = valid[kept], times[kept]
            columns = {name: [column[i] for i in kept.tolist()] for name, column in columns.items()}
        columns = self._finished(event_type, columns)
        return DecodedChunk(event_type, valid, times, columns, [refusals[i] for i in sorted(refusals)])

    def _wrong_time(self, event_type: EventType, index: int, raw: bytes | None) -> Refusal:
        outcome = examine(event_type, index, raw, self._max_record_bytes)
        if isinstance(outcome, Refusal):
            return outcome
        return refusal(index, "invalid_field", "occurred_at or joined_at: not a time that can be kept")

    def _finished(self, event_type: EventType, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The columns as `DecodedChunk` promises them."""
        for name in _NOT_A_COLUMN:
            del columns[name]
        columns["feed"] = _default_feed(columns["feed"], columns["platform"])
        match event_type:
            case "message":
                columns["kind"], columns["kind_raw"] = _fold_words(columns["kind"], KINDS, UNKNOWN_KIND)
            case "join" | "referral":
                columns["via"], columns["via_raw"] = _fold_words(columns["via"], _VIAS, UNKNOWN_VIA)
            case "order":
                columns["items"] = [items and [_as_tuple(item) for item in items] for items in columns["items"]]
        if event_type == "join":
            columns["joined_at"] = _times_or_none(columns["joined_at"])
        if self._pseudonymiser is not None:
            for name in PEOPLE & columns.keys():
                columns[name] = self._pseudonymiser.column(columns[name])
        return columns


def _append_rows(columns: dict[str, list[Any]], events: list[Any]) -> None:
    flat: list[Any] = []
    for event in events:
        flat += _as_tuple(event)
    width = len(columns)
    for i, column in enumerate(columns.values()):
        # Slices with a stride transpose faster than zip(*rows), which holds an iterator for every row.
        column.extend(flat[i::width])


def _all_none(column: list[Any]) -> bool:
    return not column or (column[0] is None and column.count(None) == len(column))


def _wrong_joined_at(texts: list[str | None]) -> NDArray[np.bool_]:
    """Where `joined_at` is no time that the store can hold."""
    wrong = np.zeros(len(texts), np.bool_)
    if not _all_none(texts):
        there = [i for i, text in enumerate(texts) if text is not None]
        times = parse_times([text for text in texts if text is not None])
        wrong[there] = (times < 0) | (times >= LATEST_TIME_MS)
    return wrong


def _times_or_none(texts: list[str | None]) -> list[int | None]:
    if _all_none(texts):
        return texts  # type: ignore[return-value]  # nothing but None
    times = iter(parse_times([text for text in texts if text is not None]).tolist())
    return [None if text is None else next(times) for text in texts]


def _default_feed(feeds: list[str | None], platforms: list[str | None]) -> list[str | None]:
    if _all_none(feeds):
        return platforms
    return [feed or platform for feed, platform in zip(feeds, platforms, strict=True)]


def _fold_words(
    words: list[str | None], known: frozenset[str], unknown: str
) -> tuple[list[str | None], list[str | None]]:
    """The words, unknown ones replaced by `unknown`; and the raw unknown words, None for the others."""
    strange = set(words) - known - {None}
    if not strange:
        return words, [None] * len(words)
    return (
        [unknown if word in strange else word for word in words],
        [word if word in strange else None for word in words],
    )
