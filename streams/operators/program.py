"""Business logic beside the community operators of a partition: campaigns, referral ledgers, alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from streams.operators.base import Batch, Ints, StateRows
from streams.operators.communities import Communities
from streams.operators.directory import Directory
from streams.operators.members import Members
from streams.operators.outbox import OutboxRecord


@dataclass(frozen=True, slots=True)
class ProgramContext:
    """What a program is made with: whose partition it is, and what it may look at there but never change."""

    partition: int
    partitions: int
    directory: Directory
    communities: Communities
    members: Members
    lateness_ms: int


class Program(Protocol):
    """A state machine that may set timers, read side topics and send records.

    It is called in the order ``apply`` and ``apply_side`` (as batches come), then before every flush ``advance``,
    ``settle``, and only then what it gives away: ``dirty``, ``derived``, ``outbox``, which together are one cut.
    After a crash everything since the last checkpoint comes again, from the state that ``restore`` is given.
    """

    names: tuple[str, ...]
    """Names of its rows in the table ``state``; no other program or operator has them."""

    def apply(self, batch: Batch) -> None:
        """Take a batch of applied events in, after the community operators took it."""

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Fire timers: *now* and event clock by community number; called before every flush.

        At most some 200,000 a call, since what they change must fit into one checkpoint; for those that stay due
        :meth:`dirty_count` says more than 0 and so asks for the next flush.
        """

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Take records of a side topic in, in the order of their offsets; a repeated one must change nothing.

        Records of topics that are not its business it passes over.

        Raises:
            SideRecordError: one of them cannot be used. The engine then hands all of them over again, one by one, and
                dead-letters those that are refused.
        """

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call; calling it makes them clean."""

    def dirty_count(self) -> int:
        """State rows that :meth:`dirty` would give, about; bounds a checkpoint, and more than 0 asks for one."""

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take back its rows, keys and payloads by name; operators, directory and clocks are restored already."""

    def derived(self) -> dict[str, pa.Table]:
        """Rows for people that changed since the last call, by base table, without their version.

        A base table may be filled by one program only.
        """

    def outbox(self) -> list[OutboxRecord]:
        """Records to send once the checkpoint stands; calling it empties it."""

    def urgent(self) -> bool:
        """Whether a person waits for a record that :meth:`outbox` would give: then a live partition is flushed soon."""

    def settle(self, clock_ms: Ints) -> None:
        """Let go of what can change no more, given each community's event clock."""

    def sizes(self) -> dict[str, int]:
        """Entries in memory by name, for metrics."""


ProgramsOf = Callable[[ProgramContext], Sequence[Program]]
"""Makes the programs of one partition, in the order in which they are called."""


class SideRecordError(ValueError):
    """A record of a side topic that cannot be used; the text says what is wrong with it, for its dead letter."""
