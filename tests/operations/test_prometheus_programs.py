"""Programs that are not on PATH come from their Debian packages, whole or not at all; the real ones answer."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import programs
from infra.programs import PROGRAMS, find_program
from streams.errors import EmbeddedError
from streams.metrics import WorkerMetrics
from streams.observability import ObservabilityServer
from tests.operations import monitoring
from tests.operations.conftest import StartAlertmanager, StartPrometheus
from tests.operations.monitoring import scrape_all


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH on which `apt-get` and `dpkg-deb` bring a package that a folder stands for; returns the folder of both.

    Real packages are 30 MB: what this shows is what happens between them. The real ones are started below.
    """
    folder = tmp_path / "bin"
    write_program(
        folder / "apt-get",
        f'case "$*" in *download*) echo x >> {tmp_path}/downloads; sleep 0.2; touch package.deb;; esac',
    )
    write_program(
        folder / "dpkg-deb",
        'mkdir -p "$3/usr/bin"; for name in prometheus promtool; do\n'
        'printf "#!/bin/sh\\necho version 1\\n" > "$3/usr/bin/$name"; chmod 755 "$3/usr/bin/$name"; done',
    )
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setattr(programs.shutil, "which", lambda name: str(folder / name) if (folder / name).exists() else None)
    return folder


def test_a_program_on_path_is_taken(mirror: Path, tmp_path: Path) -> None:
    write_program(mirror / "prometheus-alertmanager", "true")
    assert find_program("alertmanager", tmp_path / "cache") == mirror / "prometheus-alertmanager"
    assert not (tmp_path / "cache").exists()


def test_a_package_is_fetched_once_by_all_who_start_together(mirror: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda name: find_program(name, tmp_path / "cache", lines.append), ["promtool", "prometheus"] * 2)
        )
    assert all(os.access(path, os.X_OK) for path in found)
    assert (tmp_path / "downloads").read_text() == "x\n"
    assert lines == ["fetching the Debian package prometheus, once"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock", "prometheus"]


def test_where_the_system_s_lists_do_not_know_a_package_own_ones_are_fetched(mirror: Path, tmp_path: Path) -> None:
    write_program(
        mirror / "apt-get",
        'case "$*" in *Dir::State::Lists*update*) touch updated;;\n'
        "*download*) test -e updated || { echo 'E: Unable to locate' >&2; exit 100; }; touch package.deb;; esac",
    )
    assert find_program("promtool", tmp_path / "cache").is_file()


@pytest.mark.parametrize(
    ("tool", "text", "said"),
    [
        ("apt-get", "echo 'E: Could not resolve the mirror' >&2; exit 100", "apt-get says: E: Could not resolve"),
        ("dpkg-deb", "echo 'dpkg-deb: error: not a Debian archive' >&2; exit 2", "dpkg-deb says: .*not a Debian arch"),
        ("dpkg-deb", 'mkdir -p "$3/usr/bin"; printf "" > "$3/usr/bin/promtool"', "Permission denied"),
    ],
)
def test_what_cannot_be_had_is_one_sentence_and_leaves_nothing(
    mirror: Path, tmp_path: Path, tool: str, text: str, said: str
) -> None:
    write_program(mirror / tool, text)
    with pytest.raises(EmbeddedError, match=rf"^promtool is not on PATH .*{said}.*; install promtool") as raised:
        find_program("promtool", tmp_path / "cache")
    assert "\n" not in str(raised.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_without_apt_the_sentence_says_so(mirror: Path, tmp_path: Path) -> None:
    (mirror / "apt-get").unlink()
    with pytest.raises(EmbeddedError, match="this system has no apt-get"):
        find_program("amtool", tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_named(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"cannot keep promtool in .*file"):
        find_program("promtool", tmp_path / "file" / "cache")


def test_a_test_without_its_program_is_skipped_but_fails_in_ci(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mirror / "apt-get").unlink()
    monkeypatch.setenv("QUNPULSE_CACHE_DIR", str(mirror / "cache"))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="this system has no apt-get"):
        monitoring.program("promtool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(EmbeddedError, match="this system has no apt-get"):
        monitoring.program("promtool")


def test_the_command_names_what_it_does_not_know() -> None:
    done = subprocess.run([sys.executable, "-m", "infra.programs", "amtol"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown: amtol; there are prometheus, promtool, alertmanager, amtool" in done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_real_programs_run(name: str) -> None:
    done = subprocess.run([monitoring.program(name), "--version"], capture_output=True, text=True, check=True)
    assert "version" in done.stdout + done.stderr


def test_a_real_prometheus_scrapes_what_is_served_to_who_shows_the_token(
    start_prometheus: StartPrometheus, tmp_path: Path
) -> None:
    metrics = WorkerMetrics()
    metrics.partitions_assigned.set(3)
    with ObservabilityServer(
        metrics.registry, heartbeat_age=lambda: 0, missing=list, port=0, token="Kanarienvogel"
    ) as server:
        configuration = scrape_all({"worker": server.port}, 0.2)
        (token := tmp_path / "metrics.token").write_text("Kanarienvogel\n", encoding="utf-8")
        for job in configuration["scrape_configs"]:
            job |= {"authorization": {"credentials_file": str(token)}}
        prometheus = start_prometheus(configuration)
        prometheus.wait_scraped(2)
        assert prometheus.value("qunpulse_assigned_partitions") == 3
        assert [target["health"] for target in prometheus.targets()] == ["up"]


def test_a_real_alertmanager_starts_without_alerts(start_alertmanager: StartAlertmanager) -> None:
    running = start_alertmanager({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]})
    assert running.alerts() == []
