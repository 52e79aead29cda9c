"""The user `bi` of the embedded ClickHouse: reads the views of database `qunpulse`, within limits, and nothing else.

The engine has no users, so a statement of `bi` is looked over before it runs. Everything that is not known to be
harmless is refused: the engine's own parser gives the statement as a tree, and each node of it must be of a known kind,
each table a view of `qunpulse`, a system table listed here (whose rows are then filtered) or a name without a database,
which can only be a view or a CTE of the statement itself, because `bi` works in `qunpulse` and cannot leave it. The
engine's own `readonly = 1` stands behind all of it: it refuses every write and every change of a setting.

What a view reads is not looked at: views have a definer of their own, and that they reach the store is their purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from infra.embedded.clickhouse_body import Refusal
from infra.embedded.clickhouse_engine import Engine, StatementError
from infra.embedded.clickhouse_request import Request
from infra.embedded.clickhouse_sql import quote, tokens

USER: Final = "bi"
DATABASE: Final = "qunpulse"

LIMITS: Final = {
    "max_execution_time": "60",  # seconds
    "max_result_rows": "1000000",
    "max_rows_to_read": "2000000000",
    "max_memory_usage": "4000000000",
    "max_threads": "4",
}
"""As infra/clickhouse/access.sql has them; a request may ask for less, never for more."""

# Rows of these that are about other databases are filtered away.
_FILTERS: Final = {
    "system.databases": f"name = '{DATABASE}'",
    "system.tables": f"database = '{DATABASE}'",
    "system.columns": f"database = '{DATABASE}'",
}
_OPEN_TABLES: Final = frozenset(
    {"one", "numbers", "numbers_mt", "functions", "settings", "formats", "data_type_families", "time_zones"}
)
_INFORMATION_SCHEMA: Final = frozenset({"tables", "columns", "views", "schemata"})  # they read system.tables, …
_TABLE_FUNCTIONS: Final = frozenset({"numbers", "numbers_mt", "zeros", "generate_series", "generateSeries", "values"})

# Functions are known by the engine's categories of them; these hold some that read files, dictionaries, the
# configuration or other sites, so that of their members only the listed ones may be called. (`lambda`, `grouping` and
# `exists` are of the grammar, and in no category.)
_CLOSED_CATEGORIES: Final = frozenset(
    {"", "AI", "Dictionary", "Embedded Dictionary", "Encryption", "Internal", "Introspection", "Machine Learning"}
    | {"Other", "Time Series"}
)
_OPEN_FUNCTIONS: Final = frozenset(
    """
    bar blockSize byteSize countDigits currentDatabase currentUser defaultValueOfArgumentType defaultValueOfTypeName
    digits displayName dumpColumnStructure finalizeAggregation formatReadableDecimalSize formatReadableQuantity
    formatReadableSize formatReadableTimeDelta getSubcolumn hostName identity ignore indexHint isConstant
    isDecimalOverflow lowCardinalityIndices lowCardinalityKeys materialize minSampleSizeContinuous
    minSampleSizeConversion neighbor nested parseTimeDelta revision rowNumberInAllBlocks rowNumberInBlock
    runningAccumulate runningDifference runningDifferenceStartingWithFirstValue throwIf toColumnTypeName toTypeName
    transform uptime variantElement variantType version visibleWidth caseWithExpression
    lambda grouping exists
    """.split()  # noqa: SIM905 - read as words
)

_NODES: Final = frozenset(
    {"SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Subquery", "WithElement"}
    | {"TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableIdentifier", "TableJoin"}
    | {"ArrayJoin", "SampleRatio", "Identifier", "Function", "Literal", "Asterisk", "QualifiedAsterisk"}
    | {"ColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher"}
    | {"ColumnsTransformerList", "ColumnsExceptTransformer", "ColumnsReplaceTransformer"}
    | {"ColumnsReplaceTransformerReplacement", "OrderByElement", "InterpolateElement", "WindowDefinition"}
    | {"WindowListElement", "QueryParameter", "ShowTablesQuery"}
)
_NAME: Final = re.compile(r"\w+")
_MAY_BE_SET: Final = re.compile(
    r"output_format_\w+|date_time_output_format|session_timezone|max_block_size|join_use_nulls|extremes"
    r"|cancel_http_readonly_queries_on_client_close|wait_end_of_query"
)


def confined(request: Request) -> Request:
    """The same request inside of the limits of `bi`, in its database and unable to write. Raises Refusal."""
    if request.database not in {"", "default", DATABASE}:
        raise refused(f"nothing of {request.database}")
    return replace(request, database=DATABASE, settings=settings_of(request.settings), readonly=1)


def settings_of(asked: Mapping[str, str]) -> dict[str, str]:
    """The settings that a statement of `bi` runs under. Raises Refusal (164, READONLY) for those it must not touch."""
    chosen = dict(LIMITS)
    for name, value in asked.items():
        if name in LIMITS:
            # 0 would mean "no limit" to the engine.
            if not value.isdecimal() or not 1 <= int(value) <= int(LIMITS[name]):
                raise Refusal(
                    452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name} shouldn't be 0 or above {LIMITS[name]}"
                )
            chosen[name] = value
        elif name == "readonly":  # a driver that promises to write nothing
            continue
        elif _MAY_BE_SET.fullmatch(name):
            chosen[name] = value
        else:
            raise Refusal(164, "READONLY", f"Cannot modify '{name}' setting in readonly mode")
    filters = ", ".join(f"{quote(table)}: {quote(condition)}" for table, condition in _FILTERS.items())
    return chosen | {"additional_table_filters": "{" + filters + "}", "result_overflow_mode": "throw"}


class StatementCheck:
    """Looks over statements of `bi`; knows the engine's databases and functions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        rows = self._rows("SELECT name, if(alias_to = '', name, alias_to), case_insensitive FROM system.functions")
        named = self._rows("SELECT name, categories FROM system.functions WHERE alias_to = ''")
        own = {name: category for name, category in named}  # noqa: C416 - dict() wants tuples of a known length
        self._category = {name: own.get(of, "") for name, of, _ in rows}
        self._canonical = {name: of for name, of, _ in rows}
        self._any_case = {name.lower(): name for name, _, insensitive in rows if insensitive == "1"}

    def check(self, statement: str) -> None:
        """Raise Refusal when `bi` must not run this; StatementError when the engine cannot parse it."""
        if self._is_about_a_view(statement):
            return
        try:
            answer = self._engine.run(f"SELECT parseQueryToJSON({quote(statement)})", output_format="RawBLOB")
            tree = json.loads(bytes(answer.body))
        except StatementError as error:
            if error.code == 36:  # BAD_ARGUMENTS: a statement of a kind that has no such tree, so none that reads
                raise refused("only SELECT, SHOW, DESCRIBE and EXISTS") from None
            raise
        if tree.get("type") not in {"SelectWithUnionQuery", "SelectIntersectExceptQuery", "ShowTablesQuery"}:
            raise refused("only SELECT, SHOW, DESCRIBE and EXISTS")
        databases = {name for (name,) in self._rows("SELECT name FROM system.databases")}
        for node in _nodes(tree):
            self._check_node(node, databases)

    def _check_node(self, node: Mapping[str, Any], databases: set[str]) -> None:
        kind = node["type"]
        if kind == "SetQuery":
            raise Refusal(164, "READONLY", "Cannot modify settings in a statement in readonly mode")
        if kind not in _NODES:
            raise refused(f"no {kind}")
        if node.get("out_file") is not None:
            raise refused("no INTO OUTFILE")
        match kind:
            case "TableIdentifier":
                _check_table(node)
            case "TableExpression" if "table_function" in node:
                name = str(node["table_function"].get("name"))
                if name not in _TABLE_FUNCTIONS:
                    raise refused(f"no table function {name}")
                node["table_function"]["checked"] = True
            case "Function" if "checked" not in node:
                self._check_function(str(node.get("name")))
            case "Identifier":
                # Behind IN an identifier is a table; a column needs no other database before its name.
                first = _parts(node)[0]
                if first != DATABASE and first.lower() in {name.lower() for name in databases}:
                    _check_table(node)
            case "QueryParameter":
                if node.get("param_type") == "Identifier":
                    raise refused("no parameter in the place of a name")
            case "ShowTablesQuery":
                if not node.keys() <= _PLAIN_SHOW:
                    raise refused("only SHOW TABLES and SHOW DATABASES")
                shown = node.get("from", {}).get("name", DATABASE)
                if shown != DATABASE:
                    raise refused(f"nothing of {shown}")

    def _check_function(self, name: str) -> None:
        name = name if name in self._category else self._any_case.get(name.lower(), name)
        if name in _OPEN_FUNCTIONS or self._canonical.get(name) in _OPEN_FUNCTIONS:
            return
        category = self._category.get(name)
        if category is None:  # an aggregate function with a combinator, as sumIf
            category = next((c for n, c in self._category.items() if name.startswith(n) and "Aggregate" in c), "")
        if category in _CLOSED_CATEGORIES:
            raise refused(f"no function {name}")

    def _is_about_a_view(self, statement: str) -> bool:
        """DESCRIBE, EXISTS, SHOW CREATE and SHOW COLUMNS of one view, named in so many words."""
        found = [token for token in tokens(statement) if token.word != ";"]
        texts = [statement[token.start : token.end] for token in found]
        if len(texts) > 2 and texts[-2].upper() == "FORMAT":
            texts = texts[:-2]
        for keywords in _ONE_TABLE:
            if tuple(text.upper() for text in texts[: len(keywords)]) == keywords:
                name = [text.strip('`"') for text in texts[len(keywords) :]]
                if name[:2] == [DATABASE, "."]:
                    name = name[2:]
                if len(name) == 1 and _NAME.fullmatch(name[0]):
                    return True
        return False

    def _rows(self, sql: str) -> list[tuple[str, ...]]:
        text = bytes(self._engine.run(sql, output_format="TabSeparatedRaw").body).decode()
        return [tuple(line.split("\t")) for line in text.splitlines()]


_PLAIN_SHOW: Final = frozenset(
    {"type", "databases", "from", "like", "not_like", "case_insensitive_like", "limit_length", "full", "format_ast"}
    | {"is_outfile_append", "is_outfile_truncate", "is_into_outfile_with_stdout"}
)
_ONE_TABLE: Final = (
    ("DESCRIBE", "TABLE"), ("DESC", "TABLE"), ("DESCRIBE",), ("DESC",), ("EXISTS", "TABLE"), ("EXISTS", "VIEW"),
    ("EXISTS",), ("SHOW", "CREATE", "TABLE"), ("SHOW", "CREATE", "VIEW"), ("SHOW", "COLUMNS", "FROM"),
)  # fmt: skip


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)
    elif isinstance(tree, dict):
        if "type" in tree and tree["type"] != "Literal":
            yield tree
        if tree.get("type") != "Literal":
            for part in tree.values():
                yield from _nodes(part)


def _parts(node: Mapping[str, Any]) -> list[str]:
    return list(node.get("name_parts") or [str(node.get("name", ""))])


def _check_table(node: Mapping[str, Any]) -> None:
    parts = _parts(node)
    database, table = (DATABASE, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    if len(parts) <= 2 and database == DATABASE and _NAME.fullmatch(table):
        return
    if database == "system" and (table in _OPEN_TABLES or f"system.{table}" in _FILTERS):
        return
    if database.lower() == "information_schema" and table.lower() in _INFORMATION_SCHEMA:
        return
    raise refused(f"nothing of {'.'.join(parts)}")


def refused(allowed: str) -> Refusal:
    return Refusal(
        497,
        "ACCESS_DENIED",
        f"{USER}: Not enough privileges: {allowed}; this user reads the views of database {DATABASE}",
    )
