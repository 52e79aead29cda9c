"""The feeds that the tour asks: three real ones, and a simulated one for what the real ones do not tell."""

from __future__ import annotations

import csv
import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.errors import InputError
from streams.simulation import Plan, simulate

SIMULATED = "simulated"
SHOP = "wecom:门店福利一群"
PLAN = Plan(events=90_000, seed=48, communities=6, days=366, start=dt.date(2024, 1, 1))

EVENTS: dict[str, Any] = {
    "618 晚场": {
        "kind": "flash_sale",
        "communities": [SHOP],
        "start": "2024-06-18T20:00:00",
        "end": "2024-06-18T23:00:00",
        "cost_minor": 2_000,
        "currency": "CNY",
        "goal": {"figure": "net_gmv_minor", "target": 50_000},
        "attribution_days": 7,
    },
    "夏日读书夜": {
        "kind": "topic_evening",
        "communities": ["wecom:上海读书会"],
        "start": "2024-07-25T19:00:00",
        "end": "2024-07-25T22:00:00",
    },
    "城市跑": {
        "kind": "offline",
        "communities": ["wechat:跑步打卡群"],
        "start": "2024-09-14",
        "end": "2024-09-15",
    },
    "双十一": {
        "kind": "flash_sale",
        "communities": [SHOP, "wechat:宝妈育儿交流"],
        "start": "2024-11-09",
        "end": "2024-11-11",
        "cost_minor": 10_000,
        "currency": "CNY",
        "goal": {"figure": "orders", "target": 20},
        "attribution_days": 3,
    },
}
"""What the rules file of the simulated feed says took place; the simulator did nothing special at these times."""

_COMMAND = (sys.executable, "-m", "streams.cli.main")


@dataclass(frozen=True, slots=True)
class RealFeed:
    """Files below the folder of the real feeds, and what the rules file says of their communities."""

    files: tuple[str, ...]
    rules: dict[str, Any]


REAL = {
    "qa_load": RealFeed(
        ("qa_load/messages.ndjson.gz", "qa_load/joins.ndjson.gz", "qa_load/referrals.ndjson.gz"),
        {"communities": {"telegram:qa_load": {"name": "QA Load", "timezone": "Asia/Tbilisi"}}},
    ),
    "gitter": RealFeed(("freecodecamp_gitter/messages.ndjson.gz",), {}),
    "online_retail": RealFeed(("online_retail/orders.ndjson.gz",), {}),
}


def land(name: str, shared: Path, folder: Path) -> Path:
    """Send a feed through Kafka, a worker and ClickHouse with `qunpulse demo`; returns the data folder.

    What was landed there before is not fed again. Raises InputError when the feed is not there or does not land.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rules, data = folder / f"{name}.rules.yaml", folder / name
    if name == SIMULATED:
        files = [folder / "simulated.ndjson"]
        described = _simulated(files[0])
    else:
        files = [shared / file for file in REAL[name].files]
        described = REAL[name].rules
    rules.write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding="utf-8")  # JSON is YAML
    _run("demo", "--events", *map(str, files), "--rules", str(rules), "--data", str(data))
    if name == SIMULATED:
        accounts = folder / "accounts.csv"
        _pair_accounts(files[0], accounts)
        _run("identities", "import", str(accounts), "--data", str(data))
    return data


def _run(*arguments: str) -> None:
    done = subprocess.run([*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise InputError(f"qunpulse {' '.join(arguments)} failed: {said[-1] if said else 'it said nothing'}")


def _simulated(path: Path) -> dict[str, Any]:
    """Write the simulated feed, unless it is there; returns its rules with an event, touches and rewards in them."""
    feed = simulate(PLAN)
    if not path.exists():
        path.write_bytes(b"".join(line + b"\n" for line in feed.lines))
    return feed.rules | {"events": EVENTS, "touches": {"enabled": True, "max_promotions_7d": 1000}}


def _pair_accounts(feed: Path, path: Path) -> None:
    """Say that the first accounts of wechat and of wecom are the same persons: made up, as the feed is."""
    seen: dict[str, dict[str, None]] = {"wechat": {}, "wecom": {}}
    with feed.open(encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if event["platform"] in seen and "member_id" in event:
                seen[event["platform"]][event["member_id"]] = None
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("platform", "member_id", "person_id"))
        for number, pair in enumerate(zip(seen["wechat"], seen["wecom"], strict=False)):
            if number == 100:
                break
            rows.writerows(
                (platform, account, f"person-{number}") for platform, account in zip(seen, pair, strict=True)
            )
