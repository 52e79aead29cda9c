"""The communities of a rules file in a table of their own, as people keep them in a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.refusals import fault_of
from streams.errors import RulesError
from streams.rules_parts import did_you_mean

Row = TypeVar("Row", bound=BaseModel)

ID_COLUMN = "community_id"


def read_communities_csv(source: Path, model: type[Row]) -> dict[str, Row]:
    """A validated row for each community; RulesError names file, row (as a spreadsheet counts them) and column.

    The first row names the columns: `community_id` and fields of `model`, in any order. An empty cell says nothing.
    """
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            return _rows(csv.reader(stream, strict=True), source, model)
    except FileNotFoundError:
        raise RulesError(
            f"{source}: there is no such file; `communities: csv:` names it, relative to the rules file"
        ) from None
    except UnicodeDecodeError:
        raise RulesError(f"{source}: not UTF-8; save the table as 'CSV UTF-8'") from None
    except OSError as error:
        raise RulesError(f"{source}: cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise RulesError(f"{source}: not a valid CSV file: {error}") from None


def _rows(reader: csv._reader, source: Path, model: type[Row]) -> dict[str, Row]:  # type: ignore[name-defined]
    header = [name.strip() for name in next(reader, [])]
    known = [ID_COLUMN, *model.model_fields]
    for column, name in enumerate(header, start=1):
        if name not in known:
            hint = did_you_mean(name, known) or ";"
            raise RulesError(
                f"{source}: row 1, column {column}: unknown column {name!r}{hint} known are {', '.join(known)}"
            )
        if header.count(name) > 1:
            raise RulesError(f"{source}: row 1: the column {name!r} is there twice")
    if ID_COLUMN not in header:
        raise RulesError(f"{source}: row 1: the column {ID_COLUMN!r} is missing")
    found: dict[str, Row] = {}
    first_rows: dict[str, int] = {}
    for number, cells in enumerate(reader, start=2):
        texts = [cell.strip() for cell in cells]
        if not any(texts):
            continue
        if len(cells) != len(header):
            raise RulesError(f"{source}: row {number}: {len(cells)} cells, but {len(header)} columns")
        row = {name: text for name, text in zip(header, texts, strict=True) if text}
        community_id = row.pop(ID_COLUMN, "")
        if not community_id:
            raise RulesError(f"{source}: row {number}, column {ID_COLUMN}: is empty")
        if community_id in found:
            first = first_rows[community_id]
            raise RulesError(f"{source}: row {number}: {community_id!r} is there twice, first in row {first}")
        first_rows[community_id] = number
        try:
            # Cells are texts, so numbers are read from texts here and nowhere else.
            found[community_id] = model.model_validate(row, strict=False)
        except ValidationError as error:
            raise RulesError("\n".join(_explain(source, number, entry) for entry in error.errors())) from None
    return found


def _explain(source: Path, number: int, found: object) -> str:
    fault = fault_of(found)
    column = f", column {fault.field}" if fault.field != "record" else ""
    return f"{source}: row {number}{column}: {fault.expected}, found {fault.found}"
