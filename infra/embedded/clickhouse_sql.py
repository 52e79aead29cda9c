"""Reads just enough of a ClickHouse statement to serve it over HTTP.

The HTTP interface sends a statement and the rows of an insert as one byte stream, and only the grammar says where
the statement ends and the rows begin. This module finds that place (`split_insert`) and words the statement anew so
that the engine reads the rows from a file (`statement_reading_file`). It works on text decoded as latin-1, where
every character is one byte of the request, so that offsets are offsets of bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<gap>\s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/ )
  | (?P<string>'(?:[^'\\]|\\.|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<quoted>`(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*" )
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>\d[\w.]*)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DATA_START = re.compile(r"[ \t\f]*;?[ \t\f]*\r?\n?")
_WITH_RESULT = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "FROM", "("})


@dataclass(frozen=True, slots=True)
class Token:
    """One token that is not a gap; `word` is upper case for words, the character for symbols, else ''."""

    kind: str
    word: str
    start: int
    end: int
    depth: int  # of parentheses around it


def tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of `sql` without gaps and comments."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "symbol"
        kind = "string" if kind == "tag" else kind
        if kind == "gap":
            continue
        text = match.group()
        if kind == "symbol" and text in ")]}":
            depth -= 1
        word = text.upper() if kind == "word" else text if kind == "symbol" else ""
        yield Token(kind, word, match.start(), match.end(), depth)
        if kind == "symbol" and text in "([{":
            depth += 1


@dataclass(frozen=True, slots=True)
class InsertHead:
    """The statement part of an insert whose rows follow it in some format."""

    statement: str  # everything before the FORMAT clause
    format: str
    data_start: int  # offset of the first byte of the rows in the text it was split from


@dataclass(frozen=True, slots=True)
class StatementShape:
    """What the server must know about a statement before it runs it."""

    first_word: str = ""
    returns_result: bool = False
    format: str | None = None  # the explicit FORMAT of a result
    several: bool = False  # more than one statement, which HTTP refuses
    touches_files: bool = False  # INTO OUTFILE or FROM INFILE: for clients that share the server's disk only


def is_insert(sql: str) -> bool:
    """Tell whether `sql` starts as an INSERT."""
    first = next(tokens(sql), None)
    return first is not None and first.word == "INSERT"


def split_insert(sql: str, complete: bool) -> InsertHead | None:
    """Split an INSERT at its FORMAT clause; None when it has none, or has its rows written out as VALUES.

    `complete` tells that nothing follows `sql`; otherwise a clause that touches its end counts as not seen yet.
    """
    if not is_insert(sql):
        return None
    awaited = False
    format_at = 0
    for token in tokens(sql):
        if awaited:
            if token.kind == "word":
                gap = _DATA_START.match(sql, token.end)
                data_start = gap.end() if gap else token.end
                cut_off = not complete and data_start == len(sql)
                if token.word == "VALUES" or cut_off:
                    return None
                return InsertHead(sql[:format_at], sql[token.start : token.end], data_start)
            awaited = False  # the function format(…)
        if token.depth == 0 and token.kind == "word":
            if token.word == "VALUES":
                return None
            if token.word == "FORMAT":
                awaited, format_at = True, token.start
    return None


def statement_reading_file(head: InsertHead, path: str) -> str:
    """Word the insert so that its rows come from `path`.

    The embedded engine refuses or ignores rows sent beside a statement, and its `input()` silently inserted nothing
    in some releases, so `input(structure)` becomes `file(path, format, structure)` and a plain insert gets a
    FROM INFILE clause, which follows the same rules for defaults and column names as rows in the body.
    """
    quoted = quote(path)
    found = list(tokens(head.statement))
    for token, after in itertools.pairwise(found):
        if token.word == "INPUT" and after.word == "(":
            before, rest = head.statement[: token.start], head.statement[after.end :]
            return f"{before}file({quoted}, '{head.format}', {rest}"
    if any(token.depth == 0 and token.word in {"SELECT", "WITH"} for token in found):
        return head.statement  # selects from tables: there are no rows beside it, FORMAT says nothing
    settings_at = next((t.start for t in found if t.depth == 0 and t.word == "SETTINGS"), len(head.statement))
    into, settings = head.statement[:settings_at], head.statement[settings_at:]
    return f"{into.rstrip()} FROM INFILE {quoted} {settings} FORMAT {head.format}"


def shape_of(sql: str) -> StatementShape:
    """Look over a whole statement (not one with rows behind it)."""
    first = ""
    explicit: str | None = None
    ended = several = touches_files = False
    previous = ""
    for token in tokens(sql):
        if not first:
            first = token.word
            if first == "INSERT":
                return StatementShape(first)
        several = several or ended
        if token.depth == 0:
            if token.word == ";":
                ended = True
            elif previous == "FORMAT" and token.kind == "word":
                explicit = sql[token.start : token.end]
        touches_files = touches_files or (previous, token.word) in {("INTO", "OUTFILE"), ("FROM", "INFILE")}
        previous = token.word
    return StatementShape(first, first in _WITH_RESULT, explicit, several, touches_files)


def quote(text: str) -> str:
    """Return `text` as a ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
