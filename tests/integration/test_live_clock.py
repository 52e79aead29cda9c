"""What time it is for a community in live mode: the clock on the wall moves its windows on when nothing happens."""

from __future__ import annotations

import time

from schemas.topics import MESSAGES
from tests.batches import HOUR_MS, event
from tests.pipeline import Pipeline

SENT = 10


def test_silence_moves_rolling_windows_on_once_a_partition_is_caught_up(pipeline: Pipeline) -> None:
    three_hours_ago = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    pipeline.send((MESSAGES, event("message", f"e{n}", three_hours_ago + n, "静")) for n in range(SENT))
    pipeline.start_worker(clock_mode="live")
    pipeline.wait_landed()

    def windows() -> dict[str, int]:
        return dict(pipeline.clickhouse.rows("SELECT window, messages FROM qunpulse.activity_now WHERE messages > 0"))

    longer = dict.fromkeys(("24h", "7d", "30d"), SENT)  # by its own events alone the last hour would have them too
    pipeline.wait(lambda: windows() == longer, "the hour in which nothing happened shows messages")
