"""The command line against a running stack: dead letters, questions, status; as a user types it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from infra.embedded.stack import EmbeddedStack
from schemas.topics import MESSAGES, topic_specs
from streams.cli.main import app
from streams.errors import QunpulseError
from tests.pipeline import Pipeline

START = datetime(2024, 1, 1, tzinfo=UTC)


def _message(number: int, **fields: Any) -> dict[str, Any]:
    at = START + timedelta(seconds=number)
    return {
        "event_type": "message",
        "schema_version": 1,
        "event_id": f"e{number}",
        "occurred_at": at.isoformat(timespec="milliseconds"),
        "community_id": "群 one",
        "member_id": f"m{number % 5}",
        "kind": "text",
    } | fields


class Answer(NamedTuple):
    code: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs `qunpulse …` on the stack's data folder; in this process, because a start of Python costs a second."""

    def __init__(self, stack: EmbeddedStack, **settings: object) -> None:
        self._data = str(stack.data_dir)
        self._settings = settings

    def __call__(self, *arguments: str) -> str:
        answer = self.run(*arguments)
        assert answer.code == 0, answer
        return answer.stdout

    def run(self, *arguments: str) -> Answer:
        """What it printed and ended with."""
        with pytest.MonkeyPatch.context() as patched:
            for name in [name for name in os.environ if name.startswith("QUNPULSE_")]:
                patched.delenv(name)
            for name, value in self._settings.items():
                patched.setenv(f"QUNPULSE_{name.upper()}", str(value))
            result = CliRunner().invoke(app, [*arguments, "--data", self._data])
        if result.exception is not None and not isinstance(result.exception, QunpulseError | SystemExit):
            raise result.exception
        if isinstance(result.exception, QunpulseError):  # as main() words it
            return Answer(result.exception.exit_code, result.stdout, f"error: {result.exception}\n")
        return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def qunpulse(stack: EmbeddedStack) -> CommandLine:
    return CommandLine(stack)


def test_refused_records_are_listed_shown_and_replayed_byte_for_byte(pipeline: Pipeline, qunpulse: CommandLine) -> None:
    key = "群 one".encode()
    broken = [b"not json \xff\x00\x1b[2J", json.dumps(_message(3, char_count="5")).encode()]
    good = [json.dumps(_message(number)).encode() for number in range(20)]
    pipeline.send_records((MESSAGES, key, value) for value in [*good[:10], *broken, *good[10:]])
    pipeline.start_worker()
    pipeline.wait_landed()

    listed = json.loads(qunpulse("deadletters", "list", "--json"))
    assert listed["by_error"] == {"invalid_field": 1, "invalid_json": 1}
    by_error = {letter["error"]: letter for letter in listed["dead_letters"]}
    place = "{topic}/{partition}/{offset}".format(**by_error["invalid_json"])
    shown = qunpulse("deadletters", "show", place)
    assert "not json \\xff\\x00\\x1b[2J" in shown
    assert "群 one" in shown
    assert "char_count" in by_error["invalid_field"]["detail"]
    assert place in qunpulse("deadletters", "list")

    assert qunpulse("deadletters", "replay", "--error", "invalid_json", "--dry-run") == "would replay 1 records\n"
    assert qunpulse("deadletters", "replay", place) == "replayed 1 records\n"
    pipeline.wait_consumed(23)
    pipeline.wait_landed()
    again = json.loads(qunpulse("deadletters", "list", "--error", "invalid_json", "--json"))["dead_letters"]
    assert len(again) == 2
    assert again[0]["value"] == again[1]["value"] == "not json \\xff\\x00\\x1b[2J"

    assert "no dead letter" in qunpulse.run("deadletters", "show", f"{MESSAGES}/0/99999").stderr
    assert "say which" in qunpulse.run("deadletters", "replay").stderr

    status = json.loads(qunpulse("status", "--json"))
    assert status["topics"][MESSAGES] == {
        "consumed": 23,
        "applied": 20,
        "duplicate": 0,
        "late": 0,
        "dead_lettered": 3,
        "misrouted": 0,
        "balanced": True,
    }
    assert set(status["lag_records"].values()) == {0}
    assert "OK" in qunpulse("status")


def test_a_question_gets_its_answer_and_nothing_else(pipeline: Pipeline, qunpulse: CommandLine) -> None:
    assert pipeline.partitions == 4
    assert qunpulse("sql", "SELECT 1 AS a, 'x' AS b") == "1\tx\n"
    assert qunpulse("sql", "SELECT 1 AS a", "--format", "CSVWithNames") == '"a"\n1\n'
    assert json.loads(qunpulse("sql", "SELECT 1 AS a", "--format", "JSONEachRow")) == {"a": 1}
    assert "━" in qunpulse("sql", "SELECT 1 AS a", "--format", "Pretty")
    refused = qunpulse.run("sql", "SELECT * FROM qunpulse.nothing_here")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ClickHouse refused the query: ")
    assert refused.stderr.count("\n") == 1


def test_a_report_is_written_and_mistakes_are_told_in_a_sentence(
    pipeline: Pipeline, qunpulse: CommandLine, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("communities: {新群: {name: 明天开始}}", encoding="utf-8")
    pipeline.send((MESSAGES, _message(number)) for number in range(10))
    pipeline.start_worker(rules_file=str(rules))
    pipeline.wait_landed()
    page = tmp_path / "群.html"  # of a community without events: pages with figures are under test with the views
    said = qunpulse("report", "明天开始", "--out", str(page))
    assert said.startswith(f"{page}: ")
    html = page.read_text(encoding="utf-8")
    assert "<title>明天开始</title>" in html
    assert "Nothing has happened in this community yet" in html

    for arguments, sentence in (
        (("群 two", "--out", str(page)), "error: there is no community '群 two'; the nearest names are '群 one'; "),
        (("群 one", "--month", "2024-02", "--out", str(page)), "error: 群 one has no figures of 2024-02: "),
        (("群 one", "--out", str(tmp_path / "none" / "r.html")), f"there is no folder {tmp_path / 'none'}; make it"),
    ):
        refused = qunpulse.run("report", *arguments)
        assert (refused.code, refused.stdout) == (2, "")
        assert sentence in refused.stderr


def test_preparing_twice_changes_nothing(pipeline: Pipeline, qunpulse: CommandLine) -> None:
    assert pipeline.partitions == 4
    assert "nothing to do" in qunpulse("migrate")
    assert qunpulse("topics", "apply").count("unchanged, 4 partitions") == len(topic_specs(4))
    other = qunpulse.run("topics", "apply", "--partitions", "5")
    assert other.code == 2
    assert "has 4 partitions, the settings say 5" in other.stderr
