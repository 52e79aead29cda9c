"""Tables and views as people and BI tools meet them."""

from __future__ import annotations

import datetime as dt
import re

import pyarrow as pa
import pytest

from schemas.figures import FIGURES
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate, migrations, pending
from sinks.schema import MART, STORE
from sinks.sql_script import statements

# The public names: whoever builds a dashboard rests on them. "…" are the figures of a window.
PUBLIC = """
events: event_id event_type occurred_at community_id platform feed member_id
    sender_role kind kind_raw char_count mentions reply_to reply_to_member_id is_question is_promotion labels object_id
    value campaign_id action role via via_raw inviter_id source roster_version_before roster_version_after snapshot_id
    snapshot_size joined_at order_id status original_order_id amount_minor currency coupon_codes discount_minor
    group_buy_id staff_id items referrer_id referee_id late ingested_at
activity_1m: community_id window_start …
activity_1h: community_id window_start …
activity_1d: community_id window_start …
activity_now: community_id window as_of … members
activity_rolling: community_id day window …
member_days: community_id day member_id messages interactions orders refunds first_at last_at
revenue_1d: community_id window_start currency orders refunds gmv_minor refunded_minor buyers
members: community_id member_id status role first_seen_at last_seen_at joined_at left_at messages interactions orders
    referrals active_days_30 typical_gap_days tier
communities: community_id name type store assignee capacity timezone opened_at closed_at members resync_needed
dead_letters: topic partition offset error detail received_at
accounting: topic partition consumed applied duplicate late dead_lettered misrouted next_offset event_clock
    checkpoint_at
referral_nodes: campaign_id member_id parent_id root_id depth direct descendants credit_state matured_direct
    matured_descendants reversed_direct reversed_descendants
referral_credits: campaign_id referee_id edge_id changed_at referrer_id state reason
referral_revenue: campaign_id member_id currency own_orders own_paid_minor own_refunded_minor subtree_orders
    subtree_paid_minor subtree_refunded_minor own_revenue_minor subtree_revenue_minor
referral_leaderboard: campaign_id member_id is_staff rank direct matured reversed still_here average_stay_days
    revenue_minor subtree_revenue_minor as_of
referral_funnel: campaign_id invited joined active bought joined_rate active_rate bought_rate bought_of_invited_rate
    median_hours_to_join median_hours_to_active median_hours_to_buy
target_rate: campaign_id subject_kind target opened reached taken_back running reached_share reached_share_of_ended
    median_hours_to_reach as_of
k_factor: community_id week_start members invitations inviters accepted staff_invitations invitations_per_member
    joins_per_invitation k_factor
referral_source_quality: community_id brought_how brought_by joined d7_members d7_in d7_active d7_in_rate
    d7_active_rate d30_members d30_in d30_active d30_in_rate d30_active_rate d30_buyers d30_order_rate
    d30_revenue_minor as_of
alerts: alert_id kind community_id member_id assignee state severity opened_at updated_at resolved_at reason evidence
    suggested_action value_at_risk platform feed urgency replay
alert_deliveries: alert_id state channel kind community_id member_id assignee outcome form planned_at due_at
    attempts attempted_at delivered_at error message_id
alert_mutes: mute_id community_id member_id kind until reason issued_by issued_at lifted
alert_quality: kind alerts judged useful noise useful_share
"""
VIEWS = {
    name: columns.replace("…", " ".join(FIGURES)).split()
    for name, columns in re.findall(r"(\w+): ([^:]+)(?=\n\w|$)", PUBLIC)
}

# How many base tables a view reads, where it is more than one.
READS = {"activity_rolling": 3, "communities": 2, "k_factor": 6, "referral_source_quality": 6}

WITH_TIME = {
    "events": "occurred_at",
    "activity_1m": "window_start",
    "activity_1h": "window_start",
    "activity_1d": "window_start",
    "member_days": "day",
    "revenue_1d": "window_start",
}


UNIT = (
    r"\b(count|days|hours|minutes|seconds|minor units|members|offsets|characters|"
    r"share|ratio|score|points|rank|number)\b"
)


def test_views_have_exactly_the_public_columns_in_order(store: ClickHouse) -> None:
    found: dict[str, list[str]] = {}
    for view, column in store.rows(
        "SELECT table, name FROM system.columns WHERE database = {mart:String} ORDER BY table, position", {"mart": MART}
    ):
        found.setdefault(view, []).append(column)
    assert {view: found.get(view) for view in VIEWS} == VIEWS


def test_no_view_and_no_column_lacks_its_definition(store: ClickHouse) -> None:
    silent = store.rows(
        "SELECT table, name FROM system.columns WHERE database = {mart:String} AND comment = ''", {"mart": MART}
    )
    assert silent == []
    comments = dict(
        store.rows("SELECT name, comment FROM system.tables WHERE database = {mart:String}", {"mart": MART})
    )
    assert set(comments) >= set(VIEWS)
    assert [view for view, comment in comments.items() if "Times are UTC" not in comment] == []


def test_every_column_that_measures_says_in_which_unit_or_zone(store: ClickHouse) -> None:
    columns = store.rows(
        "SELECT table, name, type, comment FROM system.columns WHERE database = {mart:String}", {"mart": MART}
    )
    for view, name, kind, comment in columns:
        if "DateTime" in kind:
            assert "UTC" in comment, (view, name)
        elif re.match(r"(Nullable\()?(U?Int(32|64)|Float)", kind) and name not in {"version", "value", "offset"}:
            assert re.search(UNIT, comment), (view, name, comment)


def test_views_are_read_with_their_definers_rights(store: ClickHouse) -> None:
    texts = store.rows(
        "SELECT name, create_table_query FROM system.tables WHERE database = {mart:String}", {"mart": MART}
    )
    assert all("SQL SECURITY DEFINER" in text and "DEFINER = " in text for _, text in texts)


def test_every_base_table_explains_its_layout(store: ClickHouse) -> None:
    rows = store.rows("SELECT name, comment FROM system.tables WHERE database = {db:String}", {"db": STORE})
    made = [text for script in migrations() for text in statements(script.text) if text.startswith("CREATE TABLE")]
    assert len(rows) == len(made) + 1
    assert [name for name, comment in rows if not comment] == []


def test_migrating_again_changes_nothing(store: ClickHouse) -> None:
    assert migrate(store) == []
    assert pending(store) == []


@pytest.fixture(scope="module")
def with_rows(store: ClickHouse) -> ClickHouse:
    """A row of community plan-c in every base table: a plan of an empty one reads nothing and shows no index."""
    tables = "events activity_1m activity_1h activity_1d activity_now community_days member_days revenue_1d members "
    for table in (tables + "communities community_rules alerts alert_deliveries alert_mutes").split():
        columns = {"community_id": pa.array(["plan-c"])}
        time = {"events": "occurred_at", "member_days": "day"}.get(table) or WITH_TIME.get(table)
        if time:
            columns[time] = pa.array([dt.datetime(2023, 3, 15, tzinfo=dt.UTC)], pa.timestamp("s", "UTC"))
        store.insert_arrow(f"{STORE}.{table}", pa.table(columns))
    return store


def index_conditions(store: ClickHouse, query: str) -> list[str]:
    plan = [line for (line,) in store.rows(f"EXPLAIN indexes = 1 {query}")]
    assert any("ReadFromMergeTree" in line for line in plan)
    return [line.split("Condition:", 1)[1].strip() for line in plan if "Condition:" in line]


@pytest.mark.parametrize("view", [view for view in VIEWS if "community_id" in VIEWS[view]])
def test_a_condition_on_the_community_reaches_every_tables_key(with_rows: ClickHouse, view: str) -> None:
    plan = "\n".join(
        line
        for (line,) in with_rows.rows(f"EXPLAIN indexes = 1 SELECT * FROM {MART}.{view} WHERE community_id = 'plan-c'")
    )
    reads = plan.count("ReadFromMergeTree")
    assert reads == READS.get(view, 1)
    assert plan.count("(community_id in ['plan-c', 'plan-c'])") == reads, plan


@pytest.mark.parametrize("view", list(WITH_TIME))
def test_a_condition_on_time_reaches_partition_and_key(with_rows: ClickHouse, view: str) -> None:
    column = WITH_TIME[view]
    conditions = index_conditions(
        with_rows,
        f"SELECT * FROM {MART}.{view} WHERE community_id = 'plan-c' AND {column} >= '2023-03-01' "
        f"AND {column} < '2023-04-01'",
    )
    assert any(column in condition and "community_id" not in condition for condition in conditions), conditions
    assert any("community_id" in condition and column in condition for condition in conditions), conditions
