"""Bring the databases to this release: numbered migrations once each, views whenever their text changed.

Migrations in `sinks/migrations/NNNN_name.sql` are applied in order and never edited afterwards: their
checksums are recorded, and a database that disagrees with the files is refused. Views in `sinks/views` hold
no rows, so they are simply replaced. Every statement is idempotent (`IF NOT EXISTS`), so a run that broke off
or two workers that migrate at once do no harm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from sinks.clickhouse import ClickHouse
from sinks.schema import MART, MIGRATIONS, STORE
from sinks.sql_script import statements
from streams.errors import FatalSinkError

_VIEW_NAME = re.compile(rf"\b{MART}\.(\w+)")
_MIGRATION_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

# What migrations record about themselves. Created before everything else, hence not a migration of its own.
_BOOTSTRAP = (
    f"CREATE DATABASE IF NOT EXISTS {STORE} COMMENT 'Base tables of qunpulse; people read the views'",
    f"CREATE DATABASE IF NOT EXISTS {MART} COMMENT 'Views of qunpulse for people and BI tools'",
    f"""
    CREATE TABLE IF NOT EXISTS {MIGRATIONS}
    (
        kind LowCardinality(String), name String, checksum String, applied_at DateTime64(6, 'UTC')
    )
    ENGINE = ReplacingMergeTree(applied_at) ORDER BY (kind, name)
    COMMENT 'Applied migrations and views with the checksum of their text; a handful of rows, not partitioned'
    """,
)

Kind = Literal["migration", "view"]


@dataclass(frozen=True)
class Script:
    """One .sql file: `name` without suffix, `text`, and the checksum that is recorded once it is applied."""

    kind: Kind
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements; comments and blank lines may change freely."""
        canonical = "\n;\n".join(" ".join(statement.split()) for statement in statements(self.text))
        return hashlib.sha256(canonical.encode()).hexdigest()


def migrate(ch: ClickHouse, report: Callable[[str], None] | None = None) -> list[str]:
    """Apply what is missing; returns the names of what was applied (empty: everything was in place).

    `report` is told each name before it is applied. Raises FatalSinkError when the database was made by a
    newer release or an applied migration was edited, and SinkError when a statement fails.
    """
    for statement in _BOOTSTRAP:
        ch.command(statement)
    recorded = _recorded(ch)
    pending = _pending(migrations(), views(), recorded)
    for script in pending:
        if report is not None:
            report(f"{script.kind} {script.name}")
        for statement in statements(script.text):
            ch.command(statement)
        _record(ch, script)
    return [f"{script.kind} {script.name}" for script in pending]


def pending(ch: ClickHouse) -> list[str]:
    """Names of what `migrate` would apply; changes nothing (an empty server counts as all missing)."""
    known = ch.scalar(f"EXISTS TABLE {MIGRATIONS}")
    recorded = _recorded(ch) if known else {}
    return [f"{script.kind} {script.name}" for script in _pending(migrations(), views(), recorded)]


def migrations() -> list[Script]:
    """All migrations of this release, by number."""
    found = _scripts("migration", "migrations")
    for number, script in enumerate(found, start=1):
        match = _MIGRATION_NAME.match(f"{script.name}.sql")
        if match is None or int(match.group(1)) != number:
            raise FatalSinkError(f"migration {script.name}.sql is out of order: number {number:04d} is expected")
    return found


def views() -> list[Script]:
    """All views of this release, each after the views it reads. Raises FatalSinkError when some read each other."""
    left = {script.name: script for script in _scripts("view", "views")}
    reads = {
        name: {found for found in _VIEW_NAME.findall(script.text) if found != name} for name, script in left.items()
    }
    ordered: list[Script] = []
    while left:
        ready = [name for name in left if not reads[name] & left.keys()]
        if not ready:
            raise FatalSinkError(f"views {', '.join(left)} read each other in a circle; one of them must not")
        ordered += [left.pop(name) for name in ready]
    return ordered


def _scripts(kind: Kind, folder: str) -> list[Script]:
    root: Traversable = files("sinks") / folder
    names = sorted(entry.name for entry in root.iterdir() if entry.name.endswith(".sql"))
    return [Script(kind, name.removesuffix(".sql"), (root / name).read_text(encoding="utf-8")) for name in names]


def _recorded(ch: ClickHouse) -> dict[tuple[str, str], str]:
    found = ch.rows(f"SELECT kind, name, checksum FROM {MIGRATIONS} FINAL")
    return {(kind, name): checksum for kind, name, checksum in found}


def _pending(
    all_migrations: Iterable[Script], all_views: Iterable[Script], recorded: dict[tuple[str, str], str]
) -> list[Script]:
    ours = {script.name for script in all_migrations}
    newer = sorted(name for kind, name in recorded if kind == "migration" and name not in ours)
    if newer:
        raise FatalSinkError(
            f"the database {STORE} was made by a newer release of qunpulse (it has {', '.join(newer)}); "
            "upgrade this worker, or use a database of its own"
        )
    missing = []
    for script in all_migrations:
        applied = recorded.get((script.kind, script.name))
        if applied is None:
            missing.append(script)
        elif applied != script.checksum:
            raise FatalSinkError(
                f"migration {script.name} differs from the one applied to {STORE}; applied migrations are "
                "never edited: restore the file, or add a new migration"
            )
    # A migration may have changed a table below a view: all of them are made anew then.
    changed = [view for view in all_views if missing or recorded.get((view.kind, view.name)) != view.checksum]
    return missing + changed


def _record(ch: ClickHouse, script: Script) -> None:
    ch.command(
        f"INSERT INTO {MIGRATIONS} (kind, name, checksum, applied_at) "
        f"VALUES ('{script.kind}', '{script.name}', '{script.checksum}', now64(6))",
        settings={"async_insert": 0},
    )
