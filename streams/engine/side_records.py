"""Side topics: records for the programs that are not merged by event time, but belong to the same partition number."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from pydantic import ValidationError

from schemas.partitioning import partition_for
from schemas.refusals import MAX_DETAIL, RefusalCode, faults_of, join_faults, shorten
from schemas.screening import MAX_NESTING, nests_deeper
from schemas.topics import SIDE_TOPICS
from streams.engine.intake import RefusedRecord
from streams.engine.record_block import Record
from streams.operators.program import Program


@dataclass(slots=True)
class SideOutcome:
    """What became of released records of one side topic."""

    records: int
    next_offset: int
    refused: list[RefusedRecord]
    misrouted: list[RefusedRecord]

    def counts(self) -> dict[str, int]:
        """Records by outcome. Which of them were repeats only the programs know: they count as applied."""
        refused, misrouted = len(self.refused), len(self.misrouted)
        return {
            "applied": self.records - refused - misrouted,
            "dead_lettered": refused,
            "misrouted": misrouted,
        }


class SideRecords:
    """Fetched records of the side topics that wait to be applied, in the order of their offsets."""

    def __init__(self, partition: int, partitions: int, max_record_bytes: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._max_record_bytes = max_record_bytes
        self._waiting: dict[str, deque[Record]] = {topic: deque() for topic in SIDE_TOPICS}
        self._home: dict[bytes, bool] = {}

    def add(self, topic: str, records: Sequence[Record]) -> None:
        """Buffer records that were just fetched."""
        self._waiting[topic].extend(records)

    def buffered(self, topic: str) -> int:
        """Records of a topic that wait."""
        return len(self._waiting[topic])

    @property
    def waiting(self) -> bool:
        """Whether any record waits."""
        return any(self._waiting.values())

    def drop_waiting(self) -> None:
        """Forget what is buffered; it will be fetched again."""
        for buffer in self._waiting.values():
            buffer.clear()

    def apply(self, topic: str, programs: Sequence[Program], most: int) -> SideOutcome | None:
        """Hand over up to ``most`` waiting records of a topic; None when none waits."""
        buffer = self._waiting[topic]
        if not buffer:
            return None
        records = [buffer.popleft() for _ in range(min(most, len(buffer)))]
        outcome = SideOutcome(len(records), records[-1].offset + 1, [], [])
        usable: list[tuple[Record, bytes]] = []
        for record in records:
            found = self._look_at(topic, record)
            if found is None:
                usable.append((record, record.value or b""))
            elif found.code == "misrouted":
                outcome.misrouted.append(found)
            else:
                outcome.refused.append(found)
        if usable:
            values = [value for _, value in usable]
            for at, error in _hand_over(topic, values, programs).items():
                outcome.refused.append(self._refuse(topic, usable[at][0], _code_of(values[at]), _words_of(error)))
        return outcome

    def _look_at(self, topic: str, record: Record) -> RefusedRecord | None:
        """Why a record is not handed over, None when it is."""
        key, value = record.key, record.value
        if value is None:
            return self._refuse(topic, record, "invalid_json", "the record is empty (a tombstone)")
        if len(value) > self._max_record_bytes:
            detail = f"{len(value)} bytes are more than max_record_bytes ({self._max_record_bytes})"
            return self._refuse(topic, record, "too_large", detail)
        if nests_deeper(value, MAX_NESTING):  # a decoder would run out of stack, and take the worker with it
            return self._refuse(topic, record, "invalid_json", f"nested deeper than {MAX_NESTING} levels")
        if not key:
            return self._refuse(topic, record, "invalid_field", "key: is required; it decides the partition")
        try:
            name = key.decode()
        except UnicodeDecodeError:
            return self._refuse(topic, record, "invalid_field", "key: expected a text in UTF-8")
        home = self._home.get(key)
        if home is None:
            home = self._home[key] = partition_for(key, self._partitions) == self._partition
        return None if home else self._refuse(topic, record, "misrouted", name)

    def _refuse(self, topic: str, record: Record, code: str, detail: str) -> RefusedRecord:
        return RefusedRecord(
            topic, self._partition, record.offset, record.timestamp, record.key, record.value, code, detail
        )


def _hand_over(topic: str, values: list[bytes], programs: Sequence[Program]) -> dict[int, ValueError]:
    """Give records to all programs; those that one of them cannot use, by position, with its words.

    What a program took before it met such a record it is given again: repeats change nothing.
    """
    try:
        for program in programs:
            program.apply_side(topic, values)
    except ValueError as error:
        if len(values) == 1:
            return {0: error}
    else:
        return {}
    return {at: error for at, value in enumerate(values) for error in _hand_over(topic, [value], programs).values()}


def _code_of(value: bytes) -> RefusalCode:
    try:
        msgspec.json.decode(value)
    except ValueError:
        return "invalid_json"
    return "invalid_field"


def _words_of(error: ValueError) -> str:
    # pydantic's own text quotes what it found, which may name people
    words = join_faults(faults_of(error)) if isinstance(error, ValidationError) else str(error)
    return shorten(words or type(error).__name__, MAX_DETAIL)
