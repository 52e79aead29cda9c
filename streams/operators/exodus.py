"""`exodus`: far more members than usual leave of their own accord. Judged at every one that leaves."""

from __future__ import annotations

from bisect import insort

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.alert_words import exodus_reason, time_text
from streams.operators.arrivals import Arrivals
from streams.operators.base import StateRows, binary


class _Leaving(msgspec.Struct, array_like=True):
    """Times (ms) of those who left in the last 24 hours, ascending; ``calm``: fewer than so many end it."""

    times: list[int]
    is_open: bool = False
    calm: float = 0.0


class Exodus:
    """Who left in the last 24 hours, by community."""

    names = ("alert_leaving",)

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._leaving: dict[int, _Leaving] = {}
        self._dirty: set[int] = set()

    def apply(self, arrivals: Arrivals, quits: npt.NDArray[np.int64]) -> None:
        """Take those who left in, in the order of the merge; ``quits`` has the columns of `check_kernel.QUIT`."""
        for place, members, before, days, promotions, usually, after in quits.tolist():
            community, time_ms = int(arrivals.community[place]), int(arrivals.occurred_at_ms[place])
            reached_ms = int(arrivals.reached_ms[place])
            self._calm_down(community, reached_ms)
            if reached_ms - time_ms >= DAY_MS:
                continue
            one = self._leaving.setdefault(community, _Leaving([]))
            insort(one.times, time_ms)
            self._dirty.add(community)
            figures: dict[str, float] = {
                "members": members,
                "usual_a_day": round(before / days, 2),
                "promotions_in_two_days": promotions if after else 0,
                "promotions_usual_in_two_days": round(2 * usually / days, 1),
            }
            self._judge(community, one, place, reached_ms, time_ms, figures)

    def _judge(
        self, community: int, one: _Leaving, place: int, reached_ms: int, time_ms: int, figures: dict[str, float]
    ) -> None:
        members, usual = int(figures["members"]), figures["usual_a_day"]
        promoted = int(figures["promotions_in_two_days"])
        rules = self._context.rules_of(community).exodus
        name = self._context.partition.directory.community_names[community]
        described = self._context.rules.communities.get(name)
        closed_ms = described.closed_ms() if described is not None else None
        if not rules.enabled or (closed_ms is not None and time_ms >= closed_ms - DAY_MS):
            return
        least = max(rules.min_leaves, rules.min_roster_share * members, rules.factor * usual)
        count = len(one.times)
        if one.is_open or count < least:
            return
        one.is_open, one.calm = True, least / 2
        worth = count * self._context.rules.tiers.active_day_worth_minor * 30
        self._context.episodes.open(
            self._context.health_opening(
                "exodus",
                community,
                place=place,
                fact=one.times[0],
                opened_ms=time_ms,
                stale=reached_ms - time_ms > self._context.partition.lateness_ms,
                rules=rules,
                reason=exodus_reason(count, members, usual, promoted),
                evidence={
                    "left_in_24_hours": count,
                    "roster_share": round(count / max(members, 1), 4),
                    "follows_promotions": promoted > 0,
                    **figures,
                    "first_left_at": time_text(one.times[0]),
                },
                worth=worth,
            )
        )

    def advance(self, now_ms: int) -> None:
        """Let time pass: who left more than 24 hours ago is forgotten, and what has calmed down is over."""
        for community in list(self._leaving):
            self._calm_down(community, now_ms)

    def _calm_down(self, community: int, now_ms: int) -> None:
        one = self._leaving.get(community)
        if one is None or one.times[0] > now_ms - DAY_MS:
            return
        self._dirty.add(community)
        while one.times and one.times[0] <= now_ms - DAY_MS:
            gone_ms = one.times.pop(0) + DAY_MS
            if one.is_open and len(one.times) < one.calm:
                one.is_open = False
                self._context.episodes.close("exodus", community, gone_ms, reached_ms=gone_ms)
        if not one.times:
            del self._leaving[community]

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        numbers, self._dirty = sorted(self._dirty), set()
        rows = []
        alive = [number for number in numbers if number in self._leaving]
        gone = [number.to_bytes(4, "big") for number in numbers if number not in self._leaving]
        if alive:
            payloads = [msgspec.msgpack.encode(self._leaving[number]) for number in alive]
            rows.append(StateRows("alert_leaving", binary([n.to_bytes(4, "big") for n in alive]), binary(payloads)))
        if gone:
            rows.append(StateRows("alert_leaving", binary(gone), binary([b""] * len(gone)), deleted=True))
        return rows

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._leaving[int.from_bytes(key, "big")] = msgspec.msgpack.decode(payload, type=_Leaving)
