"""One holder per data folder, and one clear sentence for everyone else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from infra.embedded import data_folder
from infra.embedded.data_folder import FolderLock, RunningStack, find_running
from streams.errors import EmbeddedError

HERE = RunningStack(os.getpid(), "127.0.0.1", 1, 2, "127.0.0.1", 3, 4)


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path, "stack")
    with pytest.raises(EmbeddedError, match=rf"{tmp_path} is in use by process {os.getpid()}; .*--data"):
        FolderLock(tmp_path, "stack")
    lock.release()
    FolderLock(tmp_path, "stack").release()


def test_a_query_is_waited_for(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from infra.embedded.data_folder import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1]), 'query'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        with pytest.raises(EmbeddedError, match=f"in use by process {holder.pid}"):
            FolderLock(tmp_path, "query", patience_seconds=0.1)
        holder.stdin.close()
        FolderLock(tmp_path, "query", patience_seconds=30).release()


def test_what_runs_is_found_while_it_runs_and_not_after(tmp_path: Path) -> None:
    assert find_running(tmp_path) is None
    lock = FolderLock(tmp_path, "stack")
    assert find_running(tmp_path) is None, "it is still starting"
    lock.announce(HERE)
    assert find_running(tmp_path) == HERE
    lock.release()
    assert find_running(tmp_path) is None


def test_a_leftover_of_a_killed_process_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path, "stack")
    lock.announce(HERE)
    leftover = (tmp_path / "stack.json").read_text()
    lock.release()
    (tmp_path / "stack.json").write_text(leftover)
    assert find_running(tmp_path) is None
    FolderLock(tmp_path, "stack").release()


def test_the_folder_stays_held_until_what_its_holder_started_has_ended(tmp_path: Path) -> None:
    # The holder is killed; its child, which inherited the lock, goes on for a moment, as a broker does.
    program = (
        "import os, subprocess, sys; from pathlib import Path; from infra.embedded.data_folder import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1]), 'stack')\n"
        "subprocess.Popen(['sleep', '1'], pass_fds=[lock.descriptor]); os.kill(os.getpid(), 9)"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    FolderLock(tmp_path, "stack").release()
    assert time.monotonic() - began >= 1


def test_a_folder_whose_name_the_engine_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"has one of the characters , \* \? { } in it"):
        FolderLock(tmp_path / "a,b", "stack")


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(EmbeddedError, match="is a file; choose another with --data"):
        FolderLock(tmp_path / "data", "stack")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(EmbeddedError, match=r"cannot be written .*; choose another with --data"):
        FolderLock(tmp_path, "stack")


def test_a_folder_nobody_may_write_to() -> None:
    with pytest.raises(EmbeddedError, match=r"the data folder /proc/data cannot be"):
        FolderLock(Path("/proc/data"), "stack")


def test_a_full_disk_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 << 30, 10 << 30, 3 << 20))
    with pytest.raises(EmbeddedError, match=r"the disk of the data folder .* is full: 3 MiB are free, 256 MiB"):
        FolderLock(tmp_path, "stack")
    monkeypatch.undo()
    assert data_folder.MINIMUM_FREE_BYTES == 256 << 20
    FolderLock(tmp_path, "stack").release()
