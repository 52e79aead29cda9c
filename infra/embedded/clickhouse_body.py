"""The body of an HTTP request, and the place in it where a statement ends and its rows begin."""

from __future__ import annotations

import email.parser
import email.policy
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

from infra.embedded import content_codings
from infra.embedded.clickhouse_engine import StatementError
from infra.embedded.clickhouse_sql import InsertHead, is_insert, split_insert

_CHUNK = 1 << 20
_HEAD_STEP = 64 << 10  # the statement of an insert is looked for in steps, from this size …
_HEAD_LIMIT = 4 << 20  # … up to this one
MAX_STATEMENT = 256 << 20  # a statement that is not followed by rows is held in memory


class Refusal(StatementError):
    """The server itself refuses a request, with the code and name ClickHouse would give."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(code, f"Code: {code}. DB::Exception: {text} ({name})")


class ClientGone(Exception):
    """The client closed the connection in the middle of its request: what came so far must not be used."""


class RequestBody:
    """The body of one request, read once, in pieces."""

    def __init__(self, file: BufferedIOBase, headers: Message) -> None:
        self._file = file
        self._headers = headers
        self._chunked = "chunked" in self._headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(self._headers.get("Content-Length") or 0)
        self._ended = not self._chunked and self._left == 0
        self.present = not self._ended

    def raw(self) -> Iterator[bytes]:
        """Yield the bytes as they were sent."""
        while not self._ended:
            if self._chunked and self._left == 0:
                self._left = int(self._line().split(b";")[0], 16)
                if self._left == 0:
                    while self._line():
                        pass
                    self._ended = True
                    return
            piece = self._file.read1(min(self._left, _CHUNK))
            if not piece:
                self._ended = True
                raise ClientGone
            self._left -= len(piece)
            if self._left == 0:
                if self._chunked:
                    self._line()
                else:
                    self._ended = True
            yield piece

    def plain(self) -> Iterator[bytes]:
        """Yield the bytes without their Content-Encoding."""
        return content_codings.decoded(self.raw(), self._headers.get("Content-Encoding", ""))

    def form_fields(self) -> dict[str, str]:
        """Read a multipart form; its fields are the parameters of a request."""
        content_type = self._headers.get("Content-Type", "")
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
            b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + b"".join(self.plain())
        )
        fields = {}
        for part in message.iter_parts():
            if part.get_filename() is not None:
                raise Refusal(48, "NOT_IMPLEMENTED", "external tables are not served by the embedded ClickHouse")
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                fields[name] = content.decode()
        return fields

    def drain(self) -> None:
        """Read what is left of the body."""
        for _ in self.raw():
            pass

    def _line(self) -> bytes:
        line = self._file.readline(65_536)
        if not line.endswith(b"\n"):
            self._ended = True
            raise ClientGone
        return line.rstrip(b"\r\n")


def read_head(prefix: bytes, chunks: Iterator[bytes]) -> tuple[InsertHead | None, str]:
    """Read until the statement is known: an insert with rows behind it, or everything as text (latin-1).

    Raises Refused when a statement without rows is larger than fits in memory.
    """
    pieces, size, step = [prefix], len(prefix), _HEAD_STEP
    complete, may_have_rows = False, True
    while True:
        limit = step if may_have_rows else MAX_STATEMENT
        while size < limit:
            piece = next(chunks, None)
            if piece is None:
                complete = True
                break
            pieces.append(piece)
            size += len(piece)
        text = b"".join(pieces).decode("latin-1")
        pieces = [text.encode("latin-1")]
        if may_have_rows:
            head = split_insert(text, complete)
            if head is not None:
                return head, text
            may_have_rows = is_insert(text) and step < _HEAD_LIMIT
            step *= 4
        elif not complete:
            raise Refusal(62, "SYNTAX_ERROR", f"the statement is larger than {MAX_STATEMENT} bytes")
        if complete:
            return None, text
