"""The program of alerts on one partition: rules about members and communities, episodes, and operators' commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from schemas.alerts import CommandRecord, decode_command
from schemas.topics import COMMANDS
from streams.operators.alert_context import PLATFORMS, STAFF, AlertContext
from streams.operators.arrivals import Moments, arrivals_of
from streams.operators.base import NEVER, Batch, Ints, StateRows, binary, grown
from streams.operators.churn_model import ChurnModel, shipped_model
from streams.operators.episodes import Episodes
from streams.operators.health import HealthAlerts
from streams.operators.lapsed import LapsedBuyers
from streams.operators.left import LeftAlerts
from streams.operators.missing import Missing
from streams.operators.mutes import Mutes
from streams.operators.outbox import OutboxRecord
from streams.operators.program import ProgramContext, SideRecordError
from streams.operators.purchases import Purchases
from streams.operators.rhythm import Rhythms
from streams.operators.silent_alerts import SilentAlerts
from streams.rules_model import Rules

_REFERENCE = "alert_reference"


class ChurnProgram:
    """Alerts of one partition.

    Args:
        context: the partition's directory, communities and members.
        rules: gives the rules in force; asked once a batch.
        model: what was learned about who comes back; the shipped one when None.
        replay: whether this is a replay of history, which is told to nobody unless asked.
        wall_ms: the wall clock of a live worker. While it works a backlog off, time is that of the events; alerts that
            open longer ago than the lateness by this clock are marked as a replay too.
    """

    names: tuple[str, ...] = (Rhythms.name, Purchases.name, "episodes", Mutes.name, _REFERENCE, PLATFORMS, STAFF,
                              *HealthAlerts.names)  # fmt: skip

    def __init__(
        self,
        context: ProgramContext,
        rules: Callable[[], Rules] = Rules,
        model: ChurnModel | None = None,
        replay: bool = False,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        self.episodes = Episodes()
        self.rhythms = Rhythms()
        self._context = AlertContext(
            context, rules, model or shipped_model(), self.episodes, self.rhythms, replay, wall_ms
        )
        self.health = HealthAlerts(self._context)
        self.silent = SilentAlerts(self._context, self.health.release)
        self.lapsed = LapsedBuyers(self._context, self.health.release)
        self.left = LeftAlerts(self._context)
        self._missing = Missing(context)
        self._reference_ms = NEVER
        self._written_ms = NEVER
        self._clock_ms = np.empty(0, np.int64)
        self._endings = 0

    def apply(self, batch: Batch) -> None:
        """Take a batch of applied events in."""
        if len(batch) == 0:
            return
        self._refresh()
        arrivals = self._missing.apply(batch, arrivals_of(batch, self._reference_ms))
        communities = len(self._context.partition.directory.community_names)
        self._clock_ms = grown(self._clock_ms, communities, NEVER)
        self.rhythms.room(len(self._context.partition.directory.member_ids))
        self._context.begin(batch, arrivals, self._clock_ms, self._missing.before_ms)
        self.health.apply(batch, arrivals)
        self.silent.apply(arrivals)
        self.lapsed.apply(batch, arrivals)
        self.left.apply(batch, arrivals)
        np.maximum.at(self._clock_ms, arrivals.community, arrivals.occurred_at_ms)
        self._fire(arrivals.moments, np.full(communities, arrivals.moments.last_ms))
        self._context.end()

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Let time pass; *now* and event clock by community number."""
        self._refresh()
        self._clock_ms = grown(self._clock_ms, len(clock_ms), NEVER)
        self.rhythms.room(len(self._context.partition.directory.member_ids))
        np.maximum(self._clock_ms[: len(clock_ms)], clock_ms, out=self._clock_ms[: len(clock_ms)])
        latest = max(int(now_ms.max(initial=NEVER)), self._reference_ms)
        moments = Moments(np.array([self._reference_ms, latest]))
        self.health.advance(moments)
        self._fire(moments, now_ms)

    def _fire(self, moments: Moments, now_ms: Ints) -> None:
        clock_ms = self._clock_ms[: len(now_ms)]
        if self.health.endings != self._endings:
            self._endings = self.health.endings
            self.silent.overdue.look_again(moments.last_ms)
            self.lapsed.overdue.look_again(moments.last_ms)
        self.silent.fire(moments, now_ms, clock_ms)
        self.lapsed.fire(moments, now_ms, clock_ms)
        self.episodes.advance(now_ms)
        self._reference_ms = max(self._reference_ms, moments.last_ms)

    def _refresh(self) -> None:
        if self._context.refresh():
            # Other thresholds: everybody is expected back at another time.
            self._expect_all()

    def _expect_all(self) -> None:
        members = np.arange(len(self._context.partition.directory.member_ids))
        self.rhythms.room(len(members))
        members = members[self.rhythms.last_day(members) > 0]
        self.silent.restored(members)
        self.lapsed.restored(np.arange(len(self.lapsed.purchases)))

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Take commands of operators in.

        Raises:
            SideRecordError: one of them is none; the text says why.
        """
        if topic != COMMANDS:
            return
        for value in values:
            try:
                command = decode_command(value)
            except ValueError as error:
                raise SideRecordError(str(error)) from None
            self._obey(command)

    def _obey(self, command: CommandRecord) -> None:
        def member_of(member_id: str) -> int | None:
            return self._context.partition.directory.number_of(command.community_id, member_id)

        self.episodes.command(command, command.community_id, member_of)

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        context = self._context
        parts = (self.rhythms, self.lapsed.purchases, self.episodes, self.health, context.platforms, context.assignees)
        return sum(part.dirty_count() for part in parts)

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call."""
        rows = [*self.rhythms.dirty(), *self.lapsed.purchases.dirty(), *self.episodes.dirty(), *self.health.dirty()]
        if self._reference_ms != self._written_ms:
            self._written_ms = self._reference_ms
            rows.append(StateRows(_REFERENCE, binary([b""]), binary([msgspec.msgpack.encode(self._reference_ms)])))
        return rows + self._context.platforms.dirty() + self._context.assignees.dirty()

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take back its rows; operators and directory are restored already."""
        for words in (self._context.platforms, self._context.assignees):
            if words.name in rows:
                words.restore(*rows[words.name])
        if _REFERENCE in rows:
            self._reference_ms = self._written_ms = msgspec.msgpack.decode(rows[_REFERENCE][1][0].as_py())
        for name in ("episodes", Mutes.name):
            if name in rows:
                self.episodes.restore(name, *rows[name])
        if Rhythms.name in rows:
            self.rhythms.restore(rows[Rhythms.name][1])
        if Purchases.name in rows:
            self.lapsed.purchases.restore(rows[Purchases.name][1])
        self._missing.restored()
        self.health.restore(rows)
        self.left.restored()
        self._expect_all()

    def derived(self) -> dict[str, pa.Table]:
        """Rows for people since the last call."""
        return self.episodes.derived() | self.health.derived()

    def outbox(self) -> list[OutboxRecord]:
        """Alert records to send."""
        return self.episodes.outbox()

    def urgent(self) -> bool:
        """Whether an alert to be told at once opened or is over."""
        return self.episodes.urgent

    def settle(self, clock_ms: Ints) -> None:
        """Forget episodes that are over, and times of quiet."""
        self.health.settle(self._reference_ms)
        self.episodes.settle(clock_ms, self._context.partition.lateness_ms)

    def sizes(self) -> dict[str, int]:
        """Entries in memory by name, for metrics."""
        return {
            "rhythms": len(self.rhythms),
            "buyers": len(self.lapsed.purchases),
            "alert_timers": len(self.silent.overdue) + len(self.lapsed.overdue),
            "episodes": len(self.episodes),
            **self.health.sizes(),
        }
