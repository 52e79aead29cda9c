"""What is kept of one partition number: its settings, its state, and what waits for the next flush."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from schemas.codec import Decoder
from schemas.topics import READ_TOPICS
from streams.engine.accounts import TopicAccount, new_accounts
from streams.engine.checkpoint import CHECKPOINT, CLOCKS, OUTBOX, REDO
from streams.engine.clock import EventClocks
from streams.engine.dedup import DedupIndex
from streams.engine.fetched import Fetched
from streams.engine.intake import Intake, RefusedRecord
from streams.engine.merge import Merge
from streams.engine.side_records import SideRecords
from streams.metrics import WorkerMetrics
from streams.operators.base import NEVER, Ints
from streams.operators.communities import ZoneOf
from streams.operators.community import CommunityOperators
from streams.operators.directory import Directory
from streams.operators.program import Program, ProgramContext, ProgramsOf


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """What a partition needs to know of the settings."""

    partitions: int
    generation: int
    lateness_ms: int
    batch_max_records: int
    worker_version: str
    max_record_bytes: int = 262_144


@dataclass(slots=True)
class Unflushed:
    """What step 1 of the next flush writes, and how many records found their outcome since the last one."""

    events: list[pa.Table] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)
    misrouted: list[RefusedRecord] = field(default_factory=list)
    records: int = 0


def no_programs(_: ProgramContext) -> list[Program]:
    """A partition with the community operators alone."""
    return []


def _refuse_shared_names(taken: Sequence[str], programs: Sequence[Program]) -> None:
    names = Counter([*taken, CHECKPOINT, REDO, OUTBOX, CLOCKS, DedupIndex.name])
    for program in programs:
        names.update(program.names)
    if shared := sorted(name for name, uses in names.items() if uses > 1):
        raise ValueError(f"{', '.join(shared)}: rows of two programs would overwrite each other in the state")


class PartitionState:
    """The pieces that take, apply, cut and restore work on; each of them says which it changes."""

    def __init__(
        self,
        number: int,
        settings: PartitionSettings,
        decoder: Decoder,
        zone_of: ZoneOf,
        metrics: WorkerMetrics,
        programs_of: ProgramsOf,
    ) -> None:
        self.number = number
        self.settings = settings
        self.metrics = metrics
        self.directory = Directory()
        self.intake = Intake(number, settings.partitions, decoder, self.directory)
        self.merge = Merge()
        self.side = SideRecords(number, settings.partitions, settings.max_record_bytes)
        self.clocks = EventClocks()
        self.index = DedupIndex()
        self.operators = CommunityOperators(self.directory, zone_of, settings.lateness_ms)
        self.programs = programs_of(
            ProgramContext(
                number,
                settings.partitions,
                self.directory,
                self.operators.communities,
                self.operators.members,
                settings.lateness_ms,
            )
        )
        _refuse_shared_names(self.operators.names, self.programs)
        self.accounts: dict[str, TopicAccount] = new_accounts()
        self.next_offset: dict[str, int] = dict.fromkeys(READ_TOPICS, 0)
        self.fetched = Fetched()
        self.reference_ms = NEVER
        self.checkpoint_number = 0
        self.moved_clocks: set[int] = set()
        self.unflushed = Unflushed()

    def clock_ms(self) -> Ints:
        """Event clocks by community number."""
        return self.clocks.ms(len(self.directory.community_names))

    def book(self, topic: str, found: dict[str, int], next_offset: int) -> None:
        """Book how many records of a topic found which outcome, and where its next record begins."""
        account = self.accounts[topic]
        records = sum(found.values())
        for outcome, number in found.items():
            setattr(account, outcome, getattr(account, outcome) + number)
        account.consumed += records
        account.next_offset = next_offset
        for outcome, number in (*found.items(), ("consumed", records)):
            if number:
                self.metrics.records(topic, outcome).inc(number)  # type: ignore[arg-type]
