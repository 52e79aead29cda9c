"""The child worker of `demo` and `up`: its last words reach the user, and it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.cli import worker_process
from streams.cli.worker_process import WorkerProcess, noted_port, readiness
from streams.errors import QunpulseError
from streams.settings import Settings


def _settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, metrics_port=0, clickhouse_port=1, kafka_bootstrap_servers="127.0.0.1:1")


def test_a_worker_that_ends_is_reported_with_its_last_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho starting\necho 'error: the password was refused' >&2\necho bye\nexit 3\n")
    fake.chmod(0o755)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").write_text("error: of an earlier run\n")
    monkeypatch.setattr(worker_process.sys, "executable", str(fake))
    with WorkerProcess(_settings(tmp_path), tmp_path) as worker:
        assert noted_port(tmp_path) == worker.metrics_port
        with pytest.raises(QunpulseError, match=r"ended with code 3: the password was refused \(its log: "):
            worker.wait_until_ready(timeout_seconds=30)
    assert noted_port(tmp_path) is None


def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!{sys.executable}\nimport signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)\n")
    fake.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(worker_process.sys, "executable", str(fake))
        patched.setattr(worker_process, "STOP_TIMEOUT_SECONDS", 0.5)
        with WorkerProcess(_settings(tmp_path), tmp_path) as worker:
            pid = worker.pid
            time.sleep(0.5)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nobody_on_the_port_is_not_ready() -> None:
    assert readiness("127.0.0.1", 1) == ["worker does not answer"]


def test_a_worker_ends_when_its_parent_is_killed_outright(tmp_path: Path) -> None:
    # The parent starts a process that runs the worker's own watch, and is killed with no chance to clean up.
    child = (
        "import os, time; from threading import Thread; from streams.cli.worker import _stop_with_parent; "
        "Thread(target=_stop_with_parent, args=(os.getppid(),), daemon=True).start(); print(os.getpid(), flush=True); "
        "time.sleep(600)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the orphan still runs"
        time.sleep(0.05)
