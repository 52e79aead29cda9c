"""docker-compose.yml, loaded as Docker Compose loads it: what it promises about secrets, ports, limits and order."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.compose.own_secrets import main as check_secrets
from infra.embedded.maven import user_cache_folder
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
LOADER = Path(__file__).parent / "compose_loader"
ONE_SHOT = {"secrets", "topics", "users", "migrate"}
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
OWN = EXAMPLE.replace("change-me", "own")


@pytest.fixture(scope="module")
def loader() -> Path:
    """The Compose Specification's own loader, built once into the user's cache folder."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        if os.environ.get("CI"):
            raise AssertionError("go is not on PATH: the Compose file cannot be validated")
        pytest.skip("go is not on PATH: the Compose file cannot be validated")
    version = (LOADER / "go.mod").read_text().split("compose-go/v2 ")[1].split()[0]
    built = user_cache_folder() / "programs" / f"compose-loader-{version}"
    if not built.exists():
        part = built.with_name(f"{built.name}.{os.getpid()}")
        built.parent.mkdir(parents=True, exist_ok=True)
        # Without optimisation and without C it is built in half the time.
        quick = ["-gcflags=all=-N -l", "-ldflags=-s -w"]
        without_c = os.environ | {"CGO_ENABLED": "0"}
        subprocess.run([go, "build", *quick, "-o", part, "."], cwd=LOADER, env=without_c, check=True, timeout=280)
        part.rename(built)
    return built


def load(loader: Path, variables: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("QUNPULSE_", "GRAFANA_"))}
    return subprocess.run(
        [loader, ROOT / "docker-compose.yml", variables],
        cwd=ROOT, env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def services(loader: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    variables = tmp_path_factory.mktemp("compose") / ".env"
    variables.write_text(OWN, encoding="utf-8")
    done = load(loader, variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def test_it_does_not_load_without_secrets(loader: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("QUNPULSE_PARTITIONS=4\n")
    done = load(loader, tmp_path / ".env")
    assert done.returncode != 0
    assert ".env.example" in done.stderr


def test_nothing_starts_with_a_secret_of_the_example(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = services["secrets"]["command"]
    given = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if "=" in line and not line.startswith("#"))
    secret = {name for name, value in given.items() if value.startswith("change-me")}
    assert set(asked) == secret
    for name in asked:
        monkeypatch.setenv(name, f"own-{name}")
    assert not check_secrets(asked)
    monkeypatch.setenv(asked[0], given[asked[0]])
    assert check_secrets(asked)
    assert asked[0] in capsys.readouterr().err
    first = {name for name, one in services.items() if not one.get("depends_on")}
    assert first == {"secrets"}, "everything waits for it"


def test_images_are_pinned_and_nobody_is_root(services: dict[str, Any]) -> None:
    for name, one in services.items():
        tag = one["image"].rpartition(":")[2]
        assert tag[0].isdigit() or (tag[0] == "v" and tag[1].isdigit()), name
        assert one["user"].split(":")[0] not in {"", "0", "root"}, name
        assert one["cap_drop"] == ["ALL"], name


def test_ports_are_published_on_localhost_only_and_workers_can_be_many(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if one.get("ports")}
    assert set(published) == {"kafka", "clickhouse", "prometheus", "alertmanager", "grafana"}
    assert all(port["host_ip"] == "127.0.0.1" for ports in published.values() for port in ports)
    assert "container_name" not in services["worker"]


def test_everything_has_limits_and_what_runs_on_has_a_health_check(services: dict[str, Any]) -> None:
    for name, one in services.items():
        limits = one["deploy"]["resources"]["limits"]
        assert limits["memory"], name
        assert limits["cpus"], name
        assert ("healthcheck" in one) == (name not in ONE_SHOT), name
        assert one["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name


def test_who_waits_for_health_waits_for_one_that_tells_it(services: dict[str, Any]) -> None:
    for name, one in services.items():
        for other, how in (one.get("depends_on") or {}).items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, (name, other)


def test_what_is_mounted_is_there_and_what_must_last_has_a_volume(services: dict[str, Any]) -> None:
    for name, one in services.items():
        for mount in one.get("volumes") or []:
            if mount["type"] == "bind":
                assert Path(mount["source"]).exists(), (name, mount["source"])
                assert mount["read_only"], (name, mount["source"])
    lasting = {name for name, one in services.items() for m in one.get("volumes") or [] if m["type"] == "volume"}
    assert lasting == {"kafka", "clickhouse", "prometheus", "alertmanager", "grafana"}


def test_our_programs_are_given_settings_that_exist(services: dict[str, Any]) -> None:
    for name in ("topics", "migrate", "worker", "alerts"):
        for variable in services[name]["environment"]:
            if variable != "ALERT_URL":  # a channel's secret, named by the rules file
                assert variable.removeprefix("QUNPULSE_").lower() in Settings.model_fields, (name, variable)


def test_the_rules_folder_that_comes_along_is_a_rules_file(services: dict[str, Any]) -> None:
    from streams.rules import RulesFile

    mounted = next(m["source"] for m in services["worker"]["volumes"] if m["target"] == "/etc/qunpulse")
    assert RulesFile(Path(mounted) / "rules.yaml").current() is not None
