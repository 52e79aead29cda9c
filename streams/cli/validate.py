"""`qunpulse validate`: what would be refused in event files, and why, without Kafka."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from schemas.topics import TOPIC_OF
from schemas.vocabulary import EventType
from streams.cli.options import ConfigFile, Json, load_settings
from streams.errors import InputError, QunpulseError

if TYPE_CHECKING:
    from schemas.codec import Decoder

_CHUNK_LINES = 5_000
_FIELD = re.compile(r"(?:^|; )([a-z_][\w.\[\]]*): ")


@dataclass(frozen=True)
class RefusedLine:
    """A line that the worker would dead-letter."""

    line: int
    code: str
    detail: str


@dataclass
class Report:
    """What `validate` found in a file."""

    path: Path
    events: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    by_code: Counter[str] = field(default_factory=Counter)
    by_field: Counter[str] = field(default_factory=Counter)
    unknown_words: Counter[str] = field(default_factory=Counter)
    refused: list[RefusedLine] = field(default_factory=list)  # the first ones

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "file": str(self.path),
            "valid": self.events,
            "refused": self.by_code.total(),
            "by_type": dict(self.by_type),
            "by_code": dict(self.by_code),
            "by_field": dict(self.by_field),
            "unknown_words": dict(self.unknown_words),
            "lines": [{"line": r.line, "code": r.code, "detail": r.detail} for r in self.refused],
        }


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Event files (.ndjson, .gz).")],
    config_file: ConfigFile = None,
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Explain the first N refused lines of a file.")] = 20,
    as_json: Json = False,
) -> None:
    """Say which lines of event files would be refused, field by field.

    The same code decides as in the worker, as if the files were fed now: times of tomorrow are refused.
    The exit code is 1 when a line would be refused.
    Kinds and vias outside the lists are no error; they are counted as unknown words.

      qunpulse validate export.ndjson

      qunpulse validate messages.ndjson.gz joins.ndjson.gz --json
    """
    from schemas.codec import Decoder
    from streams.cli.console import stderr, step

    decoder = Decoder(load_settings(config_file).settings.max_record_bytes)
    reports = []
    for path in files:
        with step(stderr(), f"reading {path}") as progress:
            reports.append(examine_file(path, decoder, show, progress.at))
    if as_json:
        json.dump({"files": [report.as_json() for report in reports]}, sys.stdout)
        print()
    else:
        for report in reports:
            _print(report)
    refused = sum(report.by_code.total() for report in reports)
    if refused:
        raise QunpulseError(f"{refused:,} of {sum(r.events for r in reports) + refused:,} lines would be refused")


def examine_file(path: Path, decoder: Decoder, show: int, progress: Any = lambda *_: None) -> Report:
    """Decode every line as the worker would if it came now; blank lines are skipped, as `feed` skips them."""
    import numpy as np

    report = Report(path)
    now_ms = time.time_ns() // 1_000_000
    lines = ((number, line) for number, line in enumerate(_lines(path), start=1) if line.strip())
    while chunk := list(islice(lines, _CHUNK_LINES)):
        by_type: dict[EventType, list[tuple[int, bytes]]] = {}
        for number, line in chunk:
            by_type.setdefault(_event_type(line), []).append((number, line.rstrip(b"\r\n")))
        refused = []
        for event_type, members in by_type.items():
            appended_at_ms = np.full(len(members), now_ms, np.int64)
            decoded = decoder.decode(event_type, [line for _, line in members], appended_at_ms)
            report.events += len(decoded.valid)
            report.by_type[event_type] += len(decoded.valid)
            for name in ("kind", "via"):
                report.unknown_words.update(f"{name} {word}" for word in decoded.columns.get(f"{name}_raw", ()) if word)
            refused += [RefusedLine(members[r.index][0], r.code, r.detail) for r in decoded.refusals]
        for refusal in sorted(refused, key=lambda refusal: refusal.line):
            report.by_code[refusal.code] += 1
            report.by_field.update(set(_FIELD.findall(refusal.detail)) if refusal.code == "invalid_field" else ())
            if len(report.refused) < show:
                report.refused.append(refusal)
        progress(report.events + report.by_code.total())
    return report


class _Typed(msgspec.Struct):
    event_type: Any = None


_decode_type = msgspec.json.Decoder(_Typed).decode


def _event_type(line: bytes) -> EventType:
    """The line's own event_type; where it has none that is known, as a message, which then is refused for it."""
    try:
        named = _decode_type(line).event_type
    except (ValueError, RecursionError):
        return "message"
    return named if isinstance(named, str) and named in TOPIC_OF else "message"


def _lines(path: Path) -> Iterator[bytes]:
    from streams.sources.files import is_gzip

    try:
        with path.open("rb") as raw:
            compressed = is_gzip(path, raw.read(2))
        with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
            yield from stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"event file {path} is damaged: {error}; fetch it again") from None
    except OSError as error:
        raise InputError(f"event file {path} cannot be read: {error.strerror}") from None


def _print(report: Report) -> None:
    types = ", ".join(f"{count:,} {name}" for name, count in sorted(report.by_type.items()) if count)
    print(f"{report.path}: {report.events:,} valid ({types or 'none'}), {report.by_code.total():,} refused")
    for line in report.refused:
        print(f"  line {line.line}: {line.code}: {line.detail}")
    hidden = report.by_code.total() - len(report.refused)
    if hidden:
        print(f"  … and {hidden:,} more")
    if report.by_code:
        print("  by code: " + ", ".join(f"{code} {count:,}" for code, count in report.by_code.most_common()))
    if report.by_field:
        print("  by field: " + ", ".join(f"{name} {count:,}" for name, count in report.by_field.most_common(20)))
    if report.unknown_words:
        words = ", ".join(f"{word} ({count:,})" for word, count in report.unknown_words.most_common(20))
        print(f"  unknown words, landed as other/unknown: {words}")
