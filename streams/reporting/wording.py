"""Figures as people read them: counts with separators, shares in percent, money in major units, spans of time."""

from __future__ import annotations

import datetime as dt
from typing import Any

NOTHING = "–"
"""Shown where a figure does not exist: nobody was active, nobody bought, a cohort is too young."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# ISO 4217: currencies whose minor unit is not a hundredth.
_DIGITS: dict[str, int] = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)


def count(value: float | None) -> str:
    """`1,234`; one decimal where it is not whole."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def signed(value: float | None) -> str:
    """`+12`, `−3`, `0`."""
    if value is None:
        return NOTHING
    return "0" if round(value) == 0 else f"{value:+,.0f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as `12.3 %`; small ones with another digit."""
    if value is None:
        return NOTHING
    digits = 2 if 0 < abs(value) < 0.01 else 1
    return f"{100 * value:,.{digits}f} %".replace("-", "−")


def points(value: float | None) -> str:
    """A difference of shares in percentage points."""
    return NOTHING if value is None else f"{100 * value:+.1f} pp".replace("-", "−")


def ratio(value: float | None) -> str:
    """Two decimals."""
    return NOTHING if value is None else f"{value:,.2f}".replace("-", "−")


def major(minor: float, currency: str) -> float:
    """An amount of minor units in units of the currency."""
    return float(minor) / 10.0 ** _DIGITS.get(currency, 2)


def money(minor: float | None, currency: str) -> str:
    """An amount of minor units as `1,234.50 CNY`."""
    if minor is None:
        return NOTHING
    digits = _DIGITS.get(currency, 2)
    return f"{major(minor, currency):,.{digits}f} {currency}".replace("-", "−")


def span(seconds: float | None) -> str:
    """A span of time in its largest fitting unit: `45 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds is None:
        return NOTHING
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def days(value: float | None) -> str:
    """`3.5 days`."""
    return NOTHING if value is None else f"{value:,.1f} days"


def between(low: str, high: str) -> str:
    """An interval: `1.2 to 3.4`."""
    return NOTHING if NOTHING in (low, high) else f"{low} to {high}"


def text(value: Any) -> str:
    """Whatever it is; nothing for an empty one."""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return NOTHING if value is None or value == "" else str(value)


def words(identifier: str) -> str:
    """An identifier of the views as words: `key_opinion` becomes `key opinion`."""
    return identifier.replace("_", " ")
