"""One receiver of messages, reached through Apprise, and what it answered.

Apprise knows a hundred services but tells only yes or no, and its yes is not always one: group robots of WeCom,
DingTalk and Lark answer 200 with an error code in the body, also when they refuse for too many messages. So the HTTP
answers are looked at on their way to the plugin: the status, `Retry-After`, and such codes.
"""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, wraps
from typing import Any, Final

import apprise
import requests

from streams.errors import ConfigError

_ROBOTS: Final = frozenset({"wecombot", "dingtalk", "feishu", "lark"})

_ROBOT_CODES: Final = ("errcode", "code", "StatusCode")
"""Where robots put an error code in the body of a 200; 0 means taken."""

_BUSY_CODES: Final = frozenset({45009, 45033, 130101, 660026, 9499, 11232})
"""Codes that mean "too many, later": WeCom 45009, 45033; DingTalk 130101, 660026; Lark and Feishu 9499, 11232."""

_REFUSED_STATUS: Final = frozenset({400, 413, 415, 422})
"""Statuses that speak of this message; others speak of the receiver (gone, busy, address or password wrong)."""

_MAX_RETRY_AFTER_SECONDS: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one message.

    `error` says why it was not acknowledged, `retry_after_seconds` when the receiver wants to hear from us again, and
    `refused` that this very message is the trouble and others may well be taken.
    """

    acknowledged: bool
    error: str = ""
    retry_after_seconds: float | None = None
    refused: bool = False


class Receiver:
    """Sends messages to what one Apprise URL names; not for several threads at once."""

    def __init__(self, url: str, timeout_seconds: float, mask: Callable[[str], str] = lambda text: text) -> None:
        """Raises ConfigError, without the URL in it, when Apprise does not understand it or it names several.

        `mask` takes secrets out of texts; every error passes it.
        """
        plugin = _quietly(lambda: apprise.Apprise.instantiate(url, suppress_exceptions=True))
        if plugin is None:
            raise ConfigError(
                f"Apprise does not understand {mask(_scheme(url))}; see its list of services for the form"
            )
        if len(plugin) != 1:
            raise ConfigError(
                f"{mask(_scheme(url))} names {len(plugin)} receivers; a channel is one receiver, so that none is told "
                "twice because another failed: make a channel for each and name them all in the route"
            )
        plugin.socket_connect_timeout = timeout_seconds
        plugin.socket_read_timeout = timeout_seconds
        plugin.request_rate_per_sec = 0  # a sleep inside of the plugin; our own limit per channel counts instead
        self._plugin: Any = plugin
        self._is_robot = not _ROBOTS.isdisjoint(plugin.schemas())
        self._mask = mask

    @property
    def max_body_bytes(self) -> int:
        """How long a message may be, title included; services count bytes or characters, bytes are the safe reading."""
        return int(self._plugin.body_maxlen) - 8

    def send(self, title: str, body: str, message_id: str = "") -> Answer:
        """Hand one message over and wait for the answer; never raises.

        Where the service takes headers (webhooks, e-mail) `message_id` goes along as `Idempotency-Key`, so that a
        receiver can tell a message that is repeated because its answer got lost.
        """
        headers = getattr(self._plugin, "headers", None)
        if message_id and isinstance(headers, dict):
            headers["Idempotency-Key"] = message_id
        with _watched() as seen:
            try:
                taken = bool(self._plugin.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))
            except Exception as error:
                return Answer(False, self._mask(f"{type(error).__name__}: {error}"))
        answer = seen.answers[-1] if seen.answers else None
        if answer is None:
            return Answer(True) if taken else Answer(False, self._mask(seen.complaint() or "not acknowledged"))
        return self._judged(answer, taken)

    def _judged(self, answer: requests.Response, taken: bool) -> Answer:
        if taken:
            code, words = _robot_error(answer) if self._is_robot else (0, "")
            if code == 0:
                return Answer(True)
            wait = 60.0 if code in _BUSY_CODES else None
            return Answer(False, self._mask(f"HTTP {answer.status_code}, code {code}: {words}"), wait)
        return Answer(
            False,
            self._mask(f"HTTP {answer.status_code} {answer.reason or ''}".strip()),
            retry_after_seconds=_retry_after(answer),
            refused=answer.status_code in _REFUSED_STATUS,
        )


def masks_something(url: str) -> bool:
    """Whether a part of the URL is a secret in Apprise's eyes."""
    plugin = _quietly(lambda: apprise.Apprise.instantiate(url, suppress_exceptions=True))
    return plugin is not None and plugin.url(privacy=True) != plugin.url(privacy=False)


class _Seen:
    """What went on while one message was sent."""

    def __init__(self) -> None:
        self.answers: list[requests.Response] = []
        self.lines: list[tuple[int, str]] = []

    def complaint(self) -> str:
        """Apprise's own words: its warning, and the network's exception, which it tells at debug level only."""
        warnings = [line for level, line in self.lines if level >= logging.WARNING]
        details = [line for level, line in self.lines if level < logging.WARNING and "xception" in line]
        return " ".join(" ".join(warnings[-1:] + details[-1:]).split())


_watching: contextvars.ContextVar[_Seen | None] = contextvars.ContextVar("_watching", default=None)


@contextmanager
def _watched() -> Iterator[_Seen]:
    seen = _Seen()
    token = _watching.set(seen)
    try:
        yield seen
    finally:
        _watching.reset(token)


def _watch_requests(send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    # Plugins call requests' functions themselves and keep the answer to themselves; this is the one place all pass.
    @wraps(send)
    def watched(self: requests.Session, *args: Any, **kwargs: Any) -> requests.Response:
        answer = send(self, *args, **kwargs)
        seen = _watching.get()
        if seen is not None:
            seen.answers.append(answer)
        return answer

    return watched


class _Listening(logging.Handler):
    """Takes what Apprise logs while a message is sent; it goes nowhere else, since it may hold addresses and tokens."""

    def emit(self, record: logging.LogRecord) -> None:
        seen = _watching.get()
        if seen is not None:
            seen.lines.append((record.levelno, record.getMessage()))


@cache
def _listen() -> None:
    """Once a process, with the first receiver: importing this changes nothing."""
    requests.Session.send = _watch_requests(requests.Session.send)  # type: ignore[method-assign]
    log = logging.getLogger("apprise")
    log.handlers = [_Listening()]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    # It logs every address asked for, tokens included.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _quietly(make: Callable[[], Any]) -> Any:
    _listen()
    with _watched():
        return make()


def _scheme(url: str) -> str:
    return f"{url.split('://', 1)[0]}://…" if "://" in url else "a text without “://”"


def _robot_error(answer: requests.Response) -> tuple[int, str]:
    """The error code in the body of an answer, 0 when there is none, and the words beside it."""
    if "json" not in answer.headers.get("Content-Type", "").lower() and not answer.content.startswith(b"{"):
        return 0, ""
    try:
        body = json.loads(answer.content[:10_000])
    except ValueError:
        return 0, ""
    if not isinstance(body, dict):
        return 0, ""
    words = str(body.get("errmsg") or body.get("msg") or body.get("StatusMessage") or "")[:200]
    for name in _ROBOT_CODES:
        if isinstance(body.get(name), int) and body[name] not in (0, 200):
            return int(body[name]), words
    return 0, ""


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - NaN
