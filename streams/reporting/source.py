"""Where sections read: views of database `qunpulse`, one community, with its month as parameters."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from streams.reporting.scope import Scope, months_later

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

Rows = list[dict[str, Any]]


class Source:
    """Answers of views about one community.

    SQL may use {c:String} the community, {start:Date} and {end:Date} the month [start, end), {from:DateTime64(3)} and
    {to:DateTime64(3)} the same as instants, {before:Date} the month before, {zone:String} the time zone.
    """

    def __init__(self, clickhouse: ClickHouse, scope: Scope) -> None:
        self._clickhouse = clickhouse
        self.scope = scope
        self.parameters: dict[str, Any] = {
            "c": scope.community.community_id,
            "start": scope.start,
            "end": scope.end,
            "before": months_later(scope.start, -1),
            "from": f"{scope.instant(scope.start):%Y-%m-%d %H:%M:%S}",
            "to": f"{scope.instant(scope.end):%Y-%m-%d %H:%M:%S}",
            "zone": scope.community.timezone,
        }

    def rows(self, sql: str, **more: Any) -> Rows:
        """Rows by column name. Raises SinkError."""
        found: Rows = self._clickhouse.query_arrow(sql, self.parameters | more).to_pylist()
        return found

    def row(self, sql: str, **more: Any) -> dict[str, Any]:
        """The only row; an empty dict when there is none."""
        found = self.rows(sql, **more)
        return found[0] if found else {}

    def months_before(self, months: int) -> dt.date:
        """First day of the month so many months before the report's."""
        return months_later(self.scope.start, -months)
