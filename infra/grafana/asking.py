"""The answers to a dashboard's queries, asked for as Grafana asks: variables first, then every panel."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from infra.grafana.substitution import Asked, Choice, promql_as_sent, sql_as_sent, title_as_shown
from streams.errors import InputError

FOLDER: Final = Path(__file__).parent
NAMES: Final = ("pipeline", "communities", "business")
_LABEL_VALUES: Final = re.compile(r"label_values\((\w+), (\w+)\)")
_POINTS: Final = 240  # as many as a panel of ordinary width has pixels for


@dataclass(frozen=True)
class Line:
    """One line of a panel: a name, and (Unix seconds, value) pairs in order; values are finite."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Table:
    """Rows as they came."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


Answer = list[Line] | Table


class ClickHouseSource(Protocol):
    """Whatever runs SQL; `clickhouse_connect`'s client does."""

    def query(self, query: str) -> Any:
        """A result with `column_names` and `result_rows`."""


class PrometheusSource:
    """A Prometheus by its address."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def get(self, path: str, **arguments: str | float) -> Any:
        """`data` of an answer. Raises InputError with Prometheus's own words."""
        address = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # the address is the user's own
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                said = json.load(error).get("error", error.reason)
            raise InputError(f"Prometheus refused {arguments.get('query', path)}: {said}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise InputError(f"no Prometheus answers at {self._url}: {reason}") from None


@dataclass(frozen=True)
class Sources:
    """Where answers come from; a dashboard that needs one that is missing cannot be asked."""

    clickhouse: ClickHouseSource
    prometheus: PrometheusSource | None = None


def load(name: str) -> dict[str, Any]:
    """A dashboard as it is kept."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels that have queries, in their order."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def span(start: int, end: int, scrape_seconds: int = 15) -> Asked:
    """Looking at a span of Unix seconds, before anything is chosen."""
    wide = max(math.ceil((end - start) / _POINTS), scrape_seconds)
    return Asked(start, end, wide, scrape_seconds)


def with_choices(
    dashboard: Mapping[str, Any], asked: Asked, sources: Sources, chosen: Mapping[str, Sequence[str]] | None = None
) -> Asked:
    """Choose for every variable: what `chosen` names, else *All* where there is that, else its first value.

    Raises InputError when a variable has no values, or not the chosen ones.
    """
    choices: dict[str, Choice] = {}
    for variable in dashboard["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "constant":
            choices[name] = Choice((variable["query"],))
            continue
        values = variable_values(variable, replace(asked, choices=choices), sources)
        if not values:
            raise InputError(f"variable {name} of dashboard {dashboard['title']} has no values: {variable['query']}")
        wanted = tuple((chosen or {}).get(name, ()))
        if unknown := [value for value in wanted if value not in values]:
            raise InputError(f"variable {name} has no value {unknown[0]!r}; it has {', '.join(values[:20])}")
        everything = not wanted and variable["includeAll"]
        choices[name] = Choice(
            wanted or (tuple(values) if everything else (values[0],)),
            everything=everything,
            all_value=variable.get("allValue"),
            multiple=variable["multi"],
        )
    return replace(asked, choices=choices)


def variable_values(variable: Mapping[str, Any], asked: Asked, sources: Sources) -> list[str]:
    """The values that a variable offers."""
    query = variable["query"]
    if isinstance(query, str):
        match = _LABEL_VALUES.fullmatch(query)
        if match is None:
            raise InputError(f"variable {variable['name']}: {query} is not of the form label_values(metric, label)")
        found = _prometheus(sources).get(
            f"label/{match[2]}/values", start=asked.start, end=asked.end, **{"match[]": match[1]}
        )
        return [str(value) for value in found]
    return [str(row[0]) for row in sources.clickhouse.query(sql_as_sent(query["rawSql"], asked)).result_rows]


def ask(panel: Mapping[str, Any], asked: Asked, sources: Sources) -> list[Answer]:
    """The answer to each of a panel's queries. Raises InputError when one is refused."""
    return [_ask_one(panel, target, asked, sources) for target in panel["targets"]]


def title_of(panel: Mapping[str, Any], asked: Asked) -> str:
    """A panel's title as it is shown."""
    return title_as_shown(panel["title"], asked)


def _ask_one(panel: Mapping[str, Any], target: Mapping[str, Any], asked: Asked, sources: Sources) -> Answer:
    if "expr" in target:
        return _ask_prometheus(target, asked, _prometheus(sources))
    sql = sql_as_sent(target["rawSql"], asked)
    try:
        result = sources.clickhouse.query(sql)
    except Exception as error:
        raise InputError(f"panel {panel['title']!r}: {error}\n{sql}") from error
    found = Table(tuple(result.column_names), tuple(tuple(row) for row in result.result_rows))
    return found if target["format"] == 1 else _lines(found, str(panel["title"]))


def _ask_prometheus(target: Mapping[str, Any], asked: Asked, prometheus: PrometheusSource) -> list[Line]:
    expression = promql_as_sent(target["expr"], asked)
    if target["instant"]:
        found = prometheus.get("query", query=expression, time=asked.end)["result"]
        pairs = [(one["metric"], [one["value"]]) for one in found]
    else:
        step = asked.interval_seconds
        found = prometheus.get("query_range", query=expression, start=asked.start, end=asked.end, step=step)["result"]
        pairs = [(one["metric"], one["values"]) for one in found]
    return [
        Line(_legend(target["legendFormat"], labels), _finite((float(at), float(value)) for at, value in values))
        for labels, values in pairs
    ]


def _legend(form: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), form)


def _lines(found: Table, title: str) -> list[Line]:
    """A table over time as lines: one for each column of numbers, or for each name in column `series`."""
    if not found.columns or found.columns[0] != "time":
        raise InputError(f"panel {title!r} is over time, so its first column must be `time`, not {found.columns[:1]}")
    times = [_seconds(row[0]) for row in found.rows]
    if times != sorted(times):
        raise InputError(f"panel {title!r} is over time, so its rows must be in the order of `time`")
    if found.columns[1] == "series":
        named: dict[str, list[tuple[float, float]]] = {}
        for at, row in zip(times, found.rows, strict=True):
            named.setdefault(str(row[1]), []).append((at, _number(row[2])))
        return [Line(name, _finite(points)) for name, points in named.items()]
    return [
        Line(name, _finite(zip(times, (_number(row[place]) for row in found.rows), strict=True)))
        for place, name in enumerate(found.columns[1:], 1)
    ]


def _finite(points: Any) -> tuple[tuple[float, float], ...]:
    return tuple((at, value) for at, value in points if math.isfinite(value))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _seconds(value: Any) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    raise InputError(f"column `time` holds {value!r}, which is no time")


def _prometheus(sources: Sources) -> PrometheusSource:
    if sources.prometheus is None:
        raise InputError("this dashboard needs a Prometheus; name its address")
    return sources.prometheus
