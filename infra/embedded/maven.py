"""Fetches jars, above all the broker's, from Maven Central by a committed list of coordinates; checks each against it.

The list (the broker's is `kafka_jars.txt`) names every jar with its SHA-256. Each is resolved alone: a transitive
resolution lets one library's managed versions replace another's — log4j's have replaced kafka-clients by an older one,
and that broker does not start. `mvn` does the fetching where it is installed, the Python resolver jgo elsewhere or
where mvn fails; both follow the user's Maven settings. What was fetched is kept in the user's cache folder and checked
at every start.

    python -m infra.embedded.maven [--with mvn|jgo] fetch [--into DIR]      fetch and check now
    python -m infra.embedded.maven [--with mvn|jgo] list G:A:V …            print lines for kafka_jars.txt
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from infra.embedded.maven_settings import CENTRAL, read_maven_settings
from streams.errors import EmbeddedError

KAFKA_VERSION = "4.3.1"
JAR_LIST = Path(__file__).with_name("kafka_jars.txt")
_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_MVN_SECONDS = 600
_HTTP_SECONDS = 30

Resolver = Literal["mvn", "jgo"]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the list: coordinates and the SHA-256 of the file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """File name by Maven's convention."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinates(self) -> str:
        """`group:artifact:version`, as people write it."""
        return f"{self.group}:{self.artifact}:{self.version}"


def read_jar_list(path: Path = JAR_LIST) -> list[Jar]:
    """Read the committed list: `group:artifact:version sha256` a line, `#` starts a comment."""
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        content = line.partition("#")[0].split()
        if content:
            group, artifact, version = _split(content[0])
            jars.append(Jar(group, artifact, version, content[1]))
    return jars


def _split(coordinates: str) -> tuple[str, str, str]:
    group, artifact, version = coordinates.split(":")
    return group, artifact, version


def user_cache_folder() -> Path:
    """Where what is fetched once is kept: QUNPULSE_CACHE_DIR, else qunpulse/ in the user's cache folder."""
    own = os.environ.get("QUNPULSE_CACHE_DIR")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qunpulse"
    return base.expanduser()


def default_cache_folder() -> Path:
    """Where the broker's jars are kept, in the user's cache folder."""
    return user_cache_folder() / f"kafka-{KAFKA_VERSION}"


def kafka_jars(
    folder: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
    resolver: Resolver | None = None,
    jars: Sequence[Jar] | None = None,
) -> list[Path]:
    """Return the paths of the broker's jars, fetched first where they are missing or damaged.

    `resolver` forces one way of fetching. Raises EmbeddedError when a jar cannot be had or is not the listed one.
    """
    jars = jars if jars is not None else read_jar_list()
    return listed_jars(jars, folder or default_cache_folder(), f"Apache Kafka {KAFKA_VERSION}", report, resolver)


def listed_jars(
    jars: Sequence[Jar],
    folder: Path,
    what: str,
    report: Callable[[str], None] = lambda _: None,
    resolver: Resolver | None = None,
) -> list[Path]:
    """Return the paths of `jars` in `folder`, fetched first where they are missing or damaged; `what` names them.

    Raises EmbeddedError when a jar cannot be had or is not the listed one.
    """
    paths = [folder / jar.filename for jar in jars]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            missing = [jar for jar in jars if not _is_listed_file(folder / jar.filename, jar)]
            if missing:
                report(f"fetching {what}: {len(missing)} jars, once")
                with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as staging:
                    _fetch(missing, Path(staging), report, resolver)
                    _move_checked(missing, Path(staging), folder)
    except OSError as error:
        raise EmbeddedError(f"cannot keep the jars of {what} in {folder}: {error.strerror or error}") from error
    return paths


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder of what is fetched: two first starts at once share one download."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_listed_file(path: Path, jar: Jar) -> bool:
    return path.is_file() and sha256_of(path) == jar.sha256


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move_checked(jars: Iterable[Jar], staging: Path, folder: Path) -> None:
    for jar in jars:
        fetched = staging / jar.filename
        found = sha256_of(fetched)
        if found != jar.sha256:
            raise EmbeddedError(
                f"the jar {jar.coordinates} is not the expected file: its SHA-256 is {found}, listed is {jar.sha256}; "
                "look at the Maven mirror or local repository that it came from"
            )
        fetched.replace(folder / jar.filename)


def _fetch(jars: Sequence[Jar], staging: Path, report: Callable[[str], None], resolver: Resolver | None) -> None:
    if resolver == "mvn" or (resolver is None and shutil.which("mvn")):
        try:
            _fetch_with_mvn(jars, staging)
        except EmbeddedError as error:
            if resolver == "mvn":
                raise
            report(f"{error}; trying without mvn")
        else:
            return
    _fetch_with_jgo(jars, staging)


def _fetch_with_mvn(jars: Sequence[Jar], staging: Path) -> None:
    items = "".join(
        f"<artifactItem><groupId>{escape(jar.group)}</groupId><artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version><type>jar</type></artifactItem>"
        for jar in jars
    )
    pom = staging / "pom.xml"
    # `copy` takes each item as it is named and looks at no dependency of it.
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>qunpulse</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>"
        "<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>"
        "<artifactId>maven-dependency-plugin</artifactId><configuration>"
        f"<outputDirectory>{escape(str(staging))}</outputDirectory><artifactItems>{items}</artifactItems>"
        "</configuration></plugin></plugins></build></project>",
        encoding="utf-8",
    )
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), _COPY_GOAL]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_MVN_SECONDS,
            check=False,
            cwd=staging,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(f"mvn could not be run: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        reason = lines[0].partition("ERROR")[2].lstrip("] \x1b[m") if lines else f"exit code {done.returncode}"
        raise EmbeddedError(f"mvn could not fetch the jars: {reason[:500]}")


def _fetch_with_jgo(jars: Sequence[Jar], staging: Path) -> None:
    import requests
    from jgo.maven import MavenContext

    settings = read_maven_settings()
    # jgo writes into its repository while it downloads: an interrupted start must not leave half a jar in ~/.m2.
    context = MavenContext(
        repo_cache=staging / "repository",
        remote_repos={CENTRAL: settings.central_url} if settings.central_url else None,
        timeout=_HTTP_SECONDS,
    )

    def fetch(jar: Jar) -> None:
        relative = Path(*jar.group.split("."), jar.artifact, jar.version, jar.filename)
        kept = settings.local_repository / relative
        if not _is_listed_file(kept, jar):
            try:
                kept = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            except (RuntimeError, requests.RequestException) as error:
                raise EmbeddedError(
                    f"the jar {jar.coordinates} could not be fetched: {error}; "
                    "a first start needs Maven Central or a mirror of it, named in ~/.m2/settings.xml"
                ) from error
        shutil.copyfile(kept, staging / jar.filename)

    proxies = {name: value for name, value in settings.proxies.items() if name not in os.environ}
    os.environ.update(proxies)  # the HTTP client under jgo reads them nowhere else
    pool = ThreadPoolExecutor(4)
    try:
        list(pool.map(fetch, jars))
    finally:
        pool.shutdown(cancel_futures=True)
        for name in proxies:
            os.environ.pop(name, None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `fetch` or `list` (see the module's docstring)."""
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.maven")
    commands = parser.add_subparsers(dest="command", required=True)
    parser.add_argument("--with", dest="resolver", choices=["mvn", "jgo"])
    fetch = commands.add_parser("fetch", help="fetch the listed jars and check them")
    fetch.add_argument("--into", type=Path)
    listing = commands.add_parser("list", help="print list lines for coordinates, resolved alone")
    listing.add_argument("coordinates", nargs="+")
    options = parser.parse_args(arguments)

    def report(line: str) -> None:
        sys.stderr.write(line + "\n")

    if options.command == "fetch":
        paths = kafka_jars(options.into, report, options.resolver)
        sys.stdout.write("".join(f"{path}\n" for path in paths))
        return 0
    jars = [Jar(*_split(text), sha256="") for text in sorted(options.coordinates)]
    with tempfile.TemporaryDirectory() as staging:
        _fetch(jars, Path(staging), report, options.resolver)
        for jar in jars:
            sys.stdout.write(f"{jar.coordinates} {sha256_of(Path(staging) / jar.filename)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
