"""Taking a partition over: claim it, wait out its last owner, read its state back."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

import pyarrow as pa

from sinks import claims
from sinks.claims import Claim
from sinks.clickhouse import ClickHouse
from sinks.retry import retry_call
from sinks.state import read_state
from streams.errors import ClaimLost

log = logging.getLogger(__name__)

_MARGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A partition that is ours: under which claim, and the state to restore (None: ours is still good)."""

    claim: Claim
    state: pa.Table | None


class Ownership:
    """Claims of one worker. Blocks; called from threads."""

    def __init__(
        self, clickhouse: ClickHouse, worker_id: str, insert_timeout_seconds: float, stop: threading.Event
    ) -> None:
        self._clickhouse = clickhouse
        self._worker_id = worker_id
        self._insert_timeout_seconds = insert_timeout_seconds
        self._stop = stop

    def take_over(self, partition: int, released: Claim | None) -> TakenOver:
        """Claim a partition and read its state.

        From the moment our claim stands no older owner can start an insert; one that it started before may still run
        for as long as inserts are allowed to, so unless the owner let go cleanly that is waited out before reading.

        Args:
            partition: which one.
            released: the claim under which this very worker released it last, if it still has the state in memory.

        Raises:
            ClaimLost: another worker claimed at the same time and won.
            FatalSinkError: a person must act.
        """
        claim = retry_call(lambda: claims.register(self._clickhouse, partition, self._worker_id), stop=self._stop)
        # Asked after ours stands: whoever claimed just before us is among the earlier ones and is waited out too.
        before = retry_call(lambda: claims.newest(self._clickhouse, partition, before=claim), stop=self._stop)
        if before is not None and not before.released and before.claim != released:
            wait_seconds = self._insert_timeout_seconds + _MARGIN_SECONDS
            log.info(
                "partition %d: %s did not let go; waiting %.0f s for its last insert",
                partition,
                before.claim.worker,
                wait_seconds,
                extra={"event": "last_owner_waited_out", "partition": partition, "last_owner": before.claim.worker},
            )
            if self._stop.wait(wait_seconds):
                raise ClaimLost(f"partition {partition}: stopped while waiting for its last owner")
        if before is not None and released is not None and before.claim == released and before.released:
            return TakenOver(claim, None)  # nobody wrote since we did
        started = time.monotonic()
        state = retry_call(lambda: read_state(self._clickhouse, partition), stop=self._stop)
        seconds = time.monotonic() - started
        log.info(
            "partition %d: %d state rows read in %.2f s", partition, len(state), seconds,
            extra={"event": "state_restored", "partition": partition, "rows": len(state), "seconds": round(seconds, 3)},
        )  # fmt: skip
        return TakenOver(claim, state)

    def release(self, partition: int, claim: Claim) -> None:
        """Let go of a partition after its last flush, so that the next owner need not wait."""
        claims.release(self._clickhouse, partition, claim)
