"""Raw events as tables for the recomputation of business views; imports nothing of the product."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from tests.oracle.batch import INTERACTION, MEMBERS, Oracle
from tests.oracle.judging import Event, actor_of
from tests.oracle.local_days import day_start_ms, local_date
from tests.oracle.reading import TOPIC_OF, milliseconds

_TEXTS = (
    *("event_id", "community_id", "platform", "event_type", "kind", "reply_to", "reply_to_member_id", "object_id"),
    *("campaign_id", "action", "via", "inviter_id", "source", "snapshot_id", "order_id", "status"),
    *("original_order_id", "currency", "group_buy_id", "staff_id", "referrer_id", "referee_id"),
)
_VIAS = {"invite", "qr_code", "link", "search", "ad", "offline", "import", "unknown"}
_ITEM = pa.struct([("sku", pa.string()), ("category", pa.string()), ("quantity", pa.int64()), ("amount", pa.int64())])


class RawEvents:
    """The applied events of a feed in a DuckDB database of their own, and a frame of them.

    Table ``event``, a row per applied event: its fields (absent texts are NULL), ``time_ms``, ``at`` (TIMESTAMP in
    UTC), ``local_date`` and ``day_ms`` (start of that local day), ``role`` (sender_role of a message, role of a join),
    and what it counts as: ``of_staff``, ``speaks``, ``interacts``, ``paid``, ``refunded``.
    Table ``calendar``: community_id, local_date, day_ms, for every local day from a community's first to its last with
    a figure. Table ``member``: the members as the pipeline's oracle knows them. Table ``zone``: community_id, timezone.
    """

    def __init__(self, events: Iterable[Event], zones: Mapping[str, str]) -> None:
        oracle = Oracle([(TOPIC_OF[event["event_type"]], event) for event in events], timezones=zones)
        self.zones = dict(zones)
        self.duck = oracle._duck.cursor()
        self.duck.execute(f"create table member as {MEMBERS}")  # reads the oracle's own tables
        self.duck.execute("create schema views; use views")
        self.duck.register("columns_of_events", _columns(oracle.applied, zones))
        self.duck.execute(
            """create table event as select *, make_timestamp(time_ms * 1000) as at,
                 event_type = 'message' and role in ('staff', 'bot') as of_staff,
                 event_type = 'message' and not of_staff and not interaction_kind as speaks,
                 event_type = 'message' and not of_staff and interaction_kind as interacts,
                 event_type = 'order' and status = 'paid' as paid,
                 event_type = 'order' and status = 'refunded' as refunded
               from columns_of_events"""
        )
        self.duck.execute("create table calendar as select * from main.calendar")
        self.duck.execute("create table member as select * from main.member")
        zone_rows = pa.table({"community_id": list(self.zones), "timezone": list(self.zones.values())})
        self.duck.register("zone_rows", zone_rows)
        self.duck.execute("create table zone as select * from zone_rows")
        self.frame: pd.DataFrame = self.sql("select * from event")

    def sql(self, query: str) -> pd.DataFrame:
        """Rows of a DuckDB query."""
        frame: pd.DataFrame = self.duck.sql(query).to_arrow_table().to_pandas()
        return frame

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a DuckDB query as Python values: NULL is None, dates are dates."""
        return self.duck.execute(query).fetchall()


def _columns(applied: list[Event], zones: Mapping[str, str]) -> pa.Table:
    times = [milliseconds(event["occurred_at"]) for event in applied]
    zone_of = [zones.get(event["community_id"], "UTC") for event in applied]
    dates = [local_date(at, zone) for at, zone in zip(times, zone_of, strict=True)]
    interaction = frozenset(INTERACTION)
    defaults = {"kind": "text", "via": "unknown"}
    columns: dict[str, Any] = {
        name: pa.array([event.get(name, defaults.get(name)) for event in applied], pa.string()) for name in _TEXTS
    }
    columns["via"] = pa.array(["unknown" if e.get("via") not in _VIAS else e["via"] for e in applied], pa.string())
    return pa.table(
        columns
        | {
            "time_ms": pa.array(times, pa.int64()),
            "local_date": pa.array(dates, pa.date32()),
            "day_ms": pa.array([_start(day, zone) for day, zone in zip(dates, zone_of, strict=True)], pa.int64()),
            "member_id": pa.array(map(actor_of, applied), pa.string()),
            "role": pa.array([e.get("sender_role", e.get("role", "member")) for e in applied], pa.string()),
            "interaction_kind": pa.array([e.get("kind") in interaction for e in applied], pa.bool_()),
            "is_question": pa.array([e.get("is_question") for e in applied], pa.bool_()),
            "is_promotion": pa.array([bool(e.get("is_promotion")) for e in applied], pa.bool_()),
            "labels": pa.array([e.get("labels", []) for e in applied], pa.list_(pa.string())),
            "value": pa.array([e.get("value") for e in applied], pa.float64()),
            "char_count": pa.array([e.get("char_count", 0) for e in applied], pa.int64()),
            "snapshot_size": pa.array([e.get("snapshot_size") for e in applied], pa.int64()),
            "amount_minor": pa.array([e.get("amount_minor") for e in applied], pa.int64()),
            "discount_minor": pa.array([e.get("discount_minor") for e in applied], pa.int64()),
            "coupon_codes": pa.array([e.get("coupon_codes", []) for e in applied], pa.list_(pa.string())),
            "items": pa.array([[_item(one) for one in e.get("items", [])] for e in applied], pa.list_(_ITEM)),
        }
    )


def _start(day: dt.date, zone: str) -> int:
    start = day_start_ms(day, zone)
    assert start is not None, f"an event fell on {day}, which {zone} skipped"
    return start


def _item(one: Mapping[str, Any]) -> dict[str, Any]:
    category, quantity = one.get("category"), one["quantity"]
    return {"sku": one["sku"], "category": category, "quantity": quantity, "amount": one["amount_minor"]}
