"""Event files (newline-delimited JSON, plain or gzip) as records in the order of their events' times.

Files of history are only roughly in order, so each is held in memory (its decompressed bytes and 20 bytes a line) and
ordered. Nothing is judged here: a line that is no event keeps its place between its neighbours and goes along, for the
worker to refuse it where everybody can see it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.times import NOT_A_TIME, parse_times
from schemas.topics import MESSAGES, TOPIC_OF
from streams.errors import InputError

MAX_LINE_BYTES: Final = 1_000_000
"""Kafka takes record batches up to 1 MiB by default; a longer line could not even become a dead letter."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BEFORE_ALL_TIMES: Final = NOT_A_TIME


class Route(NamedTuple):
    """Where a record goes: topic and key. The key is empty when the line names no community."""

    topic: str
    key: bytes


@dataclass
class Routes:
    """Every route met so far, by number, so that a line's route is four bytes."""

    listed: list[Route] = field(default_factory=list)
    _numbers: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def number(self, topic: str, community_id: str | None) -> int:
        """The route's number; the same topic and community always have the same one."""
        known = self._numbers.get((topic, community_id))
        if known is None:
            known = self._numbers[topic, community_id] = len(self.listed)
            self.listed.append(Route(topic, b"" if community_id is None else community_id.encode()))
        return known


@dataclass(frozen=True)
class EventFile:
    """A file's lines, ordered by event time (lines of the same time in file order)."""

    path: Path
    content_hash: str  # of the decompressed content: a file and its .gz are the same events
    content: bytes
    starts: NDArray[np.int64]  # line i is content[starts[i]:ends[i]]
    ends: NDArray[np.int64]
    times_ms: NDArray[np.int64]  # ascending
    routes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)


class _Envelope(msgspec.Struct):
    event_type: str
    community_id: str
    occurred_at: str


def read_event_file(path: Path, routes: Routes) -> EventFile:
    """Read and order one file; InputError when it cannot be read, is damaged or has no line at all."""
    content = _content_of(path)
    starts, ends = _lines_of(content)
    if not len(starts):
        raise InputError(f"event file {path} is empty; expected one JSON event a line")
    longest = int(np.argmax(ends - starts))
    if ends[longest] - starts[longest] > MAX_LINE_BYTES:
        raise InputError(
            f"event file {path}, line {_line_number(content, int(starts[longest]))}: "
            f"{int(ends[longest] - starts[longest]):,} bytes, Kafka takes {MAX_LINE_BYTES:,} at most; "
            "cut the line out of the file, or is it one JSON document instead of one event a line?"
        )
    texts, numbers = _envelopes(content, starts, ends, routes)
    times = _with_gaps_filled(parse_times(texts))
    order = np.argsort(times, kind="stable")
    return EventFile(
        path=path,
        content_hash=hashlib.sha256(content).hexdigest(),
        content=content,
        starts=starts[order],
        ends=ends[order],
        times_ms=times[order],
        routes=np.array(numbers, np.int32)[order],
    )


def merged(files: Sequence[EventFile], skipped: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The files' lines after the first `skipped` of each, merged by time: file number and line number of each.

    Lines of the same time come in the order of the files, then of the lines.
    """
    counts = [len(file) - skip for file, skip in zip(files, skipped, strict=True)]
    times = np.concatenate([file.times_ms[skip:] for file, skip in zip(files, skipped, strict=True)])
    file_numbers = np.repeat(np.arange(len(files), dtype=np.int32), counts)
    line_numbers = np.concatenate([np.arange(skip, len(file)) for file, skip in zip(files, skipped, strict=True)])
    order = np.argsort(times, kind="stable")
    return file_numbers[order], line_numbers[order]


def is_gzip(path: Path, head: bytes) -> bool:
    """Whether a file that begins with these two bytes is gzip: by content, since names lie.

    Raises InputError when its name says that it is and it is not.
    """
    if path.suffix == ".gz" and head and head != _GZIP_MAGIC:
        raise InputError(f"event file {path} is not gzip although its name says so; rename it, or pack it again")
    return head == _GZIP_MAGIC


def _content_of(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"event file {path} does not exist")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"event file {path} cannot be read: {error.strerror}") from None
    if not is_gzip(path, raw[:2]):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"event file {path} is damaged gzip ({error}); fetch or pack it again") from None


def _lines_of(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of every line that is not blank."""
    breaks = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    starts = np.concatenate(([0], breaks + 1)).astype(np.int64)
    ends = np.concatenate((breaks, [len(content)])).astype(np.int64)
    # A line of an event is longer than this; only short ones are worth looking into.
    maybe_blank = np.flatnonzero(ends - starts < 8).tolist()
    blank = [i for i in maybe_blank if not content[starts[i] : ends[i]].strip()]
    keep = np.ones(len(starts), np.bool_)
    keep[blank] = False
    return starts[keep], ends[keep]


def _envelopes(
    content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], routes: Routes
) -> tuple[list[str], list[int]]:
    """Time text and route number of every line."""
    decode = msgspec.json.Decoder(_Envelope).decode
    number, topic_of = routes.number, TOPIC_OF.get
    known: dict[tuple[str, str], int] = {}
    texts: list[str] = []
    numbers: list[int] = []
    unrouted: list[int] = []  # lines before the first one that names its topic
    topic: str | None = None
    for line in _slices(content, starts, ends):
        try:
            envelope = decode(line)
            text, community_id = envelope.occurred_at, envelope.community_id
            named = topic_of(envelope.event_type)  # type: ignore[call-overload]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            text, community_id, named = _salvaged(line)
        if named is None:  # a broken line most likely was meant for the topic of its neighbours
            named = topic
        elif named is not topic:
            topic = named
        texts.append(text)
        if named is None:
            unrouted.append(len(numbers))
            numbers.append(0)
            continue
        route = known.get((named, community_id))
        if route is None:
            route = known[named, community_id] = number(named, community_id)
        numbers.append(route)
    for i in unrouted:
        _, community_id, _ = _salvaged(content[starts[i] : ends[i]])
        numbers[i] = number(topic or MESSAGES, community_id)
    return texts, numbers


def _slices(content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[bytes]:
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield content[start:end]


def _salvaged(line: bytes) -> tuple[str, Any, str | None]:
    """Time text, community and topic of a line that is no proper event, as far as they can be read."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", None, None
    if not isinstance(found, dict):
        return "", None, None
    text, community_id, event_type = (found.get(name) for name in ("occurred_at", "community_id", "event_type"))
    topic = TOPIC_OF.get(event_type) if isinstance(event_type, str) else None  # type: ignore[call-overload]
    return text if isinstance(text, str) else "", _encodable(community_id), topic


def _encodable(community_id: object) -> str | None:
    if not isinstance(community_id, str):
        return None
    try:
        community_id.encode()
    except UnicodeEncodeError:  # a lone surrogate has no bytes
        return None
    return community_id


def _with_gaps_filled(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """A line without a time takes that of the line before it, so that it keeps its place."""
    known = np.where(times == NOT_A_TIME, -1, np.arange(len(times)))
    latest = np.maximum.accumulate(known)
    return np.where(latest < 0, _BEFORE_ALL_TIMES, times[np.maximum(latest, 0)])


def _line_number(content: bytes, start: int) -> int:
    return content.count(b"\n", 0, start) + 1
