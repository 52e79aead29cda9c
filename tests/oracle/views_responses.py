"""Time to the first response, message by message, by looking forward from each."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tests.oracle.view_events import RawEvents

Hours = Mapping[str, list[tuple[int, int, int]]]
"""By community: (weekday from Monday = 0, first minute, last minute) of local time."""
MS_PER_DAY = 86_400_000


def service_seconds(since_ms: int, until_ms: int, zone: str, hours: list[tuple[int, int, int]] | None) -> float:
    """Seconds of local wall-clock time in service hours between two instants; all seconds without hours."""
    if not hours:
        return (until_ms - since_ms) / 1000
    since, until = (
        dt.datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).replace(tzinfo=None) for at in (since_ms, until_ms)
    )
    total, day = 0.0, since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= until:
        for weekday, first, last in hours:
            if weekday == day.weekday():
                opens, closes = day + dt.timedelta(minutes=first), day + dt.timedelta(minutes=last)
                total += max(0.0, (min(until, closes) - max(since, opens)).total_seconds())
        day += dt.timedelta(days=1)
    return total


def first_responses(raw: RawEvents, hours: Hours) -> pd.DataFrame:
    """A row per message of a member; times in ms."""
    interaction = raw.rows("select distinct kind from event where interaction_kind")
    kinds = ", ".join(f"'{kind}'" for (kind,) in interaction) or "''"
    said: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for community, *message in raw.rows(
        f"""select community_id, event_id, member_id, time_ms, reply_to, is_question, role, local_date from event
            where event_type = 'message' and role <> 'bot' and kind not in ({kinds}) order by time_ms, event_id"""
    ):
        said[community].append(tuple(message))
    rows = []
    telling = {name for (name,) in raw.rows("select distinct community_id from event where reply_to is not null")}
    for community, messages in said.items():
        answers = defaultdict(list)
        for message in messages:
            answers[message[3]].append(message)
        tells = community in telling
        for place, (event_id, member, at, _, is_question, role, date) in enumerate(messages):
            if role == "staff":
                continue
            after = answers[event_id] if tells else messages[place + 1 :]
            staff_at = next((one[2] for one in after if one[5] == "staff" and one[2] >= at), None)
            peer_at = next((one[2] for one in after if one[5] != "staff" and one[1] != member and one[2] >= at), None)
            row: dict[str, Any] = {
                "community_id": community,
                "event_id": event_id,
                "member_id": member,
                "asked_at": at,
                "local_date": date,
                "is_question": is_question,
                "method": "reply_to" if tells else "next_message",
            }
            for who, answered_at in (("staff", staff_at), ("peer", peer_at)):
                zone = raw.zones.get(community, "UTC")
                row[f"{who}_at"] = answered_at
                row[f"{who}_seconds"] = None if answered_at is None else (answered_at - at) / 1000
                row[f"{who}_service_seconds"] = (
                    None if answered_at is None else service_seconds(at, answered_at, zone, hours.get(community))
                )
            rows.append(row)
    return pd.DataFrame(rows).astype(object)


def response_times(raw: RawEvents, responses: pd.DataFrame, *, monthly: bool) -> pd.DataFrame:
    """Figures of a day or month and kind of responder."""
    latest = dict(raw.rows("select community_id, max(time_ms) from event where event_type = 'message' group by 1"))
    groups: dict[tuple[Any, ...], list[tuple[int, float | None, float | None]]] = defaultdict(list)
    responses = responses.where(responses.notna(), None)
    for row in responses.to_dict("records"):
        date = row["local_date"].replace(day=1) if monthly else row["local_date"]
        for responder, name in (("staff", "staff"), ("peers", "peer")):
            waits = (row["asked_at"], row[f"{name}_seconds"], row[f"{name}_service_seconds"])
            groups[row["community_id"], date, responder, row["method"]].append(waits)
    rows = []
    for (community, date, responder, method), found in groups.items():
        waits = [wait for _, wait, _ in found if wait is not None]
        service = [wait for _, _, wait in found if wait is not None]
        old = [wait for at, wait, _ in found if at <= latest[community] - MS_PER_DAY]
        unanswered = sum(wait is None or wait > 86_400 for wait in old)
        rows.append(
            {
                "community_id": community,
                "month" if monthly else "local_date": date,
                "responder": responder,
                "method": method,
                "messages": len(found),
                "answered": len(waits),
                "median_seconds": float(np.quantile(waits, 0.5)) if waits else None,
                "p90_seconds": float(np.quantile(waits, 0.9)) if waits else None,
                "median_service_seconds": float(np.quantile(service, 0.5)) if waits else None,
                "p90_service_seconds": float(np.quantile(service, 0.9)) if waits else None,
                "old_enough": len(old),
                "unanswered_after_24h": unanswered,
                "unanswered_share": unanswered / len(old) if old else None,
            }
        )
    return pd.DataFrame(rows)
