"""What the `alerts` section of a rules file says about delivery: channels, routes, display names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from schemas.alerts import AlertKind, AlertRecord, AlertState, Severity
from streams.quiet_hours import parse_quiet_hours
from streams.rules_parts import Section, Zone
from streams.service_hours import ServiceSpan


def _quiet_spans(found: Any) -> Any:
    return parse_quiet_hours(found) if isinstance(found, str) else found


QuietHours = Annotated[tuple[ServiceSpan, ...], BeforeValidator(_quiet_spans)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
ChannelName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]


class ChannelRules(Section):
    """One receiver of messages: a group robot, a mailbox, a webhook."""

    url: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="Apprise URL of one receiver; its secret parts as ${VARIABLE} or ${file:PATH}, or all of it so, or "
        "as file:PATH."
    )
    per_minute: Annotated[int, Field(ge=1, le=6000)] = Field(
        default=20, description="Most messages in any 60 seconds; group robots of WeCom and DingTalk allow 20."
    )
    singles_per_hour: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=5,
        description="Messages of their own that one community may have in a clock hour; what comes beyond is told in "
        "one digest at the end of the hour.",
    )
    quiet_hours: QuietHours = Field(
        default=(), description="When nothing is sent, local time, e.g. 22:00-08:00, sat-sun 00:00-24:00."
    )
    timezone: Zone = Field(default="UTC", description="Time zone of quiet_hours and of times in messages.")
    at_once: list[Severity] = Field(
        default=["critical"],
        description="Severities that wait neither for the end of quiet hours nor for that of a full hour.",
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = Field(
        default=10.0, description="How long the receiver may take to answer."
    )


class RouteRules(Section):
    """Which alerts go to which channels; what is left out matches everything, and all routes that match add up."""

    communities: list[Pattern] = Field(default=["*"], description="Community ids; * and ? stand for anything.")
    kinds: list[AlertKind] | None = Field(default=None, description="Kinds of alerts.")
    severities: list[Severity] | None = Field(default=None, description="Severities.")
    assignees: list[Pattern] | None = Field(default=None, description="Assignees; * and ? stand for anything.")
    states: list[AlertState] = Field(default=["opened", "resolved"], description="States of an alert that are told.")
    channels: Annotated[list[ChannelName], Field(min_length=1)] = Field(description="Names of channels.")
    digest: bool = Field(default=False, description="Tell them in the community's hourly digest only.")

    def matches(self, alert: AlertRecord) -> bool:
        """Whether the alert, in the state it is in, takes this route."""
        return (
            alert.state in self.states
            and (self.kinds is None or alert.kind in self.kinds)
            and (self.severities is None or alert.severity in self.severities)
            and any(fnmatchcase(alert.community_id, pattern) for pattern in self.communities)
            and (self.assignees is None or any(fnmatchcase(alert.assignee, pattern) for pattern in self.assignees))
        )


class NamesRules(Section):
    """Where display names of people are looked up when a message is written; they are stored nowhere."""

    csv: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="CSV in UTF-8 with the columns member_id and name, relative to the rules file."
    )
    table: Annotated[str, Field(pattern=r"^\w+\.\w+$")] | None = Field(
        default=None, description="ClickHouse table or view with the columns member_id and name, as database.table."
    )
