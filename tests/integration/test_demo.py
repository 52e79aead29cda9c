"""`qunpulse demo` and `qunpulse up` as a new user runs them, and questions to what they run and leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.embedded.stack import find_running
from schemas.topics import EVENT_TOPICS, JOINS, MESSAGES
from sinks.clickhouse import ClickHouse

START = datetime(2024, 1, 1, tzinfo=UTC)


def _event(number: int) -> dict[str, object]:
    common = {
        "schema_version": 1,
        "event_id": f"e{number}",
        "occurred_at": (START + timedelta(minutes=number)).isoformat(),
        "community_id": f"c{number % 3}",
        "member_id": f"m{number % 7}",
    }
    if number % 10 == 0:
        return common | {"event_type": "join", "action": "joined"}
    return common | {"event_type": "message", "kind": "text"}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    events = [_event(number) for number in range(2_000)]
    joins = [e for e in events if e["event_type"] == "join"]
    messages = [e for e in events if e["event_type"] == "message"]
    paths = []
    for name, chosen in (("joins.ndjson", joins), ("messages.ndjson", [*messages, messages[5]])):
        path = tmp_path / name
        path.write_text("".join(json.dumps(event) + "\n" for event in chosen))
        paths.append(str(path))
    return paths


def _qunpulse(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUNPULSE_")}
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )


def _processes_that_name(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and str(os.getpid()) != path.parent.name:
            found.append(words)
    return found


def _until(done: Callable[[], bool], complaint: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.1)


def _nothing_runs(folder: Path) -> None:
    _until(lambda: not _processes_that_name(folder), lambda: _processes_that_name(folder), seconds=10)


def test_the_demo_lands_everything_once_and_leaves_nothing_running(tmp_path: Path, files: list[str]) -> None:
    data = tmp_path / "data"
    first = _qunpulse("demo", "--events", *files, "--data", str(data), "--json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)  # one object and nothing else
    assert set(report) == {"topics", "events_per_second", "elapsed_seconds", "data"}
    assert set(report["topics"]) == set(EVENT_TOPICS)
    none = dict.fromkeys(("late", "dead_lettered", "misrouted"), 0)
    assert report["topics"][MESSAGES] == {"consumed": 1801, "applied": 1800, "duplicate": 1} | none
    assert report["topics"][JOINS] == {"consumed": 200, "applied": 200, "duplicate": 0} | none
    assert report["events_per_second"] > 0

    second = _qunpulse("demo", "--events", files[1], "--events", files[0], "--data", str(data))
    assert second.returncode == 0, second.stderr
    assert "1,801 consumed = 1,800 applied + 1 duplicate" in second.stdout
    assert "nothing new" in second.stdout

    asked = _qunpulse("sql", "SELECT sum(messages) FROM qunpulse.activity_1d", "--data", str(data))
    assert asked.stdout == "1800\n", asked.stderr

    _nothing_runs(data)


def test_a_demo_that_fails_says_why_in_one_sentence_and_starts_nothing(tmp_path: Path, files: list[str]) -> None:
    data = tmp_path / "data"
    missing = _qunpulse("demo", "--events", files[0], str(tmp_path / "none.ndjson"), "--data", str(data))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == f"error: event file {tmp_path / 'none.ndjson'} does not exist\n"
    assert not data.exists()


@pytest.mark.parametrize("live", [True, pytest.param(False, marks=pytest.mark.long)])
def test_up_runs_until_ctrl_c_and_takes_events_and_questions_meanwhile(
    tmp_path: Path, files: list[str], live: bool
) -> None:
    data, log = tmp_path / "data", tmp_path / "up.log"
    arguments = ["up", "--data", str(data), *(("--rate", "100") if live else ("--no-feed",))]
    # A shell's background jobs ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb") as stream:
        up = subprocess.Popen([sys.executable, "-m", "streams.cli.main", *arguments], stdout=stream, stderr=stream)
    try:
        _until(lambda: "Ctrl-C stops everything" in log.read_text() or up.poll() is not None, log.read_text)
        if not live:
            fed = _qunpulse("feed", *files, "--data", str(data))
            assert fed.stdout == "fed 2,001 records\n", fed.stderr
        running = find_running(data)
        assert running is not None, log.read_text()
        clickhouse = ClickHouse.connect(running.clickhouse_host, running.clickhouse_port)
        count = "SELECT count() FROM qunpulse.events"
        _until(lambda: clickhouse.scalar(count) >= (100 if live else 2_000), log.read_text)
        clickhouse.close()
        status = _qunpulse("status", "--json", "--data", str(data))
        assert status.returncode == 0, status.stderr
        topics = json.loads(status.stdout)["topics"]
        assert all(topic["balanced"] for topic in topics.values())
        assert live or topics[MESSAGES]["applied"] + topics[JOINS]["applied"] == 2_000, "somebody else feeds it"
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0, log.read_text()
    finally:
        up.kill()  # all that it started ends with it
        up.wait()
    assert "Traceback" not in log.read_text()
    _nothing_runs(data)
