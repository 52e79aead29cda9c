"""Which rights a statement needs, as ClickHouse's own parser reads it: (right, table) pairs of our databases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from infra.embedded.clickhouse_sql import quote
from sinks.sql_script import statements as sql_script

Needed = set[tuple[str, str]]
Parse = Callable[[str], str]
GRANTS = Path(__file__).parents[2] / "infra" / "clickhouse" / "access.sql"
_GRANT = re.compile(r"GRANT (?P<rights>[A-Z, ]+) ON (?P<on>\S+) TO (?P<user>\w+)")
_OURS = ("qunpulse.", "qunpulse_store.", "system.disks")
"""Databases of ours, and what our programs read of `system` that not everybody may read."""
_VALUES = re.compile(r"\bVALUES\b.*", re.DOTALL)


def grants_of(user: str) -> Needed:
    """What the shipped script grants to a user."""
    found = [_GRANT.fullmatch(" ".join(statement.split())) for statement in sql_script(GRANTS.read_text())]
    return {
        (right.strip(), grant["on"])
        for grant in found
        if grant is not None and grant["user"] == user
        for right in grant["rights"].split(",")
    }


def rights_of_statements(statements: Iterable[str], parse: Parse) -> Needed:
    """`parse` gives the engine's parseQueryToJSON of a quoted statement. Views count as one table, `qunpulse.*`."""
    needed: Needed = set()
    for statement in set(statements):
        needed |= rights_of_statement(statement, parse)
    return needed


def rights_of_statement(statement: str, parse: Parse) -> Needed:
    """As `rights_of_statements`, for one."""
    words = statement.split(None, 2)
    kind = words[0].upper() if words else ""
    if kind in {"", "DESCRIBE", "EXISTS"}:  # a ping has no statement
        return set()  # SHOW comes with any right on a table
    if kind == "INSERT" and " SELECT" not in statement:  # its rows follow, or stand in VALUES: no tree of it is given
        return {("INSERT", _table(_VALUES.sub("", statement).split(None, 2)[2]))}
    tree = json.loads(parse(quote(statement.rstrip("; \n"))))
    needed: Needed = set()
    match tree["type"]:
        case "InsertQuery":
            needed.add(("INSERT", f"{tree['database']['name']}.{tree['table']['name']}"))
        case "DeleteQuery":
            needed.add(("ALTER DELETE", f"{tree['database']['name']}.{tree['table']['name']}"))
        case "CreateQuery":
            needed |= _created(tree)
        case "AlterQuery":
            needed.add(("ALTER TABLE", f"{tree['database']}.*"))
        case "SelectWithUnionQuery":
            pass
        case _:
            raise AssertionError(f"a statement of an unknown kind: {statement[:200]}")
    return needed | {("SELECT", table) for table in _tables_read(tree)}


def _created(tree: Any) -> Needed:
    everything = f"{tree['database']}.*"
    if tree.get("is_ordinary_view"):
        return {("CREATE VIEW", everything), ("DROP VIEW", everything)}  # it is replaced
    if not tree.get("table"):
        return {("CREATE DATABASE", everything)}
    return {("CREATE TABLE", everything), ("TABLE ENGINE", tree["storage"]["engine"]["name"])}


def _tables_read(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for part in tree:
            yield from _tables_read(part)
    elif isinstance(tree, dict):
        name = str(tree.get("name", ""))
        if tree.get("type") == "TableIdentifier" and name.startswith(_OURS):
            yield "qunpulse.*" if name.startswith("qunpulse.") else name
        for part in tree.values():
            yield from _tables_read(part)


def _table(text: str) -> str:
    return re.split(r"[\s(]", text.strip(), maxsplit=1)[0].replace("`", "")
