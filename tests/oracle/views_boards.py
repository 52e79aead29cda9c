"""Leaderboards, streaks and points recomputed in plain Python; shares nothing with the views' SQL."""

import datetime as dt
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tests.oracle.local_days import day_start_ms, local_date
from tests.oracle.view_events import RawEvents

DAY_MS = 86_400_000
STAFF = ("staff", "bot")


def check_ins(raw: RawEvents) -> dict[tuple[str, str], dict[dt.date, int]]:
    """Length of the streak that ends with each day, by community and member."""
    frame = raw.frame[raw.frame["interacts"] & (raw.frame["kind"] == "check_in")]
    found = {}
    for key, dates in frame.groupby(["community_id", "member_id"])["local_date"]:
        lengths: dict[dt.date, int] = {}
        for day in sorted(set(dates)):
            lengths[day] = lengths.get(day - dt.timedelta(days=1), 0) + 1
        found[key] = lengths
    return found


def streaks(raw: RawEvents) -> pd.DataFrame:
    """A row per community, member and run of days."""
    rows = []
    last = dict(raw.rows("select community_id, max(local_date) from calendar group by 1"))
    for (community, member), lengths in check_ins(raw).items():
        for day, days in lengths.items():
            if day + dt.timedelta(days=1) not in lengths:
                first = day - dt.timedelta(days=days - 1)
                alive = int(day >= last[community] - dt.timedelta(days=1))
                rows.append((community, member, first, day, days, alive))
    return pd.DataFrame(rows, columns=["community_id", "member_id", "first_date", "last_date", "days", "alive"])


def _spans(day: dt.date) -> list[tuple[str, dt.date, dt.date]]:
    monday, first = day - dt.timedelta(days=day.weekday()), day.replace(day=1)
    month_end = (first + dt.timedelta(days=32)).replace(day=1)
    return [
        ("day", day, day + dt.timedelta(days=1)),
        ("week", monday, monday + dt.timedelta(days=7)),
        ("month", first, month_end),
    ]


def leaderboards(raw: RawEvents) -> pd.DataFrame:
    """The ten best of every period and board."""
    rows = []
    streak_of = check_ins(raw)
    for community, events in raw.frame.sort_values(["time_ms", "event_id"]).groupby("community_id"):
        zone = raw.zones.get(community, "UTC")
        clock = int(events["time_ms"].max()) - DAY_MS
        sets: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
        sums: dict[tuple[Any, ...], int] = defaultdict(int)
        staff_since: dict[str, dt.date] = {}
        author = {e.event_id: e.member_id for e in events.itertuples() if e.event_type == "message"}
        invited: set[str] = set()
        ordered: set[str] = set()
        for e in events.itertuples():
            if e.event_type in ("message", "join") and e.role in STAFF:
                staff_since.setdefault(e.member_id, e.local_date)
            about = None
            if e.speaks:
                about = e.reply_to_member_id if isinstance(e.reply_to_member_id, str) else author.get(e.reply_to)
            inviter = newcomer = None
            if e.event_type == "referral":
                inviter, newcomer = e.member_id, e.referee_id
            elif e.action == "joined" and isinstance(e.inviter_id, str):
                inviter, newcomer = e.inviter_id, e.member_id
            counts = inviter is not None and inviter != newcomer and newcomer not in invited
            if counts:
                invited.add(newcomer)
            first_told = e.paid and e.order_id not in ordered
            if first_told:
                ordered.add(e.order_id)
            for span in _spans(e.local_date):
                if e.speaks:
                    sets[(*span, "most_active", "", e.member_id)].add(e.time_ms // 60_000)
                if about is not None and about != e.member_id:
                    sets[(*span, "most_replied_to", "", about)].add(e.member_id)
                if counts:
                    sets[(*span, "best_inviters", "", inviter)].add(newcomer)
                if first_told or e.refunded:
                    sums[(*span, "best_buyers", e.currency, e.member_id)] += int(e.amount_minor) * (1 if e.paid else -1)
        for (where, member), lengths in streak_of.items():
            if where == community:
                for day, days in lengths.items():
                    for span in _spans(day):
                        key = (*span, "longest_streak", "", member)
                        sums[key] = max(sums[key], days)
        scores = {key: len(things) for key, things in sets.items()} | sums
        boards: dict[tuple[Any, ...], list[tuple[int, str]]] = defaultdict(list)
        for (*board, member), score in scores.items():
            employed = member in staff_since and staff_since[member] < board[2]
            if score > 0 and not employed:
                boards[tuple(board)].append((score, member))
        for (period, start, following, board, currency), found in boards.items():
            final = day_start_ms(following, zone) <= clock
            for score, member in found:
                rank = 1 + sum(other > score for other, _ in found)
                if rank <= 10:
                    rows.append((community, period, start, board, currency, rank, member, score, int(final)))
    names = ["community_id", "period", "period_start", "board", "currency", "rank", "member_id", "score", "is_final"]
    return pd.DataFrame(rows, columns=names)


def ledger(
    raw: RawEvents, rules: Mapping[str, Any], credits_: Iterable[Mapping[str, Any]]
) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
    """Entries with balances from a queue of points, oldest first; and each member's balance 30 days on."""
    booked: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)

    def book(community: str, member: str, at_ms: int, kind: str, key: str, points: int, about: str = "") -> None:
        day = local_date(at_ms, raw.zones.get(community, "UTC"))
        entry = {"local_date": day, "at_ms": at_ms, "kind": kind, "entry_id": f"{kind}:{key}"}
        if points:
            booked[community, member].append(entry | {"points": points, "about": about})

    for (community, member), lengths in check_ins(raw).items():
        mine = raw.frame[(raw.frame["community_id"] == community) & (raw.frame["member_id"] == member)]
        mine = mine[mine["interacts"] & (mine["kind"] == "check_in")]
        for day, days in lengths.items():
            at_ms = int(mine[mine["local_date"] == day]["time_ms"].min())
            book(community, member, at_ms, "check_in", str(day), rules["check_in"])
            if days % rules["streak_days"] == 0:
                book(community, member, at_ms, "streak_bonus", str(day), rules["streak_bonus"])
    spoken = raw.frame[raw.frame["speaks"]]
    for (community, member, day), times in spoken.groupby(["community_id", "member_id", "local_date"])["time_ms"]:
        points = min(rules["message_cap"], len({at // 60_000 for at in times}) * rules["message"])
        book(community, member, int(times.max()), "message", str(day), points)
    for e in raw.frame[raw.frame["interacts"] & (raw.frame["kind"] == "coupon_claim")].itertuples():
        if e.object_id in rules["rewards"]:
            price = rules["rewards"][e.object_id]
            book(e.community_id, e.member_id, e.time_ms, "redemption", e.event_id, -price, e.object_id)
    _book_orders(raw, rules, book)
    _book_invitations(raw, rules, credits_, book)
    rows, soon = [], {}
    last = dict(raw.rows("select community_id, max(local_date) from calendar group by 1"))
    for key, entries in booked.items():
        found, left_then = _queue(entries, rules["expiry_days"], last[key[0]])
        rows += [{"community_id": key[0], "member_id": key[1], **row} for row in found]
        soon[key] = left_then
    return pd.DataFrame(rows), soon


def _book_orders(raw: RawEvents, rules: Mapping[str, Any], book: Any) -> None:
    employed = set(
        raw.rows(
            "select community_id, member_id from member where role in ('staff', 'bot') and messages + interactions = 0"
        )
    )
    paid = (
        raw.frame[raw.frame["paid"]].sort_values(["time_ms", "event_id"]).drop_duplicates(["community_id", "order_id"])
    )
    used: dict[Any, int] = defaultdict(int)
    points_of: dict[tuple[str, str], tuple[str, int, int]] = {}
    for e in paid.sort_values(["time_ms", "order_id"]).itertuples():
        if (e.community_id, e.member_id) in employed:
            continue
        day = (e.community_id, e.member_id, e.local_date)
        points = min(int(e.amount_minor) // rules["order_unit_minor"], rules["order_cap"] - used[day])
        used[day] += points
        points_of[e.community_id, e.order_id] = (e.member_id, points, int(e.amount_minor))
        book(e.community_id, e.member_id, e.time_ms, "order", e.order_id, points, e.order_id)
    taken: dict[Any, int] = defaultdict(int)
    for e in raw.frame[raw.frame["refunded"]].sort_values(["time_ms", "event_id"]).itertuples():
        of = e.original_order_id if isinstance(e.original_order_id, str) and e.original_order_id else e.order_id
        if (e.community_id, of) not in points_of:
            continue
        member, points, amount = points_of[e.community_id, of]
        left_before = points * max(0, amount - taken[e.community_id, of]) // max(1, amount)
        taken[e.community_id, of] += int(e.amount_minor)
        left = points * max(0, amount - taken[e.community_id, of]) // max(1, amount)
        book(e.community_id, member, e.time_ms, "reversal", f"{of}/{e.event_id}", left - left_before, of)


def _book_invitations(raw: RawEvents, rules: Mapping[str, Any], credits_: Any, book: Any) -> None:
    used: dict[Any, int] = defaultdict(int)
    granted: dict[Any, int] = {}
    for credit in sorted(credits_, key=lambda one: (one["state"] == "reversed", one["changed_ms"], one["edge_id"])):
        community, member, edge = credit["community_id"], credit["referrer_id"], credit["edge_id"]
        if credit["state"] == "matured":
            day = (community, member, local_date(credit["changed_ms"], raw.zones.get(community, "UTC")))
            points = min(rules["invitation"], rules["invitation_cap"] - used[day])
            used[day] += points
            granted[edge] = points
            book(community, member, credit["changed_ms"], "invitation", edge, points, credit["referee_id"])
        elif credit["state"] == "reversed" and edge in granted:
            book(community, member, credit["changed_ms"], "reversal", edge, -granted[edge], credit["referee_id"])


def _queue(entries: list[dict[str, Any]], expiry_days: int, last: dt.date) -> tuple[list[dict[str, Any]], int]:
    """Spend the oldest points first, drop what is too old; what is taken beyond them is owed by those that come."""
    rows: list[dict[str, Any]] = []
    queue: deque[list[Any]] = deque()  # [day, points left]
    owed = 0
    by_day: dict[dt.date, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_day[entry["local_date"]].append(entry)
    dates = set(by_day) | {day + dt.timedelta(days=expiry_days) for day in by_day}
    balance = 0
    future = None
    horizon = last + dt.timedelta(days=30)
    for day in sorted(dates):
        if day > last and future is None:
            future = balance
        if day > horizon and not any(later <= last for later in dates if later >= day):
            break
        gone = 0
        while queue and queue[0][0] + dt.timedelta(days=expiry_days) <= day:
            gone += queue.popleft()[1]
        balance -= gone
        if gone and day <= last:
            rows.append(
                {"local_date": day, "kind": "expiry", "entry_id": f"expiry:{day}", "points": -gone, "balance": balance}
            )
        for entry in sorted(by_day.get(day, []), key=lambda one: (one["at_ms"], one["entry_id"])):
            points = entry["points"]
            balance += points
            if points > 0:
                paid_off = min(points, owed)
                owed -= paid_off
                queue.append([day, points - paid_off])
            else:
                out = -points
                while out and queue:
                    taken = min(out, queue[0][1])
                    queue[0][1] -= taken
                    out -= taken
                    if not queue[0][1]:
                        queue.popleft()
                owed += out
            rows.append(
                {name: entry[name] for name in ("local_date", "kind", "entry_id", "points")} | {"balance": balance}
            )
    return rows, (balance if future is None else future) - balance
