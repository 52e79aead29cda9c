"""All tables in DuckDB SQL, from the list of applied events."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from tests.oracle.judging import Event, accounting, actor_of, judge
from tests.oracle.local_days import day_start_ms, local_date
from tests.oracle.reading import milliseconds

# Every other kind, unknown words included, is a way of speaking.
INTERACTION = [
    "reaction",
    "vote",
    "check_in",
    "red_packet",
    "survey",
    "lottery",
    "card",
    "coupon_claim",
    "coupon_use",
    "attend",
    "live_view",
    "click",
]

SUMS = {  # figures that add up over windows, as conditions on one event
    "messages": "speaks",
    "interactions": "interacts",
    "staff_messages": "event_type = 'message' and of_staff",
    "joins": "event_type = 'join' and action = 'joined'",
    "leaves": "event_type = 'join' and action in ('left', 'removed', 'gone')",
    "orders": "paid",
    "refunds": "refunded",
    "promotions": "(speaks or interacts) and is_promotion",
    "links": "speaks and kind = 'link'",
    "check_ins": "interacts and kind = 'check_in'",
    "replies": "speaks and is_reply",
}
DISTINCTS = {"speakers": "speaks", "active_members": "speaks or interacts or paid", "buyers": "paid"}
FIGURES = [
    "messages",
    "speakers",
    "interactions",
    "active_members",
    "staff_messages",
    "joins",
    "leaves",
    "orders",
    "refunds",
    "buyers",
    "promotions",
    "links",
    "check_ins",
    "replies",
]
TABLES = ("activity_1m", "activity_1h", "activity_1d", "activity_rolling", "member_days", "revenue_1d", "members")

MS_PER_DAY = 86_400_000
WINDOWS_NOW = {"1h": MS_PER_DAY // 24, "24h": MS_PER_DAY, "7d": 7 * MS_PER_DAY, "30d": 30 * MS_PER_DAY}
WINDOWS_ROLLING = {"1d": 1, "7d": 7, "30d": 30}

_FIGURES_OF_EVENTS = ",\n".join(
    f"count(*) filter ({SUMS[name]}) as {name}"
    if name in SUMS
    else f"count(distinct member_id) filter ({DISTINCTS[name]}) as {name}"
    for name in FIGURES
)
_ANY_FIGURE = " + ".join(FIGURES) + " > 0"


class Oracle:
    """Tables of a set of valid events, given in the order in which they are applied.

    `timezones` names the zone of a community (default UTC). With `lateness` None nothing is late, which is right
    for whatever arrives in order of time or displaced by less than the allowed lateness.
    """

    def __init__(
        self,
        events: Iterable[tuple[str, Event]],
        timezones: Mapping[str, str] | None = None,
        lateness: dt.timedelta | None = None,
    ) -> None:
        listed = list(events)
        zones = timezones or {}
        verdicts = judge(listed, None if lateness is None else lateness // dt.timedelta(milliseconds=1))
        self.accounting: dict[str, Counter[str]] = accounting(listed, verdicts)
        applied = [
            (event, at) for (_, event), (verdict, at) in zip(listed, verdicts, strict=True) if verdict == "applied"
        ]
        self.applied = [event for event, _ in applied]
        self._duck = duckdb.connect()
        self._duck.execute("set TimeZone = 'UTC'")
        self._duck.execute("set threads = 2")
        self._duck.execute("set enable_progress_bar = false")
        self._duck.register("raw_events", _columns(applied, zones))
        self._duck.execute("create table raw as select * from raw_events")
        self._duck.execute(
            """create table event as select *,
                 event_type = 'message' and sender_role in ('staff', 'bot') as of_staff,
                 event_type = 'message' and not of_staff and not interaction_kind as speaks,
                 event_type = 'message' and not of_staff and interaction_kind as interacts,
                 event_type = 'order' and status = 'paid' as paid,
                 event_type = 'order' and status = 'refunded' as refunded
               from raw"""
        )
        self._duck.execute(
            """create table member_day as
               select community_id, local_date, any_value(day_ms) as day_ms, member_id,
                 count(*) filter (speaks) as messages, count(*) filter (interacts) as interactions,
                 count(*) filter (paid) as orders, count(*) filter (refunded) as refunds,
                 min(time_ms) as first_at, max(time_ms) as last_at
               from event where speaks or interacts or paid or refunded
               group by community_id, local_date, member_id"""
        )
        self._duck.register("days", _calendar(self._duck, zones))
        self._duck.execute("create table calendar as select * from days")

    def table(self, name: str) -> pd.DataFrame:
        """One of TABLES with the view's columns; times in UTC."""
        queries = {
            "activity_1m": self._tumbling(60_000),
            "activity_1h": self._tumbling(3_600_000),
            "activity_1d": _ACTIVITY_1D,
            "activity_rolling": _rolling(),
            "member_days": _MEMBER_DAYS,
            "revenue_1d": _REVENUE_1D,
            "members": MEMBERS,
        }
        return self._frame(queries[name])

    def activity_now(self, as_of: Iterable[tuple[str, str, dt.datetime]]) -> pd.DataFrame:
        """The figures of [as_of - window, as_of) for each (community_id, window, as_of with a zone)."""
        asked = pd.DataFrame(
            [(community, window, _ms(at), _ms(at) - WINDOWS_NOW[window]) for community, window, at in as_of],
            columns=["community_id", "window", "until", "since"],
        )
        self._duck.register("asked", asked)
        return self._frame(
            f"""with size as (select community_id, count(*) filter (status <> 'left') as members
                              from ({MEMBERS}) group by 1)
                select a.community_id, a.window, make_timestamptz(any_value(until) * 1000) as as_of,
                  {_FIGURES_OF_EVENTS},
                  coalesce(any_value(size.members), 0) as members
                from asked a left join event e
                  on e.community_id = a.community_id and e.time_ms >= a.since and e.time_ms < a.until
                left join size on size.community_id = a.community_id
                group by a.community_id, a.window"""
        )

    def _frame(self, query: str) -> pd.DataFrame:
        # By way of Arrow: DuckDB's own `df()` warns on pandas 3.
        frame: pd.DataFrame = self._duck.sql(query).to_arrow_table().to_pandas()
        return frame

    @staticmethod
    def _tumbling(width_ms: int) -> str:
        return f"""select community_id, make_timestamptz(time_ms // {width_ms} * {width_ms} * 1000) as window_start,
                     {_FIGURES_OF_EVENTS}
                   from event group by 1, 2 having {_ANY_FIGURE}"""


_ACTIVITY_1D = f"""select community_id, make_timestamptz(any_value(day_ms) * 1000) as window_start, local_date,
                     {_FIGURES_OF_EVENTS}
                   from event group by community_id, local_date having {_ANY_FIGURE}"""

_MEMBER_DAYS = """select community_id, make_timestamptz(day_ms * 1000) as day, local_date, member_id,
                    messages, interactions, orders, refunds,
                    make_timestamptz(first_at * 1000) as first_at, make_timestamptz(last_at * 1000) as last_at
                  from member_day"""

_REVENUE_1D = """select community_id, make_timestamptz(any_value(day_ms) * 1000) as window_start, local_date, currency,
                   count(*) filter (paid) as orders, count(*) filter (refunded) as refunds,
                   coalesce(sum(amount_minor) filter (paid), 0)::bigint as gmv_minor,
                   coalesce(sum(amount_minor) filter (refunded), 0)::bigint as refunded_minor,
                   count(distinct member_id) filter (paid) as buyers
                 from event where paid or refunded group by community_id, local_date, currency"""


def _rolling() -> str:
    """Every calendar day from a community's first to its last day of activity; the sums and the distinct members
    of the W local days that end with it, each member-day spread over the windows it belongs to."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in SUMS)
    windows = ", ".join(f"('{name}', {days})" for name, days in WINDOWS_ROLLING.items())
    figures = ", ".join(
        f"summed.{name}" if name in SUMS else f"coalesce(counted.{name}, 0) as {name}" for name in FIGURES
    )
    return f"""
        with spans(name, width) as (values {windows}),
        steps as (select name, unnest(range(width)) as ahead from spans),
        summed as (
          select a.community_id, a.local_date + s.ahead::int as local_date, s.name, {sums}
          from ({_ACTIVITY_1D}) a cross join steps s group by all),
        counted as (
          select m.community_id, m.local_date + s.ahead::int as local_date, s.name,
            count(distinct member_id) filter (messages > 0) as speakers,
            count(distinct member_id) filter (messages + interactions + orders > 0) as active_members,
            count(distinct member_id) filter (orders > 0) as buyers
          from member_day m cross join steps s group by all)
        select c.community_id, make_timestamptz(c.day_ms * 1000) as day, c.local_date, summed.name as "window",
          {figures}
        from calendar c
        join summed on summed.community_id = c.community_id and summed.local_date = c.local_date
        left join counted on counted.community_id = c.community_id and counted.local_date = c.local_date
          and counted.name = summed.name"""


# The latest roster event decides; a member is left when nothing was heard after that, or when a complete snapshot
# taken later than anything heard does not list them. Someone who had left already keeps the time of leaving.
MEMBERS = """
    with roster as (
      select community_id, member_id, arg_max(action, (time_ms, roster_rank)) as action, max(time_ms) as roster_ms,
        max(time_ms) filter (action = 'joined') as joined_ms,
        max(joined_at_ms) filter (action = 'present') as present_joined_ms,
        max(time_ms) filter (action in ('left', 'removed', 'gone')) as left_ms
      from event where event_type = 'join' group by all),
    snapshots as (
      select community_id, min(time_ms) as snapshot_ms from event where action = 'present' and snapshot_id is not null
      group by community_id, snapshot_id having count(*) >= max(snapshot_size)),
    actors as (
      select community_id, member_id, min(time_ms) as first_ms,
        max(time_ms) filter (event_type = 'message' or paid) as last_ms,
        max(time_ms) filter (event_type = 'message') as message_ms,
        arg_max(role, (time_ms, role_rank)) filter (event_type in ('message', 'join')) as role,
        count(*) filter (speaks) as messages, count(*) filter (interacts) as interactions,
        count(*) filter (paid) as orders, count(*) filter (event_type = 'referral') as referrals
      from event group by all),
    known as (
      select a.*, roster.joined_ms, roster.present_joined_ms, roster.left_ms,
        case when action is null then 'observed' when action in ('joined', 'present') then 'active'
             when message_ms > roster_ms then 'observed' else 'left' end as said,
        greatest(coalesce(roster_ms, 0), coalesce(message_ms, 0)) as heard_ms
      from actors a left join roster using (community_id, member_id)),
    missed as (
      select known.community_id, known.member_id, min(snapshot_ms) as missed_ms
      from known join snapshots on snapshots.community_id = known.community_id and snapshot_ms > heard_ms
      where said <> 'left' group by all),
    active_day as (
      select community_id, member_id, local_date,
        row_number() over recent as from_last, max(local_date) over (partition by community_id, member_id) as last_date,
        lag(local_date) over (partition by community_id, member_id order by local_date) as date_before
      from member_day where messages + interactions + orders > 0
      window recent as (partition by community_id, member_id order by local_date desc)),
    cadence as (
      select community_id, member_id,
        count(*) filter (local_date > last_date - 30) as active_days_30,
        median(local_date - date_before) filter (from_last < 32 and date_before is not null) as typical_gap_days
      from active_day group by all)
    select community_id, member_id,
      case when missed_ms is not null then 'left' else said end as status,
      coalesce(role, 'member') as role,
      make_timestamptz(first_ms * 1000) as first_seen_at, make_timestamptz(last_ms * 1000) as last_seen_at,
      make_timestamptz(coalesce(joined_ms, present_joined_ms) * 1000) as joined_at,
      make_timestamptz(coalesce(missed_ms, left_ms) * 1000) as left_at,
      messages, interactions, orders, referrals,
      coalesce(active_days_30, 0) as active_days_30, typical_gap_days,
      case when role in ('staff', 'bot') then 'ordinary'
           when coalesce(cadence.active_days_30, 0) >= 15 and orders >= 2 then 'core'
           when role in ('expert', 'owner', 'admin') or coalesce(cadence.active_days_30, 0) >= 15 or referrals >= 5
             then 'key_opinion'
           when coalesce(cadence.active_days_30, 0) >= 4 then 'active' else 'ordinary' end as tier  -- default rules
    from known left join missed using (community_id, member_id) left join cadence using (community_id, member_id)"""


_ROSTER_RANK = {"present": 0, "joined": 1, "left": 2, "removed": 3, "gone": 4}
_ROLE_RANK = {"member": 0, "expert": 1, "owner": 2, "admin": 3, "staff": 4, "bot": 5}


def _columns(applied: list[tuple[Event, int]], zones: Mapping[str, str]) -> pa.Table:
    """The fields the figures need, one Arrow column each."""
    events = [event for event, _ in applied]
    times = [at for _, at in applied]
    zone_of = [zones.get(event["community_id"], "UTC") for event in events]
    dates = [local_date(at, zone) for at, zone in zip(times, zone_of, strict=True)]
    interaction = frozenset(INTERACTION)
    role = [event.get("sender_role", event.get("role", "member")) for event in events]

    def text(name: str, default: str | None = None) -> pa.Array:
        return pa.array([event.get(name, default) for event in events], pa.string())

    def joined_at(event: Event) -> int | None:
        return milliseconds(event["joined_at"]) if event.get("joined_at") else None

    return pa.table(
        {
            "community_id": text("community_id"),
            "event_type": text("event_type"),
            "time_ms": pa.array(times, pa.int64()),
            "local_date": pa.array(dates, pa.date32()),
            "day_ms": pa.array([day_start_ms(day, zone) for day, zone in zip(dates, zone_of, strict=True)], pa.int64()),
            "member_id": pa.array(map(actor_of, events), pa.string()),
            "kind": text("kind", "text"),
            "interaction_kind": pa.array([event.get("kind") in interaction for event in events], pa.bool_()),
            "sender_role": text("sender_role", "member"),
            "role": pa.array(role, pa.string()),
            "role_rank": pa.array([_ROLE_RANK[name] for name in role], pa.int8()),
            "is_promotion": pa.array([bool(event.get("is_promotion")) for event in events], pa.bool_()),
            "is_reply": pa.array(
                [bool(event.get("reply_to") or event.get("reply_to_member_id")) for event in events], pa.bool_()
            ),
            "action": text("action"),
            "roster_rank": pa.array([_ROSTER_RANK.get(event.get("action", "")) for event in events], pa.int8()),
            "snapshot_id": text("snapshot_id"),
            "snapshot_size": pa.array([event.get("snapshot_size") for event in events], pa.int64()),
            "joined_at_ms": pa.array([joined_at(event) for event in events], pa.int64()),
            "status": text("status"),
            "amount_minor": pa.array([event.get("amount_minor") for event in events], pa.int64()),
            "currency": text("currency"),
        }
    )


def _calendar(duck: duckdb.DuckDBPyConnection, zones: Mapping[str, str]) -> pa.Table:
    """Every local day from a community's first to its last row of activity_1d; a date the zone skipped is no day."""
    rows = duck.execute(
        f"select community_id, min(local_date), max(local_date) from ({_ACTIVITY_1D}) group by 1"
    ).fetchall()
    calendar = [
        (community, day, day_start_ms(day, zones.get(community, "UTC")))
        for community, first, last in rows
        for day in (first + dt.timedelta(days=ahead) for ahead in range((last - first).days + 1))
    ]
    kept: list[tuple[Any, ...]] = [row for row in calendar if row[2] is not None]
    return pa.table(
        {
            "community_id": pa.array([row[0] for row in kept], pa.string()),
            "local_date": pa.array([row[1] for row in kept], pa.date32()),
            "day_ms": pa.array([row[2] for row in kept], pa.int64()),
        }
    )


def _ms(at: dt.datetime) -> int:
    return milliseconds(at.isoformat())
