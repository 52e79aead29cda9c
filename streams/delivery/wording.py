"""A message's title and text: one alert in full, or the lines of a digest, cut to what the receiver takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.alerts import ALERT_STATES, AlertRecord
from streams.alert_words import TITLES, explain, moment
from streams.delivery.channel_queue import Message
from streams.rules_model import Rules

MAX_LINES: Final = 40
"""Lines of a digest; the rest is counted, and one command away."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message as it is handed to the receiver."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Wording:
    """What texts are made with: the rules (names of communities), display names by member id, a time zone."""

    rules: Rules
    names: Mapping[str, str]
    timezone: str

    def of(self, message: Message, max_bytes: int) -> Text:
        """The message's text; title and body together take at most `max_bytes` in UTF-8."""
        alerts = _latest(message)
        title, lines = self._single(alerts[0]) if message.form == "single" else self._digest(alerts)
        title = _cut(title, max_bytes // 3)
        return Text(title, _fit(lines, max_bytes - len(title.encode()) - 2))

    def _single(self, alert: AlertRecord) -> tuple[str, list[str]]:
        title = f"[{alert.severity}] {self._headline(alert)}{self._state(alert)}"
        lines = [_sentence(alert.reason)]
        if alert.state == "opened":
            figures = ", ".join(f"{what}: {figure}" for what, figure in explain(alert.evidence, self.timezone))
            lines += [figures] if figures else []
            lines += [f"What to do: {_sentence(alert.suggested_action)}"] if alert.suggested_action else []
        lines += [f"For: {self._person(alert.assignee)}"] if alert.assignee else []
        lines += [f"{alert.state.capitalize()} {moment(alert.updated_at, self.timezone)}"]
        return title, [*lines, f"qunpulse alerts show {alert.alert_id}"]

    def _digest(self, alerts: Sequence[AlertRecord]) -> tuple[str, list[str]]:
        first = alerts[0]
        where = self._community(first)
        title = f"{len(alerts)} alerts in {where}" if where else f"{len(alerts)} alerts"
        lines = [
            f"• [{alert.severity}] {self._subject(alert)}{self._state(alert)}: {_sentence(alert.reason)}"
            for alert in alerts
        ]
        more = f" --community '{first.community_id}'" if first.community_id else ""
        return title, [*lines, f"qunpulse alerts list{more}"]

    def _headline(self, alert: AlertRecord) -> str:
        where = self._community(alert)
        return f"{self._subject(alert)}, {where}" if where else self._subject(alert)

    def _subject(self, alert: AlertRecord) -> str:
        whom = self._person(alert.member_id) or (alert.feed if not alert.community_id else "")
        return f"{TITLES[alert.kind]}: {whom}" if whom else TITLES[alert.kind]

    def _person(self, member_id: str) -> str:
        return self.names.get(member_id, member_id)

    def _community(self, alert: AlertRecord) -> str:
        described = self.rules.communities.get(alert.community_id)
        return (described.name if described else None) or alert.community_id

    @staticmethod
    def _state(alert: AlertRecord) -> str:
        return "" if alert.state == "opened" else f" ({alert.state})"


def people_in(message: Message) -> set[str]:
    """Ids whose display names the message can use: members and assignees."""
    return {person for one in message.deliveries for person in (one.alert.member_id, one.alert.assignee) if person}


def _latest(message: Message) -> list[AlertRecord]:
    """Each alert of the message once, in the latest of the states that are told."""
    found: dict[str, AlertRecord] = {}
    for one in message.deliveries:
        told = found.get(one.alert.alert_id)
        if told is None or _age(one.alert) > _age(told):
            found[one.alert.alert_id] = one.alert
    return list(found.values())


def _age(alert: AlertRecord) -> tuple[int, int]:
    return alert.revision, ALERT_STATES.index(alert.state)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?。！？" else f"{text}."


def _fit(lines: Sequence[str], max_bytes: int) -> str:
    """As many of the lines as fit; the last one (what to type) always, and how many were left out."""
    *shown, last = lines
    for kept in range(min(len(shown), MAX_LINES), 0, -1):
        left_out = len(shown) - kept
        rest = [f"… and {left_out} more"] if left_out else []
        text = "\n".join([*shown[:kept], *rest, last])
        if len(text.encode()) <= max_bytes:
            return text
    head = shown[0] if shown else ""
    left_out = len(shown) - 1
    tail = "\n".join([*([f"… and {left_out} more"] if left_out > 0 else []), last])
    return f"{_cut(head, max(max_bytes - len(tail.encode()) - 1, 8))}\n{tail}"


def _cut(text: str, max_bytes: int) -> str:
    raw = text.encode()
    if len(raw) <= max_bytes:
        return text
    return raw[: max(max_bytes - 3, 0)].decode(errors="ignore") + "…"
