"""`resync_needed`: changes of the member list are missing, and have not come for a while."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from streams.operators.alert_context import AlertContext
from streams.operators.alert_words import resync_reason, time_text
from streams.operators.arrivals import Arrivals, Moments
from streams.operators.base import Batch, StateRows, binary

_MINUTE_MS = 60_000


class Resync:
    """Communities whose chain of roster versions is broken, since when (ms), and whether that was told."""

    names = ("alert_resync",)

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._broken: dict[int, tuple[int, bool]] = {}
        self._dirty: set[int] = set()

    def apply(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take in with which joins of the batch chains broke or were whole again."""
        joins = batch.get("join")
        if joins is None:
            return
        for at, broken in self._context.partition.members.roster_breaks:
            place, community = int(arrivals.of_type["join"][at]), int(joins.community[at])
            reached_ms = int(arrivals.reached_ms[place])
            self._tell(community, reached_ms, arrivals.moments)
            self._dirty.add(community)
            if broken:
                self._broken[community] = (reached_ms, False)
            elif community in self._broken:
                del self._broken[community]
                time_ms = int(joins.occurred_at_ms[at])
                self._context.episodes.close("resync_needed", community, time_ms, reached_ms=reached_ms)

    def advance(self, moments: Moments) -> None:
        """Let time pass."""
        for community in list(self._broken):
            self._tell(community, moments.last_ms, moments)

    def _tell(self, community: int, now_ms: int, moments: Moments) -> None:
        since_ms, told = self._broken.get(community, (0, True))
        rules = self._context.rules_of(community).resync_needed
        due_ms = since_ms + rules.grace_minutes * _MINUTE_MS
        if told or not rules.enabled or due_ms > now_ms:
            return
        self._broken[community] = (since_ms, True)
        self._dirty.add(community)
        looked_ms = int(moments.first_at_or_after(np.array([due_ms]))[0])
        self._context.episodes.open(
            self._context.health_opening(
                "resync_needed",
                community,
                place=self._context.place(community, due_ms),
                fact=since_ms,
                opened_ms=due_ms,
                stale=looked_ms - due_ms > self._context.partition.lateness_ms,
                rules=rules,
                reason=resync_reason(since_ms),
                evidence={"broken_since": time_text(since_ms)},
            )
        )

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        rows = []
        numbers, self._dirty = sorted(self._dirty), set()
        alive = [number for number in numbers if number in self._broken]
        gone = [number.to_bytes(4, "big") for number in numbers if number not in self._broken]
        if alive:
            payloads = [msgspec.msgpack.encode(self._broken[number]) for number in alive]
            rows.append(StateRows("alert_resync", binary([n.to_bytes(4, "big") for n in alive]), binary(payloads)))
        if gone:
            rows.append(StateRows("alert_resync", binary(gone), binary([b""] * len(gone)), deleted=True))
        return rows

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._broken[int.from_bytes(key, "big")] = msgspec.msgpack.decode(payload, type=tuple[int, bool])
