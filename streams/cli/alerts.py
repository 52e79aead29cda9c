"""`qunpulse alerts`: what needs somebody's attention, why, what was said about it, and telling people of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import alerts_deliver, alerts_say
from streams.cli.options import ConfigFile, DataDir, Json, load_settings

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from streams.cli.alert_store import AlertRow

app = typer.Typer(help="Alerts: list and explain them, answer them, deliver them.", no_args_is_help=True)

Community = Annotated[str | None, typer.Option("--community", metavar="ID", help="Only this community.")]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="At most N.")]


@app.command("list")
def list_(
    data: DataDir = None,
    config_file: ConfigFile = None,
    community: Community = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind, e.g. silent.")] = None,
    severity: Annotated[
        str | None, typer.Option("--severity", metavar="LEVEL", help="low, medium, high or critical.")
    ] = None,
    assignee: Annotated[str | None, typer.Option("--assignee", metavar="NAME", help="Only those for this one.")] = None,
    member: Annotated[str | None, typer.Option("--member", metavar="ID", help="Only those about this member.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved and expired ones too.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List open alerts: the severest first, then those with the most at risk.

    qunpulse alerts list --kind silent --assignee 王芳
    """
    from streams.cli.alert_store import count, find, refuse_unknown_word, rules_that_rest
    from streams.cli.reach import clickhouse

    refuse_unknown_word(kind, severity)
    asked = {"community_id": community, "kind": kind, "severity": severity, "assignee": assignee, "member_id": member}
    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        found = find(connection, asked, only_open=not every, limit=limit)
        total = count(connection, asked, only_open=not every)
        resting = rules_that_rest(connection)
    if as_json:
        print(json.dumps({"total": total, "alerts": [row.as_json() for row in found], "resting_rules": resting}))
        return
    _print_table(found)
    what = "alerts" if every else "open alerts"
    if total > len(found):
        print(f"{len(found):,} of {total:,} {what}; --limit shows more")
    else:
        print(f"{total:,} {what}" if total else f"no {what}")
    for line in resting:
        print(f"note: {line}")


@app.command("show")
def show(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Its id, or the beginning of it.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Explain one alert: what it means, the figures behind it, what to do, and who was told.

    qunpulse alerts show silent-d3f515a2
    """
    from streams.cli.alert_store import named
    from streams.cli.reach import clickhouse

    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        row = named(connection, alert)
        zone = _zone_of(connection, row.community_id)
        told = connection.rows(
            "SELECT channel, state, outcome, attempts, toUnixTimestamp64Milli(due_at), error "
            "FROM qunpulse.alert_deliveries WHERE community_id = {community:String} AND alert_id = {alert:String} "
            "ORDER BY channel, planned_at",
            {"community": row.community_id, "alert": row.alert_id},
        )
        said = connection.rows(
            "SELECT verdict, issued_by, reason FROM qunpulse_store.alert_verdicts FINAL "
            "WHERE community_id = {community:String} AND alert_id = {alert:String} ORDER BY issued_at",
            {"community": row.community_id, "alert": row.alert_id},
        )
    if as_json:
        names = ("channel", "state", "outcome", "attempts", "due_at_ms", "error")
        body = row.as_json() | {
            "deliveries": [dict(zip(names, one, strict=True)) for one in told],
            "verdicts": [dict(zip(("verdict", "issued_by", "reason"), one, strict=True)) for one in said],
        }
        print(json.dumps(body, ensure_ascii=False))
        return
    for line in _explained(row, zone, told, said):
        print(line)


@app.command("failed")
def failed(
    data: DataDir = None,
    config_file: ConfigFile = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="What has not been tried yet as well.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List deliveries that a receiver did not acknowledge; each is tried again until it is.

    They end with code 1 when there are any, so that a script can ask. After a
    channel was repaired its deliveries are sent at the next try, or at once
    when the rules file changes or delivery is started anew.

      qunpulse alerts failed --waiting
    """
    from streams.cli.reach import clickhouse

    outcomes = ["failed", "waiting"] if waiting else ["failed"]
    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        rows = connection.rows(
            "SELECT channel, alert_id, state, outcome, attempts, toUnixTimestamp64Milli(due_at), error, "
            "count() OVER () FROM qunpulse.alert_deliveries WHERE outcome IN {outcomes:Array(String)} "
            "ORDER BY outcome, channel, planned_at LIMIT {limit:UInt32}",
            {"outcomes": outcomes, "limit": limit},
        )
    total = int(rows[0][-1]) if rows else 0
    if as_json:
        names = ("channel", "alert_id", "state", "outcome", "attempts", "due_at_ms", "error")
        shown = [dict(zip(names, row[:-1], strict=True)) for row in rows]
        print(json.dumps({"total": total, "deliveries": shown}))
    else:
        _print_deliveries(rows)
        words = "not delivered yet" if waiting else "failed"
        print(f"{len(rows):,} of {total:,} {words}; --limit shows more" if total > len(rows) else f"{total:,} {words}")
    if any(row[3] == "failed" for row in rows):
        raise typer.Exit(1)


def _zone_of(connection: ClickHouse, community_id: str) -> str:
    found = connection.scalar(
        "SELECT timezone FROM qunpulse.communities WHERE community_id = {community:String}", {"community": community_id}
    )
    return str(found) if found else "UTC"


def _print_table(rows: list[AlertRow]) -> None:
    if not rows:
        return
    from rich.table import Table

    from streams.cli.console import stdout

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("alert", "severity", "state", "community", "member", "for", "opened (UTC)", "reason"):
        table.add_column(title, overflow="fold", no_wrap=title in ("severity", "state"))
    for row in rows:
        opened = f"{datetime.fromtimestamp(row.opened_at / 1000, UTC):%m-%d %H:%M}"
        cells = (row.alert_id, row.severity, row.state, row.community_id, row.member_id, row.assignee, opened)
        table.add_row(*map(_plain, cells), _plain(row.reason))
    stdout().print(table)


def _print_deliveries(rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    from rich.table import Table

    from streams.cli.console import stdout

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("channel", "alert", "state", "outcome", "tries", "next try (UTC)", "why"):
        table.add_column(title, overflow="fold")
    for channel, alert_id, state, outcome, attempts, due_at, error, _total in rows:
        due = f"{datetime.fromtimestamp(due_at / 1000, UTC):%m-%d %H:%M:%S}"
        table.add_row(*map(_plain, (channel, alert_id, state, outcome, str(attempts), due, error)))
    stdout().print(table)


def _explained(row: AlertRow, zone: str, told: list[tuple[Any, ...]], said: list[tuple[Any, ...]]) -> list[str]:
    from streams.alert_words import MEANINGS, TITLES, explain, moment

    lines = [
        f"{row.alert_id}",
        f"  {TITLES[row.kind]}: {row.reason}",
        f"  {MEANINGS[row.kind]}",
        "",
        f"state      {row.state}, severity {row.severity}",
        f"community  {row.community_id or '(the whole feed)'}",
    ]
    lines += [f"member     {row.member_id}"] if row.member_id else []
    lines += [f"feed       {row.feed}"] if row.feed else []
    lines += [f"for        {row.assignee}"] if row.assignee else []
    lines += [f"opened     {moment(row.opened_at, zone)}"]
    lines += [f"{row.state:<10} {moment(row.resolved_at, zone)}"] if row.resolved_at is not None else []
    lines += [f"at risk    {row.value_at_risk:,.0f}"] if row.value_at_risk else []
    lines += ["from       a replay of history"] if row.replay else []
    figures = explain(row.evidence, zone)
    width = max((len(what) for what, _ in figures), default=0)
    lines += ["", "evidence"] if figures else []
    lines += [f"  {what:<{width}}  {figure}" for what, figure in figures]
    lines += ["", f"what to do: {row.suggested_action}"] if row.suggested_action else []
    lines += ["", "told"] if told else ["", "told nobody yet"]
    for channel, state, outcome, attempts, due_at, error in told:
        more = "" if outcome == "sent" else f", next try {moment(due_at, zone)}"
        more += f", {attempts} tries: {error}" if error else ""
        lines.append(f"  {state} on {channel}: {outcome}{more}")
    lines += [f"judged {verdict} by {by}{f': {reason}' if reason else ''}" for verdict, by, reason in said]
    return [_printable(line) for line in lines]


def _printable(text: str) -> str:
    from streams.cli.deadletters import printable

    return printable(text.encode()).replace("\n", " ")


def _plain(text: str) -> str:
    return _printable(text).replace("[", "\\[")


alerts_say.add_to(app)
alerts_deliver.add_to(app)
