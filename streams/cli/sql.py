"""`qunpulse sql`: a question to ClickHouse, its answer on stdout and nothing else."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings
from streams.errors import FatalSinkError, InputError

if TYPE_CHECKING:
    from streams.settings import Settings

_HAS_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*(SETTINGS\b.*)?$", re.IGNORECASE | re.DOTALL)
_GIVES_ROWS = re.compile(r"(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|VALUES|FROM|CHECK)\b", re.IGNORECASE)
_COMMENT = re.compile(r"\A(\s+|--[^\n]*(\n|\Z)|/\*.*?\*/)*", re.DOTALL)


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One statement; `-` reads it from stdin.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="Any ClickHouse format. (default: Pretty; in a pipe TSV)"),
    ] = None,
) -> None:
    """Ask ClickHouse: the running one, or the data folder when nothing runs.

    qunpulse sql "SELECT community_id, messages, speakers FROM qunpulse.activity_now WHERE window = '7d'"

    qunpulse sql "SELECT * FROM qunpulse.members" --format CSVWithNames > members.csv

    qunpulse sql "SHOW TABLES FROM qunpulse"
    """
    from streams.cli.reach import clickhouse_address

    text = sys.stdin.read() if query == "-" else query
    chosen = format_ or ("Pretty" if sys.stdout.isatty() else "TSV")
    with clickhouse_address(load_settings(config_file, data_dir=data)) as settings:
        _print_answer(settings, with_format(text, chosen))


def with_format(query: str, output_format: str) -> str:
    """The query with its output format appended, unless it names one or gives no rows.

    Raises InputError for a format that is no word (it would be pasted into the statement).
    """
    if not re.fullmatch(r"\w+", output_format):
        raise InputError(f"--format {output_format!r} is no ClickHouse format; try Pretty, TSV, CSVWithNames, JSON")
    stripped = query.strip().rstrip(";").rstrip()
    if not stripped:
        raise InputError('the query is empty; try qunpulse sql "SHOW TABLES FROM qunpulse"')
    start = stripped[_COMMENT.match(stripped).end() :].lstrip("(")  # type: ignore[union-attr]
    if _HAS_FORMAT.search(stripped) or not _GIVES_ROWS.match(start):
        return stripped
    return f"{stripped}\nFORMAT {output_format}"


def client_of(settings: Settings) -> Any:
    """The driver's own client, for answers in any format; in our words when it cannot be had. Raises SinkError."""
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import Error as ClickHouseError

    from streams.cli.reach import connect, unreachable

    try:
        return clickhouse_connect.get_client(
            host=settings.clickhouse_host,
            port=settings.clickhouse_port,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            interface="https" if settings.clickhouse_secure else "http",
            ca_cert=str(settings.clickhouse_ca_file) if settings.clickhouse_ca_file else None,
            autogenerate_session_id=False,
            query_retries=0,
        )
    except ClickHouseError as error:
        if error.code is None:
            connect(settings).close()  # in our own words: away, or a certificate that is not from our CA
            raise unreachable(settings) from None
        raise FatalSinkError(f"ClickHouse refused the connection: {_said(error)}", error.code) from None


def _print_answer(settings: Settings, query: str) -> None:
    from clickhouse_connect.driver.exceptions import Error as ClickHouseError

    client = client_of(settings)
    try:
        with client.raw_stream(query) as answer:
            while chunk := answer.read(1 << 20):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except ClickHouseError as error:
        raise InputError(f"ClickHouse refused the query: {_said(error)}") from None
    finally:
        client.close()


def _said(error: Exception) -> str:
    """ClickHouse's own sentence, without the driver's wrapping and the server's version."""
    text = " ".join(str(error).split())
    text = re.sub(r"^.*?server response: ", "", text)
    text = re.sub(r"\s*\(for url [^)]*\)|\s*\(version .*?\)\)?(?=\s|$)", "", text)
    text = re.sub(r"\. Expected one of: .*?(?=\. \([A-Z_]+\)|$)", "", text)  # every word SQL knows
    return re.sub(r"^Code: (\d+)\. DB::Exception: (.*)$", r"\2 (error \1)", text)
