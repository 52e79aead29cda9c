"""`qunpulse alerts ack|resolve|mute|unmute|verdict`: what operators say about alerts, sent to the workers."""

from __future__ import annotations

import getpass
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings
from streams.errors import InputError, KafkaUnavailable

if TYPE_CHECKING:
    from schemas.alerts import CommandRecord
    from sinks.kafka_login import KafkaLogin
    from streams.cli.alert_store import AlertRow

Ids = Annotated[list[str], typer.Argument(metavar="ALERT…", help="Ids of alerts, or their beginnings.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so. (default: the user's login)")]
Kafka = Annotated[str | None, typer.Option("--kafka", metavar="HOST:PORT,…", help="Kafka brokers.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]
MutedKind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind of alert.")]
MutedMember = Annotated[str | None, typer.Option("--member", metavar="ID", help="Only this member.")]
MutedCommunity = Annotated[str | None, typer.Option("--community", metavar="ID", help="The community to be muted.")]

_SPAN = re.compile(r"(?P<number>\d{1,6})\s*(?P<unit>[mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_to(app: typer.Typer) -> None:
    """Make the commands of this file commands of `qunpulse alerts`."""
    commands: tuple[Callable[..., None], ...] = (ack, resolve, mute, unmute, verdict)
    for command in commands:
        app.command(command.__name__)(command)


def ack(alerts: Ids, data: DataDir = None, config_file: ConfigFile = None, kafka: Kafka = None, by: By = None) -> None:
    """Acknowledge alerts: somebody looks after them.

    qunpulse alerts ack silent-d3f515a2 exodus-77ab --by 王芳
    """
    _answer(alerts, data, config_file, kafka, by, action="acknowledge", done="acknowledged")


def resolve(
    alerts: Ids,
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Kafka = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Resolve alerts by hand: what they are about is over or settled.

    qunpulse alerts resolve unanswered-91c2 --reason 'answered by phone'
    """
    _answer(alerts, data, config_file, kafka, by, action="resolve", done="resolved", reason=reason)


def verdict(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its id, or the beginning of it.")],
    judgement: Annotated[str, typer.Argument(metavar="useful|noise", help="Whether it was worth telling.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Kafka = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Say whether an alert was useful or noise; the view `alert_quality` counts it by kind.

    qunpulse alerts verdict silent-d3f515a2 noise --reason 'on holiday, as announced'
    """
    from schemas.alerts import VERDICTS

    if judgement not in VERDICTS:
        raise InputError(f"{judgement!r} is no verdict; say {' or '.join(VERDICTS)}")
    _answer([alert], data, config_file, kafka, by, action="verdict", done=judgement, reason=reason, verdict=judgement)


def mute(
    for_: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long: 90m, 12h, 7d, 2w.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; whoever comes next wants to know.")],
    alert: Annotated[
        str | None, typer.Argument(metavar="[ALERT]", help="Mute this alert's kind for its member or community.")
    ] = None,
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Kafka = None,
    by: By = None,
    community: MutedCommunity = None,
    member: MutedMember = None,
    kind: MutedKind = None,
) -> None:
    """Mute alerts of a community, or only one kind or member of it, until a time and for a reason.

    qunpulse alerts mute silent-d3f515a2 --for 7d --reason 'on holiday'
      qunpulse alerts mute --community wecom:grp-01 --kind over_promotion --for 2w --reason 'sale'
    """
    span = span_of(for_)
    if not reason.strip():
        raise InputError("say why with --reason; a mute without a reason helps nobody later")
    _mute("mute", alert, data, config_file, kafka, by, community, member, kind, span, reason.strip())


def unmute(
    alert: Annotated[
        str | None, typer.Argument(metavar="[ALERT]", help="Unmute what muting this alert had muted.")
    ] = None,
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Kafka = None,
    by: By = None,
    community: MutedCommunity = None,
    member: MutedMember = None,
    kind: MutedKind = None,
) -> None:
    """Lift a mute before its end; say the same community, member and kind that were muted.

    qunpulse alerts unmute --community wecom:grp-01 --kind over_promotion
    """
    _mute("unmute", alert, data, config_file, kafka, by, community, member, kind, None, "")


def span_of(text: str) -> timedelta:
    """`90m`, `12h`, `7d`, `2w` as a time span, at most ten years. Raises InputError."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or int(match["number"]) == 0:
        raise InputError(f"{text!r} is no span of time; write 90m, 12h, 7d or 2w")
    span = timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
    if span > timedelta(days=3660):
        raise InputError(f"{text} is more than ten years; switch the rule off in the rules file instead")
    return span


def _answer(
    alerts: Sequence[str], data: Any, config_file: Any, kafka: str | None, by: str | None, *,
    action: Any, done: str, reason: str = "", verdict: Any = None,
) -> None:  # fmt: skip
    from streams.cli.alert_store import named
    from streams.cli.reach import clickhouse, running_or_error

    loaded = load_settings(config_file, data_dir=data, kafka_bootstrap_servers=kafka)
    settings = running_or_error(loaded)
    with clickhouse(loaded) as connection:
        rows = [named(connection, text) for text in dict.fromkeys(alerts)]
    over = [row for row in rows if row.state in ("resolved", "expired")]
    if action in ("acknowledge", "resolve") and over:
        ended = ", ".join(f"{row.alert_id} is {row.state}" for row in over)
        raise InputError(f"{ended}; only an open alert can be {done}")
    _send([_command(action, row, by, reason=reason, verdict=verdict) for row in rows], settings.kafka())
    for row in rows:
        print(f"{done}: {row.alert_id}")


def _mute(
    action: Any, alert: str | None, data: Any, config_file: Any, kafka: str | None, by: str | None,
    community: str | None, member: str | None, kind: str | None, span: timedelta | None, reason: str,
) -> None:  # fmt: skip
    from schemas.alerts import CommandRecord
    from streams.cli.alert_store import named, refuse_unknown_word
    from streams.cli.reach import clickhouse, running_or_error

    if (alert is None) == (community is None):
        raise InputError(f"say what to {action}: an alert's id, or --community with --member or --kind if you like")
    if alert is not None and (member or kind):
        raise InputError("an alert's id says its kind and member; leave --member and --kind out")
    refuse_unknown_word(kind, None)
    loaded = load_settings(config_file, data_dir=data, kafka_bootstrap_servers=kafka)
    settings = running_or_error(loaded)
    if alert is not None:
        with clickhouse(loaded) as connection:
            row = named(connection, alert)
        community, member, kind = row.community_id, row.member_id, row.kind
    now = datetime.now(UTC)
    command = CommandRecord(
        command_id=uuid.uuid4().hex,
        community_id=community or "",
        issued_at=_ms(now),
        issued_by=by or _login(),
        action=action,
        kind=kind or None,  # type: ignore[arg-type]  # refused above unless it is one of ours
        member_id=member or None,
        until=_ms(now + span) if span is not None else None,
        reason=reason,
    )
    _send([command], settings.kafka())
    what = " ".join(filter(None, (kind or "all alerts", f"of member {member}" if member else "", f"in {community}")))
    until = f" until {now + span:%Y-%m-%d %H:%M} UTC" if span is not None else ""
    print(f"{action}d: {what}{until}")


def _command(action: Any, row: AlertRow, by: str | None, *, reason: str, verdict: Any) -> CommandRecord:
    from schemas.alerts import CommandRecord

    return CommandRecord(
        command_id=uuid.uuid4().hex,
        community_id=row.community_id,
        issued_at=_ms(datetime.now(UTC)),
        issued_by=by or _login(),
        action=action,
        alert_id=row.alert_id,
        reason=reason,
        verdict=verdict,
    )


def _send(commands: Sequence[CommandRecord], login: KafkaLogin) -> None:
    """Send them, each to its community's partition, and wait until the brokers have them."""
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    from schemas.alerts import encode
    from schemas.partitioning import partition_for
    from schemas.topics import COMMANDS
    from sinks.kafka_door import knock

    try:
        knock(login)
        producer = KafkaProducer(**login.options(), acks="all", max_block_ms=15_000)
        try:
            partitions = len(producer.partitions_for(COMMANDS) or ())
            sent = []
            for command in commands:
                for key in [command.community_id.encode()] if command.community_id else keys_of_all(partitions):
                    home = partition_for(key, partitions)
                    sent.append(producer.send(COMMANDS, key=key, value=encode(command), partition=home))
            producer.flush(15)
            for one in sent:
                one.get(timeout=1)
        finally:
            producer.close(timeout=1)
    except (KafkaError, ValueError, ZeroDivisionError) as error:
        refused = login.refusal(error, f"to write {COMMANDS}")
        if refused is not None:
            raise refused from None
        raise KafkaUnavailable(
            f"Kafka at {login.bootstrap_servers} did not take the command: {error or type(error).__name__}; check that "
            f"it runs, that kafka_bootstrap_servers is right, and that {COMMANDS} is there (`qunpulse topics apply`)"
        ) from None


def keys_of_all(partitions: int) -> list[bytes]:
    """A key for each partition: an alert about a whole feed belongs to no community, and each has its part of it."""
    from schemas.partitioning import partition_for

    found: dict[int, bytes] = {}
    number = 0
    while len(found) < partitions:
        found.setdefault(partition_for(b"all-%d" % number, partitions), b"all-%d" % number)
        number += 1
    return [found[home] for home in range(partitions)]


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _login() -> str:
    try:
        return getpass.getuser()[:64]
    except (KeyError, OSError, ImportError):
        return ""
