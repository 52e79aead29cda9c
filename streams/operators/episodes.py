"""Alert episodes: opened -> acknowledged -> resolved | expired, each state once, whatever is replayed.

An episode is identified by the event fact that it stands on, so the same history opens the same one, and a subject has
at most one that is open. How it ends is decided by event times alone: news about the subject before its expiry resolves
it, else it has expired then, however late anybody looks. What fell due too long ago when it was first looked at begins
and ends as expired and is told to nobody. After a resolved one the same subject rests for a while (cool-down).

Rules say what is so: `open` and `close`; conditions that waver go on and off at thresholds of their own. Everything
else (states, revisions, mutes, commands, rows) is here, the same for alerts about members and about communities.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from schemas.alerts import MEMBER_ALERT_KINDS, AlertKind, AlertRecord, AlertState, CommandRecord, decode_alert, encode
from schemas.topics import ALERTS
from streams.operators.alert_rows import alert_table, verdict_table
from streams.operators.base import NEVER, Ints, StateRows, binary
from streams.operators.mutes import Mutes
from streams.operators.outbox import OutboxRecord

Subject = tuple[AlertKind, int]
"""Kind, and the number of the member or community that an alert is about."""

_OPEN: tuple[AlertState, ...] = ("opened", "acknowledged")


class _Episode(msgspec.Struct, array_like=True):
    """What is kept of an episode. ``record`` is its latest revision as JSON, empty once it is over and landed."""

    alert_id: str
    kind: AlertKind
    subject: int
    community: int
    expires_ms: int
    rests_until_ms: int
    record: bytes
    ended_ms: int = -1

    @property
    def is_open(self) -> bool:
        return self.ended_ms < 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A new episode as its rule describes it: its first revision, and how long it lasts and rests."""

    record: AlertRecord
    subject: int
    community: int
    expire_ms: int
    cool_down_ms: int
    stale: bool = False


class Episodes:
    """The episodes of one partition."""

    names = ("episodes", Mutes.name)

    def __init__(self) -> None:
        self.mutes = Mutes()
        self._by_subject: dict[Subject, _Episode] = {}
        self._subject_of: dict[str, Subject] = {}
        self._expiries: list[tuple[int, str]] = []
        self._endings: dict[int, list[tuple[int, str]]] = {}
        """By community: until when subjects rest, and after which episode."""
        self._changed: dict[str, AlertRecord] = {}
        self._outbox: dict[str, AlertRecord] = {}
        self.urgent = False
        """Whether somebody is to be told at once of what changed since the last :meth:`outbox`."""
        self._dirty: set[str] = set()
        self._gone: list[str] = []
        self._verdicts: dict[tuple[str, str], CommandRecord] = {}

    def __len__(self) -> int:
        """Open episodes."""
        return sum(one.is_open for one in self._by_subject.values())

    def is_open(self, kind: AlertKind, subject: int) -> bool:
        """Whether there is an open episode of this kind about the subject."""
        found = self._by_subject.get((kind, subject))
        return found is not None and found.is_open

    def rests_until_ms(self, kind: AlertKind, subjects: Ints) -> Ints:
        """Until when each subject rests after its last episode, NEVER where there was none or it is still open."""
        found = np.full(len(subjects), NEVER)
        if self._by_subject:
            for at, subject in enumerate(subjects.tolist()):
                episode = self._by_subject.get((kind, subject))
                if episode is not None and not episode.is_open:
                    found[at] = episode.rests_until_ms
        return found

    def open(self, opening: Opening) -> bool:
        """Open an episode, unless one is open, the subject rests, or it is the very same again; whether it was opened.

        A stale one is landed as expired, so that history can be looked at, and keeps no subject from resting.
        """
        record = opening.record
        subject: Subject = (record.kind, opening.subject)
        known = self._by_subject.get(subject)
        if known is not None:
            if known.is_open and record.opened_at >= known.expires_ms:
                self._end(known, "expired", known.expires_ms)
            if known.is_open or known.alert_id == record.alert_id or record.opened_at < known.rests_until_ms:
                return False
        if opening.stale:
            record = msgspec.structs.replace(
                record, state="expired", resolved_at=record.opened_at, updated_at=record.opened_at, urgency="nobody"
            )
            self._show(record)
            return True
        if known is not None:
            self._let_go(known)
        expires_ms = record.opened_at + opening.expire_ms
        record = self._quietened(record, record.opened_at)
        episode = _Episode(
            record.alert_id, record.kind, opening.subject, opening.community, expires_ms, opening.cool_down_ms, b""
        )
        self._by_subject[subject] = episode
        self._subject_of[record.alert_id] = subject
        heapq.heappush(self._expiries, (expires_ms, record.alert_id))
        self._keep(episode, record)
        return True

    def close(
        self, kind: AlertKind, subject: int, at_ms: int, state: AlertState = "resolved", reached_ms: int | None = None
    ) -> bool:
        """End the open episode about a subject because of news at ``at_ms``; whether there was one.

        When it had expired by then, or *now* had come so far (``reached_ms``), it ends so.
        """
        episode = self._by_subject.get((kind, subject))
        if episode is None or not episode.is_open:
            return False
        if max(at_ms, reached_ms or at_ms) >= episode.expires_ms:
            self._end(episode, "expired", episode.expires_ms)
        else:
            self._end(episode, state, at_ms)
        return True

    def advance(self, now_ms: Ints) -> None:
        """Let episodes expire; ``now_ms`` is *now* by community number."""
        latest = int(now_ms.max(initial=0))
        waiting = []
        while self._expiries and self._expiries[0][0] <= latest:
            expires_ms, alert_id = heapq.heappop(self._expiries)
            episode = self._find(alert_id)
            if episode is None or not episode.is_open or episode.expires_ms != expires_ms:
                continue
            if now_ms[episode.community] >= expires_ms:
                self._end(episode, "expired", expires_ms)
            else:
                waiting.append((expires_ms, alert_id))
        for entry in waiting:
            heapq.heappush(self._expiries, entry)

    def settle(self, clock_ms: Ints, lateness_ms: int) -> None:
        """Forget episodes that are over, have rested, and have landed.

        Their own community's clock decides: while that stands still (an outage, history that is loaded), its events may
        still come from the time in which a subject rests, however far others have come.
        """
        for community, endings in self._endings.items():
            while endings and endings[0][0] < clock_ms[community] - lateness_ms and endings[0][1] not in self._dirty:
                _, alert_id = heapq.heappop(endings)
                episode = self._find(alert_id)
                if episode is not None and not episode.is_open:
                    self._let_go(episode)

    # -- what operators say -------------------------------------------------------------------------------------------

    def command(self, command: CommandRecord, community_id: str, member_of: Callable[[str], int | None]) -> None:
        """Apply a command; a repeated one changes nothing. ``member_of`` gives a member's number by its id."""
        match command.action:
            case "acknowledge" | "resolve":
                self._said(command, community_id)
            case "verdict":
                self._verdicts[command.alert_id or "", command.issued_by] = command
            case "mute" | "unmute":
                self.mutes.apply(command)
            case "forget":
                self._forget_member(command, community_id, member_of)

    def _said(self, command: CommandRecord, community_id: str) -> None:
        episode = self._find(command.alert_id or "")
        if episode is None or not episode.is_open:
            return
        record = decode_alert(episode.record)
        if record.community_id != community_id:
            return  # an id of another community, typed by mistake
        at_ms = max(command.issued_at, record.updated_at)
        if command.action == "resolve":
            self._end(episode, "resolved", at_ms)
        elif record.state == "opened":
            changed = msgspec.structs.replace(
                record, state="acknowledged", updated_at=at_ms, revision=record.revision + 1
            )
            self._keep(episode, self._quietened(changed, at_ms))

    def _forget_member(self, command: CommandRecord, community_id: str, member_of: Callable[[str], int | None]) -> None:
        number = member_of(command.member_id or "")
        self.mutes.forget(community_id, command.member_id or "")
        for kind in MEMBER_ALERT_KINDS:
            episode = None if number is None else self._by_subject.get((kind, number))
            if episode is None:
                continue
            if episode.is_open:
                record = decode_alert(episode.record)
                self._end(episode, "expired", max(command.issued_at, record.updated_at), told_to_nobody=True)

    # -- states -------------------------------------------------------------------------------------------------------

    def _end(self, episode: _Episode, state: AlertState, at_ms: int, told_to_nobody: bool = False) -> None:
        record = decode_alert(episode.record)
        changed = msgspec.structs.replace(
            record, state=state, updated_at=at_ms, resolved_at=at_ms, revision=record.revision + 1
        )
        changed = (
            msgspec.structs.replace(changed, urgency="nobody") if told_to_nobody else self._quietened(changed, at_ms)
        )
        episode.ended_ms = at_ms
        # Until it ends the field holds how long the subject rests, from here on until when.
        episode.rests_until_ms += at_ms
        self._rest(episode)
        self._keep(episode, changed)
        episode.record = b""

    def _rest(self, episode: _Episode) -> None:
        endings = self._endings.setdefault(episode.community, [])
        heapq.heappush(endings, (episode.rests_until_ms, episode.alert_id))

    def _quietened(self, record: AlertRecord, at_ms: int) -> AlertRecord:
        if self.mutes.covers(record.kind, record.community_id, record.member_id, at_ms):
            return msgspec.structs.replace(record, urgency="nobody")
        return record

    def _keep(self, episode: _Episode, record: AlertRecord) -> None:
        episode.record = encode(record)
        self._dirty.add(episode.alert_id)
        self._show(record)

    def _show(self, record: AlertRecord) -> None:
        self._changed[record.alert_id] = record
        self._outbox[record.alert_id] = record
        self.urgent = self.urgent or (record.urgency == "now" and not record.replay)

    def _find(self, alert_id: str) -> _Episode | None:
        subject = self._subject_of.get(alert_id)
        episode = self._by_subject.get(subject) if subject is not None else None
        return episode if episode is not None and episode.alert_id == alert_id else None

    def _let_go(self, episode: _Episode) -> None:
        self._subject_of.pop(episode.alert_id, None)
        subject: Subject = (episode.kind, episode.subject)
        if self._by_subject.get(subject) is episode:
            del self._by_subject[subject]
        self._dirty.discard(episode.alert_id)
        self._gone.append(episode.alert_id)

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty) + len(self._gone) + self.mutes.dirty_count()

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        rows = self.mutes.dirty()
        changed, self._dirty = sorted(self._dirty), set()
        gone, self._gone = [one for one in self._gone if one not in self._subject_of], []
        if changed:
            payloads = [msgspec.msgpack.encode(self._find(one)) for one in changed]
            rows.append(StateRows("episodes", binary([one.encode() for one in changed]), binary(payloads)))
        if gone:
            keys = binary([one.encode() for one in dict.fromkeys(gone)])
            rows.append(StateRows("episodes", keys, binary([b""] * len(keys)), deleted=True))
        return rows

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        if name == Mutes.name:
            self.mutes.restore(keys, payloads)
            return
        for payload in payloads.to_pylist():
            episode = msgspec.msgpack.decode(payload, type=_Episode)
            self._by_subject[episode.kind, episode.subject] = episode
            self._subject_of[episode.alert_id] = (episode.kind, episode.subject)
            if episode.is_open:
                heapq.heappush(self._expiries, (episode.expires_ms, episode.alert_id))
            else:
                self._rest(episode)

    def open_subjects(self, kind: AlertKind) -> list[int]:
        """Subjects with an open episode of a kind."""
        return [subject for (of, subject), one in self._by_subject.items() if of == kind and one.is_open]

    def derived(self) -> dict[str, pa.Table]:
        """Rows for people since the last call."""
        records, self._changed = list(self._changed.values()), {}
        verdicts, self._verdicts = list(self._verdicts.values()), {}
        tables = {
            "alerts": alert_table(records) if records else None,
            "alert_verdicts": verdict_table(verdicts) if verdicts else None,
            "alert_mutes": self.mutes.table(),
        }
        return {name: table for name, table in tables.items() if table is not None}

    def outbox(self) -> list[OutboxRecord]:
        """The latest revision of every episode that changed since the last call."""
        records, self._outbox, self.urgent = self._outbox, {}, False
        return [OutboxRecord(ALERTS, one.alert_id, one.alert_id, one.revision, encode(one)) for one in records.values()]
