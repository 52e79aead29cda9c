"""`rule_violation`: a member floods the community, or posts links or promotions without being staff."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from streams.operators.alert_context import AlertContext
from streams.operators.alert_words import violation_reason
from streams.operators.arrivals import Arrivals
from streams.operators.base import Batch, Events, Ints, Mask, StateRows, binary, fixed_binary, grown, rows_of
from streams.operators.tallies import STAFF_ROLES

_MINUTE_MS = 60_000
_BEHIND_MINUTES = 2
"""Events further behind *now* are no flood: counts of older minutes need not outlive a restart."""

_NO_LIMIT = np.iinfo(np.int64).max
_OFFENCES = np.dtype([("pane", "<i4"), ("links", "<i2"), ("promotions", "<i2")])
_ENTRY = np.dtype([("member", "<u4"), ("minute", "<i4"), ("count", "<i4")])


class Violations:
    """Messages of each member in its latest minute; links and promotions of its day."""

    names = ("alert_floods", "alert_offences")

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._minute = np.full(0, -1, np.int32)
        self._count = np.zeros(0, np.int32)
        self._now_minute = -1
        self._flooding = False
        self._offences = np.zeros(0, _OFFENCES)
        self._offended = np.zeros(0, np.bool_)

    def apply(self, batch: Batch, arrivals: Arrivals, pane: Ints, reached: Ints) -> None:
        """Take a batch in; ``pane`` and ``reached`` as `CommunityPanes.take` has them."""
        self._now_minute = arrivals.moments.last_ms // _MINUTE_MS
        messages = batch.get("message")
        if messages is None:
            return
        place = arrivals.of_type["message"]
        held = ~messages.where("sender_role", *STAFF_ROLES)
        exempt = self._context.rules.alerts.rule_violation.exempt_roles
        if exempt:
            held &= ~messages.where("sender_role", *exempt)
        self._count_floods(messages, place, held, arrivals)
        links, promotions = messages.where("kind", "link"), messages.numbers("is_promotion") != 0
        today = reached[place] - pane[place] <= 1
        at = np.flatnonzero(held & (links | promotions) & today)
        if len(at):
            self._count_offences(messages, place, at[np.argsort(place[at])], pane, links, promotions, arrivals)

    def _count_offences(
        self, messages: Events, place: Ints, at: Ints, pane: Ints, links: Mask, promotions: Mask, arrivals: Arrivals
    ) -> None:
        members = len(self._context.partition.directory.member_ids)
        self._offences, self._offended = grown(self._offences, members, 0), grown(self._offended, members, False)
        over = {"links": np.zeros(len(at), np.bool_), "promotions": np.zeros(len(at), np.bool_)}
        limits = {name: np.empty(len(at), np.int64) for name in over}
        for mine, profile in self._context.by_profile(messages.community[at]):
            rules = profile.rules.rule_violation
            limits["links"][mine] = rules.links_a_day if rules.enabled else _NO_LIMIT
            limits["promotions"][mine] = rules.promotions_a_day if rules.enabled else _NO_LIMIT
        member, rows = messages.member[at], self._offences
        _offences(
            member, pane[place[at]], links[at], promotions[at], limits["links"], limits["promotions"],
            rows["pane"], rows["links"], rows["promotions"], self._offended, over["links"], over["promotions"],
        )  # fmt: skip
        for what, reached_limit in over.items():
            for one, limit in zip(at[reached_limit].tolist(), limits[what][reached_limit].tolist(), strict=True):
                time_ms = int(messages.occurred_at_ms[one])
                self._open(one, messages, place, arrivals, what, limit, time_ms)

    def _count_floods(self, messages: Events, place: Ints, held: Mask, arrivals: Arrivals) -> None:
        members = len(self._context.partition.directory.member_ids)
        self._minute, self._count = grown(self._minute, members, -1), grown(self._count, members, 0)
        minute = messages.occurred_at_ms // _MINUTE_MS
        fresh = held & (arrivals.reached_ms[place] // _MINUTE_MS - minute <= _BEHIND_MINUTES)
        at = np.flatnonzero(fresh)
        if len(at) == 0:
            return
        if (place[at][1:] < place[at][:-1]).any():
            at = at[np.argsort(place[at])]
        self._flooding = True
        limits = np.empty(len(messages), np.int64)
        for mine, profile in self._context.by_profile(messages.community):
            rules = profile.rules.rule_violation
            limits[mine] = rules.flood_messages if rules.enabled else _NO_LIMIT
        reached_limit = np.empty(len(at), np.bool_)
        _flood(messages.member[at], minute[at], limits[at], self._minute, self._count, reached_limit)
        for one in at[reached_limit].tolist():
            self._open(one, messages, place, arrivals, "messages", int(limits[one]), int(minute[one]) * _MINUTE_MS)

    def _open(
        self, one: int, messages: Events, place: Ints, arrivals: Arrivals, what: str, count: int, fact: int
    ) -> None:
        context, community, member = self._context, int(messages.community[one]), int(messages.member[one])
        time_ms, reached_ms = int(messages.occurred_at_ms[one]), int(arrivals.reached_ms[place[one]])
        context.episodes.open(
            context.health_opening(
                "rule_violation",
                community,
                place=int(place[one]),
                fact=f"{what}-{fact}",
                opened_ms=time_ms,
                stale=reached_ms - time_ms > context.partition.lateness_ms,
                rules=context.rules_of(community).rule_violation,
                reason=violation_reason(what, count),
                evidence={"what": what, what: count},
                member=member,
            )
        )

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return int(np.count_nonzero(self._offended))

    def dirty(self) -> list[StateRows]:
        """State rows since the last call; rows of members who offended once stay, 8 bytes each."""
        rows = []
        if self._flooding:
            self._flooding = False
            who = np.flatnonzero(self._minute >= self._now_minute - _BEHIND_MINUTES)
            entries = np.zeros(len(who), _ENTRY)
            entries["member"], entries["minute"], entries["count"] = who, self._minute[who], self._count[who]
            rows.append(StateRows("alert_floods", binary([b""]), binary([entries.tobytes()])))
        changed = np.flatnonzero(self._offended)
        if len(changed):
            self._offended[changed] = False
            keys = fixed_binary(changed.astype(">u4"))
            rows.append(StateRows("alert_offences", keys, fixed_binary(self._offences[changed])))
        return rows

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        if name == "alert_floods":
            entries = np.frombuffer(payloads[0].as_py(), _ENTRY)
            members = int(entries["member"].max(initial=0)) + 1
            self._minute, self._count = grown(self._minute, members, -1), grown(self._count, members, 0)
            self._minute[entries["member"]], self._count[entries["member"]] = entries["minute"], entries["count"]
            return
        numbers = rows_of(keys, np.dtype(">u4")).astype(np.int64)
        members = int(numbers.max(initial=0)) + 1
        self._offences, self._offended = grown(self._offences, members, 0), grown(self._offended, members, False)
        self._offences[numbers] = rows_of(payloads, _OFFENCES)


@njit(cache=True, nogil=True)
def _offences(  # type: ignore[no-untyped-def]
    member, pane, link, promotion, most_links, most_promotions, latest, links, promotions, offended, over_links,
    over_promotions,
):  # fmt: skip
    """Count links and promotions of each member in its latest pane; mark those with which they come to the limit."""
    for at in range(len(member)):
        m = member[at]
        if pane[at] > latest[m]:
            latest[m] = pane[at]
            links[m] = promotions[m] = 0
        if pane[at] == latest[m]:
            offended[m] = True
            if link[at]:
                links[m] = min(links[m] + 1, 32_000)
                over_links[at] = links[m] == most_links[at]
            if promotion[at]:
                promotions[m] = min(promotions[m] + 1, 32_000)
                over_promotions[at] = promotions[m] == most_promotions[at]


@njit(cache=True, nogil=True)
def _flood(member, minute, limits, latest, count, reached_limit):  # type: ignore[no-untyped-def]
    """Count messages of each member in its latest minute; mark those with which it comes to the limit."""
    for at in range(len(member)):
        m = member[at]
        if minute[at] > latest[m]:
            latest[m] = minute[at]
            count[m] = 0
        reached_limit[at] = False
        if minute[at] == latest[m]:
            count[m] += 1
            reached_limit[at] = count[m] == limits[at]
