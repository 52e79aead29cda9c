"""The list of jars, the user's Maven settings, and what happens to a jar that is not the listed one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.embedded import maven
from infra.embedded.maven import Jar, kafka_jars, read_jar_list
from infra.embedded.maven_settings import read_maven_settings
from streams.errors import EmbeddedError

SMALL = [jar for jar in read_jar_list() if jar.artifact in {"argparse4j", "jopt-simple"}]


def test_the_list_names_each_jar_once_with_its_checksum() -> None:
    jars = read_jar_list()
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars) == 46
    assert all(len(jar.sha256) == 64 for jar in jars)
    # The two that transitive resolution has got wrong: an old client, and a binding for another SLF4J.
    versions = {jar.artifact: jar.version for jar in jars}
    assert versions["kafka-clients"] == versions["kafka_2.13"] == maven.KAFKA_VERSION
    assert versions["slf4j-api"].startswith("1.7.")
    assert "log4j-slf4j-impl" in versions


def test_the_list_names_no_host() -> None:
    assert "://" not in maven.JAR_LIST.read_text()


@pytest.mark.parametrize("way", ["mvn", "jgo"])
def test_each_way_of_fetching_gives_the_listed_files(way: maven.Resolver, tmp_path: Path) -> None:
    if way == "mvn" and shutil.which("mvn") is None:
        pytest.skip("mvn is not installed")
    paths = kafka_jars(tmp_path, resolver=way, jars=SMALL)
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == [jar.sha256 for jar in SMALL]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["lock", *(jar.filename for jar in SMALL)])


def test_without_the_local_repository_jgo_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "no-repository"))
    (path, _) = kafka_jars(tmp_path / "jars", resolver="jgo", jars=SMALL)
    assert path.stat().st_size > 10_000
    assert not (tmp_path / "no-repository").exists(), "the user's repository is read, never written"


def test_another_checksum_is_an_error_that_names_the_jar(tmp_path: Path) -> None:
    wrong = Jar(SMALL[0].group, SMALL[0].artifact, SMALL[0].version, "0" * 64)
    with pytest.raises(EmbeddedError, match=rf"{wrong.coordinates} is not the expected file.*listed is 0000"):
        kafka_jars(tmp_path, resolver="jgo", jars=[wrong])
    assert not (tmp_path / wrong.filename).exists()


def test_a_damaged_jar_is_fetched_again(tmp_path: Path) -> None:
    (path, _) = kafka_jars(tmp_path, resolver="jgo", jars=SMALL)
    path.write_bytes(b"damaged")
    lines: list[str] = []
    kafka_jars(tmp_path, lines.append, "jgo", SMALL)
    assert maven.sha256_of(path) == SMALL[0].sha256
    assert len(lines) == 1
    assert "1 jars" in lines[0]


def test_what_is_kept_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kafka_jars(tmp_path, resolver="jgo", jars=SMALL)

    def fetch(*_: object) -> None:
        pytest.fail("nothing is missing")

    monkeypatch.setattr(maven, "_fetch", fetch)
    kafka_jars(tmp_path, jars=SMALL)


def test_where_mvn_fails_the_python_resolver_takes_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "mvn"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho '[ERROR] this mvn is broken'; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=":")
    lines: list[str] = []
    kafka_jars(tmp_path / "jars", lines.append, jars=SMALL)
    assert any("this mvn is broken; trying without mvn" in line for line in lines)


def test_an_unknown_jar_is_named(tmp_path: Path) -> None:
    nowhere = Jar("org.apache.kafka", "kafka_2.13", "0.0.0", "0" * 64)
    with pytest.raises(EmbeddedError, match=r"kafka_2\.13:0\.0\.0 could not be fetched"):
        kafka_jars(tmp_path, resolver="jgo", jars=[nowhere])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"cannot keep the jars of Apache Kafka \S+ in"):
        kafka_jars(tmp_path / "file" / "jars", jars=SMALL)


def write_settings(home: Path, content: str) -> None:
    (home / ".m2").mkdir(exist_ok=True)
    (home / ".m2" / "settings.xml").write_text(content)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("M2_REPO", "MAVEN_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_settings_maven_s_own_defaults_hold(home: Path) -> None:
    settings = read_maven_settings()
    assert settings.central_url is None
    assert settings.local_repository == home / ".m2" / "repository"


def test_mirror_credentials_proxy_and_repository_are_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_PASSWORD", "p/w")
    write_settings(
        home,
        """<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">
          <localRepository>${user.home}/repo</localRepository>
          <mirrors>
            <mirror><id>other</id><mirrorOf>*,!central</mirrorOf><url>https://other.invalid/</url></mirror>
            <mirror><id>house</id><mirrorOf>central</mirrorOf><url>https://mirror.invalid/maven/</url></mirror>
          </mirrors>
          <servers><server><id>house</id><username>me</username>
            <password>${env.MIRROR_PASSWORD}</password></server></servers>
          <proxies><proxy><active>true</active><host>proxy.invalid</host><port>3128</port>
            <nonProxyHosts>localhost|*.invalid</nonProxyHosts></proxy></proxies>
        </settings>""",
    )
    settings = read_maven_settings()
    assert settings.local_repository == home / "repo"
    assert settings.central_url == "https://me:p%2Fw@mirror.invalid/maven"
    assert settings.proxies["HTTPS_PROXY"] == "http://proxy.invalid:3128"
    assert settings.proxies["NO_PROXY"] == "localhost,.invalid"


def test_jgo_asks_the_mirror_of_the_settings(home: Path, tmp_path: Path) -> None:
    write_settings(
        home,
        "<settings><mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:9/maven</url></mirror>"
        "</mirrors></settings>",
    )
    with pytest.raises(EmbeddedError, match=r"127\.0\.0\.1.*port=9"):
        kafka_jars(tmp_path / "jars", resolver="jgo", jars=SMALL)


def test_settings_that_are_no_xml_are_named(home: Path) -> None:
    write_settings(home, "<settings>")
    with pytest.raises(EmbeddedError, match=r"settings\.xml is not valid XML"):
        read_maven_settings()


def test_the_command_prints_lines_of_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    arguments: Sequence[str] = ["--with", "jgo", "list", SMALL[0].coordinates]
    assert maven.main(arguments) == 0
    assert capsys.readouterr().out == f"{SMALL[0].coordinates} {SMALL[0].sha256}\n"
