"""A real Prometheus and a real Alertmanager for tests: on 127.0.0.1 and a free port, with their data in a folder."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, Self

import pytest
from ruamel.yaml import YAML

from infra.embedded import guard
from infra.embedded.child import ChildProcess
from infra.embedded.kafka import HOST, free_port
from infra.programs import find_program
from streams.errors import EmbeddedError

PATIENCE_SECONDS = 60.0
_PORT_ATTEMPTS = 3


def program(name: str) -> Path:
    """Path of a real program; where it cannot be had the test is skipped, but fails in CI, where it must run."""
    try:
        return find_program(name)
    except EmbeddedError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def as_yaml(content: Any) -> str:
    """A configuration as text."""
    out = StringIO()
    YAML(typ="safe").dump(content, out)
    return out.getvalue()


def wait_until(done: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Poll until something is so; fails with what `complaint` says then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError(f"{complaint()} (waited {PATIENCE_SECONDS:.0f} s)")
        time.sleep(0.1)


class _Server:
    """One program that serves HTTP, from `start` to `stop`."""

    name = ""

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        """`folder` (absolute) takes configuration, data and log; paths in the configuration are relative to it."""
        self._folder = folder
        self._process: ChildProcess | None = None
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.yml").write_text(as_yaml(configuration), encoding="utf-8")

    @property
    def url(self) -> str:
        """Address without a slash behind."""
        return f"http://{HOST}:{self.port}"

    def arguments(self) -> list[str]:
        """What the program is started with, but the configuration file."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start and wait until it is ready; between looking for a free port and taking it another may be quicker."""
        executable = program(self.name)
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = free_port()
            self._process = ChildProcess(
                self.name,
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(guard.__file__),
                    str(executable),
                    f"--config.file={self._folder / self.name}.yml",
                    f"--web.listen-address={HOST}:{self.port}",
                    *self.arguments(),
                ],
                self._folder / f"{self.name}.log",
                folder=self._folder,
            )
            try:
                self._process.wait_until(self._ready, PATIENCE_SECONDS)
            except EmbeddedError:
                port_lost = "address already in use" in self._process.tail()
                self.stop()
                if attempt == _PORT_ATTEMPTS or not port_lost:
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """Stop it; does nothing when it does not run."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def log(self) -> str:
        """What it has logged."""
        return (self._folder / f"{self.name}.log").read_text(encoding="utf-8", errors="replace")

    def _ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
        return False

    def get(self, path: str, **arguments: str) -> Any:
        """The JSON that a path answers with; an error of the server fails the test with its text."""
        query = f"?{urllib.parse.urlencode(arguments)}" if arguments else ""
        try:
            with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}{query}: {error.code} {error.read().decode(errors='replace')}") from error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Prometheus(_Server):
    """A real Prometheus with its own storage."""

    name = "prometheus"

    def arguments(self) -> list[str]:
        """Its data stays in the folder."""
        return [f"--storage.tsdb.path={self._folder}/data", "--log.level=warn", "--web.enable-lifecycle"]

    def follow_rules(self, rules: str) -> None:
        """Follow these rules from now on, in the file rules.yml that its configuration names."""
        (self._folder / "rules.yml").write_text(rules, encoding="utf-8")
        asked = urllib.request.Request(f"{self.url}/-/reload", method="POST")  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            assert answer.status == 200

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression now: `metric` (labels) and `value` (time, text) of each sample."""
        answer = self.get("/api/v1/query", query=expression)["data"]
        return (
            list(answer["result"]) if answer["resultType"] == "vector" else [{"metric": {}, "value": answer["result"]}]
        )

    def query_range(self, expression: str, start: float, end: float, step_seconds: float) -> list[dict[str, Any]]:
        """The series of an expression over a span of unix time: `metric` and `values`."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_seconds:g}"}
        return list(self.get("/api/v1/query_range", query=expression, **span)["data"]["result"])

    def value(self, expression: str) -> float | None:
        """The value of the first sample of an expression now; None when there is none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or firing."""
        return list(self.get("/api/v1/alerts")["data"]["alerts"])

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes: `health`, `labels`, `lastError`, `scrapeUrl`."""
        return list(self.get("/api/v1/targets")["data"]["activeTargets"])

    def wait_scraped(self, times: int = 1) -> None:
        """Wait until every target has been scraped so often."""

        def scraped() -> bool:
            counts = self.query("count_over_time(up[1h])")
            return len(counts) >= len(self.targets()) > 0 and all(float(c["value"][1]) >= times for c in counts)

        wait_until(scraped, lambda: f"not every target was scraped {times} times: {self.targets()}")

    def wait_heard(self) -> None:
        """Wait until it knows an Alertmanager; what fires before is told to nobody for a minute."""
        known = "/api/v1/alertmanagers"
        wait_until(
            lambda: bool(self.get(known)["data"]["activeAlertmanagers"]), lambda: "Prometheus knows no Alertmanager"
        )


class Alertmanager(_Server):
    """A real Alertmanager that knows no other."""

    name = "alertmanager"

    def arguments(self) -> list[str]:
        """Its data stays in the folder; it looks for no cluster."""
        return [f"--storage.path={self._folder}/data", "--cluster.listen-address=", "--log.level=warn"]

    def alerts(self) -> Sequence[dict[str, Any]]:
        """What it holds: `labels`, `annotations`, `status`."""
        return list(self.get("/api/v2/alerts"))


def scrape_all(ports: Mapping[str, int], interval_seconds: float = 1.0) -> dict[str, Any]:
    """A configuration that scrapes a port of this machine for each job."""
    interval = f"{int(interval_seconds * 1000)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}"]}]} for job, port in ports.items()
        ],
    }
