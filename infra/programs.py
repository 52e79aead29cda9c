"""Finds Prometheus, Alertmanager and their tools: on PATH, else unpacked from their Debian packages into the cache.

    python -m infra.programs [NAME …]      print where each program is, fetched first where it is missing

Nothing is installed: the package is downloaded by `apt-get`, which checks it against the distribution's signed lists,
and unpacked by `dpkg-deb` into the user's cache folder; neither needs root. Where the system's own lists do not know
the package, or know one that the mirror no longer has, lists of our own are fetched into the cache for once. The
programs are static but for the C library.

Debian's Alertmanager opens its templates under `/usr/share`, where we put nothing, and has no option for another
place: in our copy that path is made relative, and a script beside it starts it in the unpacked folder. So paths in its
arguments must be absolute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.maven import alone_in, user_cache_folder
from streams.errors import EmbeddedError

_APT_SECONDS = 300
_TRY_SECONDS = 30
_ASSETS = b"/usr/share/prometheus/alertmanager"
_OUR_ASSETS = b"usr//share/prometheus/alertmanager"
"""The same place and as many bytes, but seen from the folder the program is started in."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a program is called on PATH, which Debian package brings it, and where in the package it is."""

    names: tuple[str, ...]
    package: str
    inside: str


PROGRAMS = {
    "prometheus": Program(("prometheus",), "prometheus", "usr/bin/prometheus"),
    "promtool": Program(("promtool",), "prometheus", "usr/bin/promtool"),
    "alertmanager": Program(
        ("alertmanager", "prometheus-alertmanager"), "prometheus-alertmanager", "usr/bin/alertmanager"
    ),
    "amtool": Program(("amtool",), "prometheus-alertmanager", "usr/bin/amtool"),
}


def find_program(name: str, folder: Path | None = None, report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the path of one of PROGRAMS; `folder` is where packages are kept unpacked.

    Raises EmbeddedError, in one sentence, when it is neither on PATH nor can be fetched.
    """
    program = PROGRAMS[name]
    for called in program.names:
        if found := shutil.which(called):
            return Path(found)
    folder = folder or user_cache_folder() / "programs"
    path = folder / program.package / program.inside
    if path.is_file():  # a folder of that name is there whole or not at all
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            if not path.is_file():
                report(f"fetching the Debian package {program.package}, once")
                with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as staging:
                    _fetch(name, program, Path(staging), folder)
    except OSError as error:
        raise EmbeddedError(f"cannot keep {name} in {folder}: {error.strerror or error}") from error
    return path


def _fetch(name: str, program: Program, staging: Path, folder: Path) -> None:
    """Download, unpack and try; only what runs is moved to where it is looked for."""
    lacking = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if lacking:
        raise _missing(name, f"this system has no {' and no '.join(lacking)}")
    package = _download(name, program.package, staging)
    unpacked = staging / "unpacked"
    _run(name, ["dpkg-deb", "--extract", str(package), str(unpacked)], staging)
    _make_relocatable(unpacked / "usr" / "bin" / "prometheus-alertmanager")
    _run(name, [str(unpacked / program.inside), "--version"], staging, _TRY_SECONDS)
    kept = folder / program.package
    shutil.rmtree(kept, ignore_errors=True)
    unpacked.rename(kept)


def _make_relocatable(alertmanager: Path) -> None:
    if alertmanager.is_file():
        alertmanager.write_bytes(alertmanager.read_bytes().replace(_ASSETS, _OUR_ASSETS))
        starter = alertmanager.with_name("alertmanager")
        starter.write_text('#!/bin/sh\ncd "$(dirname "$0")/../.." && exec usr/bin/prometheus-alertmanager "$@"\n')
        starter.chmod(0o755)


def _download(name: str, package: str, staging: Path) -> Path:
    # As root apt gives up its rights for a download, and could then not write into a folder that is ours.
    apt = ["apt-get", "--option", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}"]
    try:
        _run(name, [*apt, "download", package], staging)
    except EmbeddedError:
        for part in ("lists/partial", "archives/partial"):
            (staging / part).mkdir(parents=True)
        apt += ["--option", f"Dir::State::Lists={staging}/lists", "--option", f"Dir::Cache={staging}"]
        _run(name, [*apt, "update"], staging)
        _run(name, [*apt, "download", package], staging)
    return next(staging.glob("*.deb"))


def _run(name: str, command: Sequence[str], folder: Path, timeout_seconds: float = _APT_SECONDS) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(name, f"{error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg-deb: error"))]
        reason = (lines or done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
        raise _missing(name, f"{Path(command[0]).name} says: {reason[:300]}")


def _missing(name: str, why: str) -> EmbeddedError:
    program = PROGRAMS[name]
    return EmbeddedError(
        f"{name} is not on PATH and its Debian package {program.package} could not be fetched ({why}); "
        f"install {name} so that it is on PATH"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print where the named programs are, all of them when none is named."""
    parser = argparse.ArgumentParser(prog="python -m infra.programs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(PROGRAMS)}")
    names = parser.parse_args(arguments).names
    if unknown := [name for name in names if name not in PROGRAMS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")

    def report(line: str) -> None:
        sys.stderr.write(line + "\n")

    for name in names or PROGRAMS:
        try:
            path = find_program(name, report=report)
        except EmbeddedError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
