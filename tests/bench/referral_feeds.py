"""Two real feeds of invitations through broker, worker and ClickHouse: `python -m tests.bench.referral_feeds [FOLDER]`.

The folder is that of the real event feeds. Every row that landed is compared with the offline rebuild before any figure
is printed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from infra.embedded.stack import EmbeddedStack
from tests.landed_referrals import check_referrals, oracle_of
from tests.oracle import read_events
from tests.oracle.referrals import ReferralOracle
from tests.pipeline import SHARED, WORKER, Pipeline

FEEDS = {
    "divvi": ("divvi/referrals.ndjson.gz",),
    "qa_load": ("qa_load/messages.ndjson.gz", "qa_load/joins.ndjson.gz", "qa_load/referrals.ndjson.gz"),
}


def figures(oracle: ReferralOracle) -> dict[str, object]:
    """What there is to tell about a feed's forests and ledgers."""
    nodes = oracle.nodes.values()
    credits_of = Counter(row["credit_state"] for row in nodes if row["credit_state"])
    rejected = Counter(row["reason"] for row in oracle.edges.values() if row["reason"])
    refused = Counter(row["reason"] for (*_, state), row in oracle.credits.items() if state == "rejected")
    return {
        "edges": len(oracle.edges),
        "linked": sum(row["state"] == "linked" for row in oracle.edges.values()),
        "members": len(oracle.nodes),
        "trees": sum(not row["parent_id"] for row in nodes),
        "deepest": max(row["depth"] for row in nodes),
        "most_direct": max(row["direct"] for row in nodes),
        "credits_of_linked": dict(sorted(credits_of.items())),
        "rejected_edges": dict(sorted(rejected.items())),
        "refused_credits": {reason: count for reason, count in sorted(refused.items()) if reason not in rejected},
    }


def main() -> None:
    """Run the feeds one after the other on one stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SHARED)
    folder_of_feeds: Path = parser.parse_args().folder
    missing = [file for files in FEEDS.values() for file in files if not (folder_of_feeds / file).exists()]
    if missing:
        raise SystemExit(f"{folder_of_feeds / missing[0]} is missing: name the folder of the real event feeds")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory(prefix="qunpulse-bench-") as folder,
        EmbeddedStack(Path(folder) / "data", say, kafka_port=0, clickhouse_port=0) as stack,
    ):
        for name, files in FEEDS.items():
            feed = read_events([folder_of_feeds / file for file in files])
            pipeline = Pipeline(stack, Path(folder))
            try:
                pipeline.send(feed)
                begun = time.monotonic()
                pipeline.start_worker(WORKER, flush_interval_seconds=1.0, insert_timeout_seconds=30)
                pipeline.wait_landed()
                seconds = time.monotonic() - begun  # the start of the worker too
                oracle = oracle_of(feed, pipeline.partitions)
                check_referrals(pipeline, oracle)
            finally:
                pipeline.close()
            found[name] = {"events": len(feed), "seconds": round(seconds, 1), **figures(oracle)}
            say(f"{name}: {found[name]}")
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
