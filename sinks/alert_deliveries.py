"""The ledger of deliveries: which alert, in which state, was told on which channel; rows of `alert_deliveries`.

Everything the delivery agent owes stands here before the record's offset is committed, so that a crash loses nothing;
what a receiver acknowledged stands here before the next message is sent on its channel, so that a crash repeats at most
the one message whose answer was not written down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import pyarrow as pa

from schemas.alerts import AlertRecord, decode_alert, encode
from sinks.clickhouse import ClickHouse
from sinks.schema import ALERT_DELIVERIES

Outcome = Literal["waiting", "failed", "sent"]
Form = Literal["single", "digest"]

_ACKNOWLEDGED_VERSION: Final = 1 << 63
"""Above every count of writes: what a receiver acknowledged is never unsaid, whoever writes late."""

MAX_ERROR: Final = 300

log = logging.getLogger(__name__)


class DeliveryKey(NamedTuple):
    """What is told at most once."""

    alert_id: str
    state: str
    channel: str


class Planned(NamedTuple):
    """A delivery of the recent past, for whoever counts them."""

    channel: str
    community_id: str
    assignee: str
    alert_id: str
    state: str
    planned_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert in one state, owed to or told on one channel. Times are ms since 1970 UTC."""

    alert: AlertRecord
    channel: str
    form: Form
    planned_at: int
    due_at: int
    outcome: Outcome = "waiting"
    attempts: int = 0
    attempted_at: int | None = None
    delivered_at: int | None = None
    error: str = ""
    message_id: str = ""
    writes: int = 0

    @property
    def key(self) -> DeliveryKey:
        """Its name."""
        return DeliveryKey(self.alert.alert_id, self.alert.state, self.channel)


class DeliveryLedger:
    """Reads and writes `alert_deliveries`; every method raises SinkError."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def known(self, alerts: Iterable[AlertRecord]) -> dict[DeliveryKey, Form]:
        """What stands in the ledger about these alerts, in whatever state, and in which form."""
        ids: dict[str, set[str]] = {"communities": set(), "alerts": set()}
        for alert in alerts:
            ids["communities"].add(alert.community_id)
            ids["alerts"].add(alert.alert_id)
        if not ids["alerts"]:
            return {}
        rows = self._clickhouse.rows(
            f"SELECT alert_id, state, channel, form FROM {ALERT_DELIVERIES} FINAL "
            "WHERE community_id IN {communities:Array(String)} AND alert_id IN {alerts:Array(String)}",
            {name: sorted(values) for name, values in ids.items()},
        )
        return {DeliveryKey(*row[:3]): row[3] for row in rows}

    def owed(self) -> list[Delivery]:
        """What is waiting or failed, as it was last written, the oldest first."""
        rows = self._clickhouse.rows(
            "SELECT alert, channel, form, toUnixTimestamp64Milli(planned_at), toUnixTimestamp64Milli(due_at), outcome, "
            "attempts, if(isNull(attempted_at), -1, toUnixTimestamp64Milli(assumeNotNull(attempted_at))), error, "
            f"message_id, version FROM {ALERT_DELIVERIES} FINAL WHERE outcome != 'sent' ORDER BY planned_at, alert_id"
        )
        found = []
        for (
            alert,
            channel,
            form,
            planned_at,
            due_at,
            outcome,
            attempts,
            attempted_at,
            error,
            message_id,
            writes,
        ) in rows:
            try:
                record = decode_alert(alert.encode())
            except ValueError as fault:  # not ours, or damaged: it must not keep all others from being told
                log.warning(
                    "%s: a row for %s planned at %d is skipped: %s", ALERT_DELIVERIES, channel, planned_at, fault,
                    extra={"event": "owed_delivery_unreadable", "channel": channel},
                )  # fmt: skip
                continue
            found.append(
                Delivery(
                    alert=record,
                    channel=channel,
                    form=form,
                    planned_at=planned_at,
                    due_at=due_at,
                    outcome=outcome,
                    attempts=attempts,
                    attempted_at=None if attempted_at < 0 else attempted_at,
                    error=error,
                    message_id=message_id,
                    writes=writes,
                )
            )
        return found

    def planned_singles(self, since_ms: int) -> list[Planned]:
        """Deliveries as messages of their own that were planned since then."""
        rows = self._clickhouse.rows(
            "SELECT channel, community_id, assignee, alert_id, state, toUnixTimestamp64Milli(planned_at) "
            f"FROM {ALERT_DELIVERIES} FINAL WHERE form = 'single' AND planned_at >= "
            "fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            {"since": since_ms},
        )
        return [Planned(*row) for row in rows]

    def write(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Write them, all of them visible at once; returns them as they now stand."""
        written = [replace(one, writes=one.writes + 1) for one in deliveries]
        self._clickhouse.insert_arrow(ALERT_DELIVERIES, _rows(written))
        return written


def _rows(deliveries: Sequence[Delivery]) -> pa.Table:
    ms = pa.timestamp("ms", "UTC")
    columns: Mapping[str, tuple[list[Any], pa.DataType]] = {
        "alert_id": ([one.alert.alert_id for one in deliveries], pa.string()),
        "state": ([one.alert.state for one in deliveries], pa.string()),
        "channel": ([one.channel for one in deliveries], pa.string()),
        "kind": ([one.alert.kind for one in deliveries], pa.string()),
        "community_id": ([one.alert.community_id for one in deliveries], pa.string()),
        "member_id": ([one.alert.member_id for one in deliveries], pa.string()),
        "assignee": ([one.alert.assignee for one in deliveries], pa.string()),
        "outcome": ([one.outcome for one in deliveries], pa.string()),
        "form": ([one.form for one in deliveries], pa.string()),
        "planned_at": ([one.planned_at for one in deliveries], ms),
        "due_at": ([one.due_at for one in deliveries], ms),
        "attempts": ([one.attempts for one in deliveries], pa.uint32()),
        "attempted_at": ([one.attempted_at for one in deliveries], ms),
        "delivered_at": ([one.delivered_at for one in deliveries], ms),
        "error": ([one.error[:MAX_ERROR] for one in deliveries], pa.string()),
        "message_id": ([one.message_id for one in deliveries], pa.string()),
        "alert": (["" if one.outcome == "sent" else encode(one.alert).decode() for one in deliveries], pa.string()),
        "version": ([_version(one) for one in deliveries], pa.uint64()),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def _version(delivery: Delivery) -> int:
    return _ACKNOWLEDGED_VERSION if delivery.outcome == "sent" else delivery.writes
