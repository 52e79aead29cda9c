"""`left`: a member left of its own will, or nobody knows why; told at once where that is a loss."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.alert_words import left_reason, time_text
from streams.operators.arrivals import Arrivals
from streams.operators.base import NEVER, Batch
from streams.operators.tiers import are_staff, tiers_of


class LeftAlerts:
    """Watches joins and leaves; whoever is removed by staff has not left."""

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._open: set[int] = set()

    def apply(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take the joins and leaves of a batch in, and whoever comes back by speaking."""
        joins = batch.get("join")
        moves: dict[int, str] = {}
        if joins is not None:
            moves = dict(zip(arrivals.of_type["join"].tolist(), joins.columns["action"], strict=True))
        at = set(moves)
        watched = self._open | {
            int(arrivals.member[one]) for one, action in moves.items() if action in ("left", "gone")
        }
        if watched:
            spoke = np.flatnonzero(arrivals.active & np.isin(arrivals.member, list(watched)))
            at.update(spoke.tolist())
        for one in sorted(at):
            self._note(one, moves.get(one), arrivals)

    def _note(self, at: int, action: str | None, arrivals: Arrivals) -> None:
        member, time_ms = int(arrivals.member[at]), int(arrivals.occurred_at_ms[at])
        if action in ("left", "gone"):
            self._leave(member, at, action == "gone", arrivals)
        elif member in self._open and action != "removed":
            self._open.discard(member)
            self._context.episodes.close("left", member, time_ms, reached_ms=int(arrivals.reached_ms[at]))

    def _leave(self, member: int, at: int, gone: bool, arrivals: Arrivals) -> None:
        context, left_ms = self._context, int(arrivals.occurred_at_ms[at])
        community = int(context.community_of(np.array([member]))[0])
        rules = context.rules_of(community).left
        one, place = np.array([member]), np.array([at])
        standing = context.standing.of(one, place)
        if not rules.enabled or are_staff(standing)[0] or self._closed(community, left_ms):
            return
        active_30 = context.standing.active_days_30(one, place)
        tier, worth = tiers_of(standing, active_30, context.rules.tiers)
        last_one = not self._elsewhere(member, community, at)
        joined = int(standing["joined_ms"][0])
        stayed = (left_ms - joined) // DAY_MS if joined != NEVER and joined <= left_ms else None
        opened = context.episodes.open(
            context.opening(
                "left",
                member,
                place=at,
                fact=left_ms,
                opened_ms=left_ms,
                stale=int(arrivals.reached_ms[at]) - left_ms > context.partition.lateness_ms,
                rules=rules,
                reason=left_reason(left_ms, gone, stayed, last_one),
                evidence={
                    "left_at": time_text(left_ms),
                    "stayed_days": stayed,
                    "last_community_seen": last_one,
                    "active_days_30": int(active_30[0]),
                },
                at_once=last_one,
                tier=int(tier[0]),
                worth=float(worth[0]),
            )
        )
        if opened and context.episodes.is_open("left", member):
            self._open.add(member)

    def _closed(self, community: int, left_ms: int) -> bool:
        """Whether the community was closed by then: whoever goes with it has not left it."""
        described = self._context.rules.communities.get(self._context.partition.directory.community_names[community])
        closed_ms = described.closed_ms() if described is not None else None
        return closed_ms is not None and left_ms >= closed_ms - DAY_MS

    def _elsewhere(self, member: int, community: int, place: int) -> bool:
        """Whether the account was in another community of the platform on this partition, at a place of the batch.

        What other partitions see is not known here; the evidence says "seen here".
        """
        directory, platforms = self._context.partition.directory, self._context.platforms
        platform = platforms.of(community, place)
        if not platform:
            return False
        others = np.array([number for number in platforms.having(platform) if number != community], np.int64)
        found = directory.find_members(others, pa.repeat(directory.member_ids[member], len(others)))
        return any(
            platforms.of(number, place) and self._context.standing.is_in(other, place)
            for number, other in zip(others.tolist(), found.tolist(), strict=True)
            if other >= 0
        )

    def restored(self) -> None:
        """Take up the open episodes, after a restart."""
        self._open = set(self._context.episodes.open_subjects("left"))
