"""Splitting .sql files: what a semicolon inside a string or comment must not do."""

from __future__ import annotations

import re

import pytest

from sinks.migrate import migrations, views
from sinks.sql_script import statements


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        ("  ;;  ; ", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';'", "SELECT 2"]),
        ("SELECT 'it''s; fine'; SELECT 2", ["SELECT 'it''s; fine'", "SELECT 2"]),
        (r"SELECT 'a\';b'; SELECT 2", [r"SELECT 'a\';b'", "SELECT 2"]),
        ("SELECT 1 -- not; here\n; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1 /* not; -- here */ + 1; SELECT 2", ["SELECT 1   + 1", "SELECT 2"]),
        ('SELECT `a;b`, "c;d"; SELECT 2', ['SELECT `a;b`, "c;d"', "SELECT 2"]),
        ("SELECT '-- no comment'; SELECT 3 - -2", ["SELECT '-- no comment'", "SELECT 3 - -2"]),
        ("-- only a comment\n", []),
        ("SELECT '群;组' COMMENT '/* ; */';", ["SELECT '群;组' COMMENT '/* ; */'"]),
        ("SELECT 6 / 2; SELECT 1", ["SELECT 6 / 2", "SELECT 1"]),
    ],
)
def test_only_a_semicolon_of_the_statement_itself_ends_it(script: str, expected: list[str]) -> None:
    assert list(statements(script)) == expected


def test_every_file_has_statements_and_none_has_a_comment_left() -> None:
    for script in [*migrations(), *views()]:
        found = list(statements(script.text))
        assert found, script.name
        for statement in found:
            assert statement.startswith(("CREATE", "ALTER TABLE")), script.name
            assert "\n--" not in statement, script.name


def test_every_base_table_says_why_it_is_partitioned_and_ordered_so() -> None:
    for script in migrations():
        assert script.text.startswith("-- "), script.name
        for statement in statements(script.text):
            if not statement.startswith("CREATE"):
                continue
            comment = statement.rsplit("COMMENT ", 1)[1]
            assert "partition" in comment, statement
            assert "order" in comment or "one row" in comment, statement
            assert "CODEC" in statement or "one row" in comment or "rows are few" in comment, statement


def test_every_codec_of_a_file_is_explained_in_it() -> None:
    codec = re.compile(r"\b(?:DoubleDelta|Delta|T64|ZSTD|LZ4)\b")
    for script in migrations():
        comments = " ".join(re.findall(r"^-- (.*)$", script.text, re.MULTILINE))
        used = {name for statement in statements(script.text) for name in codec.findall(statement)}
        assert used <= set(codec.findall(comments)), script.name


def test_a_checksum_sees_statements_and_not_comments() -> None:
    first = migrations()[0]
    commented = type(first)(first.kind, first.name, "-- another comment\n\n" + first.text)
    edited = type(first)(first.kind, first.name, first.text.replace("UInt32", "UInt64", 1))
    assert commented.checksum == first.checksum
    assert edited.checksum != first.checksum
