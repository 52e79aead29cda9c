"""Numbers as Grafana shows them: a few digits and a unit that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_THOUSANDS: Final = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " K"))
_BYTES: Final = ((2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))
_TIMES: Final = (
    (604_800.0 * 52, " years", 604_800 * 52), (604_800.0, " weeks", 604_800), (86_400.0, " days", 86_400),
    (3_600.0, " h", 3_600), (60.0, " min", 60), (1.0, " s", 1), (1e-3, " ms", 1e-3), (0.0, " µs", 1e-6),
)  # fmt: skip


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """`value` in `unit`, one of those that our panels use."""
    if not math.isfinite(value):
        return "-"
    if unit == "percentunit":
        return f"{_digits(value * 100, decimals)} %"
    if unit == "s":
        return _time(value, decimals)
    if unit == "bytes":
        return _scaled(value, _BYTES, " B", decimals)
    if unit == "cps":
        return _scaled(value, _THOUSANDS, "", decimals) + " c/s"
    if unit == "short":
        return _scaled(value, _THOUSANDS, "", decimals)
    return _digits(value, decimals)


def _scaled(value: float, steps: Sequence[tuple[float, str]], plain: str, decimals: int | None) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return _digits(value / size, decimals) + name
    return _digits(value, decimals) + plain


def _time(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    for least, name, size in _TIMES:
        if abs(value) >= least:
            return _digits(value / size, decimals) + name
    return "0 s"


def _digits(value: float, decimals: int | None) -> str:
    """Three digits that say something, no zeros behind the point, unless the panel wants a number of decimals."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    places = min(max(2 - math.floor(math.log10(abs(value))), 0), 4)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
