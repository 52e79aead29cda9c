"""How long every view takes for one community of many: `python -m tests.bench.views`.

A year of 100 communities with 10,000,000 events goes into the base tables (tests/bench/views_feed.py) and is kept in
build/bench-views, so that only the first run makes it up. What the views answer is checked against each other and the
base tables before any time is printed. Each view is then read whole, `SELECT * … WHERE community_id = …`, for the
largest community and for the median one: the least of three times by the clock, what of the processor that one took
(below the clock's where disks are waited for, above where both cores work), and the rows the server read. A view that
takes longer than `LIMIT_SECONDS` is cut off there, so a run ends. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from infra.embedded.clickhouse import ClickHouseServer
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate, migrations, views
from tests.bench import views_feed, views_feed_side
from tests.bench.views_feed import Shape, fill, shapes

GOAL_SECONDS = 1.0
LIMIT_SECONDS = 20
KEPT = Path("build/bench-views")


@dataclass(frozen=True)
class Reading:
    """One view read for one community; `seconds` is infinite when it was cut off."""

    seconds: float
    processor_seconds: float
    rows_read: int
    rows: int


def read(server: ClickHouseServer, view: str, where: str, times: int = 3) -> Reading:
    """The quickest of several readings of a view; one is enough when it is far from the goal."""
    best = Reading(float("inf"), float("inf"), 0, 0)
    query = urllib.parse.urlencode(
        {"query": f"SELECT * FROM qunpulse.{view} {where} FORMAT ArrowStream", "max_execution_time": LIMIT_SECONDS}
    )
    for _ in range(times):
        begun, used = time.monotonic(), _processor_seconds(server)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/?{query}", data=b"", timeout=600) as answer:
                table = answer.read()
                summary = json.loads(answer.headers["X-ClickHouse-Summary"])
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            if "TIMEOUT_EXCEEDED" not in said:
                raise SystemExit(f"view {view} cannot be read: {said}") from error
            return best
        seconds, used = time.monotonic() - begun, _processor_seconds(server) - used
        if seconds < best.seconds:
            rows = pa.ipc.open_stream(table).read_all().num_rows if table else 0
            best = Reading(seconds, used, int(summary["read_rows"]), rows)
        if seconds > 3 * GOAL_SECONDS:
            break
    return best


def _processor_seconds(server: ClickHouseServer) -> float:
    """What the server's process has used so far; unlike the clock it says the same on a busy machine."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check(clickhouse: ClickHouse, community: str) -> None:
    """Compare views with the base tables and with each other; SystemExit names what differs."""
    claims = {
        "dau is the active members of a day, but for staff who bought": """
            SELECT count() FROM qunpulse.active_members_daily AS a
            INNER JOIN qunpulse.activity_1d AS b ON a.community_id = b.community_id AND a.day = b.window_start
            WHERE a.community_id = {c:String} AND NOT (a.dau BETWEEN b.active_members - 5 AND b.active_members)""",
        "mau is what a count of members over 30 days says": """
            SELECT (SELECT mau FROM qunpulse.active_members_daily WHERE community_id = {c:String}
                    ORDER BY local_date DESC LIMIT 1 OFFSET 100)
                != (SELECT uniqExactIf(member_id, messages + interactions > 0 OR orders > 0 AND role != 'staff')
                    FROM (SELECT * FROM qunpulse.member_days WHERE community_id = {c:String}) AS d
                    INNER JOIN (SELECT member_id, role FROM qunpulse.members WHERE community_id = {c:String}) AS m
                    USING (member_id)
                    WHERE day > (SELECT day FROM qunpulse.local_days WHERE community_id = {c:String}
                                 ORDER BY local_date DESC LIMIT 1 OFFSET 130)
                      AND day <= (SELECT day FROM qunpulse.local_days WHERE community_id = {c:String}
                                  ORDER BY local_date DESC LIMIT 1 OFFSET 100))""",
        "the roster ends with the members who have not left": """
            SELECT (SELECT countIf(until IS NULL) FROM qunpulse.roster_spells WHERE community_id = {c:String})
                < (SELECT countIf(status = 'active') FROM qunpulse.members WHERE community_id = {c:String})""",
        "money of the days is the money landed": """
            SELECT (SELECT (sum(gmv_minor), sum(refunded_minor), sum(orders)) FROM qunpulse.revenue_daily
                    WHERE community_id = {c:String})
                != (SELECT (sum(gmv_minor), sum(refunded_minor), sum(orders)) FROM qunpulse.revenue_1d
                    WHERE community_id = {c:String})""",
        "a strict sequence is no longer than any order": """
            SELECT (SELECT sum(referred) FROM qunpulse.funnel_aarrr_strict WHERE community_id = {c:String})
                > (SELECT sum(referred) FROM qunpulse.funnel_aarrr WHERE community_id = {c:String})""",
        "bounded retention is no more than unbounded": """
            SELECT count() FROM qunpulse.retention_cohorts
            WHERE community_id = {c:String} AND active_bounded > active_unbounded""",
        "every message of a member waits for an answer": """
            SELECT (SELECT sum(messages) / 2 FROM qunpulse.response_times_monthly WHERE community_id = {c:String})
                != (SELECT sum(messages) FROM qunpulse.activity_1d WHERE community_id = {c:String})""",
    }
    wrong = [claim for claim, query in claims.items() if clickhouse.scalar(query, {"c": community})]
    if wrong:
        raise SystemExit(f"wrong answer for {community}: it does not hold that {'; '.join(wrong)}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--communities", type=int, default=100)
    parser.add_argument("--views", nargs="*", help="only these")
    asked = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    folder = _folder(asked.events, asked.communities)
    server = ClickHouseServer(folder, port=0)
    server.start()
    try:
        clickhouse = ClickHouse.connect("127.0.0.1", server.port, timeout_seconds=3600)
        migrate(clickhouse)
        made = _made(clickhouse, folder / "filled", asked.events, asked.communities, say)
        if not asked.views:
            check(clickhouse, made[0].community_id)
        _report(clickhouse, server, made, asked.views)
    finally:
        server.stop()


def _folder(events: int, communities: int) -> Path:
    """Where the made-up data is kept: another folder when the tables or what goes into them changed."""
    modules = [Path(one.__file__).read_text(encoding="utf-8") for one in (views_feed, views_feed_side)]
    text = "".join([*modules, *(one.checksum for one in migrations())])
    folder = KEPT / f"{events}-{communities}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    for older in KEPT.glob(f"{events}-{communities}-*"):
        if older != folder or not (folder / "filled").exists():  # a run that broke off left half of it
            shutil.rmtree(older)
    return folder


def _made(clickhouse: ClickHouse, mark: Path, events: int, communities: int, say: Callable[[str], None]) -> list[Shape]:
    """The communities, filled now or by an earlier run."""
    if mark.exists():
        return shapes(events, communities)
    begun = time.monotonic()
    made = fill(clickhouse, events, communities, say)
    say(f"the base tables were filled in {time.monotonic() - begun:.0f} s")
    while clickhouse.scalar("SELECT count() FROM system.merges"):  # as on a server that is not being filled
        time.sleep(0.5)
    mark.touch()
    return made


def _report(clickhouse: ClickHouse, server: ClickHouseServer, made: list[Shape], only: list[str] | None) -> None:
    largest, median = made[0].community_id, made[len(made) // 2].community_id
    sizes = dict(clickhouse.rows("SELECT community_id, count() FROM qunpulse_store.events GROUP BY 1"))
    print(f"events: {sum(sizes.values()):,}; largest community {sizes[largest]:,}, median {sizes[median]:,}")
    print(f"{'view':<30} {'largest s':>10} {'cpu s':>8} {'median s':>10} {'rows read':>12} {'rows':>9}")
    slow, taken = {}, {}
    for name in sorted(view.name for view in views()):
        if only and name not in only:
            continue
        conditions = [_condition(clickhouse, name, community) for community in (largest, median)]
        first = read(server, name, conditions[0])
        second = read(server, name, conditions[1]) if conditions[1] else first
        taken[name] = round(first.seconds, 3)
        if conditions[0] and first.seconds >= GOAL_SECONDS:
            slow[name] = taken[name]
        print(
            f"{name:<30} {first.seconds:>10.3f} {first.processor_seconds:>8.2f} {second.seconds:>10.3f} "
            f"{first.rows_read:>12,} {first.rows:>9,}{'' if conditions[0] else '  (has no community: read whole)'}",
            flush=True,
        )
    print(json.dumps({"events": sum(sizes.values()), "views": len(taken), "slower_than_1_s": slow, "seconds": taken}))


def _condition(clickhouse: ClickHouse, view: str, community: str) -> str:
    """What asks a view for one community, or for the campaign that one community has; empty where it has neither."""
    asked = {"community_id": community, "campaign_id": f"bring-a-friend-{community[-3:]}"}
    columns = {name for name, *_ in clickhouse.rows(f"DESCRIBE TABLE qunpulse.{view}")}
    return next((f"WHERE {name} = '{said}'" for name, said in asked.items() if name in columns), "")


if __name__ == "__main__":
    main()
