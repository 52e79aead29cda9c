"""Touches: which of the occasions are spoken of, within what members and communities can bear, each once.

A share of the members is held out, by a hash of kind, community and member: the same ones whenever it is asked. They
count towards the caps like the others, so that both groups differ in nothing but the touch.

What is said is decided in the moment, by *now* and the caps, and stands in the checkpoint before it is sent. It is no
function of the events alone, so a rebuild may decide otherwise; what is promised is that an occasion is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from schemas.topics import TOUCHES
from schemas.touches import Touch, TouchKind, encode, touch_id
from streams.operators.base import NEVER, Batch, Ints, StateRows, binary
from streams.operators.outbox import OutboxRecord
from streams.operators.program import ProgramContext
from streams.operators.touch_occasions import DAY_MS, Occasion, Occasions
from streams.rules_touches import TouchRules

_MEMBERS, _COMMUNITIES, _REFERENCE = "touches", "touch_communities", "touch_reference"
_WEEK = 7


class _Told(msgspec.Struct, array_like=True):
    """What a member was told last, and about what (ms), by kind."""

    number: int
    last_ms: int = NEVER
    about: dict[TouchKind, int] = {}
    streak: tuple[int, int] | None = None


class _Borne(msgspec.Struct, array_like=True):
    """What a community bore lately: touches of a local day, promotions by local day."""

    number: int
    day: int = 0
    touches: int = 0
    promotions: dict[int, int] = {}


class TouchProgram:
    """Touches of one partition.

    Args:
        context: the partition's directory, communities and members.
        rules: gives the rules in force; asked once a batch. Nothing is done while they say so (the default).
        replay: whether history is replayed: touches are landed as such, and sent to nobody.
        wall_ms: the wall clock of a live worker: occasions older than the lateness by it are a backlog's, not today's.
    """

    names: tuple[str, ...] = (_MEMBERS, _COMMUNITIES, _REFERENCE)

    def __init__(
        self,
        context: ProgramContext,
        rules: Callable[[], TouchRules],
        replay: bool = False,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        self._context = context
        self._rules = rules
        self._replay = replay
        self._wall_ms = wall_ms
        self._occasions = Occasions(context)
        self._told: dict[int, _Told] = {}
        self._borne: dict[int, _Borne] = {}
        self._dirty_communities: set[int] = set()
        self._decided: list[tuple[Touch, bool]] = []
        self._outbox: list[OutboxRecord] = []
        self._reference_ms = self._written_ms = NEVER

    def apply(self, batch: Batch) -> None:
        """Take a batch of applied events in."""
        rules = self._rules()
        if not rules.enabled or len(batch) == 0:
            return
        self._occasions.apply(batch, rules)
        messages = batch.get("message")
        if messages is not None:
            promoted = np.flatnonzero(messages.numbers("is_promotion"))
            communities = messages.community[promoted]
            days = self._context.communities.days(communities, messages.occurred_at_ms[promoted])
            for community, day in zip(communities.tolist(), days.tolist(), strict=True):
                borne = self._borne_by(community)
                borne.promotions[day] = borne.promotions.get(day, 0) + 1

    def advance(self, now_ms: Ints, clock_ms: Ints) -> None:
        """Decide on what fell due; *now* and event clock by community number."""
        rules = self._rules()
        if not rules.enabled or len(now_ms) == 0:
            return
        days = self._context.communities.days(np.arange(len(now_ms)), np.maximum(now_ms, 0))
        community_of = self._context.directory.community_of
        for occasion in self._occasions.fall_due(now_ms, rules):
            community = int(community_of[occasion.member])
            self._decide(occasion, community, int(days[community]), int(now_ms[community]), rules)
        self._reference_ms = max(self._reference_ms, int(now_ms.max(initial=NEVER)))

    def _decide(self, one: Occasion, community: int, today: int, now_ms: int, rules: TouchRules) -> None:
        wall_ms = now_ms if self._replay or self._wall_ms is None else max(now_ms, self._wall_ms())
        if one.kind not in rules.kinds or wall_ms - one.due_ms > self._context.lateness_ms:
            return
        told = self._told.get(one.member) or _Told(one.member)
        if told.about.get(one.kind, NEVER) >= one.occasion_ms or now_ms < told.last_ms + rules.member_gap_days * DAY_MS:
            return
        borne = self._borne_by(community)
        if borne.day != today:
            borne.day, borne.touches = today, 0
            borne.promotions = {day: count for day, count in borne.promotions.items() if day > today - _WEEK}
        promotions = sum(count for day, count in borne.promotions.items() if today - _WEEK < day <= today)
        if borne.touches >= rules.community_per_day or promotions >= rules.max_promotions_7d:
            return
        borne.touches += 1
        told.last_ms, told.about = now_ms, told.about | {one.kind: one.occasion_ms}
        self._told[one.member] = told
        self._occasions.changed.add(one.member)
        self._say(one, community, now_ms, rules)

    def _say(self, one: Occasion, community: int, now_ms: int, rules: TouchRules) -> None:
        community_id = self._context.directory.community_names[community]
        member_id = self._context.directory.member_ids[one.member]
        touch = Touch(
            touch_id=touch_id(one.kind, community_id, member_id, one.occasion_ms),
            revision=1,
            kind=one.kind,
            community_id=community_id,
            member_id=member_id,
            occasion_at=one.occasion_ms,
            due_at=one.due_ms,
            decided_at=now_ms,
        )
        held_out = is_held_out(one.kind, community_id, member_id, rules.hold_out_share)
        self._decided.append((touch, held_out))
        if not held_out and not self._replay:
            self._outbox.append(OutboxRecord(TOUCHES, community_id, touch.touch_id, 1, encode(touch)))

    def _borne_by(self, community: int) -> _Borne:
        self._dirty_communities.add(community)
        return self._borne.setdefault(community, _Borne(community))

    def apply_side(self, topic: str, values: list[bytes]) -> None:
        """Side topics are none of its business."""

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._occasions.changed) + len(self._dirty_communities)

    def dirty(self) -> list[StateRows]:
        """State rows changed since the last call."""
        found = []
        changed, self._occasions.changed = sorted(self._occasions.changed), set()
        if changed:
            known = [self._told.setdefault(member, _Told(member)) for member in changed]
            for one in known:
                one.streak = self._occasions.streaks.get(one.number)
            keys = self._context.directory.keys(np.array(changed, np.int64))
            found.append(StateRows(_MEMBERS, keys, binary([msgspec.msgpack.encode(one) for one in known])))
        communities, self._dirty_communities = sorted(self._dirty_communities), set()
        if communities:
            names = self._context.directory.community_names
            payloads = [msgspec.msgpack.encode(self._borne[number]) for number in communities]
            keys = binary([names[number].encode() for number in communities])
            found.append(StateRows(_COMMUNITIES, keys, binary(payloads)))
        if self._reference_ms != self._written_ms:
            self._written_ms = self._reference_ms
            found.append(StateRows(_REFERENCE, binary([b""]), binary([msgspec.msgpack.encode(self._reference_ms)])))
        return found

    def restore(self, rows: Mapping[str, tuple[pa.Array, pa.Array]]) -> None:
        """Take back its rows; members, communities and directory are restored already."""
        for payload in rows[_MEMBERS][1].to_pylist() if _MEMBERS in rows else []:
            told = msgspec.msgpack.decode(payload, type=_Told)
            self._told[told.number] = told
            if told.streak is not None:
                self._occasions.streaks[told.number] = told.streak
        for payload in rows[_COMMUNITIES][1].to_pylist() if _COMMUNITIES in rows else []:
            borne = msgspec.msgpack.decode(payload, type=_Borne)
            self._borne[borne.number] = borne
        if _REFERENCE in rows:
            self._reference_ms = self._written_ms = msgspec.msgpack.decode(rows[_REFERENCE][1][0].as_py())
        rules = self._rules()
        if rules.enabled:
            self._occasions.restored(self._reference_ms, rules)

    def derived(self) -> dict[str, pa.Table]:
        """Touches decided since the last call, those held out too."""
        if not self._decided:
            return {}
        decided, self._decided = self._decided, []
        touches = [touch for touch, _ in decided]
        times = {
            name: pa.array([getattr(touch, name) for touch in touches], pa.int64()).cast(pa.timestamp("ms", "UTC"))
            for name in ("occasion_at", "due_at", "decided_at")
        }
        words = {
            name: pa.array([getattr(touch, name) for touch in touches], pa.string())
            for name in ("community_id", "kind", "touch_id", "member_id")
        }
        flags = {
            "held_out": pa.array([int(held_out) for _, held_out in decided], pa.uint8()),
            "replay": pa.array([int(self._replay)] * len(decided), pa.uint8()),
        }
        return {"touches": pa.table(words | times | flags)}

    def outbox(self) -> list[OutboxRecord]:
        """Touches to send; calling it empties it."""
        records, self._outbox = self._outbox, []
        return records

    def urgent(self) -> bool:
        """Nobody waits for what it sends."""
        return False

    def settle(self, clock_ms: Ints) -> None:
        """What it keeps is little: a row per member who was ever told something or checks in."""

    def sizes(self) -> dict[str, int]:
        """Entries in memory by name, for metrics."""
        return {"touched_members": len(self._told), "touch_timers": len(self._occasions)}


def is_held_out(kind: TouchKind, community_id: str, member_id: str, share: float) -> bool:
    """Whether a member is left alone by this kind of touch: the same answer for ever, as long as the share stays."""
    digest = hashlib.blake2b(f"{kind}\0{community_id}\0{member_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
