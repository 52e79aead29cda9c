"""The rules file: what people say about their communities, beside what events say.

    communities:                     # inline, or from a CSV file, or both
      csv: communities.csv           # relative to this file; a column for each field, and community_id
      "wecom:grp-1":
        name: 上海读书会
        timezone: Asia/Shanghai
    platforms:
      wecom:
        name: 企业微信
        timezone: Asia/Shanghai      # for its communities that do not say their own
    campaigns:
      春季拉新:
        start: 2026-03-01            # [start, end)
        end: 2026-04-01
        days_to_maturity: 14         # 7 unless it says so
        require: paid_order          # nothing, activity (default) or paid_order
        target: {kind: accepted_invitations, count: 3, within_days: 3}
      "organic:wecom:grp-1":         # invitations into this community that name no campaign
        staff_may_refer: true

No figure needs it: without a file everything runs on defaults. Later sections are fields of `Rules`, nothing else:
known section names, their errors with line numbers and reloading follow from it. Errors are `RulesError`s that name
file, line, field and the way out, all of them at once.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from schemas.refusals import fault_of
from streams.errors import RulesError
from streams.rules_campaigns import CampaignRules, TargetRules
from streams.rules_csv import read_communities_csv
from streams.rules_model import CommunityRules, PlatformRules, Rules
from streams.rules_parts import did_you_mean
from streams.rules_yaml import KeyPath, Located, read_yaml

__all__ = ["CampaignRules", "CommunityRules", "PlatformRules", "Rules", "RulesFile", "TargetRules", "load_rules"]

log = logging.getLogger(__name__)

_MAX_FAULTS: Final = 20


def load_rules(path: Path | None) -> Rules:
    """The rules in the file, defaults without one; RulesError when file or content are wrong."""
    return Rules() if path is None else _rules_in(read_yaml(path))


class RulesFile:
    """The rules of a running worker: read again when a file changes, and a broken edit changes nothing.

    A file that is broken when the worker starts is an error (RulesError), since there is nothing older to go on with.
    One that breaks later is reported once, in the log and as `problem`, and the rules read before stay in force.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: dict[Path, tuple[int, int] | None] = {}
        self.problem: str | None = None
        self._rules = Rules() if path is None else self._read(path)

    def current(self) -> Rules:
        """The rules in force. Costs a `stat` of each file while nothing changed: ask once a batch."""
        if self._path is None or all(_version(file) == seen for file, seen in self._seen.items()):
            return self._rules
        try:
            self._rules = self._read(self._path)
        except RulesError as error:
            self.problem = str(error)
            log.warning(
                "the rules file changed and is not valid; the rules read before stay in force: %s", error,
                extra={"event": "rules_refused"},
            )  # fmt: skip
        else:
            self.problem = None
            log.info("rules file %s read again", self._path, extra={"event": "rules_read_again"})
        return self._rules

    def _read(self, path: Path) -> Rules:
        # Each file is looked at before it is read: an edit in between then shows as a change at the next look. The
        # table is watched even when something is wrong, because it may be the table that has to be repaired.
        self._seen = {path: _version(path)}
        document = read_yaml(path)
        table = _table_named_in(document)
        if table is not None:
            self._seen[table] = _version(table)
        return _rules_in(document)


def _version(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _rules_in(document: Located) -> Rules:
    table = _table_named_in(document)
    if table is not None:
        _add_communities(document, table)
    if document.value is None:
        return Rules()
    if not isinstance(document.value, dict):
        raise RulesError(f"{document.where(())}: expected sections: {', '.join(Rules.model_fields)}")
    # A section with nothing below it, as when all its lines are commented out, is an empty one.
    sections = {name: section for name, section in document.value.items() if section is not None}
    try:
        return Rules.model_validate(sections)
    except ValidationError as error:
        lines = [_explain(document, found) for found in error.errors(include_url=False)]
        more = [f"… and {len(lines) - _MAX_FAULTS} more"] if len(lines) > _MAX_FAULTS else []
        raise RulesError("\n".join(lines[:_MAX_FAULTS] + more)) from None


def _table_named_in(document: Located) -> Path | None:
    """The CSV file that the `communities` section names, relative to the rules file."""
    sections = document.value
    communities = sections.get("communities") if isinstance(sections, dict) else None
    named = communities.get("csv") if isinstance(communities, dict) else None
    return document.source.parent / named if isinstance(named, str) else None


def _add_communities(document: Located, table: Path) -> None:
    communities = document.value["communities"]
    del communities["csv"]
    rows = read_communities_csv(table, CommunityRules)
    for community_id, row in rows.items():
        if community_id in communities:
            where = document.where(("communities", community_id))
            raise RulesError(f"{where}: the community {community_id!r} is in {table} too; keep one of them")
        communities[community_id] = row


def _explain(document: Located, found: Any) -> str:
    path: KeyPath = found["loc"]
    field = ".".join(str(part) for part in path)
    if found["type"] == "extra_forbidden":
        model = _model_at(path[:-1])
        known = list(model.model_fields) if model is not None else []
        what = "section" if len(path) == 1 else "field"
        hint = did_you_mean(str(path[-1]), known)
        return f"{document.where(path)}: {field}: unknown {what}{hint or ';'} known are {', '.join(known)}"
    if found["type"] in ("model_type", "model_attributes_type", "dict_type", "dataclass_type"):
        return f"{document.where(path)}: {field}: expected fields below it"
    fault = fault_of(found)
    hint = " (put it in quotes)" if found["type"] == "string_type" and isinstance(found["input"], int | float) else ""
    shown = f", found {fault.found}" if fault.found and found["type"] != "value_error" else ""
    if found["type"] == "value_error" and isinstance(found["input"], str):
        shown = f" (found {fault.found})"
    return f"{document.where(path)}: {field}: {fault.expected}{hint}{shown}"


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """The model whose fields are legal at a path; found by walking the annotations, so new sections need nothing."""
    model: type[BaseModel] | None = Rules
    inside: Any = None
    for part in path:
        if inside is None:
            known = model.model_fields.get(str(part)) if model is not None else None
            inside, model = (known.annotation if known is not None else None), None
        else:  # a key of a mapping or a position of a list
            inside = get_args(inside)[-1] if get_args(inside) else None
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            model, inside = inside, None
    return model
