"""`qunpulse validate` decides as the worker does, line by line, whatever the bytes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.codec import Decoder
from streams.cli.validate import examine_file
from streams.errors import InputError

GOOD = {
    "event_type": "message",
    "schema_version": 1,
    "event_id": "1",
    "occurred_at": "2024-01-01T00:00:00Z",
    "community_id": "c",
    "member_id": "m",
    "kind": "text",
}


def _lines(*events: object) -> bytes:
    return b"\n".join(e if isinstance(e, bytes) else json.dumps(e).encode() for e in events) + b"\n"


def test_each_refused_line_is_named_with_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(
        _lines(
            GOOD, b"", {**GOOD, "char_count": "5"}, b"nonsense", {**GOOD, "event_type": ["x"]}, {**GOOD, "kind": "jig"}
        )
    )
    report = examine_file(path, Decoder(262_144), show=10)
    assert report.events == 2
    assert [(r.line, r.code) for r in report.refused] == [
        (3, "invalid_field"),
        (4, "invalid_json"),
        (5, "invalid_field"),
    ]
    assert report.by_field == {"char_count": 1, "event_type": 1}
    assert report.unknown_words == {"kind jig": 1}


def test_a_time_that_is_still_to_come_is_refused_as_the_worker_would_now(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    soon, later = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (2, 30))
    path.write_bytes(_lines(*({**GOOD, "occurred_at": at.isoformat()} for at in (soon, later))))
    report = examine_file(path, Decoder(262_144), show=3)
    assert [(r.line, r.code) for r in report.refused] == [(2, "future_timestamp")]


def test_show_bounds_what_is_explained_and_not_what_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(_lines(*([{}] * 7_000 + [GOOD]))))
    report = examine_file(path, Decoder(262_144), show=3)
    assert len(report.refused) == 3
    assert report.by_code == {"invalid_field": 7_000}
    assert report.events == 1


def test_a_damaged_or_missing_file_is_one_sentence(tmp_path: Path) -> None:
    plain = tmp_path / "plain.gz"
    plain.write_bytes(_lines(GOOD))
    with pytest.raises(InputError, match=r"plain\.gz is not gzip although its name says so"):
        examine_file(plain, Decoder(262_144), show=3)
    half = tmp_path / "half.gz"
    half.write_bytes(gzip.compress(_lines(GOOD))[:-9])
    with pytest.raises(InputError, match="damaged"):
        examine_file(half, Decoder(262_144), show=3)
    with pytest.raises(InputError, match="cannot be read"):
        examine_file(tmp_path / "none", Decoder(262_144), show=3)
