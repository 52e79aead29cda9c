"""`qunpulse deadletters list|show|replay`: refused records, why, and sending them once more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigFile, DataDir, Json, load_settings
from streams.errors import InputError, KafkaUnavailable

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from sinks.kafka_login import KafkaLogin

app = typer.Typer(help="Refused records: list them, look at one, send them again.", no_args_is_help=True)

REPLAYED_HEADER = "qunpulse-replayed-from"  # value: topic/partition/offset of the record that was refused

Topic = Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="Only records of this topic.")]
ErrorCode = Annotated[str | None, typer.Option("--error", metavar="CODE", help="Only records with this code.")]


@dataclass(frozen=True)
class DeadLetter:
    """A refused record: where it stood, why it was refused, and its original bytes."""

    topic: str
    partition: int
    offset: int
    error: str
    detail: str
    received_at: datetime
    key: bytes
    value: bytes

    @property
    def place(self) -> str:
        """`topic/partition/offset`, its name."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@app.command("list")
def list_(
    data: DataDir = None,
    config_file: ConfigFile = None,
    topic: Topic = None,
    error: ErrorCode = None,
    limit: Annotated[int, typer.Option(metavar="N", help="The newest N.")] = 50,
    as_json: Json = False,
) -> None:
    """List refused records, the newest first, and count them by code.

    qunpulse deadletters list --error invalid_field
    """
    from streams.cli.reach import clickhouse

    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        letters = find(connection, topic=topic, error=error, limit=limit)
        counts = connection.rows("SELECT error, count() FROM qunpulse.dead_letters GROUP BY error ORDER BY error")
    if as_json:
        print(json.dumps({"by_error": dict(counts), "dead_letters": [_as_json(letter) for letter in letters]}))
        return
    from rich.table import Table

    from streams.cli.console import stdout

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("topic/partition/offset", "error", "received (UTC)", "detail"):
        table.add_column(title, overflow="fold")
    for letter in letters:
        table.add_row(letter.place, letter.error, f"{letter.received_at:%Y-%m-%d %H:%M:%S}", _plain(letter.detail))
    console = stdout()
    console.print(table)
    console.print(", ".join(f"{code}: {count:,}" for code, count in counts) or "no dead letters", markup=False)


@app.command("show")
def show(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `list` prints it.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    raw: Annotated[bool, typer.Option("--raw", help="The original bytes on stdout and nothing else.")] = False,
) -> None:
    r"""Show one refused record: the reason and its original bytes (unprintable ones as \xNN).

    qunpulse deadletters show community.messages.v1/2/1041
    """
    import sys

    from streams.cli.reach import clickhouse

    topic, partition, offset = parse_place(place)
    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        letters = find(connection, topic=topic, partition=partition, offset=offset)
    if not letters:
        raise InputError(f"no dead letter {place}; `qunpulse deadletters list` shows which there are")
    letter = letters[0]
    if raw:
        sys.stdout.buffer.write(letter.value)
        return
    print(f"record   {letter.place}")
    print(f"error    {letter.error}: {_plain(letter.detail)}")
    print(f"received {letter.received_at:%Y-%m-%d %H:%M:%S.%f} UTC")
    print(f"key      {printable(letter.key)}")
    print(f"value    {len(letter.value):,} bytes")
    print(printable(letter.value))


@app.command("replay")
def replay(
    place: Annotated[
        str | None, typer.Argument(metavar="[TOPIC/PARTITION/OFFSET]", help="One record; else by the filters.")
    ] = None,
    data: DataDir = None,
    config_file: ConfigFile = None,
    topic: Topic = None,
    error: ErrorCode = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, without a filter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and send nothing.")] = False,
) -> None:
    """Send refused records again, byte for byte, to the topic they came from.

    For records that were right and refused for a reason that is gone, such as
    an older worker that did not know their schema version. What was applied
    meanwhile is recognised as a duplicate: a replay never counts twice.

      qunpulse deadletters replay --error unknown_schema_version --dry-run
    """
    from streams.cli.reach import clickhouse, running_or_error

    if not (place or topic or error or every):
        raise InputError("say which: a TOPIC/PARTITION/OFFSET, --topic, --error, or --all")
    if place and (topic or error or every):
        raise InputError("a TOPIC/PARTITION/OFFSET names one record; leave --topic, --error and --all out")
    loaded = load_settings(config_file, data_dir=data)
    chosen: dict[str, Any] = {"topic": topic, "error": error}
    if place:
        chosen = dict(zip(("topic", "partition", "offset"), parse_place(place), strict=True))
    settings = None if dry_run else running_or_error(loaded)
    with clickhouse(loaded) as connection:
        letters = find(connection, **chosen)
    if place and not letters:
        raise InputError(f"no dead letter {place}; `qunpulse deadletters list` shows which there are")
    if settings is None:
        print(f"would replay {len(letters):,} records")
        return
    print(f"replayed {_send(letters, settings.kafka()):,} records")


def find(
    connection: ClickHouse,
    *,
    topic: str | None = None,
    partition: int | None = None,
    offset: int | None = None,
    error: str | None = None,
    limit: int | None = None,
) -> list[DeadLetter]:
    """Dead letters that match, the newest first; bytes travel as hex because they need not be text."""
    given = {
        name: (value, kind)
        for name, value, kind in (
            ("topic", topic, "String"),
            ("partition", partition, "UInt16"),
            ("offset", offset, "Int64"),
            ("error", error, "String"),
        )
        if value is not None
    }
    where = " AND ".join(f"{name} = {{{name}:{kind}}}" for name, (_, kind) in given.items()) or "1"
    rows = connection.rows(
        "SELECT topic, partition, offset, error, detail, received_at, hex(key), hex(value) "
        f"FROM qunpulse_store.dead_letters FINAL WHERE {where} "
        "ORDER BY received_at DESC, topic, partition, offset DESC" + (f" LIMIT {int(limit)}" if limit else ""),
        {name: value for name, (value, _) in given.items()},
    )
    return [
        DeadLetter(in_topic, number, at, code, detail, received_at, bytes.fromhex(key), bytes.fromhex(value))
        for in_topic, number, at, code, detail, received_at, key, value in rows
    ]


def parse_place(text: str) -> tuple[str, int, int]:
    """`topic/partition/offset` in its parts. Raises InputError."""
    parts = text.rsplit("/", 2)
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise InputError(f"{text!r} is no TOPIC/PARTITION/OFFSET such as community.messages.v1/2/1041")
    return parts[0], int(parts[1]), int(parts[2])


def printable(raw: bytes) -> str:
    r"""Text as it is, everything a terminal would act upon or cannot show as \xNN (or \uNNNN)."""
    text = raw.decode("utf-8", errors="backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _plain(text: str) -> str:
    return printable(text.encode()).replace("\n", " ").replace("[", "\\[")


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "error": letter.error,
        "detail": letter.detail,
        "received_at": letter.received_at.isoformat(),
        "key": printable(letter.key),
        "value": printable(letter.value),
    }


def _send(letters: list[DeadLetter], login: KafkaLogin) -> int:
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    from sinks.kafka_door import knock

    try:
        knock(login)
        producer = KafkaProducer(**login.options(), acks="all")
        sent = [
            producer.send(
                letter.topic,
                key=letter.key or None,  # without a key it goes anywhere; the worker forwards it to its partition
                value=letter.value,
                headers=[(REPLAYED_HEADER, letter.place.encode())],
            )
            for letter in reversed(letters)  # oldest first, the order in which they came
        ]
        producer.flush(60)
        for future in sent:
            future.get(timeout=60)
        producer.close()
    except KafkaError as error:
        refused = login.refusal(error, "to write events")
        if refused is not None:
            raise refused from None
        raise KafkaUnavailable(
            f"Kafka at {login.bootstrap_servers} did not take the records: {error}; run the replay again, what was "
            "taken is recognised"
        ) from None
    return len(sent)
