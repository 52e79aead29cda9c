"""Where a statement ends and its rows begin, and how it is worded anew to read them from a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.embedded.clickhouse_sql import (
    InsertHead,
    is_insert,
    quote,
    shape_of,
    split_insert,
    statement_reading_file,
    tokens,
)


@pytest.mark.parametrize(
    ("sql", "statement", "format_name", "rows"),
    [
        ("INSERT INTO t FORMAT Native\nROWS", "INSERT INTO t ", "Native", "ROWS"),
        ("insert into t (a, format) format Arrow\r\n\nROWS", "insert into t (a, format) ", "Arrow", "\nROWS"),
        ("INSERT INTO `a FORMAT b` FORMAT CSV 1,2", "INSERT INTO `a FORMAT b` ", "CSV", "1,2"),
        (
            "INSERT INTO t SELECT 'x FORMAT y', format('{}', a) FROM input('a String') FORMAT Arrow\n'",
            "INSERT INTO t SELECT 'x FORMAT y', format('{}', a) FROM input('a String') ",
            "Arrow",
            "'",
        ),
        ("-- FORMAT one\nINSERT INTO t /* FORMAT two */ FORMAT TSV\n", None, "TSV", ""),
        ("INSERT INTO t SETTINGS async_insert=0 FORMAT JSONEachRow {}", None, "JSONEachRow", "{}"),
    ],
)
def test_rows_begin_after_the_format_clause(sql: str, statement: str | None, format_name: str, rows: str) -> None:
    head = split_insert(sql, complete=True)
    assert head is not None
    assert head.format == format_name
    assert sql[head.data_start :] == rows
    if statement is not None:
        assert head.statement == statement


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 FORMAT Native", "INSERT INTO t VALUES (1, 'FORMAT x')", "INSERT INTO t FORMAT Values (1)", "", "INSERT"],
)
def test_statements_without_rows_behind_them_stay_whole(sql: str) -> None:
    assert split_insert(sql, complete=True) is None


def test_a_clause_at_the_edge_of_what_was_read_counts_as_not_seen_yet() -> None:
    for cut in (
        "INSERT INTO t FOR",
        "INSERT INTO t FORMAT",
        "INSERT INTO t FORMAT Arr",
        "INSERT INTO t FORMAT Arrow\n",
    ):
        assert split_insert(cut, complete=False) is None
    assert split_insert("INSERT INTO t FORMAT Arrow\n", complete=True) is not None


def test_a_plain_insert_reads_an_infile_and_keeps_its_settings() -> None:
    head = InsertHead("INSERT INTO t (a, b) SETTINGS async_insert=0 ", "Native", 0)
    assert statement_reading_file(head, "/x/it's") == (
        "INSERT INTO t (a, b) FROM INFILE '/x/it\\'s' SETTINGS async_insert=0  FORMAT Native"
    )


def test_input_becomes_a_file_with_the_same_structure() -> None:
    head = InsertHead("INSERT INTO t SELECT a FROM Input ( 'a UInt8, b String' ) WHERE NOT throwIf(a > 1) ", "Arrow", 0)
    assert statement_reading_file(head, "/x") == (
        "INSERT INTO t SELECT a FROM file('/x', 'Arrow',  'a UInt8, b String' ) WHERE NOT throwIf(a > 1) "
    )


def test_a_select_from_tables_is_left_alone() -> None:
    head = InsertHead("INSERT INTO t SELECT * FROM u ", "Native", 0)
    assert statement_reading_file(head, "/x") == head.statement


def test_the_shape_of_a_statement() -> None:
    assert shape_of("select 1 format JSON").format == "JSON"
    assert shape_of("SELECT ';' ; ").several is False
    assert shape_of("SELECT 1; SELECT 2").several is True
    assert shape_of("SELECT 1 INTO OUTFILE 'x'").touches_files
    assert shape_of("(SELECT 1)").returns_result
    assert not shape_of("CREATE TABLE t AS SELECT 1").returns_result
    assert is_insert("/* x */ insert into t")


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_bytes_are_read_without_an_error(sql: str) -> None:
    list(tokens(sql))
    shape_of(sql)
    split_insert("INSERT INTO t " + sql, complete=True)


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_a_quoted_text_is_one_token(text: str) -> None:
    assert [t.kind for t in tokens(f"x {quote(text)} y")] == ["word", "string", "word"]
