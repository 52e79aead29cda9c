"""Receivers of messages that run in the test: an HTTP server that can be told to misbehave, and a mail server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from infra.embedded.kafka import free_port


@dataclass(frozen=True)
class Reply:
    """How the HTTP receiver answers: a status, or silence for longer than anybody waits."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    silent_seconds: float = 0.0


@dataclass(frozen=True)
class Got:
    """One message that arrived, and whether it was acknowledged."""

    title: str
    text: str
    key: str
    path: str
    acknowledged: bool
    body: Mapping[str, Any] = field(default_factory=dict)
    authorization: str = ""

    @property
    def whole(self) -> str:
        return f"{self.title}\n{self.text}"


class HttpReceiver:
    """Takes Apprise's JSON messages; `script` is asked for the reply to each."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.script: Callable[[Got], Reply] = lambda _: Reply()
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._request_class())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "hook") -> str:
        """Apprise's URL of this receiver."""
        return f"json://127.0.0.1:{self.port}/{path}"

    @property
    def taken(self) -> list[Got]:
        """What was acknowledged."""
        return [one for one in self.got if one.acknowledged]

    def wait(self, done: Callable[[list[Got]], bool], seconds: float = 20.0) -> list[Got]:
        """Wait until what has arrived is enough."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: done(list(self.got)), seconds), [one.whole for one in self.got]
            return list(self.got)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _request_class(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                title, text = body.get("title", ""), body.get("message", "")  # a robot's own form has neither
                said_who = self.headers.get("Authorization", "")
                got = Got(title, text, self.headers.get("Idempotency-Key", ""), self.path, False, body, said_who)
                reply = receiver.script(got)
                time.sleep(reply.silent_seconds)
                acknowledged = reply.status < 300 and not reply.silent_seconds
                with receiver._arrived:
                    receiver.got.append(replace(got, acknowledged=acknowledged))
                    receiver._arrived.notify_all()
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                except OSError:
                    return  # the sender has given up waiting

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Tests print nothing."""

        return Request


class MailReceiver:
    """An SMTP server; `refuse` is its answer to a message instead of taking it."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.refuse = ""
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take or refuse a message."""
        if self.refuse:
            return self.refuse
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.got.append(parsed)
        return "250 taken"

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def url(self) -> str:
        """Apprise's URL of a mailbox here."""
        return f"mailto://localhost:{self.port}?from=alerts@example.com&to=ops@example.com"

    def close(self) -> None:
        self._controller.stop()


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """A running HTTP receiver."""
    receiver = HttpReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """A running mail server."""
    receiver = MailReceiver()
    try:
        yield receiver
    finally:
        receiver.close()
