"""ClickHouse: version, settings, migrations, clock, disks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sinks.clickhouse import INSERT_SETTINGS, ClickHouse
from sinks.migrate import pending
from sinks.schema import STATE
from streams.doctor.findings import Finding, ok, skipped, warning, wrong
from streams.doctor.kafka import ALLOWED_SKEW_SECONDS
from streams.errors import FatalSinkError

TESTED_VERSION = (26, 9)
"""The release line whose engine the tests run on."""
ACCESS_DENIED = 497  # ClickHouse's own number
LOW_DISK_SHARE = 0.1
LOW_DISK_BYTES = 2 << 30


def look_at_version(clickhouse: ClickHouse) -> Finding:
    """Whether it is as new as the one under test."""
    version = str(clickhouse.scalar("SELECT version()"))
    tested = ".".join(str(number) for number in TESTED_VERSION)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < TESTED_VERSION:
        return warning(
            "ClickHouse version",
            f"{version} is older than {tested}, which everything is tested with",
            f"upgrade to {tested} or later, or run the tests against yours",
        )
    return ok("ClickHouse version", f"{version} at {clickhouse.where}")


def look_at_settings(clickhouse: ClickHouse) -> Finding:
    """Whether our user may set what a checkpoint needs, and whether nothing hangs on the state table."""
    names = ", ".join(f"'{name}'" for name in (*INSERT_SETTINGS, "readonly"))
    rows = clickhouse.rows(f"SELECT name, value, min, max, readonly FROM system.settings WHERE name IN ({names})")
    attached = clickhouse.rows(
        "SELECT concat(database, '.', name) FROM system.tables WHERE engine = 'MaterializedView' "
        f"AND create_table_query LIKE '%{STATE}%'"
    )
    return judge_settings(rows, [str(name) for (name,) in attached])


def judge_settings(rows: Sequence[tuple[Any, ...]], attached: Sequence[str]) -> Finding:
    """`rows` are (name, value, min, max, readonly) of system.settings; `attached` the views on the state table."""
    found = {name: (value, least, most, bool(fixed)) for name, value, least, most, fixed in rows}
    check = "ClickHouse settings"
    if found.get("readonly", ("0",))[0] != "0":
        return wrong(
            check,
            "the user may only read",
            "set clickhouse_user to one that may write to qunpulse_store; `bi` is for people",
        )
    refused = []
    for name, wanted in INSERT_SETTINGS.items():
        value, least, most, fixed = found.get(name, (str(wanted), None, None, False))
        same = str(value) == str(wanted)
        if (fixed and not same) or _beyond(wanted, least, most):
            refused.append(f"{name} (must be {wanted})")
    if refused:
        return wrong(
            check,
            f"the user's profile does not let it set {', '.join(refused)}",
            "take these constraints off its settings profile: a checkpoint must be one block, answered when written",
        )
    if attached:
        return wrong(
            check,
            f"materialized views read {STATE}: {', '.join(attached)}",
            "drop them: with them a checkpoint is two writes, of which one can fail alone",
        )
    return ok(check, "a checkpoint can be one block, answered when it is written")


def look_at_migrations(clickhouse: ClickHouse) -> Finding:
    """Whether tables and views are those of this release."""
    try:
        missing = pending(clickhouse)
    except FatalSinkError as error:
        return wrong("migrations", str(error), "see the message")
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        return wrong("migrations", f"not applied: {shown}", "apply them with `qunpulse migrate`")
    return ok("migrations", "tables and views are those of this release")


def look_at_clock(clickhouse: ClickHouse, now: Callable[[], float] = time.time) -> Finding:
    """ClickHouse's clock against ours; what the answer took on its way is given to it."""
    before = now()
    theirs = float(clickhouse.scalar("SELECT toUnixTimestamp64Milli(now64(3))")) / 1000
    after = now()
    skew = max(0.0, theirs - after, before - theirs)
    if skew > ALLOWED_SKEW_SECONDS:
        direction = "ahead of" if theirs > after else "behind"
        return wrong(
            "clock of ClickHouse",
            f"it is {skew:.1f} s {direction} this machine's",
            "synchronise the clocks (NTP) of ClickHouse and of this machine",
        )
    return ok("clock of ClickHouse", f"it agrees with this machine's to {max(after - before, 0.001):.3f} s")


def look_at_disks(clickhouse: ClickHouse) -> Iterable[Finding]:
    """A line for each disk of ClickHouse."""
    try:
        disks = clickhouse.rows("SELECT name, unreserved_space, total_space FROM system.disks ORDER BY name")
    except FatalSinkError as error:
        if error.code != ACCESS_DENIED:
            raise
        yield skipped("ClickHouse disks", "the user may not see them; look as owner, who may")
        return
    for name, free, total in disks:
        yield judge_disk(f"ClickHouse disk {name}", int(free), int(total))


def judge_disk(check: str, free: int, total: int) -> Finding:
    """Wrong when a tenth or 2 GiB is left: merges need room, and a full disk stops every worker."""
    if not 0 < total < 1 << 62:
        return ok(check, "it has no end of its own (an object store)")
    says = f"{free / 2**30:,.1f} of {total / 2**30:,.1f} GiB are free"
    if free < LOW_DISK_BYTES or free < LOW_DISK_SHARE * total:
        return wrong(check, says, "free some space or give it a larger disk; when it is full, workers wait")
    return ok(check, says)


def _beyond(wanted: object, least: object, most: object) -> bool:
    if not isinstance(wanted, int):
        return False
    below = least not in (None, "") and wanted < int(str(least))
    return below or (most not in (None, "") and wanted > int(str(most)))
