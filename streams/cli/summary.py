"""What `qunpulse demo` prints at the end: the books, the communities, the busiest members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse
    from streams.accounts import Account

COMMUNITIES_SHOWN = 20
MEMBERS_SHOWN = 10
WINDOWS = ("24h", "7d", "30d")

_COMMUNITIES = """
SELECT community_id, any(members),
       {figures},
       max(as_of)
FROM qunpulse.activity_now
GROUP BY community_id
ORDER BY sumIf(messages + interactions, window = '30d') DESC, community_id
LIMIT {limit}
"""

_MEMBERS = """
SELECT community_id, member_id, status, messages, interactions, orders, referrals, last_seen_at
FROM qunpulse.members
WHERE role NOT IN ('staff', 'bot')
ORDER BY messages + interactions DESC, orders DESC, community_id, member_id
LIMIT {limit}
"""


def print_books(console: Console, accounts: Mapping[str, Account]) -> None:
    """One line per topic with the equation that must hold."""
    width = max(len(topic) for topic in accounts)
    for topic, account in accounts.items():
        style = None if account.balanced else "bold red"
        console.print(f"{topic:<{width}}  {account.equation()}", style=style, markup=False, soft_wrap=True)


def print_summary(console: Console, clickhouse: ClickHouse, accounts: Mapping[str, Account]) -> None:
    """The whole summary, read from the views that anybody may query."""
    console.rule("what became of every record", align="left")
    print_books(console, accounts)
    console.print()
    console.rule(
        "communities: messages of the last 24 hours, 7 and 30 days, and by how many active members", align="left"
    )
    _print_communities(console, clickhouse)
    console.print()
    console.rule("busiest members", align="left")
    _print_members(console, clickhouse)


def _print_communities(console: Console, clickhouse: ClickHouse) -> None:
    figures = ", ".join(
        f"sumIf({figure}, window = '{window}')" for window in WINDOWS for figure in ("messages", "active_members")
    )
    rows = clickhouse.rows(_COMMUNITIES.format(figures=figures, limit=COMMUNITIES_SHOWN))
    table = _table("community", "members", *(f"messages {window}" for window in WINDOWS), "as of (UTC)")
    for community, members, *counts, as_of in rows:
        pairs = zip(counts[::2], counts[1::2], strict=True)
        windows = (f"{messages:,} by {active:,}" if active else f"{messages:,}" for messages, active in pairs)
        table.add_row(community, f"{members:,}", *windows, f"{as_of:%Y-%m-%d %H:%M}")
    console.print(table)
    total = clickhouse.scalar("SELECT uniqExact(community_id) FROM qunpulse.activity_now") or 0
    if total > len(rows):
        console.print(f"… and {total - len(rows):,} more communities", style="dim")


def _print_members(console: Console, clickhouse: ClickHouse) -> None:
    table = _table(
        "community", "member", "status", "messages", "interactions", "orders", "referrals", "last seen (UTC)"
    )
    for community, member, status, *counts, last_seen in clickhouse.rows(_MEMBERS.format(limit=MEMBERS_SHOWN)):
        seen = f"{last_seen:%Y-%m-%d %H:%M}" if last_seen else ""
        table.add_row(community, member, status, *(f"{count:,}" for count in counts), seen)
    console.print(table)


def _table(*titles: str) -> Table:
    """A plain table; ids to the left may be cut short, numbers never are."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        if title in {"community", "member"}:
            table.add_column(title, no_wrap=True, overflow="ellipsis", max_width=30)
        else:
            table.add_column(title, no_wrap=True, justify="left" if title == "status" else "right")
    return table
