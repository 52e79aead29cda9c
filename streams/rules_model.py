"""What a rules file may say, section by section; `streams.rules` reads it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from streams.service_hours import ServiceSpan, parse_service_hours

DEFAULT_TIMEZONE: Final = "UTC"


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"no time zone of the tz database{did_you_mean(name, _zones())}")
    return name


def _service_spans(found: Any) -> Any:
    return parse_service_hours(found) if isinstance(found, str) else found


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


Zone = Annotated[str, AfterValidator(_known_zone)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
When = Annotated[datetime | date, BeforeValidator(_day_or_instant)]
ServiceHours = Annotated[tuple[ServiceSpan, ...], BeforeValidator(_service_spans)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class CommunityRules(_Section):
    """What is known of a community that no event says. Days without a time are its own local days."""

    name: Text | None = Field(default=None, description="Name for people.")
    type: Text | None = Field(default=None, description="Kind of community, in your own words.")
    store: Text | None = Field(default=None, description="Shop or branch it belongs to.")
    assignee: Text | None = Field(default=None, description="Employee who looks after it.")
    capacity: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(default=None, description="Members it can hold.")
    timezone: Zone = Field(
        default=DEFAULT_TIMEZONE,
        description="Zone of its days; fixed when its first event is applied. Default: its platform's, else UTC.",
    )
    opened_at: When | None = Field(default=None, description="When it was opened.")
    closed_at: When | None = Field(default=None, description="When it was closed.")
    service_hours: ServiceHours | None = Field(
        default=None, description="When members are answered, local time, e.g. mon-fri 09:00-21:00, sat 10:00-18:00."
    )

    @model_validator(mode="after")
    def _closed_after_opened(self) -> CommunityRules:
        opened, closed = self.opened_ms(), self.closed_ms()
        if opened is not None and closed is not None and closed < opened:
            raise ValueError("closed_at lies before opened_at")
        return self

    def opened_ms(self) -> int | None:
        """When it was opened, in ms since 1970 UTC."""
        return _instant_ms(self.opened_at, self.timezone)

    def closed_ms(self) -> int | None:
        """When it was closed, in ms since 1970 UTC."""
        return _instant_ms(self.closed_at, self.timezone)


class PlatformRules(_Section):
    """What holds for all communities of a platform."""

    name: Text | None = Field(default=None, description="Name for people.")
    timezone: Zone = Field(default=DEFAULT_TIMEZONE, description="Zone of its communities that do not say their own.")


class Rules(_Section):
    """The whole file, one field a section."""

    communities: dict[str, CommunityRules] = Field(default_factory=dict)
    platforms: dict[str, PlatformRules] = Field(default_factory=dict)

    def timezone_of(self, community_id: str, platform: str | None = None) -> str:
        """The zone of a community's days: its own, else its platform's, else UTC."""
        community = self.communities.get(community_id)
        if community is not None and "timezone" in community.model_fields_set:
            return community.timezone
        of_platform = self.platforms.get(platform) if platform else None
        return of_platform.timezone if of_platform is not None else DEFAULT_TIMEZONE


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` when a known word is close, else nothing."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def _instant_ms(when: date | datetime | None, timezone: str) -> int | None:
    if when is None:
        return None
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)  # noqa: DTZ001  # the community's zone comes next
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(timezone))
    return int(when.timestamp() * 1000)
