"""Dead letters: the rows that list them, and the guard that stops a worker on a broken feed."""

from __future__ import annotations

from collections import deque

import pyarrow as pa

from streams.engine.intake import RefusedRecord
from streams.errors import BrokenFeed


def dead_letter_rows(refused: list[RefusedRecord], worker_version: str) -> pa.Table:
    """Rows of the table ``dead_letters``, with the original bytes."""
    return pa.table(
        {
            "topic": pa.array([one.topic for one in refused], pa.string()),
            "partition": pa.array([one.partition for one in refused], pa.uint16()),
            "offset": pa.array([one.offset for one in refused], pa.int64()),
            "error": pa.array([one.code for one in refused], pa.string()),
            "detail": pa.array([one.detail for one in refused], pa.string()),
            "received_at": pa.array([max(one.timestamp_ms, 0) for one in refused], pa.timestamp("ms", "UTC")),
            "key": pa.array([one.key or b"" for one in refused], pa.binary()),
            "value": pa.array([one.value or b"" for one in refused], pa.binary()),
            "worker_version": pa.array([worker_version] * len(refused), pa.string()),
        }
    )


class BrokenFeedGuard:
    """Watches the share of dead letters among recent records."""

    def __init__(self, stop_share: float, window_records: int) -> None:
        self._stop_share = stop_share
        self._window = window_records
        self._recent: deque[tuple[int, int]] = deque()
        self._records = 0
        self._dead = 0

    @property
    def share(self) -> float:
        """Share of recent records that were dead-lettered, 0 to 1."""
        return self._dead / self._records if self._records else 0.0

    def note(self, topic: str, records: int, dead: int) -> None:
        """Count freshly decoded records.

        Raises:
            BrokenFeed: the share is above the limit over a full window of records.
        """
        self._recent.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._recent[0][0] >= self._window:
            old_records, old_dead = self._recent.popleft()
            self._records -= old_records
            self._dead -= old_dead
        if self._records >= self._window and self._stop_share < 1 and self.share > self._stop_share:
            raise BrokenFeed(
                f"{self._dead} of the last {self._records} records were refused, most recently on {topic}; "
                "stopping so that a broken feed is not drained into dead letters. Look at `qunpulse deadletters list`, "
                "repair the producer, then start again; to go on regardless set QUNPULSE_DEAD_LETTER_STOP_SHARE=1"
            )
