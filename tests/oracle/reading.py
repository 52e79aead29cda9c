"""Raw files to events in the order a feeder would send them."""

import datetime as dt
import gzip
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import msgspec

Event = dict[str, Any]

TOPIC_OF = {
    "message": "community.messages.v1",
    "join": "community.joins.v1",
    "order": "community.orders.v1",
    "referral": "community.referrals.v1",
}

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def milliseconds(text: str) -> int:
    """RFC 3339 time → milliseconds since 1970 UTC, truncated."""
    since = dt.datetime.fromisoformat(text.upper()) - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def read_events(paths: Iterable[str | Path], *, skip_lines: Container[tuple[str, int]] = ()) -> list[tuple[str, Event]]:
    """Every event of the files as (topic, event), sorted by time; equal times keep file and line order.

    `skip_lines` holds (file name, line number from 1) of lines that are known to be broken; any other broken
    line is an error, because an oracle that guesses what is valid would hide what it is there to find.
    """
    events: list[tuple[int, str, Event]] = []
    for path in map(Path, paths):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if (path.name, number) in skip_lines or not line.strip():
                    continue
                event = msgspec.json.decode(line)
                events.append((milliseconds(event["occurred_at"]), TOPIC_OF[event["event_type"]], event))
    events.sort(key=lambda entry: entry[0])
    return [(topic, event) for _, topic, event in events]
