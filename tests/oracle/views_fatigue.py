"""Stays, promotions before each day, and what members did then: one member and one day after the other."""

import bisect
import datetime as dt
import math
from collections import defaultdict
from statistics import NormalDist
from typing import Any

import pandas as pd

from tests.oracle.view_events import RawEvents

WEEK_MS = 168 * 3_600_000
RANK = ("present", "joined", "left", "removed", "gone")


def memberships(raw: RawEvents) -> pd.DataFrame:
    """A row per stay, by walking through each member's roster events."""
    frame = raw.frame
    first_seen = frame.groupby(["community_id", "member_id"])["time_ms"].min().to_dict()
    told: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for row in frame[frame["event_type"] == "join"].itertuples():
        told[row.community_id, row.member_id].append((row.time_ms, RANK.index(row.action), row.action))
    rows = []
    for member in raw.sql("select community_id, member_id, role, status, left_at from member").itertuples():
        key = (member.community_id, member.member_id)
        acts = sorted(told[key])
        since: tuple[int, str] | None = None
        if not acts or acts[0][2] != "joined":
            since = (first_seen[key], "observed")
        for at, _, action in acts:
            if action in ("joined", "present"):
                since = since or (at, action)
            elif since is not None:
                rows.append((*key, member.role, *since, at, action))
                since = None
        if since is not None:
            missing = member.status == "left"
            end = member.left_at.value // 1_000_000 if missing else None
            rows.append((*key, member.role, *since, end, "missing" if missing else ""))
    names = ["community_id", "member_id", "role", "start_ms", "started_by", "end_ms", "ended_by"]
    table = pd.DataFrame(rows, columns=names)
    table = table[table["end_ms"].isna() | (table["start_ms"] < table["end_ms"])].copy()
    table["quit"] = table["ended_by"].isin(["left", "gone"]).astype(int)
    table["starts_at"] = pd.to_datetime(table["start_ms"], unit="ms", utc=True)
    table["ends_at"] = pd.to_datetime(table["end_ms"], unit="ms", utc=True)
    return table


def promotion_exposure(raw: RawEvents) -> pd.DataFrame:
    """A row per community, day and dose."""
    stays = memberships(raw)
    stays = stays[~stays["role"].isin(["staff", "bot"])]
    posted = raw.frame[(raw.frame["event_type"] == "message") & raw.frame["is_promotion"].astype(bool)]
    promotions = {c: sorted(group["time_ms"]) for c, group in posted.groupby("community_id")}
    acts = raw.sql(
        "select community_id, member_id, local_date from member_day where messages + interactions + orders > 0"
    )
    active: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in acts.itertuples():
        active[row.community_id, row.member_id].add(_date(row.local_date).toordinal())
    cells: dict[tuple[str, dt.date, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    calendars = dict(iter(raw.sql("select * from calendar order by local_date").groupby("community_id")))
    for stay in stays.itertuples():
        calendar, times = calendars.get(stay.community_id), promotions.get(stay.community_id, [])
        if calendar is None:
            continue
        dates, starts = [_date(day).toordinal() for day in calendar["local_date"]], list(calendar["day_ms"])
        mine = active[stay.community_id, stay.member_id]
        for place in range(bisect.bisect_left(starts, stay.start_ms), len(starts) - 1):
            at, date = starts[place], dates[place]
            if stay.end_ms <= at:
                break
            seen_from = max(stay.start_ms, at - WEEK_MS)
            dose = bisect.bisect_left(times, at) - bisect.bisect_left(times, seen_from)
            cell = cells[stay.community_id, dt.date.fromordinal(date), dose]
            cell[0] += 1
            cell[1] += stay.quit and stay.end_ms <= starts[place + 1]
            if date + 6 < dates[-1] and any(date - n in mine for n in range(1, 8)):
                cell[2] += 1
                cell[3] += not any(date + n in mine for n in range(7))
    names = ["members", "quits", "recently_active", "fell_silent"]
    rows = [(*key, *cell) for key, cell in cells.items()]
    return pd.DataFrame(rows, columns=["community_id", "local_date", "dose", *names])


def rising_dose(exposure: pd.DataFrame) -> dict[str, Any]:
    """The likeliest step of one community's exposure, by trying every dose."""
    n, q = int(exposure["members"].sum()), int(exposure["quits"].sum())
    share = q / n
    days = exposure.groupby("local_date")[["members", "quits"]].sum()
    expected = days["members"] * share
    spread = ((days["quits"] - expected) ** 2 / (expected * (1 - share))).sum() / max(1, len(days) - 1) if q else 1.0
    dispersion = max(1.0, float(spread)) if len(days) > 1 and q < n else 1.0
    gains: dict[int, float] = {}
    doses = sorted(set(exposure["dose"]))
    for dose in doses[1:]:
        low, high = exposure[exposure["dose"] < dose], exposure[exposure["dose"] >= dose]
        parts = [(int(side["members"].sum()), int(side["quits"].sum())) for side in (low, high)]
        rates = [quits / members for members, quits in parts]
        gain = 2 * (sum(_likelihood(*part) for part in parts) - _likelihood(n, q)) / dispersion
        gains[dose] = gain if rates[1] > rates[0] else 0.0
    best = max(gains.values(), default=0.0)
    needed = NormalDist().inv_cdf(1 - 0.05 / max(1, len(doses) - 1))
    rises = math.sqrt(max(0.0, best)) > needed
    likely = [dose for dose, gain in gains.items() if gain > 0 and gain >= best - 3.841459]
    found = {"member_days": n, "quits": q, "dispersion": dispersion, "rises": int(rises)}
    if not rises:
        return found | {"dose": None, "dose_low": None, "dose_high": None}
    step = min(dose for dose, gain in gains.items() if gain == best)
    return found | {"dose": step, "dose_low": min(likely), "dose_high": max(likely)}


def _likelihood(n: int, q: int) -> float:
    return sum(count * math.log(count / n) for count in (q, n - q) if count)


def _date(day: Any) -> dt.date:
    return pd.Timestamp(day).date()
