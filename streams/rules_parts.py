"""What the sections of a rules file are made of: their base, texts, times and zones, and hints at misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

DEFAULT_TIMEZONE: Final = "UTC"


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"no time zone of the tz database{did_you_mean(name, _zones())}")
    return name


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` when a known word is close, else nothing."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def _day_or_instant(found: Any) -> Any:
    """Texts become dates or datetimes; a datetime without offset is left to the community's time zone, like a date."""
    if not isinstance(found, str):
        return found
    try:
        if len(found) == 10:
            return date.fromisoformat(found)
        return datetime.fromisoformat(found)
    except ValueError:
        raise ValueError("expected a day like 2024-05-01 or a time like 2024-05-01T09:00:00+08:00") from None


def instant_ms(when: date | datetime | None, timezone: str) -> int | None:
    """The time in ms since 1970 UTC; a day, and a time without an offset, is one of `timezone`."""
    if when is None:
        return None
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)  # noqa: DTZ001  # the community's zone comes next
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(timezone))
    return int(when.timestamp() * 1000)


Zone = Annotated[str, AfterValidator(_known_zone)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
When = Annotated[datetime | date, BeforeValidator(_day_or_instant)]


class Section(BaseModel):
    """Fields are strict, unknown ones are mistakes, and nothing changes them once read."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
