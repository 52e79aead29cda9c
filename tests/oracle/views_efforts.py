"""Campaigns and events recomputed member by member from raw events and the rules; nothing of the views' SQL."""

import datetime as dt
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from tests.oracle.quantiles import student_t
from tests.oracle.view_events import RawEvents
from tests.oracle.views_fatigue import memberships

DAY_MS = 86_400_000
WEEK = dt.timedelta(weeks=1)
Rules = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Effort:
    """A campaign or event in one community; `holds` says whether an event belongs to it."""

    community: str
    name: str
    kind: str
    start: int
    end: int
    rules: Mapping[str, Any]
    holds: Callable[[Any], bool]

    @property
    def key(self) -> dict[str, Any]:
        """The columns that name it."""
        return {"community_id": self.community, "effort_id": self.name, "kind": self.kind}


def efforts(raw: RawEvents, rules: Mapping[str, Rules]) -> list[Effort]:
    """All efforts by community."""
    found = []
    carried = raw.frame[raw.frame["campaign_id"].notna()]
    for (community, name), events in carried.groupby(["community_id", "campaign_id"]):
        said = rules.get("campaigns", {}).get(name, {})
        span = (int(events["time_ms"].min()), int(events["time_ms"].max()) + 1)
        found.append(Effort(community, name, "campaign", *span, said, lambda e, name=name: e.campaign_id == name))
    for name, said in rules.get("events", {}).items():
        for community in said["communities"]:
            zone = ZoneInfo(raw.zones.get(community, "UTC"))
            start, end = (
                int(dt.datetime.fromisoformat(said[side]).replace(tzinfo=zone).timestamp() * 1000)
                for side in ("start", "end")
            )
            inside = lambda e, start=start, end=end: start <= e.time_ms < end  # noqa: E731
            found.append(Effort(community, name, said.get("kind", "event"), start, end, said, inside))
    return found


class Recount:
    """Everything about efforts, worked out once."""

    def __init__(self, raw: RawEvents, rules: Mapping[str, Rules]) -> None:
        self.raw = raw
        self.efforts = efforts(raw, rules)
        self._events: dict[str, list[Any]] = defaultdict(list)
        for event in raw.frame.itertuples():
            self._events[event.community_id].append(event)
        self._last = raw.frame.groupby("community_id")["time_ms"].max().to_dict()
        self._stays = memberships(raw)
        self._first_day = raw.sql("select community_id, min(day_ms) as at from calendar group by 1").set_index(
            "community_id"
        )
        self._orders, self._refunds = self._paid_orders()
        self.parts = {id(effort): self._participants(effort) for effort in self.efforts}

    def _paid_orders(self) -> tuple[dict[str, Any], Counter[str]]:
        paid = self.raw.frame[self.raw.frame["paid"]].sort_values(["time_ms", "community_id", "event_id"])
        first = {event.order_id: event for event in paid.drop_duplicates("order_id").itertuples()}
        told: dict[tuple[str, str], int] = {}
        for event in self.raw.frame[self.raw.frame["refunded"]].itertuples():
            of = event.original_order_id if isinstance(event.original_order_id, str) else event.order_id
            told[of, event.order_id] = max(told.get((of, event.order_id), 0), int(event.amount_minor))
        refunds: Counter[str] = Counter()
        for (of, _), amount in told.items():
            refunds[of] += amount
        return first, refunds

    def _participants(self, effort: Effort) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for event in self._events[effort.community]:
            joins = event.event_type == "join" and event.action == "joined" and event.role not in ("staff", "bot")
            acts = (
                (event.event_type == "message" and not event.of_staff) or event.paid or event.event_type == "referral"
            )
            if (joins or acts) and effort.holds(event):
                member = found.setdefault(event.member_id, {"first": event.time_ms, "took": 0, "new": 0, "joined": 0})
                member["first"] = min(member["first"], event.time_ms)
                member["took"] |= int(not joins)
                member["new"] |= int(joins)
                member["joined"] = max(member["joined"], event.time_ms if joins else 0)
        for name, member in found.items():
            later = member["joined"] + 30 * DAY_MS
            member["retained"] = None
            if member["new"] and later <= self._last[effort.community]:
                mine = self._stays[
                    (self._stays["community_id"] == effort.community) & (self._stays["member_id"] == name)
                ]
                there = (mine["start_ms"] <= later) & (mine["end_ms"].isna() | (mine["end_ms"] > later))
                member["retained"] = int(there.any())
        return found

    def participants(self) -> pd.DataFrame:
        """A row per effort and member."""
        rows = [
            {
                **effort.key,
                "member_id": name,
                "first_at": pd.Timestamp(member["first"], unit="ms", tz="UTC"),
                "took_part": member["took"],
                "is_new": member["new"],
                "retained_30d": member["retained"],
            }
            for effort in self.efforts
            for name, member in self.parts[id(effort)].items()
        ]
        return pd.DataFrame(rows)

    def first_parts(self) -> pd.DataFrame:
        """A row per effort and member, without what became of the member."""
        rows = [
            {
                **effort.key,
                "member_id": name,
                "first_at": pd.Timestamp(member["first"], unit="ms", tz="UTC"),
                "took_part": member["took"],
                "joined_at": pd.Timestamp(member["joined"], unit="ms", tz="UTC") if member["new"] else None,
            }
            for effort in self.efforts
            for name, member in self.parts[id(effort)].items()
        ]
        return pd.DataFrame(rows)

    def orders_of(self, effort: Effort) -> list[dict[str, Any]]:
        """Orders that count for one effort."""
        days = effort.rules.get("attribution_days", 30)
        found = []
        for order in self._orders.values():
            member = self.parts[id(effort)].get(order.member_id)
            if order.community_id != effort.community or member is None:
                continue
            if member["first"] <= order.time_ms <= member["first"] + days * DAY_MS:
                found.append(
                    {
                        **effort.key,
                        "order_id": order.order_id,
                        "member_id": order.member_id,
                        "currency": order.currency,
                        "amount_minor": int(order.amount_minor),
                        "refunded_minor": self._refunds[order.order_id],
                        "with_coupon": int(len(order.coupon_codes) > 0),
                        "carries": int(effort.holds(order)),
                    }
                )
        return found

    def orders(self) -> pd.DataFrame:
        """A row per effort and order."""
        return pd.DataFrame([row for effort in self.efforts for row in self.orders_of(effort)])

    def baseline(self, effort: Effort) -> dict[str, Any]:
        """Activity and orders during the effort, and in each of the weeks before, event by event."""
        zone = ZoneInfo(self.raw.zones.get(effort.community, "UTC"))
        minute = effort.start // 60_000 * 60_000
        length = dt.timedelta(milliseconds=-(-effort.end // 60_000) * 60_000 - minute)
        start = dt.datetime.fromtimestamp(minute / 1000, zone).replace(tzinfo=None)
        whole, rest = divmod(length, WEEK)
        lived = dt.timedelta(milliseconds=minute - int(self._first_day.loc[effort.community, "at"]))
        weeks = 0 if length > 4 * WEEK else max(0, min(4, lived // WEEK))
        during: Counter[str] = Counter()
        before = [Counter[str]() for _ in range(weeks)]
        for event in self._events[effort.community]:
            what = "activity" if event.speaks or event.interacts else "orders" if event.paid else None
            if what is None:
                continue
            at = dt.datetime.fromtimestamp(event.time_ms // 60_000 * 60, zone).replace(tzinfo=None)
            if start <= at < start + length:
                during[what] += 1
            for number, week in enumerate(before, start=1):
                into = at - (start - number * WEEK)
                if dt.timedelta(0) <= into < WEEK:
                    week[what] += whole + (into < rest)
        return {
            "baseline_weeks": weeks,
            "activity": during["activity"],
            "orders": during["orders"],
            "activity_before": [week["activity"] for week in before],
            "orders_before": [week["orders"] for week in before],
        }

    def baselines(self) -> pd.DataFrame:
        """A row per effort."""
        return pd.DataFrame([effort.key | self.baseline(effort) for effort in self.efforts])

    def quits(self, effort: Effort) -> dict[str, int]:
        """Members who quit in the wake of an effort, with the first time, ms."""
        mine = self._stays[(self._stays["community_id"] == effort.community) & (self._stays["quit"] == 1)]
        mine = mine[~mine["role"].isin(["staff", "bot"])]
        posts = [e.time_ms for e in self._events[effort.community] if e.event_type == "message" and effort.holds(e)]
        if effort.kind == "campaign":
            left = [any(at < end <= at + DAY_MS for at in posts) for end in mine["end_ms"]]
        else:
            left = [effort.start <= end < effort.end + DAY_MS for end in mine["end_ms"]]
        return {
            str(row.member_id): int(row.end_ms)
            for row in mine[pd.Series(left, mine.index, bool)].sort_values("end_ms")[::-1].itertuples()
        }

    def quitters(self) -> pd.DataFrame:
        """A row per effort and member who quit."""
        rows = [
            effort.key | {"member_id": member, "quit_at": pd.Timestamp(at, unit="ms", tz="UTC")}
            for effort in self.efforts
            for member, at in self.quits(effort).items()
        ]
        return pd.DataFrame(rows)

    def results(self) -> pd.DataFrame:
        """A row per effort and community."""
        rows = []
        for effort in self.efforts:
            parts, orders, base = self.parts[id(effort)].values(), self.orders_of(effort), self.baseline(effort)
            currency = effort.rules.get("currency") or _main_currency(orders)
            mine = [order for order in orders if order["currency"] == currency]
            row = effort.key | {
                "participants": sum(member["took"] for member in parts),
                "new_members": sum(member["new"] for member in parts),
                "retained_30d": sum(member["retained"] or 0 for member in parts),
                "judged_30d": sum(member["retained"] is not None for member in parts),
                "orders": len(orders),
                "carrying_orders": sum(order["carries"] for order in orders),
                "buyers": len({order["member_id"] for order in orders}),
                "coupon_orders": sum(order["with_coupon"] for order in orders),
                "currency": currency,
                "gmv_minor": sum(order["amount_minor"] for order in mine),
                "net_gmv_minor": sum(order["amount_minor"] - order["refunded_minor"] for order in mine),
                "quits_24h": len(self.quits(effort)),
                "baseline_weeks": base["baseline_weeks"],
                "activity": base["activity"],
                "community_orders": base["orders"],
            }
            for what, seen in (("activity", base["activity"]), ("orders", base["orders"])):
                row |= uplift(what, seen, base[f"{what}_before"])
            rows.append(row)
        return pd.DataFrame(rows)

    def totals(self) -> pd.DataFrame:
        """A row per effort over all its communities, each person (an account of a platform) and order once."""
        platforms = self.raw.frame.dropna(subset="platform").groupby("community_id")["platform"].min()
        parts, orders = self.participants(), self.orders()
        for table in (parts, orders):
            table["person"] = table["community_id"].map(platforms).fillna("") + ":" + table["member_id"]
        rows = []
        for (name, kind), group in self.results().groupby(["effort_id", "kind"]):
            mine = parts[(parts["effort_id"] == name) & (parts["kind"] == kind)]
            bought = orders[(orders["effort_id"] == name) & (orders["kind"] == kind)]
            assert bought["order_id"].is_unique
            bases = [self.baseline(effort) for effort in self.efforts if (effort.name, effort.kind) == (name, kind)]
            weeks = min(base["baseline_weeks"] for base in bases)  # 0 when it lasted too long in one of them
            before = [sum(base["orders_before"][week] for base in bases) for week in range(weeks)]
            rows.append(
                {
                    "effort_id": name,
                    "kind": kind,
                    "communities": len(group),
                    "participants": mine[mine["took_part"] == 1]["person"].nunique(),
                    "new_members": mine[mine["is_new"] == 1]["person"].nunique(),
                    "retained_30d": mine[mine["retained_30d"] == 1]["person"].nunique(),
                    "orders": len(bought),
                    "buyers": bought["person"].nunique(),
                    "quits_24h": group["quits_24h"].sum(),
                    **uplift("orders", sum(base["orders"] for base in bases), before),
                }
            )
        return pd.DataFrame(rows)


def uplift(what: str, seen: int, before: list[int]) -> dict[str, float | None]:
    """What was seen against the weeks before, with Student's interval of a new observation."""
    names = [f"{what}_expected", f"{what}_uplift", f"{what}_uplift_low", f"{what}_uplift_high"]
    if len(before) < 2:
        return dict.fromkeys(names)
    mean = statistics.mean(before)
    spread = max(statistics.variance(before), (seen + sum(before)) / (len(before) + 1))
    reach = student_t(0.975, len(before) - 1) * math.sqrt(spread * (1 + 1 / len(before)))
    return dict(zip(names, (mean, seen - mean, seen - mean - reach, seen - mean + reach), strict=True))


def _main_currency(orders: list[dict[str, Any]]) -> str:
    counts = Counter(order["currency"] for order in orders)
    return max(counts, key=lambda code: (counts[code], code)) if counts else ""


def content_effect(raw: RawEvents) -> pd.DataFrame:
    """A row per community, kind, label and whether staff posted: every post is followed by hand."""
    interaction = set(raw.sql("select distinct kind from event where interacts")["kind"])
    counts: dict[tuple[str, str, str, int], Counter[str]] = defaultdict(Counter)
    stays = memberships(raw)
    for community, events in raw.frame.groupby("community_id"):
        last = events["time_ms"].max()
        orders = events[events["paid"]]["time_ms"].to_numpy()
        mine = stays[
            (stays["community_id"] == community) & (stays["quit"] == 1) & ~stays["role"].isin(["staff", "bot"])
        ]
        quits = mine["end_ms"].to_numpy(dtype="float64")
        about: dict[str, list[Any]] = defaultdict(list)
        messages = events[events["event_type"] == "message"]
        for event in messages.itertuples():
            talks = event.kind not in interaction
            target = event.reply_to if isinstance(event.reply_to, str) and (talks or event.kind == "reaction") else None
            if target is None and event.kind == "reaction" and isinstance(event.object_id, str):
                target = event.object_id
            if target is not None:
                about[target].append(event)
        for post in messages.itertuples():
            if post.kind in interaction or post.time_ms + DAY_MS > last:
                continue
            kind = post.kind if post.kind in KINDS else "other"
            others = [answer for answer in about[post.event_id] if answer.member_id != post.member_id]
            for label in {"", *post.labels}:
                cell = counts[community, kind, label, int(post.of_staff)]
                cell["posts"] += 1
                cell["reactions"] += sum(answer.kind == "reaction" for answer in others)
                cell["replies"] += sum(answer.kind != "reaction" for answer in others)
                cell["orders_24h"] += int(((orders > post.time_ms) & (orders <= post.time_ms + DAY_MS)).sum())
                cell["quits_24h"] += int(((quits > post.time_ms) & (quits <= post.time_ms + DAY_MS)).sum())
    names = ["posts", "replies", "reactions", "orders_24h", "quits_24h"]
    rows = [(*key, *(cell[name] for name in names)) for key, cell in counts.items()]
    return pd.DataFrame(rows, columns=["community_id", "kind", "label", "by_staff", *names])


KINDS = {"text", "image", "video", "audio", "file", "link", "sticker", "mini_program", "share", "poll", "other"}


def newcomers_answered(raw: RawEvents) -> pd.DataFrame:
    """A row per community: newcomers answered or not, and who stayed."""
    stays = memberships(raw)
    stays = stays[~stays["role"].isin(["staff", "bot"])]
    rows = []
    for community, events in raw.frame.groupby("community_id"):
        last = events["time_ms"].max()
        spoken = dict(list(events[events["speaks"]].sort_values(["time_ms", "event_id"]).groupby("member_id")))
        joined = events[events["action"] == "joined"].groupby("member_id")["time_ms"].min()
        told = events[
            (events["event_type"] == "message") & (events["reply_to"].notna() | events["reply_to_member_id"].notna())
        ]
        tally: Counter[str] = Counter()
        mine = stays[stays["community_id"] == community]
        for member, at in joined.items():
            if at + 31 * DAY_MS > last or member not in spoken:
                continue
            first = spoken[member]
            first = first[(first["time_ms"] >= at) & (first["time_ms"] <= at + 7 * DAY_MS)]
            own = mine[mine["member_id"] == member]
            if first.empty or own.empty:
                continue
            message = first.iloc[0]
            near = told[(told["time_ms"] >= message["time_ms"]) & (told["time_ms"] <= message["time_ms"] + DAY_MS)]
            near = near[near["member_id"] != member]
            answered = bool(((near["reply_to"] == message["event_id"]) | (near["reply_to_member_id"] == member)).any())
            later = at + 30 * DAY_MS
            stayed = bool(((own["start_ms"] <= later) & (own["end_ms"].isna() | (own["end_ms"] > later))).any())
            tally["answered" if answered else "unanswered"] += 1
            tally["answered_stayed" if answered else "unanswered_stayed"] += stayed
        if tally:
            names = ["answered", "answered_stayed", "unanswered", "unanswered_stayed"]
            rows.append((community, tally["answered"] + tally["unanswered"], *(tally[name] for name in names)))
    return pd.DataFrame(
        rows, columns=["community_id", "newcomers", "answered", "answered_stayed", "unanswered", "unanswered_stayed"]
    )
