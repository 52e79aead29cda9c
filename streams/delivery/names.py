"""Display names of people, looked up while a message is written and kept nowhere else."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from sinks.clickhouse import ClickHouse
from streams.errors import RulesError, SinkError
from streams.rules_delivery import NamesRules

log = logging.getLogger(__name__)

MAX_NAME = 60
_COLUMNS = ("member_id", "name")


class Names:
    """Names by member id, from a CSV that is read again when it changes and from a ClickHouse table."""

    def __init__(
        self,
        rules: NamesRules,
        folder: Path,
        clickhouse: ClickHouse | None,
        stored_as: Callable[[str], str] = lambda member_id: member_id,
    ) -> None:
        """`stored_as` turns an id of the sources into the one events carry here (its pseudonym, where they are on).

        Raises RulesError when the CSV cannot be used.
        """
        self._csv = folder / rules.csv if rules.csv else None
        self._table = rules.table
        self._clickhouse = clickhouse
        self._stored_as = stored_as
        self._seen: tuple[int, int] | None = None
        self._in_csv: dict[str, str] = {}
        if self._csv is not None:
            self._read(self._csv)

    def of(self, member_ids: Iterable[str]) -> dict[str, str]:
        """The names that are known of these; whoever has none is left out. A source that fails gives none."""
        wanted = {member_id for member_id in member_ids if member_id}
        if not wanted:
            return {}
        found = self._from_table(wanted)
        if self._csv is not None:
            try:
                self._read(self._csv)
            except RulesError as error:  # a message with ids in it is better than none
                log.warning("names stay as they were: %s", error, extra={"event": "names_not_read"})
            found |= {member_id: self._in_csv[member_id] for member_id in wanted if member_id in self._in_csv}
        return found

    def _from_table(self, wanted: set[str]) -> dict[str, str]:
        if self._table is None or self._clickhouse is None:
            return {}
        try:
            rows = self._clickhouse.rows(
                f"SELECT toString(member_id), toString(any(name)) FROM {self._table} "
                "WHERE toString(member_id) IN {wanted:Array(String)} GROUP BY 1",
                {"wanted": sorted(wanted)},
            )
        except SinkError as error:
            log.warning(
                "display names cannot be looked up in %s, messages show ids: %s", self._table, error,
                extra={"event": "names_not_found"},
            )  # fmt: skip
            return {}
        return {member_id: _shown(name) for member_id, name in rows if _shown(name)}

    def _read(self, path: Path) -> None:
        try:
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if version == self._seen:
                return
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                header = [name.strip() for name in reader.fieldnames or []]
                missing = [name for name in _COLUMNS if name not in header]
                if missing:
                    raise RulesError(f"{path}: row 1: the column {missing[0]!r} is missing; names need {_COLUMNS}")
                reader.fieldnames = header
                rows = [(row["member_id"] or "", _shown(row["name"] or "")) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            said = error.strerror if isinstance(error, OSError) else "save the table as 'CSV UTF-8'"
            raise RulesError(f"{path}: display names cannot be read: {said}") from None
        self._in_csv = {self._stored_as(member_id.strip()): name for member_id, name in rows if member_id and name}
        self._seen = version


def _shown(name: str) -> str:
    """The name on one line and not endless: it stands in a sentence."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:MAX_NAME]
