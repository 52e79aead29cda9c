"""The worker's small HTTP face: /metrics for Prometheus, /healthz and /readyz for whoever supervises it.

* /healthz  200 while the worker's loop has shown a heartbeat lately, else 503: restart it.
* /readyz   200 when partitions are assigned, their state is restored and ClickHouse answers, else 503 with
            JSON that names what is missing: send it no expectations, but leave it running.

With a token, /metrics and /readyz are for who shows it (`Authorization: Bearer …`), since they tell how large and how
well a deployment is; everybody else gets 401. /healthz stays open: it says no more than that the process lives, and
container engines that ask for it cannot keep a secret.

It runs in threads of its own, so it answers while the worker's loop is busy, and that is how /healthz can
tell that the loop hangs. It only calls the functions it was given; it knows nothing of the engine.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from streams.errors import ConfigError

HEARTBEAT_LIMIT_SECONDS = 60.0  # a full flush with every insert slow takes less; more means the loop hangs


class ObservabilityServer:
    """Serves the three paths until `stop`; usable as a context manager.

    `heartbeat_age` gives seconds since the loop last turned; `missing` gives what is not ready yet, in words:
    `partitions not assigned`, `state of partition 3 not restored`, `ClickHouse does not answer`.
    Both are called from the server's threads and must be quick and safe to call from there.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        heartbeat_age: Callable[[], float],
        missing: Callable[[], Sequence[str]],
        host: str = "127.0.0.1",
        port: int = 9108,
        token: str = "",
        heartbeat_limit_seconds: float = HEARTBEAT_LIMIT_SECONDS,
    ) -> None:
        self._registry = registry
        self._heartbeat_age = heartbeat_age
        self._missing = missing
        self._host = host
        self._wanted_port = port
        self._token = token
        self._heartbeat_limit = heartbeat_limit_seconds
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also when a free one was asked for with 0."""
        return self._wanted_port if self._server is None else int(self._server.server_address[1])

    def start(self) -> Self:
        """Listen. Raises ConfigError when the port is taken or the address is not this machine's."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter that nobody reads
        try:
            self._server = _Server((self._host, self._wanted_port), self._request_class())
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {self._host}:{self._wanted_port}: {error.strerror}; "
                "set metrics_port to another port, or to 0 for a free one"
            ) from None
        Thread(target=self._server.serve_forever, args=(0.2,), name="observability", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, path: str, accept: str = "") -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return 200, content_type, encode(self._registry)
        if path == "/healthz":
            age = self._heartbeat_age()
            alive = age <= self._heartbeat_limit
            return _json(alive, {"alive": alive, "heartbeat_age_seconds": round(age, 3)})
        if path == "/readyz":
            missing = list(self._missing())
            return _json(not missing, {"ready": not missing, "missing": missing})
        return 404, "text/plain; charset=utf-8", b"paths: /metrics /healthz /readyz\n"

    def lets_in(self, path: str, authorization: str) -> bool:
        """Whether who sends this header may see this path."""
        if not self._token or path == "/healthz":
            return True
        scheme, _, shown = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token.encode())

    def _request_class(self) -> type[BaseHTTPRequestHandler]:
        answer, lets_in = self.answer, self.lets_in

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30  # a client that opens a connection and says nothing must not hold a thread for ever

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if lets_in(path, self.headers.get("Authorization", "")):
                    status, content_type, body = answer(path, self.headers.get("Accept", ""))
                else:
                    status, content_type, body = 401, "text/plain; charset=utf-8", _WHO_ARE_YOU
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", "Bearer")
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """A scrape every few seconds is no news."""

        return Request


_WHO_ARE_YOU = b"this path asks for the bearer token of the setting metrics_token\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an open keep-alive connection of a scraper must not delay the worker's end


def _json(good: bool, body: dict[str, object]) -> tuple[int, str, bytes]:
    return 200 if good else 503, "application/json", json.dumps(body).encode() + b"\n"
