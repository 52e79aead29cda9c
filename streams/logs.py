"""What a process says while it runs: lines for people, or one JSON object a line (`log_format`).

A line carries a stable event name beside its text: searches and alarms hold on to the name, the text may change. The
name stands in `extra` of the call, with what the line is about:

    log.warning("partition %d: …", 3, extra={"event": "partition_lost", "partition": 3})

    {"time": "2026-11-29T02:43:34.512Z", "level": "warning", "event": "partition_lost", "message": "partition 3: …",
     "logger": "streams.engine.worker", "partition": 3}

Lines of libraries have the event `library`. docs/operations.md lists all names.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]
Mask = Callable[[str], str]

LIBRARY_EVENT: Final = "library"
_CHATTY = ("aiokafka", "kafka", "faust", "mode")
# What every record has; the rest came with `extra`.
_NOT_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"event", "message", "asctime", "taskName"}

log = logging.getLogger("qunpulse")


def set_up_logging(level: str, log_format: LogFormat = "text", mask: Mask = str) -> None:
    """Log to stderr from now on, warnings and what nobody caught included; `mask` hides secrets in every text."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(mask) if log_format == "json" else TextLines(mask))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns of each refused connection, several times a second while ClickHouse is away; we say that ourselves.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _say_mistake
    threading.excepthook = lambda given: _say_mistake(
        given.exc_type, given.exc_value or given.exc_type(), given.exc_traceback
    )


class TextLines(logging.Formatter):
    """`2026-11-29 02:43:34,512 INFO streams.rules rules_read_again: rules file …`: time, level, logger, event, text."""

    def __init__(self, mask: Mask = str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(event)s: %(message)s", defaults={"event": LIBRARY_EVENT})
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """The line, tracebacks included."""
        return self._mask(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line, whatever is in it; secrets are masked before JSON could spell them otherwise."""

    def __init__(self, mask: Mask = str) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", LIBRARY_EVENT),
            "message": record.getMessage(),
            "logger": record.name,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _NOT_FIELDS and name not in line}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps({name: self._shown(value) for name, value in line.items()}, ensure_ascii=False)

    def _shown(self, value: object) -> object:
        # Numbers and truth values stay what they are; anything else is text, NaN above all, which JSON has not.
        plain = value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return value if plain else self._mask(str(value))


def say_error(message: str) -> None:
    """The last words of a command that a user can do something about: `error: …`, or a line of the log in JSON."""
    if any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers):
        log.error(message, extra={"event": "ended_with_error"})
    else:
        sys.stderr.write(f"error: {message}\n")


def error_in(line: str) -> str | None:
    """What `say_error` said in this line of a process, None when it is another line."""
    if line.startswith("error: "):
        return line.removeprefix("error: ")
    try:
        said = json.loads(line)
        return str(said["message"]) if said["event"] == "ended_with_error" else None
    except (ValueError, TypeError, KeyError):
        return None


def _say_mistake(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("a mistake in qunpulse: %r", error, exc_info=(kind, error, trace), extra={"event": "mistake"})
