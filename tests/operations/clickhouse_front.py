"""An HTTPS front of the embedded ClickHouse, with users of its own: it notes who asks what, and lets it through."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.embedded.clickhouse_sql import split_insert


class ClickHouseFront(ThreadingHTTPServer):
    """Speaks TLS to clients and plain HTTP to the server behind it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behind: int, certificate: Path, passwords: Mapping[str, str]) -> None:
        self.behind = behind
        self.passwords = passwords
        self.statements: dict[str, list[str]] = {user: [] for user in passwords}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", 0), _Passing)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Connections as TLS; hands are shaken when one is first read, in a thread of its own."""
        connection, address = super().get_request()
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not believe our certificate is no news."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ClickHouseFront

    def do_POST(self) -> None:
        body = self._body()
        scheme, _, token = self.headers.get("Authorization", "Basic ").partition(" ")
        user, _, password = base64.b64decode(token).decode().partition(":")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_HOP}
        if scheme == "Basic" and self.server.passwords.get(user) == password:
            self._note(user, body)
            del headers["Authorization"]  # behind the front everybody is the user `default`
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=120)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_THE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815 - the base class names them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: what passed is in `statements`."""

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _note(self, user: str, body: bytes) -> None:
        asked = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
        text = asked or body[:65536].decode("latin-1")
        head = split_insert(text, complete=True)
        text = head.statement if head else text
        self.server.statements[user].append(text if asked else text.encode("latin-1").decode(errors="replace"))


_OF_THE_HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


@contextmanager
def clickhouse_front(behind: int, certificate: Path, passwords: Mapping[str, str]) -> Iterator[ClickHouseFront]:
    """Serve while the block lasts."""
    server = ClickHouseFront(behind, certificate, passwords)
    thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
