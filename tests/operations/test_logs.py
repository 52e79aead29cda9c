"""Every line of a log has a stable event name; in JSON every line is one object, whoever wrote it."""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import MESSAGES
from streams.logs import LIBRARY_EVENT, JsonLines, TextLines, error_in
from tests.pipeline import Pipeline

ROOT = Path(__file__).parents[2]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"} | {
    "critical": "critical"
}
NOT_OURS = {"library": "warning"}  # what libraries say, from this level on


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Where, level and call of all that our processes log (the embedded stack has logs of its own)."""
    for folder in ("streams", "sinks", "schemas"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "log"
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", LEVELS[node.func.attr], node


def _event(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
            for key, value in zip(keyword.value.keys, keyword.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "event" and isinstance(value, ast.Constant):
                    return str(value.value)
    return None


def test_every_log_call_names_its_event() -> None:
    calls = list(_calls())
    assert len(calls) > 25
    nameless = [where for where, _, call in calls if not re.fullmatch(r"[a-z][a-z_]+", _event(call) or "")]
    assert not nameless, 'give these extra={"event": "…"}: ' + ", ".join(nameless)


def test_the_operations_guide_lists_the_events_that_there_are_and_no_others() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = guide.partition("| event | level |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \| ([a-z]+) \| \S", table, re.MULTILINE)
    assert len({event for event, _ in listed}) == len(listed)
    assert set(listed) == {(_event(call) or "", level) for _, level, call in _calls()} | set(NOT_OURS.items())


def _record(message: str, *args: Any, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("streams.engine.worker", logging.WARNING, "f", 1, message, args, None)
    vars(record).update(fields)
    return record


def test_a_json_line_is_one_object_whatever_is_in_it() -> None:
    record = _record("群 %s", 'a\nb\r\u2028"\x00\x1b', event="partition_lost", partition=3, share=float("nan"), at=1.5)
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line, parse_constant=pytest.fail)
    assert datetime.fromisoformat(found["time"]).tzinfo is not None
    assert found["message"] == '群 a\nb\r\u2028"\x00\x1b'
    assert (found["event"], found["level"], found["partition"]) == ("partition_lost", "warning", 3)
    assert (found["share"], found["at"]) == ("nan", 1.5)
    assert "群" in line, "people read these lines too"


def test_a_text_line_shows_the_event_before_the_text() -> None:
    assert (
        TextLines()
        .format(_record("partition 3: x", event="partition_lost"))
        .endswith(" WARNING streams.engine.worker partition_lost: partition 3: x")
    )
    assert f" {LIBRARY_EVENT}: said" in TextLines().format(_record("said"))


def test_an_error_is_found_again_in_both_formats() -> None:
    assert error_in("error: no topic") == "no topic"
    assert error_in(JsonLines().format(_record("no topic", event="ended_with_error"))) == "no topic"
    for other in ("", "[]", "1", "{}", "Kafka error: x", JsonLines().format(_record("x"))):
        assert error_in(other) is None


_ALL_WHO_SPEAK = """
import asyncio, logging, threading, warnings
from streams.logs import set_up_logging
set_up_logging("info", "json")
logging.getLogger("aiokafka.consumer").error("Heartbeat failed\\nfor group %s", "群")
logging.getLogger("faust.app").warning("a\\nb")
logging.getLogger("mode").error("crashed", exc_info=ValueError("x"))
warnings.warn("old\\nways")
async def nobody_waits():
    async def fails():
        raise ValueError("in a task")
    task = asyncio.ensure_future(fails())
    await asyncio.sleep(0)
    del task
asyncio.run(nobody_waits())
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("last\\nwords")
"""


def test_libraries_warnings_threads_and_mistakes_speak_json_too() -> None:
    ended = subprocess.run([sys.executable, "-c", _ALL_WHO_SPEAK], capture_output=True, text=True, cwd=ROOT)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert [line["event"] for line in lines if line["event"] != LIBRARY_EVENT] == ["mistake", "mistake"]
    assert {line["logger"] for line in lines} >= {"aiokafka.consumer", "faust.app", "mode", "py.warnings", "asyncio"}
    assert "ZeroDivisionError" in lines[-2]["exception"]
    assert "RuntimeError: last\nwords" in lines[-1]["exception"]


def test_a_worker_with_json_logs_prints_nothing_else(pipeline: Pipeline) -> None:
    first = pipeline.start_worker(log_format="json", log_level="debug")
    pipeline.wait_ready(first)
    second = pipeline.start_worker(log_format="json", log_level="debug")  # the group is shared out anew
    refused = pipeline.start_worker(log_format="json", partitions=3)
    assert refused.wait(60) == 2
    last = json.loads(pipeline.log_of(refused).splitlines()[-1])
    assert (last["event"], last["level"]) == ("ended_with_error", "error")
    assert "QUNPULSE_PARTITIONS=4" in last["message"]
    pipeline.workers.remove(refused)
    pipeline.send_records([(MESSAGES, "群".encode(), b"{broken")])
    pipeline.wait_consumed(1)
    pipeline.wait_ready(second)
    log = pipeline.log_of(first)
    pipeline.stop_workers()
    lines = [json.loads(line) for text in (log, pipeline.log_of(second)) for line in text.splitlines()]
    assert all({"time", "level", "event", "message", "logger"} <= line.keys() for line in lines)
    taken = [line["partition"] for line in lines if line["event"] == "partition_taken_over"]
    assert {0, 1, 2, 3} <= set(taken)
    assert LIBRARY_EVENT in {line["event"] for line in lines}
