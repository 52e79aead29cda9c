"""What Grafana makes of a query before it is sent: variables, then the macros of the data source.

Only what our dashboards use is known here; anything else is an error, so a slip in a name is found without Grafana.
The rules are those of Grafana (variable formats, `$__rate_interval`) and of its plugin grafana-clickhouse-datasource 4
(`src/data/CHDatasource.ts` for `$__conditionalAll`, `pkg/macros` for the others).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.errors import InputError

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")
_MACRO: Final = re.compile(r"\$__(\w+)")
_ALL: Final = "$__conditionalAll("
_REGEX_SIGNS: Final = re.compile(r"[$^*{}\[\]'+?.()|]")


@dataclass(frozen=True)
class Choice:
    """What is chosen for one variable: its values, and whether they are there because *All* is chosen."""

    values: tuple[str, ...]
    everything: bool = False
    all_value: str | None = None
    """What stands for *All*, instead of every value, where the variable says so."""
    multiple: bool = False


@dataclass(frozen=True)
class Asked:
    """What a person looks at: a span of Unix seconds, how wide a point is, and a choice for each variable."""

    start: int
    end: int
    interval_seconds: int
    scrape_seconds: int = 15
    choices: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def rate_seconds(self) -> int:
        """Length of `$__rate_interval`: at least four scrapes, so that a missing one leaves no hole."""
        return max(self.interval_seconds + self.scrape_seconds, 4 * self.scrape_seconds)


def title_as_shown(title: str, asked: Asked) -> str:
    """A title or link with the variables' values in it."""
    return _with_variables(title, asked, "text")


def promql_as_sent(expression: str, asked: Asked) -> str:
    """An expression as it reaches Prometheus. Raises InputError for what is not known here."""
    sent = expression.replace("$__rate_interval", f"{asked.rate_seconds}s")
    return _no_macro_left(_with_variables(sent, asked, "regex"))


def sql_as_sent(sql: str, asked: Asked) -> str:
    """A statement as it reaches ClickHouse. Raises InputError for what is not known here."""
    sent = _with_variables(_with_conditions(sql, asked), asked, "raw")
    start, end = f"toDateTime({asked.start})", f"toDateTime({asked.end})"
    sent = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 >= {start} AND \1 <= {end}", sent)
    days = [f"toDate('{_day(at)}')" for at in (asked.start, asked.end)]
    sent = re.sub(r"\$__dateFilter\(([^()]+)\)", rf"\1 >= {days[0]} AND \1 <= {days[1]}", sent)
    sent = sent.replace("$__fromTime", start).replace("$__toTime", end)
    return _no_macro_left(sent)


def _with_conditions(sql: str, asked: Asked) -> str:
    """`$__conditionalAll(condition, $variable)`: the condition, or `1=1` while all is chosen."""
    while (begin := sql.rfind(_ALL)) >= 0:
        condition, variable, end = _two_arguments(sql, begin + len(_ALL))
        name = variable.strip().removeprefix("$").strip("{}")
        kept = "1=1" if _choice(name, asked).everything else condition
        sql = sql[:begin] + kept + sql[end:]
    return sql


def _two_arguments(sql: str, begin: int) -> tuple[str, str, int]:
    depth, comma = 1, -1
    for place in range(begin, len(sql)):
        sign = sql[place]
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 1:
            comma = place
        if depth == 0 and comma > 0:
            return sql[begin:comma], sql[comma + 1 : place], place + 1
    raise InputError(f"$__conditionalAll needs two arguments: {sql[begin - len(_ALL) :][:80]}")


def _with_variables(text: str, asked: Asked, otherwise: str) -> str:
    def put(match: re.Match[str]) -> str:
        name, form = match[1] or match[3], match[2] or otherwise
        if name.startswith("__"):
            return match[0]
        return _formatted(_choice(name, asked), form, name)

    return _VARIABLE.sub(put, text)


def _formatted(choice: Choice, form: str, name: str) -> str:
    if form == "regex":
        if choice.everything and choice.all_value is not None:
            return choice.all_value
        escaped = [_REGEX_SIGNS.sub(r"\\\\\g<0>", value.replace("\\", "\\\\\\\\")) for value in choice.values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    if form == "sqlstring":
        return ",".join("'" + value.replace("'", "''") + "'" for value in choice.values)
    if form in {"raw", "text"}:
        if form == "raw" and choice.multiple:
            raise InputError(f"variable {name} may have several values: write it as ${{{name}:sqlstring}}")
        return " + ".join(choice.values)
    raise InputError(f"variable {name} is asked for in the unknown format {form!r}")


def _choice(name: str, asked: Asked) -> Choice:
    if name not in asked.choices:
        raise InputError(f"there is no variable {name!r}; there are {', '.join(sorted(asked.choices)) or 'none'}")
    return asked.choices[name]


def _no_macro_left(sent: str) -> str:
    if left := _MACRO.search(sent):
        raise InputError(f"{left[0]} is no macro that is known here, or lacks its argument")
    return sent


def _day(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).date().isoformat()
