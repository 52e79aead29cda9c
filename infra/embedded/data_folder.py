"""The data folder of an embedded stack: who holds it, and where what runs on it can be reached."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from streams.errors import EmbeddedError

# Broker and engine stop in the middle of a write when the disk is full; better not to start then.
MINIMUM_FREE_BYTES = 256 << 20
RUNNING_FREE_BYTES = 16 << 20
"""With less, what runs has met the end of the disk or is about to."""
# The engine makes no tables below a folder with a comma, and reads the others as patterns of file names.
_REFUSED_BY_ENGINE = frozenset(",*?{}")
_LOCK_NAME = "lock"
_STACK_NAME = "stack.json"
_POLL_SECONDS = 0.05
_PROBE_SECONDS = 0.5  # `find_running` of another process holds the lock for an instant
_LEAVING_SECONDS = 30.0  # broker and engine of a killed process stop by themselves

Purpose = Literal["stack", "query"]


@dataclass(frozen=True, slots=True)
class RunningStack:
    """Where the stack that runs on a data folder can be reached."""

    pid: int  # of the process that started it
    kafka_host: str
    kafka_port: int
    kafka_pid: int
    clickhouse_host: str
    clickhouse_port: int
    clickhouse_pid: int

    @property
    def kafka_bootstrap_servers(self) -> str:
        """Address of the broker for clients."""
        return f"{self.kafka_host}:{self.kafka_port}"


@dataclass(frozen=True, slots=True)
class _Holder:
    pid: int
    purpose: str

    @classmethod
    def of(cls, file: IO[str]) -> _Holder:
        file.seek(0)
        try:
            signed = json.load(file)
            return cls(int(signed["pid"]), str(signed["purpose"]))
        except (ValueError, KeyError, TypeError):
            return cls(0, "query")  # it has just been taken and not been signed yet

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True


class FolderLock:
    """Holds a data folder for this process and those that inherit `descriptor`.

    The kernel lets go when the last of them has ended, however it ended: after a SIGKILL the next start waits until
    broker and engine have really gone.
    """

    def __init__(self, data_dir: Path, purpose: Purpose, patience_seconds: float = 0.0) -> None:
        """Take the folder, made when missing.

        A folder held for a `query` is waited for up to `patience_seconds`. Raises EmbeddedError when it is taken,
        cannot be written, or its disk is full.
        """
        self.data_dir = data_dir
        if set(str(data_dir.resolve())) & _REFUSED_BY_ENGINE:
            raise EmbeddedError(
                f"the path of the data folder {data_dir} has one of the characters , * ? {{ }} in it; "
                "choose another with --data"
            )
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = (data_dir / _LOCK_NAME).open("a+", encoding="utf-8")
        except FileExistsError:
            raise EmbeddedError(f"the data folder {data_dir} is a file; choose another with --data") from None
        except OSError as error:
            raise EmbeddedError(_unusable(data_dir, error)) from error
        try:
            self._wait(patience_seconds)
            self._file.seek(0)
            self._file.truncate()
            json.dump({"pid": os.getpid(), "purpose": purpose}, self._file)
            self._file.flush()
            check_space(data_dir)
        except OSError as error:
            self._file.close()
            raise EmbeddedError(_unusable(data_dir, error)) from error
        except BaseException:
            self._file.close()
            raise

    def _wait(self, patience_seconds: float) -> None:
        began = time.monotonic()
        while not _try_lock(self._file):
            holder = _Holder.of(self._file)
            if not holder.alive:
                limit = _LEAVING_SECONDS
            else:
                limit = max(_PROBE_SECONDS, patience_seconds if holder.purpose == "query" else 0.0)
            if time.monotonic() - began > limit:
                raise EmbeddedError(
                    f"the data folder {self.data_dir} is in use by process {holder.pid}; "
                    "stop it, or choose another folder with --data"
                )
            time.sleep(_POLL_SECONDS)

    @property
    def descriptor(self) -> int:
        """File descriptor for children to inherit."""
        return self._file.fileno()

    def release(self) -> None:
        """Let go of the folder."""
        with suppress(FileNotFoundError):
            (self.data_dir / _STACK_NAME).unlink()
        self._file.close()

    def announce(self, stack: RunningStack) -> None:
        """Write where the stack is reached, for other commands on this folder."""
        path = self.data_dir / _STACK_NAME
        fresh = path.with_suffix(".json.new")
        fresh.write_text(json.dumps(asdict(stack), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)  # a reader sees all of it or none


def find_running(data_dir: Path) -> RunningStack | None:
    """Return where the stack that runs on `data_dir` is reached; None when none does, or it is still starting."""
    try:
        with (data_dir / _LOCK_NAME).open("r", encoding="utf-8") as file:
            if _try_lock(file, fcntl.LOCK_SH) or not _Holder.of(file).alive:
                return None  # nobody holds the folder: a stack.json in it is a leftover
        return RunningStack(**json.loads((data_dir / _STACK_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _try_lock(file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        # flock, not lockf: a lockf lock is not inherited, and goes when the process closes *any* handle of the file.
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_space(data_dir: Path, needed_bytes: int = MINIMUM_FREE_BYTES) -> None:
    """Raise EmbeddedError when the disk of the data folder has less than that left."""
    free = shutil.disk_usage(data_dir).free
    if free < needed_bytes:
        raise EmbeddedError(
            f"the disk of the data folder {data_dir} is full: {free >> 20} MiB are free, "
            f"{needed_bytes >> 20} MiB are needed; free some space or choose another folder with --data"
        )


def _unusable(data_dir: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk of the data folder {data_dir} is full; free some space or choose another with --data"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"the data folder {data_dir} cannot be written ({error.strerror}); choose another with --data"
    return f"the data folder {data_dir} cannot be used: {error.strerror}; choose another with --data"
