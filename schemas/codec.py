"""From the bytes of a chunk of records to columns of valid events: the hot path.

msgspec decides, record by record but without a Python frame for any; times are parsed in columns. Whatever is not
plainly valid goes to `schemas.examination`, one by one, so broken records cost no more than themselves. Nothing raises
for input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.events import EARLIEST_EVENT_MS, LATEST_TIME_MS, PEOPLE
from schemas.examination import MAX_NESTING, examine, nests_deeper
from schemas.hot_structs import DECODE, STRUCTS
from schemas.refusals import Refusal, refusal
from schemas.times import parse_times
from schemas.vocabulary import KINDS, UNKNOWN_KIND, UNKNOWN_VIA, VIA_WORDS, EventType

FUTURE_TOLERANCE_MS: Final = 5 * 60_000

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
        records, suspects = self._screen(values, refusals)
        events = self._decode_records(event_type, records, suspects, refusals)
        valid = np.arange(len(events)) if not refusals else _positions(events)
        rows: list[Any] = events if not refusals else [event for event in events if event is not None]

        times = parse_times([row.occurred_at for row in rows])
        wrong = (times < EARLIEST_EVENT_MS) | (times >= LATEST_TIME_MS)
        future = np.zeros(len(rows), np.bool_)
        if appended_at_ms is not None:
            appended = appended_at_ms[valid]
            future = (appended >= 0) & (times > appended + FUTURE_TOLERANCE_MS)
            wrong |= future
        if event_type == "join":
            wrong |= _wrong_joined_at(rows)
        if wrong.any():
            for i in np.flatnonzero(wrong).tolist():
                index = int(valid[i])
                refusals[index] = self._wrong_time(event_type, index, records[index], bool(future[i]), rows[i])
            kept = np.flatnonzero(~wrong)
            valid, times = valid[kept], times[kept]
            rows = [rows[i] for i in kept.tolist()]

        columns = self._columns(event_type, rows)
        return DecodedChunk(event_type, valid, times, columns, [refusals[i] for i in sorted(refusals)])

    def _screen(self, values: Sequence[bytes | None], refusals: dict[int, Refusal]) -> tuple[Sequence[bytes], set[int]]:
        """The records without tombstones, and the positions of those that need a closer look.

        Looks at the whole chunk at once first: that costs a tenth of a look at every record.
        """
        try:
            joined = b"\n".join(values)  # type: ignore[arg-type]  # a None among them is found out right here
            records: Sequence[bytes] = values  # type: ignore[assignment]
        except TypeError:
            records = [value if value is not None else b"" for value in values]
            joined = b"\n".join(records)
            for index, value in enumerate(values):
                if value is None:
                    refusals[index] = refusal(index, "invalid_json", "a tombstone: the record has no value")
        if not records:
            return records, set()
        suspects: set[int] = set()

        def suspect(looks_odd: Callable[[bytes], bool]) -> None:
            suspects.update(index for index, raw in enumerate(records) if looks_odd(raw))

        limit = self._max_record_bytes
        if len(joined) > limit and max(map(len, records)) > limit:
            suspect(lambda raw: len(raw) > limit)
        if not joined.isascii():
            try:
                joined.decode()  # valid together means each is valid: the line break between them ends every sequence
            except UnicodeDecodeError:
                suspect(_not_utf8)
        # NUL can only be written as this escape, raw control characters are no JSON.
        if b"\\" in joined and b"\\u0000" in joined:
            suspect(lambda raw: b"\\u0000" in raw)
        # Every valid record opens one bracket at least; only the surplus over all can make one of them deep.
        opened = joined.count(b"{") + (joined.count(b"[") if b"[" in joined else 0)
        if opened - len(records) >= MAX_NESTING:
            suspect(lambda raw: nests_deeper(raw, MAX_NESTING))
        return records, suspects

    def _decode_records(
        self, event_type: EventType, records: Sequence[bytes], suspects: set[int], refusals: dict[int, Refusal]
    ) -> list[Any]:
        """The events of all records, None for a refused one."""
        events: list[Any] = []
        feed = map(DECODE[event_type], records)
        while True:
            try:
                # `extend` keeps what it took when the iterator raises, and the iterator stands behind the failed
                # record: the next round goes on from there. So a broken record costs its own examination only.
                events.extend(feed)
                break
            except (ValueError, RecursionError):
                suspects.add(len(events))
                events.append(None)
        for index in suspects:
            if index not in refusals:
                outcome = examine(event_type, index, records[index], self._max_record_bytes)
                if isinstance(outcome, Refusal):
                    refusals[index] = outcome
                else:
                    events[index] = outcome
        for index in refusals:
            events[index] = None  # what msgspec alone would have let through
        return events

    def _wrong_time(self, event_type: EventType, index: int, raw: bytes, future: bool, row: Any) -> Refusal:
        if future:
            return refusal(
                index,
                "future_timestamp",
                f"occurred_at: {row.occurred_at} is more than 5 minutes after the broker received the record",
            )
        outcome = examine(event_type, index, raw, self._max_record_bytes)
        if isinstance(outcome, Refusal):
            return outcome
        return refusal(index, "invalid_field", "occurred_at: not a time that can be kept")

    def _columns(self, event_type: EventType, rows: list[Any]) -> dict[str, list[Any]]:
        names = STRUCTS[event_type].__struct_fields__
        flat: list[Any] = []
        for row in rows:
            flat += _as_tuple(row)
        # Slices with a stride transpose faster than zip(*rows), which holds an iterator for every row.
        columns = {name: flat[i :: len(names)] for i, name in enumerate(names) if name not in _NOT_A_COLUMN}
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


def _not_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def _positions(events: list[Any]) -> NDArray[np.int64]:
    return np.array([index for index, event in enumerate(events) if event is not None], np.int64)


def _all_none(column: list[Any]) -> bool:
    return not column or (column[0] is None and column.count(None) == len(column))


def _wrong_joined_at(rows: list[Any]) -> NDArray[np.bool_]:
    """Which rows carry a `joined_at` that is no time the store can hold."""
    wrong = np.zeros(len(rows), np.bool_)
    there = [i for i, row in enumerate(rows) if row.joined_at is not None]
    times = parse_times([rows[i].joined_at for i in there])
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
