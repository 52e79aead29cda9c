"""What `migrate` applies and refuses, against a stand-in that only remembers checksums."""

from __future__ import annotations

import re

import pytest

from sinks.migrate import Script, migrate, migrations, pending, views
from sinks.schema import MIGRATIONS
from streams.errors import FatalSinkError


class Remembering:
    """Knows which scripts were applied, and counts what ran."""

    def __init__(self) -> None:
        self.applied: dict[tuple[str, str], str] = {}
        self.ran: list[str] = []

    def command(self, sql: str, settings: object = None) -> None:
        if sql.startswith(f"INSERT INTO {MIGRATIONS}"):
            kind, name, checksum = (word.strip(" '(") for word in sql.split("VALUES")[1].split(",")[:3])
            self.applied[kind, name] = checksum
        else:
            self.ran.append(sql)

    def rows(self, _sql: str) -> list[tuple[str, str, str]]:
        return [(kind, name, checksum) for (kind, name), checksum in self.applied.items()]

    def scalar(self, _sql: str) -> int:
        return 1


def test_a_second_run_applies_nothing() -> None:
    server = Remembering()
    told: list[str] = []
    assert migrate(server, told.append) == told  # type: ignore[arg-type]
    assert len(told) == len(migrations()) + len(views())
    assert migrate(server) == []  # type: ignore[arg-type]
    assert pending(server) == []  # type: ignore[arg-type]


def test_only_a_changed_view_is_made_again() -> None:
    server = Remembering()
    migrate(server)  # type: ignore[arg-type]
    server.applied["view", "members"] = "older text"
    assert migrate(server) == ["view members"]  # type: ignore[arg-type]


def test_a_new_migration_makes_every_view_again() -> None:
    server = Remembering()
    migrate(server)  # type: ignore[arg-type]
    last = migrations()[-1]
    del server.applied["migration", last.name]
    assert migrate(server) == [f"migration {last.name}", *(f"view {view.name}" for view in views())]  # type: ignore[arg-type]


def test_a_database_of_a_newer_release_is_refused_before_anything_runs() -> None:
    server = Remembering()
    migrate(server)  # type: ignore[arg-type]
    server.applied["migration", "9999_future"] = "…"
    with pytest.raises(FatalSinkError, match=r"newer release.*9999_future.*upgrade"):
        migrate(server)  # type: ignore[arg-type]


def test_an_edited_migration_is_refused() -> None:
    server = Remembering()
    migrate(server)  # type: ignore[arg-type]
    server.applied["migration", migrations()[0].name] = "other text"
    with pytest.raises(FatalSinkError, match="never edited"):
        migrate(server)  # type: ignore[arg-type]


def test_migrations_are_numbered_without_gaps() -> None:
    assert [script.name[:4] for script in migrations()] == [f"{n:04d}" for n in range(1, len(migrations()) + 1)]
    assert isinstance(migrations()[0], Script)


def test_a_view_comes_after_the_views_it_reads() -> None:
    made: set[str] = set()
    known = {view.name for view in views()}
    for view in views():
        assert (set(re.findall(r"qunpulse\.(\w+)", view.text)) & known) - {view.name} <= made
        made.add(view.name)
    assert made == known
