"""Split a .sql file into statements, as ClickHouse's own client would."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Whatever may hide a semicolon: comments, strings, quoted names. Anything else is passed over as it is.
_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|\#!?[ ][^\n]*|/\*.*?\*/)
    | (?P<quoted>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    | (?P<end>;)
    | (?P<other>[^-#/'`";]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(script: str) -> Iterator[str]:
    """The statements of a script in order, without comments and without the closing semicolons."""
    kept: list[str] = []
    for token in _TOKEN.finditer(script):
        kind = token.lastgroup
        if kind == "comment":
            kept.append(" ")  # keeps the words on both sides apart
        elif kind == "end":
            yield from _finished(kept)
            kept = []
        else:
            kept.append(token.group())
    yield from _finished(kept)


def _finished(kept: list[str]) -> Iterator[str]:
    statement = "".join(kept).strip()
    if statement:
        yield statement
