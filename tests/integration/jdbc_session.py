"""The ClickHouse JDBC driver in a Java machine of its own: `python -m tests.integration.jdbc_session URL JAR…`.

Runs what a BI tool does when it connects, and prints one JSON object with all the answers. A process of its own: a Java
machine inside the tests' process would take its signals and could not be ended.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jpype

from infra.embedded.java import find_java

Rows = list[dict[str, str | None]]


def main(url: str, jars: list[str]) -> None:
    """Connect with the driver's defaults, ask, print."""
    library = find_java().path.resolve().parents[1] / "lib" / "server"
    jpype.startJVM(str(next(library.glob("libjvm.*"))), "-Xmx256m", "-XX:TieredStopAtLevel=1", classpath=jars)
    properties = jpype.java.util.Properties()
    properties.setProperty("user", "default")
    connection = jpype.java.sql.DriverManager.getConnection(url, properties)
    asked = _questions(connection)
    sys.stdout.write(json.dumps({name: ask() for name, ask in asked.items()}))
    connection.close()


def _questions(connection: Any) -> dict[str, Callable[[], Any]]:
    about = connection.getMetaData()
    return {
        "product": lambda: [str(about.getDatabaseProductName()), str(about.getDatabaseProductVersion())],
        "valid": lambda: bool(connection.isValid(5)),
        "schemas": lambda: _rows(about.getSchemas()),
        "views": lambda: _rows(about.getTables(None, "qunpulse", "%", ["VIEW"])),
        "columns": lambda: _rows(about.getColumns(None, "qunpulse", "members", "%")),
        "comments": lambda: _select(
            connection, "SELECT name, comment FROM system.tables WHERE database = 'qunpulse' ORDER BY name"
        ),
        "prepared": lambda: _prepared(connection),
        "sample": lambda: _select(connection, "SELECT * FROM qunpulse.activity_1d WHERE community_id = 'jdbc:上海群'"),
        "many": lambda: _count(connection, "SELECT number, toString(number) FROM numbers(300000)"),
        "limited": lambda: _limited(connection),
        "refused": lambda: _refused(connection),
    }


def _rows(found: Any) -> Rows:
    about = found.getMetaData()
    names = [str(about.getColumnLabel(i + 1)) for i in range(about.getColumnCount())]
    rows: Rows = []
    while found.next():
        values = [found.getString(i + 1) for i in range(len(names))]
        rows.append({name: None if text is None else str(text) for name, text in zip(names, values, strict=True)})
    return rows


def _select(connection: Any, query: str) -> Rows:
    return _rows(connection.createStatement().executeQuery(query))


def _prepared(connection: Any) -> Rows:
    statement = connection.prepareStatement("SELECT ? AS name, count() AS rows FROM numbers(100) WHERE number < ?")
    statement.setString(1, "it's 上海'群 \\ ?")
    statement.setLong(2, 42)
    return _rows(statement.executeQuery())


def _count(connection: Any, query: str) -> int:
    statement = connection.createStatement()
    statement.setFetchSize(10_000)
    found = statement.executeQuery(query)
    rows = 0
    while found.next():
        rows += 1
    return rows


def _limited(connection: Any) -> int:
    statement = connection.createStatement()
    statement.setMaxRows(7)
    statement.setQueryTimeout(30)
    return len(_rows(statement.executeQuery("SELECT number FROM numbers(1000)")))


def _refused(connection: Any) -> str:
    try:
        _select(connection, "SELECT * FROM qunpulse.no_such_view")
    except jpype.java.sql.SQLException as error:
        return f"{error.getErrorCode()} {error.getMessage()}"
    return "not refused"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
