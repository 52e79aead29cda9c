"""What one request to the embedded ClickHouse asks for, its rows aside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """`settings` are the query's own; `readonly` as ClickHouse's setting of that name."""

    database: str
    default_format: str
    parameters: dict[str, str]
    settings: dict[str, str]
    readonly: int
