"""When the partitions of a worker are flushed, and which of them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from sinks.retry import RetryStopped
from streams.engine.checkpoint import FlushPlan
from streams.engine.clock import LIVE_DELAY_MS
from streams.engine.flush import Flush
from streams.engine.owned import Owned
from streams.errors import ClaimLost, QunpulseError
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.wall_clock import WallClock

log = logging.getLogger(__name__)

_CLEAN_KEYS = 200_000
"""Keys that have left the state of a partition after which they are deleted from ClickHouse too."""
_BEHIND_FACTOR = 5
"""While a partition is behind, flushes come so much later: fewer and larger inserts, and nobody waits for freshness."""
_URGENT_SECONDS = 0.2
"""Where a person waits for an alert, a partition that is not behind is flushed so soon after its last flush."""
_PAUSE_SECONDS = 0.3
"""A feed from which nothing came for so long has paused: what it brought is flushed without waiting for more."""
_LEVEL_SECONDS = 3.0
"""A partition that has applied all that stood in Kafka so long ago is not behind, though there is more by now."""
_LOOK_SECONDS = 2.0
_TOGETHER = 0.5
"""A partition that has waited this share of its interval goes along with one that is due: an insert costs ClickHouse
much the same however many partitions' rows are in it."""


class Flushing:
    """Flushes what is due, all of a worker's partitions in one go; one flush at a time.

    ``owned`` is the worker's own table of partitions; ``look`` is called every two seconds for a partition that must
    hold on; ``written`` is told of each plan that stands in ClickHouse, and
    ``failed`` of what must stop the process.
    """

    def __init__(
        self,
        settings: Settings,
        flush: Flush,
        metrics: WorkerMetrics,
        clock: WallClock,
        owned: Mapping[int, Owned],
        look: Callable[[Owned], Awaitable[None]],
        written: Callable[[Owned, FlushPlan], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._flush = flush
        self._metrics = metrics
        self._clock = clock
        self._owned = owned
        self._look = look
        self._written = written
        self._failed = failed
        self._running: asyncio.Task[None] | None = None

    async def flush_if_due(self, owned: Owned) -> None:
        """Begin a flush if this partition is due; waits for the one under way only when no more may pile up."""
        if not owned.partition.has_news(self._reference_ms(owned)):
            return
        full = self._is_full(owned)
        running = self._running
        if running is not None and not running.done():
            if not full:
                return
            # hold on: what is not flushed stays bounded, Kafka keeps the rest
            self._metrics.paused(owned.partition.number).set(1)
            while (await asyncio.wait([running], timeout=_LOOK_SECONDS))[1]:
                await self._look(owned)
            self._metrics.paused(owned.partition.number).set(0)
            if (
                self._running is not None and not self._running.done()
            ):  # of all that waited, another one was first and has taken us along
                return
        now = asyncio.get_running_loop().time()
        if full or self._waited(owned, now) >= 1:
            along = [one for one in self._owned.values() if self._goes_along(one, now, full)]
            self._begin(along, now)

    async def last(self, owned: Owned) -> ClaimLost | None:
        """Write what a partition that is no longer applied to has left, once its flush under way is over.

        Returns:
            Why nothing was written, when another worker owns it by now.

        Raises:
            QunpulseError: ClickHouse or Kafka refused it.
            RetryStopped: the worker was told to stop while a server was away.
        """
        if owned.flush is not None:
            await asyncio.wait([owned.flush])
        if owned.lost or not owned.partition.unflushed_records:
            return None
        plan = self._plan(owned)
        lost = await asyncio.to_thread(self._flush.write, [plan])
        return lost.get(plan.partition)

    # -- when -----------------------------------------------------------------------------------------------------

    def _is_full(self, owned: Owned) -> bool:
        """Whether no more may pile up: events in memory of all partitions together, or one's rows for one insert."""
        events = sum(one.partition.unflushed_records for one in self._owned.values())
        return (
            events >= self._settings.flush_max_events or owned.partition.dirty_rows() >= self._settings.flush_max_rows
        )

    def _waited(self, owned: Owned, now: float) -> float:
        """The share of its interval that a partition has waited."""
        # Who is level with a feed that pours in is so for a moment only: it is behind until the feed pauses.
        many = owned.partition.unflushed_records >= self._settings.batch_max_records
        behind = (many and now - owned.arrived_at < _PAUSE_SECONDS) or now - owned.level_at > _LEVEL_SECONDS
        interval_seconds = self._settings.flush_interval_seconds * (_BEHIND_FACTOR if behind else 1)
        if not behind and owned.partition.urgent():
            interval_seconds = min(interval_seconds, _URGENT_SECONDS)
        return (now - owned.flushed_at) / interval_seconds

    def _goes_along(self, owned: Owned, now: float, full: bool) -> bool:
        ready = owned.loop is not None and not owned.lost
        return (
            ready
            and (full or self._waited(owned, now) >= _TOGETHER)
            and owned.partition.has_news(self._reference_ms(owned))
        )

    def _reference_ms(self, owned: Owned) -> int:
        """What moves *now* besides a community's own events: the wall clock, or in event mode the partition's time."""
        if self._settings.clock_mode == "live" and owned.caught_up:
            return max(self._clock.now_ms() - LIVE_DELAY_MS, owned.partition.reference_ms)
        return owned.partition.reference_ms

    # -- what -----------------------------------------------------------------------------------------------------

    def _plan(self, owned: Owned) -> FlushPlan:
        return owned.partition.collect(owned.claim, self._reference_ms(owned), self._clock.now_ms())

    def _begin(self, along: list[Owned], now: float) -> None:
        plans = []
        for owned in along:
            owned.flushed_at = now
            plans.append(self._plan(owned))
        self._running = asyncio.create_task(self._write(along, plans))
        for owned in along:
            owned.flush = self._running

    async def _write(self, along: list[Owned], plans: list[FlushPlan]) -> None:
        try:
            lost = await asyncio.to_thread(self._flush.write, plans)
        except Exception as error:
            for owned in along:
                owned.lost = True
            if not isinstance(error, RetryStopped):
                self._failed(error)
            return
        for owned, plan in zip(along, plans, strict=True):
            if plan.partition in lost:
                owned.lost = True
                reason = lost[plan.partition]
                log.warning(
                    "partition %d: another worker owns it now; dropping our state of it: %s", plan.partition, reason,
                    extra={"event": "partition_lost", "partition": plan.partition},
                )  # fmt: skip
            else:
                self._written(owned, plan)
                self._clean_if_due(owned, plan)

    def _clean_if_due(self, owned: Owned, plan: FlushPlan) -> None:
        owned.left_keys += plan.left_keys
        if owned.left_keys >= _CLEAN_KEYS and (owned.cleaning is None or owned.cleaning.done()):
            owned.left_keys = 0
            owned.cleaning = asyncio.create_task(self._clean(plan.partition))

    async def _clean(self, number: int) -> None:
        try:
            await asyncio.to_thread(self._flush.clean, number)
        except QunpulseError as error:  # what stays is skipped by every restore; the next time takes it along
            log.warning(
                "partition %d: keys that left the state were not deleted: %s", number, error,
                extra={"event": "expired_state_kept", "partition": number},
            )  # fmt: skip
