"""Everything that can go wrong in a way a user should read about, as one tree.

    QunpulseError                 the message is for users: what happened, to which thing, what to do next
    ├── ConfigError               a setting is unknown, of the wrong type, or contradicts another
    ├── InputError                a file or argument given on the command line cannot be used
    ├── RulesError                the rules file is not valid; names file, line and field
    ├── EmbeddedError             the embedded stack cannot run: no Java, disk full, folder or port taken
    ├── KafkaUnavailable          the broker does not answer, or a topic is not as it must be
    │   └── KafkaRefused          it answers, but not us: wrong password, unknown certificate, missing right
    ├── SinkError                 ClickHouse answered with an error
    │   ├── RetryableSinkError    it may work in a moment: unreachable, overloaded, too many parts
    │   ├── FatalSinkError        it will not work until a person acts: wrong password, missing table
    │   └── ClaimLost             another worker owns the partition now; this one must not write
    └── BrokenFeed                too large a share of recent records is dead-lettered; the worker stops

`QunpulseError` and its children never carry a traceback to the terminal: `streams.cli.main` prints
`error: <message>` and leaves with `exit_code`. Anything else that escapes is a bug and is shown as one.
"""

from __future__ import annotations


class QunpulseError(Exception):
    """Base of all errors meant for users; `exit_code` is what the process ends with."""

    exit_code: int = 1


class ConfigError(QunpulseError):
    """A setting is unknown, of the wrong type, or contradicts another."""

    exit_code = 2


class InputError(QunpulseError):
    """A file or argument given on the command line cannot be used."""

    exit_code = 2


class RulesError(QunpulseError):
    """The rules file is not valid; the message names file, line, field and the way out."""

    exit_code = 2


class EmbeddedError(QunpulseError):
    """The embedded stack cannot run: no Java, disk full, data folder or port taken."""


class KafkaUnavailable(QunpulseError):
    """The broker does not answer, or a topic is not as it must be."""


class KafkaRefused(KafkaUnavailable):
    """The broker answers, but not us: a wrong password, a certificate we do not believe, a missing right."""


class SinkError(QunpulseError):
    """ClickHouse answered with an error.

    `code` is ClickHouse's own error number, or None when the server was never reached.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class RetryableSinkError(SinkError):
    """It may work in a moment: the same bytes with the same version are sent again."""


class FatalSinkError(SinkError):
    """It will not work until a person acts: wrong password, missing table, schema mismatch."""


class ClaimLost(SinkError):
    """Another worker owns the partition now; this one must drop its state of it and write nothing."""


class BrokenFeed(QunpulseError):
    """Too large a share of recent records is dead-lettered; stopping keeps the feed's records in Kafka."""
