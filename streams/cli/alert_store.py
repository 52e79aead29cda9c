"""Alerts as the command line reads them: from the views, by id or by what they are about."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.alerts import ALERT_KINDS, SEVERITIES, AlertKind, EvidenceValue
from streams.errors import InputError

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

_COLUMNS: Final = (
    "alert_id, kind, community_id, member_id, assignee, state, severity, toUnixTimestamp64Milli(opened_at) AS o, "
    "toUnixTimestamp64Milli(updated_at) AS u, toUnixTimestamp64Milli(resolved_at) AS r, reason, evidence, "
    "suggested_action, value_at_risk, feed, replay"
)
_ORDER: Final = "indexOf({severities:Array(String)}, severity) DESC, value_at_risk DESC, opened_at DESC, alert_id"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A row of the view `alerts`; times are ms since 1970 UTC."""

    alert_id: str
    kind: AlertKind
    community_id: str
    member_id: str
    assignee: str
    state: str
    severity: str
    opened_at: int
    updated_at: int
    resolved_at: int | None
    reason: str
    evidence: dict[str, EvidenceValue]
    suggested_action: str
    value_at_risk: float
    feed: str
    replay: bool

    def as_json(self) -> dict[str, Any]:
        """All of it by name; times as `…_ms`."""
        renamed = {"opened_at": "opened_at_ms", "updated_at": "updated_at_ms", "resolved_at": "resolved_at_ms"}
        return {renamed.get(name, name): getattr(self, name) for name in self.__slots__}


def find(
    connection: ClickHouse, asked: Mapping[str, str | None], *, only_open: bool, limit: int | None = None
) -> list[AlertRow]:
    """Alerts whose columns equal what is asked (None: whatever), the severest first."""
    where, params = _where(asked, only_open=only_open)
    rows = connection.rows(
        f"SELECT {_COLUMNS} FROM qunpulse.alerts WHERE {where} ORDER BY {_ORDER}"
        + (f" LIMIT {int(limit)}" if limit else ""),
        params | {"severities": list(SEVERITIES)},
    )
    return [_row(row) for row in rows]


def count(connection: ClickHouse, asked: Mapping[str, str | None], *, only_open: bool) -> int:
    """How many alerts `find` would give without a limit."""
    where, params = _where(asked, only_open=only_open)
    return int(connection.scalar(f"SELECT count() FROM qunpulse.alerts WHERE {where}", params) or 0)


def named(connection: ClickHouse, text: str) -> AlertRow:
    """The one alert whose id begins with `text`. Raises InputError that names the nearest ids."""
    found = connection.rows(
        f"SELECT {_COLUMNS} FROM qunpulse.alerts WHERE startsWith(alert_id, {{text:String}}) ORDER BY alert_id LIMIT 6",
        {"text": text},
    )
    exact = [row for row in found if row[0] == text]
    if len(found) == 1 or exact:
        return _row((exact or found)[0])
    if found:
        raise InputError(
            f"{text!r} begins more than one alert: {', '.join(row[0] for row in found[:5])}; type more of it"
        )
    ids = [
        row[0] for row in connection.rows("SELECT alert_id FROM qunpulse.alerts ORDER BY updated_at DESC LIMIT 5000")
    ]
    near = difflib.get_close_matches(text, ids, n=3, cutoff=0.3)
    hint = f"the nearest are {', '.join(near)}" if near else "there are no alerts yet"
    raise InputError(f"no alert {text!r}; {hint}. `qunpulse alerts list` shows the open ones")


def refuse_unknown_word(kind: str | None, severity: str | None) -> None:
    """Raise InputError when one of the two is no word of ours."""
    for word, known, what in ((kind, ALERT_KINDS, "kind of alert"), (severity, SEVERITIES, "severity")):
        if word is not None and word not in known:
            raise InputError(f"{word!r} is no {what}; they are {', '.join(known)}")


def rules_that_rest(connection: ClickHouse) -> list[str]:
    """Rules that are off for a feed because of what it does not send, a sentence each; from the view `alert_feeds`.

    The view has a row per feed, `asks_questions` = 0 where no message of it ever had `is_question`.
    """
    there = connection.scalar("SELECT count() FROM system.tables WHERE database = 'qunpulse' AND name = 'alert_feeds'")
    if not there:
        return []
    feeds = connection.rows("SELECT feed FROM qunpulse.alert_feeds WHERE asks_questions = 0 ORDER BY feed")
    return [
        f"feed {feed or '(unnamed)'} never says which messages are questions (`is_question`), so the rules about "
        "unanswered questions are off for it"
        for (feed,) in feeds
    ]


def _where(asked: Mapping[str, str | None], *, only_open: bool) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in asked.items() if value is not None}
    conditions = [f"{name} = {{{name}:String}}" for name in given]
    conditions += ["state IN ('opened', 'acknowledged')"] if only_open else []
    return " AND ".join(conditions) or "1", dict(given)


def _row(row: tuple[Any, ...]) -> AlertRow:
    values = dict(zip(AlertRow.__slots__, row, strict=True))
    return AlertRow(**values | {"evidence": _figures(values["evidence"]), "replay": bool(values["replay"])})


def _figures(evidence: str) -> dict[str, EvidenceValue]:
    found = json.loads(evidence or "{}")
    return found if isinstance(found, dict) else {}
