"""The dead letter: a refused record, put aside exactly as it came.

The Kafka record's value and key *are* the original ones, and what we know about it rides in headers. So the original
bytes survive whatever they are (no encoding can distort them), any Kafka tool shows them, and replaying a dead letter
is sending the same key and value to the topic that the header names. An envelope would be larger by a third, could not
hold a tombstone's missing value, and would have to be unpacked before anything could be looked at.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.refusals import MAX_DETAIL, RefusalCode, shorten

HEADER_PREFIX: Final = "qunpulse-"

Headers = list[tuple[str, bytes]]


class DeadLetter(BaseModel):
    """What the headers of a dead letter say; its value and key are those of the refused record."""

    model_config = ConfigDict(frozen=True)

    code: RefusalCode = Field(description="Why it was refused: a code of the closed list.")
    detail: Annotated[str, Field(max_length=MAX_DETAIL)] = Field(description="The reason in words, on one line.")
    topic: str = Field(description="Topic of the refused record.")
    partition: Annotated[int, Field(ge=0)] = Field(description="Partition of the refused record.")
    offset: Annotated[int, Field(ge=0)] = Field(description="Offset of the refused record.")
    timestamp_ms: int = Field(description="Its append time at the broker, milliseconds since 1970 UTC; -1 if unknown.")
    worker_version: str = Field(description="Version of the worker that refused it.")


_FIELDS: Final = tuple(DeadLetter.model_fields)


def to_headers(letter: DeadLetter) -> Headers:
    """The letter as Kafka headers: one for each field, `qunpulse-` before its name, the text in UTF-8."""
    return [(HEADER_PREFIX + name, str(getattr(letter, name)).encode()) for name in _FIELDS]


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter:
    """The letter that Kafka headers describe; ValueError when they are not those of a dead letter.

    Headers with other names are passed over; of a repeated one the last counts. An error code that this version does
    not know is refused as well: the list is closed, a newer worker wrote it.
    """
    found: dict[str, str] = {}
    for name, raw in headers:
        field = name.removeprefix(HEADER_PREFIX)
        if name.startswith(HEADER_PREFIX) and field in _FIELDS and raw is not None:
            found[field] = raw.decode()
    missing = [HEADER_PREFIX + name for name in _FIELDS if name not in found]
    if missing:
        raise ValueError(f"no dead letter: header {', '.join(missing)} is missing")
    # Header texts become numbers here, so this one model is read without strictness.
    return DeadLetter.model_validate(found)


def letter_for(
    code: RefusalCode, detail: str, *, topic: str, partition: int, offset: int, timestamp_ms: int, worker_version: str
) -> DeadLetter:
    """A letter whose detail is cut to what a header may hold."""
    return DeadLetter(
        code=code,
        detail=shorten(detail, MAX_DETAIL),
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        worker_version=worker_version,
    )
