"""Reading event files: order, lines that are no events, and errors a user can act on."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import JOINS, MESSAGES, ORDERS
from streams.errors import InputError
from streams.sources.files import EventFile, Routes, merged, read_event_file


def line(event_id: str, at: str, event_type: str = "message", community_id: Any = "c") -> bytes:
    return json.dumps(
        {"event_id": event_id, "event_type": event_type, "occurred_at": at, "community_id": community_id}
    ).encode()


def written(folder: Path, *lines: bytes, name: str = "events.ndjson") -> Path:
    path = folder / name
    path.write_bytes(b"\n".join(lines))
    return path


def lines_of(file: EventFile) -> list[bytes]:
    return [file.content[start:end] for start, end in zip(file.starts, file.ends, strict=True)]


def topics_of(file: EventFile, routes: Routes) -> list[tuple[str, bytes]]:
    return [tuple(routes.listed[route]) for route in file.routes]


def test_lines_are_ordered_by_time_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    lines = [
        line("late", "2024-05-01T10:00:00Z"),
        line("first", "2024-05-01T10:00:00+08:00"),
        line("late too", "2024-05-01T10:00:00.000Z"),
    ]
    file = read_event_file(written(tmp_path, *lines), Routes())
    assert lines_of(file) == [lines[1], lines[0], lines[2]]
    assert list(file.times_ms) == sorted(file.times_ms)


def test_every_line_keeps_its_bytes_and_blank_ones_are_no_lines(tmp_path: Path) -> None:
    lines = [b'{"a": 1}', b"", b"  ", b"\xff\xfe broken", b"\x00", b"x"]
    file = read_event_file(written(tmp_path, *lines), Routes())
    assert lines_of(file) == [b'{"a": 1}', b"\xff\xfe broken", b"\x00", b"x"]


def test_a_line_without_a_time_keeps_its_place(tmp_path: Path) -> None:
    lines = [
        b"no json at all",
        line("second", "2024-05-02T10:00:00Z"),
        b'{"event_id": "no time", "event_type": "message"',
        line("first", "2024-05-01T10:00:00Z"),
        line("yesterday", "yesterday"),
    ]
    file = read_event_file(written(tmp_path, *lines), Routes())
    assert lines_of(file) == [lines[0], lines[3], lines[4], lines[1], lines[2]]


def test_a_line_that_names_no_topic_goes_with_its_neighbours(tmp_path: Path) -> None:
    lines = [
        b"{broken",
        line("1", "2024-05-01T10:00:00Z", "join"),
        line("2", "2024-05-01T10:00:01Z", "party"),
        line("3", "2024-05-01T10:00:02Z", "order", community_id=7),
        b'{"event_type": "join", "community_id": "d", "value": NaN}',
        b'{"event_type": "join", "community_id": "\\ud800"}',
    ]
    routes = Routes()
    file = read_event_file(written(tmp_path, *lines), routes)
    assert topics_of(file, routes) == [
        (JOINS, b""),
        (JOINS, b"c"),
        (JOINS, b"c"),
        (ORDERS, b""),
        (JOINS, b"d"),
        (JOINS, b""),
    ]


def test_a_file_without_any_event_goes_to_messages(tmp_path: Path) -> None:
    routes = Routes()
    deep = b"[" * 5_000 + b"]" * 5_000
    file = read_event_file(written(tmp_path, b"nothing", b'{"community_id": "c"}', deep), routes)
    assert topics_of(file, routes) == [(MESSAGES, b""), (MESSAGES, b"c"), (MESSAGES, b"")]


def test_gzip_is_known_by_its_content_and_is_the_same_file(tmp_path: Path) -> None:
    plain = written(tmp_path, line("1", "2024-05-01T10:00:00Z"))
    packed = tmp_path / "events.txt"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_event_file(packed, Routes()).content_hash == read_event_file(plain, Routes()).content_hash


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.ndjson", b"", "is empty"),
        ("blank.ndjson", b"\n \n", "is empty"),
        ("plain.ndjson.gz", b'{"a": 1}\n', "is not gzip"),
        # Without mtime=0 the test's name would hold the second it was collected in, another one in each process.
        ("cut.ndjson.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20], "damaged gzip"),
        ("one.json", b'{}\n{}\n"' + b"x" * 1_100_000 + b'"', "line 3: 1,100,002 bytes"),
    ],
    ids=["empty", "blank", "plain named gzip", "cut gzip", "long line"],
)
def test_a_file_that_cannot_be_fed_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_event_file(path, Routes())
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_event_file(tmp_path / "nowhere.ndjson", Routes())
    with pytest.raises(InputError, match="cannot be read"):
        read_event_file(tmp_path, Routes())


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=30), min_size=1, max_size=4), st.data())
def test_merging_is_a_stable_sort_and_a_position_in_each_file_is_enough(times: list[list[int]], data: Any) -> None:
    """Whatever prefix was fed, what is left of each file comes in the file's own order."""
    import numpy as np

    files = [
        EventFile(
            Path(), "", b"", np.array(sorted(of_file)), np.array(sorted(of_file)), np.array(sorted(of_file)),
            np.zeros(len(of_file), np.int32),
        )
        for of_file in times
    ]  # fmt: skip
    skipped = [data.draw(st.integers(0, len(file))) for file in files]
    file_of, line_of = merged(files, skipped)
    got = [(int(files[f].times_ms[i]), f, i) for f, i in zip(file_of.tolist(), line_of.tolist(), strict=True)]
    assert got == sorted(got)
    assert sorted((f, i) for _, f, i in got) == [
        (f, i) for f, file in enumerate(files) for i in range(skipped[f], len(file))
    ]
