"""What a ClickHouse error means for a worker: try again, or stop with a clear message.

One table, by ClickHouse's own error number. A number that is not in it stops the worker: Kafka keeps the
events, and a supervisor's restart is the retry; looping for ever on an unknown error would look healthy.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from streams.errors import ClaimLost, FatalSinkError, RetryableSinkError, SinkError


class Failure(NamedTuple):
    """`reaction` to an error, and the sentence a user reads about it (`next_step` for those that stop)."""

    reaction: Literal["retry", "stop", "claim_lost"]
    reason: str
    next_step: str = ""


_PASSWORD = Failure(
    "stop",
    "user or password was refused",
    "check QUNPULSE_CLICKHOUSE_USER and QUNPULSE_CLICKHOUSE_PASSWORD",
)
_RIGHTS = Failure("stop", "the user lacks a right", "grant it, or use a user that may write to qunpulse_store")
_MISSING = Failure("stop", "a table, column or database is missing", "run `qunpulse migrate`, or check the name")
_MISMATCH = Failure(
    "stop",
    "rows do not fit the table",
    "run `qunpulse migrate`; if it has nothing to do, worker and database are of different releases",
)
_STATEMENT = Failure("stop", "ClickHouse refused the statement", "use ClickHouse 25.3 or later; else please report it")

_OVERLOADED = Failure("retry", "ClickHouse is overloaded")
_SLOW = Failure("retry", "the statement took longer than it may")
_NETWORK = Failure("retry", "a connection broke")
_REPLICATION = Failure("retry", "replicas or Keeper are not ready")
_STORAGE = Failure("retry", "the disk or object store does not accept writes (is the disk full?)")
_RESTARTING = Failure("retry", "ClickHouse is starting, stopping or swapping the table")

BY_CODE: Final[dict[int, Failure]] = {
    395: Failure(
        "claim_lost", "the claim on the partition is lost: another worker has it, or it was released"
    ),  # throwIf of a conditional insert
    # who may connect and write
    192: _PASSWORD,  # UNKNOWN_USER
    193: _PASSWORD,  # WRONG_PASSWORD
    194: _PASSWORD,  # REQUIRED_PASSWORD
    516: _PASSWORD,  # AUTHENTICATION_FAILED
    767: _PASSWORD,  # REQUIRED_SECOND_FACTOR
    164: _RIGHTS,  # READONLY: the user's profile, not the table
    497: _RIGHTS,  # ACCESS_DENIED
    # what must exist
    10: _MISSING,  # NOT_FOUND_COLUMN_IN_BLOCK
    16: _MISSING,  # NO_SUCH_COLUMN_IN_TABLE
    36: _STATEMENT,  # BAD_ARGUMENTS
    47: _MISSING,  # UNKNOWN_IDENTIFIER
    60: _MISSING,  # UNKNOWN_TABLE
    81: _MISSING,  # UNKNOWN_DATABASE
    218: _MISSING,  # TABLE_IS_DROPPED
    # rows that do not fit: the same bytes would be refused again
    6: _MISMATCH,  # CANNOT_PARSE_TEXT
    20: _MISMATCH,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
    50: _MISMATCH,  # UNKNOWN_TYPE
    53: _MISMATCH,  # TYPE_MISMATCH
    69: _MISMATCH,  # ARGUMENT_OUT_OF_BOUND
    70: _MISMATCH,  # CANNOT_CONVERT_TYPE
    117: _MISMATCH,  # INCORRECT_DATA
    349: _MISMATCH,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    43: _STATEMENT,  # ILLEGAL_TYPE_OF_ARGUMENT
    46: _STATEMENT,  # UNKNOWN_FUNCTION
    62: _STATEMENT,  # SYNTAX_ERROR
    80: _STATEMENT,  # INCORRECT_QUERY
    115: _STATEMENT,  # UNKNOWN_SETTING
    # a body cut short by a broken connection reads as broken rows; whole, it is accepted
    3: _NETWORK,  # UNEXPECTED_END_OF_FILE
    33: _NETWORK,  # CANNOT_READ_ALL_DATA
    198: _NETWORK,  # DNS_ERROR
    203: _NETWORK,  # NO_FREE_CONNECTION
    209: _NETWORK,  # SOCKET_TIMEOUT
    210: _NETWORK,  # NETWORK_ERROR
    279: _NETWORK,  # ALL_CONNECTION_TRIES_FAILED
    1000: _NETWORK,  # POCO_EXCEPTION: its network library
    # too much at once
    159: _SLOW,  # TIMEOUT_EXCEEDED
    160: _SLOW,  # TOO_SLOW
    173: _OVERLOADED,  # CANNOT_ALLOCATE_MEMORY
    202: _OVERLOADED,  # TOO_MANY_SIMULTANEOUS_QUERIES
    241: _OVERLOADED,  # MEMORY_LIMIT_EXCEEDED
    252: _OVERLOADED,  # TOO_MANY_PARTS: merges are behind
    364: _OVERLOADED,  # RECEIVED_ERROR_TOO_MANY_REQUESTS
    439: _OVERLOADED,  # CANNOT_SCHEDULE_TASK
    473: _OVERLOADED,  # DEADLOCK_AVOIDED
    692: _OVERLOADED,  # TOO_MANY_MUTATIONS
    700: _OVERLOADED,  # USER_SESSION_LIMIT_EXCEEDED
    745: _OVERLOADED,  # SERVER_OVERLOADED
    749: _OVERLOADED,  # TCP_CONNECTION_LIMIT_REACHED
    762: _OVERLOADED,  # HTTP_CONNECTION_LIMIT_REACHED
    # a cluster that is coming back
    225: _REPLICATION,  # NO_ZOOKEEPER
    242: _REPLICATION,  # TABLE_IS_READ_ONLY: its Keeper session is gone
    254: _REPLICATION,  # NO_ACTIVE_REPLICAS
    285: _REPLICATION,  # TOO_FEW_LIVE_REPLICAS
    286: _REPLICATION,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    289: _REPLICATION,  # REPLICA_IS_NOT_IN_QUORUM
    319: _REPLICATION,  # UNKNOWN_STATUS_OF_INSERT: the same bytes are sent until it is known
    369: _REPLICATION,  # ALL_REPLICAS_ARE_STALE
    999: _REPLICATION,  # KEEPER_EXCEPTION
    # no room, or nothing to write to
    74: _STORAGE,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
    75: _STORAGE,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
    76: _STORAGE,  # CANNOT_OPEN_FILE
    243: _STORAGE,  # NOT_ENOUGH_SPACE
    425: _STORAGE,  # SYSTEM_ERROR
    499: _STORAGE,  # S3_ERROR
    # on its way up or down
    236: _RESTARTING,  # ABORTED
    341: _RESTARTING,  # UNFINISHED
    394: _RESTARTING,  # QUERY_WAS_CANCELLED
    677: _RESTARTING,  # THREAD_WAS_CANCELED
    722: _RESTARTING,  # ASYNC_LOAD_WAIT_FAILED
    733: _RESTARTING,  # TABLE_IS_BEING_RESTARTED
}

UNKNOWN_CODE: Final = Failure("stop", "ClickHouse answered with an error that has no rule", "read its words below")

# No error number: the answer never came or did not come from ClickHouse. By the state of the connection.
UNREACHABLE: Final = Failure("retry", "no answer")
CERTIFICATE: Final = Failure(
    "stop",
    "the certificate was not accepted, or no TLS is spoken there",
    "check QUNPULSE_CLICKHOUSE_CA_FILE (the CA that signed it), QUNPULSE_CLICKHOUSE_SECURE, host, port (8443?)",
)
NOT_CLICKHOUSE: Final = Failure(
    "stop",
    "something answers there that is not ClickHouse's HTTP interface",
    "check QUNPULSE_CLICKHOUSE_HOST and _PORT (HTTP is 8123, not the native port 9000)",
)

_EXCEPTION_OF: Final = {"retry": RetryableSinkError, "stop": FatalSinkError, "claim_lost": ClaimLost}


def sink_error(failure: Failure, *, where: str, doing: str, said: str, code: int | None) -> SinkError:
    """The exception for a failure, worded for a user: what happened, to which host and table, what next.

    `where` is "host:port", `doing` names the statement ("insert into qunpulse_store.events"), `said` is
    what ClickHouse or the network said; it is shortened.
    """
    number = f" (ClickHouse error {code})" if code is not None else ""
    parts = [f"ClickHouse at {where}, {doing}: {failure.reason}{number}"]
    if failure.next_step:
        parts.append(failure.next_step)
    if said and failure.reaction != "claim_lost":
        parts.append(f"it said: {_shorten(said)}")
    return _EXCEPTION_OF[failure.reaction]("; ".join(parts), code)


def _shorten(text: str, length: int = 400) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= length else f"{one_line[:length]}…"
