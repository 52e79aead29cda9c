"""Accounts of several platforms that belong to one person, from a CSV file into table `identities`."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from sinks.clickhouse import ClickHouse
from sinks.schema import IDENTITIES
from streams.errors import InputError
from streams.pseudonyms import Pseudonyms
from streams.rules_parts import did_you_mean

COLUMNS: Final = ("platform", "member_id", "person_id")
_LONGEST: Final = {"platform": 32, "member_id": 64, "person_id": 64}


@dataclass(frozen=True)
class Identities:
    """`accounts` maps (platform, member_id) to person_id."""

    accounts: dict[tuple[str, str], str]

    @property
    def persons(self) -> int:
        """How many persons there are."""
        return len(set(self.accounts.values()))


def read_identities(source: Path) -> Identities:
    """The accounts in a CSV file: first row `platform,member_id,person_id` in any order, then one account a row.

    An empty platform is that of communities whose events name none. Raises InputError that names file, row and column.
    """
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            return _read(csv.reader(stream, strict=True), source)
    except FileNotFoundError:
        raise InputError(f"{source}: there is no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{source}: not UTF-8; save the table as 'CSV UTF-8'") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise InputError(f"{source}: not a valid CSV file: {error}") from None


def _read(reader: csv._reader, source: Path) -> Identities:  # type: ignore[name-defined]
    header = [name.strip() for name in next(reader, [])]
    for name in header:
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS) or ";"
            raise InputError(f"{source}: row 1: unknown column {name!r}{hint} known are {', '.join(COLUMNS)}")
    missing = [name for name in COLUMNS if header.count(name) != 1]
    if missing:
        raise InputError(f"{source}: row 1: the column {missing[0]!r} must be there once")
    accounts: dict[tuple[str, str], str] = {}
    rows: dict[tuple[str, str], int] = {}
    for number, cells in enumerate(reader, start=2):
        texts = [cell.strip() for cell in cells]
        if not any(texts):
            continue
        if len(texts) != len(header):
            raise InputError(f"{source}: row {number}: {len(texts)} cells, but {len(header)} columns")
        row = dict(zip(header, texts, strict=True))
        for name, longest in _LONGEST.items():
            if len(row[name]) > longest or (not row[name] and name != "platform"):
                raise InputError(f"{source}: row {number}: {name} must have 1 to {longest} characters")
        account = (row["platform"], row["member_id"])
        if accounts.setdefault(account, row["person_id"]) != row["person_id"]:
            raise InputError(
                f"{source}: row {number}: the account {account[1]!r} on {account[0]!r} belongs to "
                f"{row['person_id']!r} here and to {accounts[account]!r} in row {rows[account]}; keep one of them"
            )
        rows.setdefault(account, number)
    return Identities(accounts)


def land_identities(clickhouse: ClickHouse, identities: Identities, pseudonyms: Pseudonyms | None = None) -> None:
    """Put these accounts in place of all that were there; ids become pseudonyms where the events' ids do.

    Raises:
        SinkError: ClickHouse did not take them.
    """
    version = time.time_ns() // 1_000_000
    members: list[str | None] = [member for _, member in identities.accounts]
    persons: list[str | None] = list(identities.accounts.values())
    if pseudonyms is not None:
        members, persons = pseudonyms.column(members), pseudonyms.column(persons)
    rows = pa.table(
        {
            "platform": pa.array([platform for platform, _ in identities.accounts], pa.string()),
            "member_id": pa.array(members, pa.string()),
            "person_id": pa.array(persons, pa.string()),
            "version": pa.array([version] * len(members), pa.uint64()),
        }
    )
    clickhouse.insert_arrow(IDENTITIES, rows)
    clickhouse.command(f"DELETE FROM {IDENTITIES} WHERE version < {version}")
