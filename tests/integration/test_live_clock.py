"""What time it is for a community: by its own events alone, or by the clock on the wall."""

from __future__ import annotations

import time

import pytest

from schemas.topics import MESSAGES
from tests.batches import HOUR_MS, event
from tests.pipeline import Pipeline

MESSAGES_SENT = 10


def _messages(pipeline: Pipeline) -> dict[str, int]:
    return dict(pipeline.clickhouse.rows("SELECT window, messages FROM qunpulse.activity_now WHERE messages > 0"))


@pytest.mark.parametrize("clock_mode", ["live", "event"])
def test_silence_moves_rolling_windows_on_in_live_mode_only(pipeline: Pipeline, clock_mode: str) -> None:
    three_hours_ago = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    pipeline.send((MESSAGES, event("message", f"e{n}", three_hours_ago + n, "静")) for n in range(MESSAGES_SENT))
    pipeline.start_worker(clock_mode=clock_mode)
    pipeline.wait_landed()
    longer = dict.fromkeys(("24h", "7d", "30d"), MESSAGES_SENT)
    if clock_mode == "live":  # as soon as the partition is caught up
        pipeline.wait(lambda: _messages(pipeline) == longer, "the hour in which nothing happened shows messages")
    else:
        time.sleep(1)  # several flushes
        assert _messages(pipeline) == {"1h": MESSAGES_SENT} | longer
