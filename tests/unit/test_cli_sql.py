"""`qunpulse sql`: the format goes where it belongs, and ClickHouse's errors become one sentence."""

from __future__ import annotations

import pytest

from streams.cli.sql import _said, with_format
from streams.errors import InputError


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("SELECT 1", "SELECT 1\nFORMAT TSV"),
        ("SELECT 1;  ", "SELECT 1\nFORMAT TSV"),
        ("select 1 format JSON", "select 1 format JSON"),
        ("SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "SELECT 1 FORMAT JSON SETTINGS max_threads = 1"),
        ("SELECT 1 -- why", "SELECT 1 -- why\nFORMAT TSV"),
        ("-- why\n/* and\nhow */ WITH 1 AS x SELECT x", "-- why\n/* and\nhow */ WITH 1 AS x SELECT x\nFORMAT TSV"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)\nFORMAT TSV"),
        ("SELECT 'FORMAT' AS format", "SELECT 'FORMAT' AS format\nFORMAT TSV"),
        ("DESCRIBE TABLE qunpulse.members", "DESCRIBE TABLE qunpulse.members\nFORMAT TSV"),
        ("OPTIMIZE TABLE t FINAL", "OPTIMIZE TABLE t FINAL"),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"),
    ],
)
def test_the_format_is_appended_where_rows_come_back(query: str, sent: str) -> None:
    assert with_format(query, "TSV") == sent


def test_an_empty_query_or_a_strange_format_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        with_format(" ; ", "TSV")
    with pytest.raises(InputError, match="no ClickHouse format"):
        with_format("SELECT 1", "TSV; DROP TABLE x")


def test_an_error_keeps_what_helps_and_drops_the_rest() -> None:
    error = (
        "Received ClickHouse exception, code: 62, server response: Code: 62. DB::Exception: Syntax error: failed at "
        "position 13 (x) (line 1, col 13): x FORMAT TSV. Expected one of: token sequence, Dot, AND, OR. "
        "(SYNTAX_ERROR) (version 26.9.2.1 (official build)) (for url http://127.0.0.1:8123)"
    )
    assert _said(Exception(error)) == (
        "Syntax error: failed at position 13 (x) (line 1, col 13): x FORMAT TSV. (SYNTAX_ERROR) (error 62)"
    )
