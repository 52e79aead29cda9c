"""A year of many communities, put into the base tables by ClickHouse itself: what a worker would land, in minutes.

Events are made up a community at a time (so that replies, local days and members fit together), then inserted a month
at a time over all communities, as a worker does: parts overlap in their keys, and FINAL has real work. All other tables
are aggregated from the events by the definitions of the design, independently of the views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.figures import FIGURES
from sinks.clickhouse import ClickHouse
from sinks.schema import DEFINITIONS, MOVE_RULES
from streams.business_rules import definition_rows, move_rows
from streams.rules_model import Rules
from streams.timezone_offsets import offsets_of
from tests.bench.views_feed_side import forests, told

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC")
EVENTS_PER_MEMBER = 40
_STAGE = "bench_stage"
_INTERACTIONS = "'reaction', 'check_in', 'coupon_claim', 'vote'"


@dataclass(frozen=True)
class Shape:
    """One community: its number of messages, orders, and members who ever join."""

    community_id: str
    zone: str
    messages: int
    orders: int
    members: int


def shapes(events: int, communities: int) -> list[Shape]:
    """Communities of unequal size: the largest has 2.4 times the mean's events, the smallest three quarters."""
    weights = 1 / np.arange(1, communities + 1) ** 0.25
    counts = np.maximum(40, events * weights / weights.sum()).astype(int)
    found = []
    for number, count in enumerate(counts.tolist()):
        members = max(10, count // EVENTS_PER_MEMBER)
        orders = count * 5 // 100
        rest = count - orders - members - members // 4 - members // 3  # joins, leaves, referrals
        found.append(Shape(f"wecom:群-{number:03d}", ZONES[number % len(ZONES)], rest, orders, members))
    return found


def fill(clickhouse: ClickHouse, events: int, communities: int, say: Callable[[str], None]) -> list[Shape]:
    """Fill the empty base tables; returns the communities, the largest first."""
    clickhouse.command(f"DROP TABLE IF EXISTS {_STAGE}_events")
    clickhouse.command(f"CREATE TABLE {_STAGE}_events AS {_STORE}.events ENGINE = MergeTree ORDER BY occurred_at")
    clickhouse.command(f"ALTER TABLE {_STAGE}_events ADD COLUMN local_date Date, ADD COLUMN day DateTime('UTC')")
    for table, rows in ((DEFINITIONS, definition_rows(Rules(), 86_400)), (MOVE_RULES, move_rows(Rules()))):
        clickhouse.insert_arrow(table, rows.append_column("version", pa.array([2] * rows.num_rows, pa.uint64())))
    made = shapes(events, communities)
    for shape in made:
        for statement in (_joins(shape), _messages(shape), _orders(shape), _referrals(shape)):
            clickhouse.command(f"INSERT INTO {_STAGE}_events {statement}")
    say(f"{clickhouse.scalar(f'SELECT count() FROM {_STAGE}_events'):,} events are made up")
    for month in range(1, 13):
        utc = f"SELECT * FROM {_STAGE}_events WHERE toMonth(occurred_at) = {month}"
        local = f"SELECT * FROM {_STAGE}_events WHERE toMonth(local_date) = {month}"
        landed = f"SELECT * EXCEPT (local_date, day) FROM ({utc})"
        for statement in (f"INSERT INTO {_STORE}.events {landed}", *_windows(utc), *_days(local)):
            clickhouse.command(statement)
    events_table = f"{_STAGE}_events"
    for statement in (
        *(_members(events_table, version) for version in (1, 2)),
        *map(_calendar, made),
        *_described(made),
        *forests(events_table),
        *told(events_table),
    ):
        clickhouse.command(statement)
    clickhouse.command(f"DROP TABLE {_STAGE}_events")
    return made


def _random(salt: int, seed: str = "number") -> str:
    """A number in [0, 1) that depends on the row."""
    return f"(cityHash64({seed}, {salt}) % 1000003 / 1000003.)"


def _select(shape: Shape, rows: int, event_type: str, at: str, fields: dict[str, str], prefix: str) -> str:
    moment = f"toDateTime64('2024-01-01', 3, 'UTC') + toIntervalMillisecond(toInt64(({at}) * 366 * 86400000))"
    named = {
        "event_id": f"concat('{prefix}', toString(number))",
        "event_type": f"'{event_type}'",
        "occurred_at": "moment",
        "community_id": f"'{shape.community_id}'",
        "platform": "'wecom'",
        "version": "2",
        "local_date": f"toDate(moment, '{shape.zone}')",
        "day": f"toTimeZone(toStartOfDay(moment, '{shape.zone}'), 'UTC')",
        **fields,
    }
    names = ", ".join(named)
    values = ", ".join(f"{value} AS {name}_" for name, value in named.items())
    return f"({names}) SELECT {values} FROM (SELECT number, {moment} AS moment FROM numbers({rows}))"


def _joined(shape: Shape, number: str = "number") -> str:
    """When the n-th member joins, as a share of the year: a fifth are there from the start, more come early."""
    return f"greatest(0.0001, pow(greatest(0, {number} / {shape.members}. - 0.2) / 0.8, 1.4) * 0.98)"


def _member(shape: Shape, at: str, chance: str) -> str:
    """A member who has joined by `at` (a share of the year); the first ones more often."""
    there = f"(0.2 + 0.8 * pow(least(1, {at} / 0.98), 1 / 1.4)) * {shape.members}"
    return _name(shape, f"toUInt64(floor({there} * pow({chance}, 2.5)))")


def _name(shape: Shape, number: str) -> str:
    return f"concat('wm{shape.community_id[-3:]}-', toString({number}))"


def _joins(shape: Shape) -> str:
    """Everybody joins; a quarter leave again; the first two of a hundred are staff."""
    count, leaves = shape.members, shape.members // 4
    member = f"if(number < {count}, number, (number - {count}) * 4 + 3)"
    at = f"if(number < {count}, {_joined(shape)}, {_joined(shape, f'((number - {count}) * 4 + 3)')} * 0.4 + 0.6)"
    fields = {
        "member_id": _name(shape, member),
        "action": f"if(number < {count}, 'joined', 'left')",
        "role": f"if({member} % 50 = 0, 'staff', 'member')",
        "via": "arrayElement(['invite', 'qr_code', 'search', 'unknown'], number % 4 + 1)",
        "source": "if(number % 4 = 1, concat('qr-', toString(number % 7)), '')",
        "inviter_id": f"if(number % 4 = 0 AND number > 10 AND number < {count}, "
        + _name(shape, "intDiv(number, 3)")
        + ", '')",
    }
    return _select(shape, count + leaves, "join", at, fields, "j")


def _messages(shape: Shape) -> str:
    at = f"(number + {_random(1)}) / {shape.messages}."
    # people write three messages in a row
    member = _member(shape, f"(intDiv(number, 3) * 3 / {shape.messages}.)", _random(2, "intDiv(number, 3)"))
    kinds = "['text','text','text','text','text','text','image','sticker','link','reaction','check_in','vote']"
    back = f"(1 + toUInt64(floor(-log(1 - {_random(5)} * 0.999) * 4)))"
    fields = {
        "member_id": member,
        "sender_role": f"if(toUInt64OrZero(splitByChar('-', {member})[2]) % 50 = 0, 'staff', 'member')",
        "kind": f"if({_random(3)} < 0.003, 'coupon_claim', {kinds}[toUInt8(floor({_random(4)} * 12)) + 1])",
        "object_id": f"if({_random(3)} < 0.003, concat('SAVE', toString(number % 20)), '')",
        "char_count": f"toUInt32({_random(6)} * 80)",
        "reply_to": f"if({_random(7)} < 0.25 AND number > 60, concat('m', toString(number - {back})), '')",
        "is_question": f"{_random(8)} < 0.1",
        "is_promotion": f"{_random(9)} < 0.03",
        "labels": f"if({_random(10)} < 0.02, ['新品'], [])",
        # twelve campaigns, each a month long
        "campaign_id": f"if({_random(11)} < 0.01, concat('月-', toString(intDiv(number * 12, {shape.messages}))), '')",
    }
    return _select(shape, shape.messages, "message", at, fields, "m")


def _orders(shape: Shape) -> str:
    """Paid orders; every fifteenth is a refund of the one before."""
    at = f"(number + {_random(11)}) / {shape.orders}."
    back = "number % 15 = 14"
    number = f"if({back}, number - 1, number)"
    who = _member(shape, f"({number} / {shape.orders}.)", _random(12, number))
    category = f"arrayElement(['食品','日用','books','toys'], toUInt8(cityHash64({number}, 13) % 4) + 1)"
    amount = f"toInt64(500 + cityHash64({number}, 14) % 9000)"
    fields = {
        "member_id": who,
        "order_id": f"concat('o{shape.community_id[-3:]}-', toString({number}))",
        "status": f"if({back}, 'refunded', 'paid')",
        "amount_minor": amount,
        "currency": "'CNY'",
        "coupon_codes": "if(number % 9 = 0, [concat('SAVE', toString(number % 20))], [])",
        "items": f"[(concat('SKU-', toString(number % 400)), {category}, 1, {amount})]",
    }
    return _select(shape, shape.orders, "order", at, fields, "o")


def _referrals(shape: Shape) -> str:
    fields = {
        "member_id": "referrer_id_",
        "campaign_id": f"'bring-a-friend-{shape.community_id[-3:]}'",
        "referrer_id": _name(shape, "number"),
        "referee_id": _name(shape, "(number * 3 + 1)"),
    }
    return _select(shape, shape.members // 3, "referral", _joined(shape, "(number * 3 + 1)"), fields, "r")


_STAFF = "(event_type = 'message' AND sender_role IN ('staff', 'bot'))"
_TALKS = f"(event_type = 'message' AND NOT {_STAFF})"
_SPEAKS = f"({_TALKS} AND kind NOT IN ({_INTERACTIONS}))"
_INTERACTS = f"({_TALKS} AND kind IN ({_INTERACTIONS}))"
_PAID = "(event_type = 'order' AND status = 'paid')"
_REFUNDED = "(event_type = 'order' AND status = 'refunded')"
_FIGURE = {
    "messages": f"countIf({_SPEAKS})",
    "speakers": f"uniqExactIf(member_id, {_SPEAKS})",
    "interactions": f"countIf({_INTERACTS})",
    "active_members": f"uniqExactIf(member_id, {_SPEAKS} OR {_INTERACTS} OR {_PAID})",
    "staff_messages": f"countIf({_STAFF})",
    "joins": "countIf(action = 'joined')",
    "leaves": "countIf(action IN ('left', 'removed', 'gone'))",
    "orders": f"countIf({_PAID})",
    "refunds": f"countIf({_REFUNDED})",
    "buyers": f"uniqExactIf(member_id, {_PAID})",
    "promotions": f"countIf({_TALKS} AND is_promotion)",
    "links": f"countIf({_SPEAKS} AND kind = 'link')",
    "check_ins": f"countIf({_INTERACTS} AND kind = 'check_in')",
    "replies": f"countIf({_SPEAKS} AND reply_to != '')",
}


_NAMES = ", ".join(FIGURES)
_FIGURES = ", ".join(f"{_FIGURE[name]} AS {name}_" for name in FIGURES)
_STORE = "qunpulse_store"


def _windows(events: str) -> list[str]:
    """Tumbling windows of the clock."""
    starts = {"1m": "toStartOfMinute(occurred_at)", "1h": "toStartOfHour(occurred_at)"}
    return [
        f"""INSERT INTO {_STORE}.activity_{name} (community_id, window_start, {_NAMES}, version)
            SELECT community_id, {start} AS start, {_FIGURES}, 2 FROM ({events}) GROUP BY community_id, start"""
        for name, start in starts.items()
    ]


def _days(events: str) -> list[str]:
    """Tables by local day."""
    return [
        f"""INSERT INTO {_STORE}.activity_1d (community_id, window_start, local_date, {_NAMES}, version)
            SELECT community_id, day, local_date, {_FIGURES}, 2 FROM ({events})
            GROUP BY community_id, day, local_date""",
        f"""INSERT INTO {_STORE}.member_days
            (community_id, day, local_date, member_id, messages, interactions, orders, refunds, first_at, last_at,
             version)
            SELECT community_id, day, local_date, member_id, countIf({_SPEAKS}) AS m, countIf({_INTERACTS}) AS i,
                countIf({_PAID}) AS o, countIf({_REFUNDED}) AS r, min(occurred_at), max(occurred_at), 2
            FROM ({events}) WHERE {_TALKS} OR {_PAID} OR {_REFUNDED}
            GROUP BY community_id, day, local_date, member_id""",
        f"""INSERT INTO {_STORE}.revenue_1d
            (community_id, window_start, local_date, currency, orders, refunds, gmv_minor, refunded_minor, buyers,
             version)
            SELECT community_id, day, local_date, currency, countIf({_PAID}), countIf({_REFUNDED}),
                sumIf(amount_minor, {_PAID}), sumIf(amount_minor, {_REFUNDED}), uniqExactIf(member_id, {_PAID}), 2
            FROM ({events}) WHERE event_type = 'order' GROUP BY community_id, day, local_date, currency""",
    ]


def _members(events: str, version: int) -> str:
    """Members; written once with each version, as flushes do."""
    return f"""INSERT INTO {_STORE}.members
        (community_id, member_id, status, role, first_seen_at, last_seen_at, joined_at, left_at, messages, interactions,
         orders, referrals, active_days_30, typical_gap_days, version)
        SELECT community_id, member_id, if(countIf(action = 'left') > 0, 'left', 'active'),
            if(max(role = 'staff' OR sender_role = 'staff'), 'staff', 'member'), min(occurred_at),
            maxOrNullIf(occurred_at, event_type = 'message' OR status = 'paid'),
            minOrNullIf(occurred_at, action = 'joined'), maxOrNullIf(occurred_at, action = 'left'), countIf({_SPEAKS}),
            countIf({_INTERACTS}), countIf({_PAID}), countIf(event_type = 'referral'), 3, 2.5, {version}
        FROM {events} GROUP BY community_id, member_id"""


def _calendar(shape: Shape) -> str:
    """Every local day from the first to the last."""
    return f"""INSERT INTO {_STORE}.community_days
        SELECT community_id, date, toTimeZone(toDateTime(toString(date), '{shape.zone}'), 'UTC'), 2
        FROM (SELECT toDate('2023-12-31') + number AS date FROM numbers(368)) AS dates
        CROSS JOIN
        (
            SELECT community_id, min(local_date) AS first, max(local_date) AS last FROM {_STAGE}_events
            WHERE community_id = '{shape.community_id}' GROUP BY community_id
        ) AS span
        WHERE date BETWEEN first AND last"""


def _described(made: list[Shape]) -> list[str]:
    """Communities, their time zones' offsets, and service hours for every second one."""
    zones = ", ".join(f"('{shape.community_id}', '{shape.zone}')" for shape in made)
    offsets = ", ".join(f"('{zone}', {start}, {offset}, 2)" for zone in ZONES for start, offset in offsets_of(zone))
    return [
        f"INSERT INTO {_STORE}.communities SELECT zone.1, zone.2, 0, 0, 2 FROM (SELECT arrayJoin([{zones}]) AS zone)",
        f"""INSERT INTO {_STORE}.community_rules (community_id, name, type, timezone, version)
            SELECT zone.1, zone.1, ['普通', '普通', 'vip', 'win back'][toUInt64(right(zone.1, 3)) % 4 + 1], zone.2, 2
            FROM (SELECT arrayJoin([{zones}]) AS zone)""",
        f"""INSERT INTO {_STORE}.campaign_rules
                (campaign_id, name, cost_minor, currency, goal_figure, goal, attribution_days, version)
            SELECT concat('月-', toString(number)), '月度', 500000, 'CNY', 'orders', 2000, 30, 2 FROM numbers(12)""",
        f"INSERT INTO {_STORE}.point_rewards SELECT concat('SAVE', toString(number)), 30, 2 FROM numbers(20)",
        f"INSERT INTO {_STORE}.timezone_offsets VALUES {offsets}",
        # eight events in each community, three hours long
        f"""INSERT INTO {_STORE}.event_spans
            (community_id, span_id, kind, starts_at, ends_at, attribution_days, version)
            SELECT community_id, concat('晚场', toString(n)), 'flash_sale', at, at + INTERVAL 3 HOUR, 30, 2 FROM
            (
                SELECT zone.1 AS community_id, arrayJoin(range(8)) AS n,
                    toDateTime('2024-03-15 19:00:00', 'UTC') + toIntervalMonth(n) AS at
                FROM (SELECT arrayJoin([{zones}]) AS zone)
            )""",
        # every tenth member is known under another account too
        f"""INSERT INTO {_STORE}.identities
            SELECT 'wecom', member_id, concat('person-', toString(cityHash64(member_id) % 20000)), 2
            FROM {_STORE}.members WHERE cityHash64(member_id) % 10 = 0""",
        f"""INSERT INTO {_STORE}.service_hours
            SELECT zone.1, arrayJoin(range(1, 6)), 540, 1080, 2 FROM (SELECT arrayJoin([{zones}]) AS zone)
            WHERE toUInt64(right(zone.1, 3)) % 2 = 0""",
    ]
