"""Speed and memory of a referral forest in one process: `python -m tests.bench.referrals`.

Facts as they stand in Kafka go in, rows as they go to ClickHouse come out; a flush every 100,000 edges. Every answer is
checked against the tree it was made from before any figure is printed. The last line is one JSON object. Times are this
process's processor time; `edges_per_second` is counted by the shape's own edges. The `bytes_a_node` of a shape are what
its columns fill; those of the last line are all that Python and numpy hold, room to grow and lists of names included.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import tracemalloc

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.facts import EdgeFact, QualifiedFact, StaffFact, encode, fact_id
from schemas.topics import REFERRAL_FACTS
from streams.operators.referral_forest import ReferralForest

CAMPAIGN, COMMUNITY = "春季拉新", "wecom:群-001"
BATCH, FLUSH = 20_000, 100_000
START_MS = 1_767_225_600_000

Parents = npt.NDArray[np.int64]


def edge(number: int, parent: int, at_ms: int | None = None, event: str = "") -> bytes:
    """The fact that a node brought another one, in a record's value."""
    event_id = event or f"ev-{number:012d}"
    return encode(
        EdgeFact(
            fact_id=fact_id("edge", CAMPAIGN, COMMUNITY, "referral", event_id), revision=1, campaign_id=CAMPAIGN,
            community_id=COMMUNITY, occurred_at=START_MS + number * 10 if at_ms is None else at_ms,
            referee_id=f"wm{number:010d}", referrer_id=f"wm{parent:010d}", origin="referral", event_id=event_id,
            via="link",
        )
    )  # fmt: skip


def qualified(number: int) -> bytes:
    """The fact that a node's credit has matured."""
    about = fact_id("qualified", CAMPAIGN, COMMUNITY, f"wm{number:010d}")
    return encode(
        QualifiedFact(
            fact_id=about, revision=1, campaign_id=CAMPAIGN, community_id=COMMUNITY, occurred_at=START_MS,
            referee_id=f"wm{number:010d}", qualified_at=START_MS + 10**9,
        )
    )  # fmt: skip


def staff(number: int) -> bytes:
    """The fact that a member was staff from the first: whom it brought earns nothing."""
    about = fact_id("staff", CAMPAIGN, COMMUNITY, f"wm{number:010d}")
    return encode(
        StaffFact(
            fact_id=about, revision=1, campaign_id=CAMPAIGN, community_id=COMMUNITY, occurred_at=START_MS,
            referrer_id=f"wm{number:010d}", staff_from=0,
        )
    )  # fmt: skip


class Run:
    """A forest that is fed, its clock, and what was landed last of each member."""

    def __init__(self, size: int) -> None:
        self.forest = ReferralForest()
        self.seconds = 0.0
        self.rows = 0
        self._depth, self._below = np.full((2, size + 1000), -1, np.int64)

    def feed(self, values: list[bytes]) -> float:
        """Take a batch in; returns its seconds."""
        begun = time.process_time()
        self.forest.apply_side(REFERRAL_FACTS, values)
        seconds = time.process_time() - begun
        self.seconds += seconds
        return seconds

    def flush(self) -> float:
        """State rows and derived rows; returns the seconds."""
        begun = time.process_time()
        self.forest.dirty()
        derived = self.forest.derived()
        seconds = time.process_time() - begun
        self.seconds += seconds
        self.rows += sum(table.num_rows for table in derived.values())
        if "referral_nodes" in derived:
            self._note(derived["referral_nodes"])
        return seconds

    def _note(self, nodes: pa.Table) -> None:
        numbers = pc.utf8_slice_codeunits(nodes["member_id"], 2).cast(pa.int64()).to_numpy()
        self._depth[numbers] = nodes["depth"].to_numpy()
        self._below[numbers] = nodes["descendants"].to_numpy()

    def check(self, parents: Parents) -> None:
        """SystemExit unless depth and descendants of all nodes are those of the tree."""
        depth, below = np.zeros(len(parents), np.int64), np.zeros(len(parents), np.int64)
        for number in range(1, len(parents)):
            depth[number] = depth[parents[number]] + 1
        for number in range(len(parents) - 1, 0, -1):
            below[parents[number]] += below[number] + 1
        size = len(parents)
        wrong = np.count_nonzero((self._depth[:size] != depth) | (self._below[:size] != below))
        if wrong:
            raise SystemExit(f"wrong answer: {wrong} of {len(parents)} nodes differ")


def shape(name: str, size: int) -> Parents:
    """The parent of each node; parents have smaller numbers, node 0 is the root."""
    numbers = np.arange(size)
    if name == "star":
        return np.zeros(size, np.int64)
    if name == "chain":
        return np.maximum(numbers - 1, 0)
    return (np.random.default_rng(1).random(size) * np.maximum(numbers, 1)).astype(np.int64)


def measure(name: str, size: int, order: str) -> dict[str, float]:
    """Feed a shape; in the order of time, backwards, or shuffled."""
    parents = shape(name, size)
    numbers = list(range(1, size))
    if order == "reverse":
        numbers.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(numbers)
    run = Run(size)
    for start in range(0, len(numbers), BATCH):
        run.feed([edge(number, int(parents[number])) for number in numbers[start : start + BATCH]])
        if (start + BATCH) % FLUSH == 0:
            run.flush()
    run.flush()
    run.check(parents)
    seconds, nbytes = run.seconds, run.forest.nbytes
    single = sorted(one_by_one(run, size, number) for number in range(300))
    return {
        "edges": len(numbers),
        "edges_per_second": round(len(numbers) / seconds),
        "bytes_a_node": round(nbytes / size, 1),
        "rows_landed": run.rows,
        "event_in_order_milliseconds": round(single[len(single) // 2] * 1000, 2),
        "worst_in_order_milliseconds": round(single[-1] * 1000, 2),
        "worst_late_event_milliseconds": round(closing(run, size) * 1000),
        "staff_event_milliseconds": round((run.feed([staff(0)]) + run.flush()) * 1000),
    }


def one_by_one(run: Run, size: int, number: int) -> float:
    """Seconds of an event in order that comes alone, its flush included: somebody new, brought by the latest member."""
    referrer = size - 1 if number == 0 else size + number - 1
    return run.feed([edge(size + number, referrer)]) + run.flush()


def closing(run: Run, size: int) -> float:
    """Seconds of the worst event, its flush included: earlier than all others, it brings the root below a leaf.

    The tree becomes a ring that must be broken anew, so that every edge of it is taken again.
    """
    return run.feed([edge(0, size - 1, START_MS - 1, "late")]) + run.flush()


def memory(size: int) -> dict[str, float]:
    """Bytes a node that Python and numpy hold when all is landed: edges only, then with a matured credit each."""
    parents = shape("random", size)
    told = {"edges": lambda number: edge(number, int(parents[number])), "edges_and_credits": qualified}
    for fact in told.values():  # what is imported when it is first called is nobody's node
        land(ReferralForest(), [fact(number) for number in range(1, 100)])
    forest = ReferralForest()
    found = {}
    gc.collect()
    tracemalloc.start(1)
    for key, fact in told.items():
        for start in range(1, size, BATCH):
            land(forest, [fact(number) for number in range(start, min(start + BATCH, size))])
        gc.collect()
        found[f"bytes_a_node_with_{key}"] = round(tracemalloc.get_traced_memory()[0] / size, 1)
    tracemalloc.stop()
    return found


def land(forest: ReferralForest, values: list[bytes]) -> None:
    """Take facts in and give all rows away."""
    forest.apply_side(REFERRAL_FACTS, values)
    forest.dirty()
    forest.derived()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="nodes of the random tree and the star")
    asked = parser.parse_args()
    gc.freeze()  # as a worker does
    gc.set_threshold(200_000, 50, 100)
    found: dict[str, dict[str, float]] = {}
    runs: list[tuple[str, int, str]] = [
        ("random", asked.size, "in order"),
        ("star", asked.size, "in order"),
        ("chain", 100_000, "in order"),
        ("random", asked.size // 2, "reverse"),
        ("chain", 100_000, "reverse"),
        ("random", asked.size // 2, "shuffled"),
    ]
    for name, size, order in runs:
        label = f"{name} {order}"
        found[label] = measure(name, size, order)
        print(f"{label}: {found[label]}", file=sys.stderr, flush=True)
    print(json.dumps({"referrals": found, **memory(asked.size // 4)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
