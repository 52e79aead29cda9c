"""`unanswered`: a member's question that nobody answered for a time within service hours.

A question is a message with `is_question` of somebody who is not staff. An answer is a reply to it, or to its author,
by somebody else. Where a community has never had a reply, its feed does not say what is one: then somebody else's first
message within half an hour is taken for the answer, and the alert says that it is an estimate.
"""

from __future__ import annotations

import heapq

import msgspec
import numpy as np
import pyarrow as pa

from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.alert_words import time_text, unanswered_reason
from streams.operators.arrivals import Arrivals, Moments
from streams.operators.base import Batch, Events, Ints, StateRows, binary, grown
from streams.operators.community_panes import Extra
from streams.operators.feed_watch import FeedWatch
from streams.operators.service_time import after_service
from streams.operators.tallies import STAFF_ROLES
from streams.operators.tiers import TIERS, tiers_of

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_BEHIND_MS = 5 * _MINUTE_MS
_Key = tuple[int, str]
_ASKED, _ANSWERED, _GUESSED = range(3)
_Step = tuple[int, int, _Key]
"""Place in the batch, what happened there, and to which question."""


class _Question(msgspec.Struct, array_like=True):
    """``told_ms``: when it counted as unanswered; ``opened``: and an alert was raised."""

    member: int
    asked_ms: int
    due_ms: int
    estimated: bool
    told_ms: int = -1
    opened: bool = False


class Questions:
    """Questions that wait for an answer."""

    names = ("alert_questions", "alert_replies")

    def __init__(self, context: AlertContext, feeds: FeedWatch) -> None:
        self._context = context
        self._feeds = feeds
        self._open: dict[_Key, _Question] = {}
        self._of_member: dict[int, set[_Key]] = {}
        self._guessed: set[_Key] = set()
        self._due: list[tuple[int, int, str]] = []
        self._replies = np.zeros(0, np.bool_)
        self._replies_written = np.zeros(0, np.bool_)
        self._dirty: set[_Key] = set()
        self._fallen: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._open)

    def apply(self, batch: Batch, arrivals: Arrivals) -> Extra:
        """Take a batch in; gives the questions that turned out to be unanswered, with the times of asking as panes."""
        self._room()
        self._fallen = []
        messages = batch.get("message")
        if messages is not None:
            self._take(messages, arrivals)
        self._fire(arrivals.moments.last_ms, arrivals.moments, arrivals.reached_ms)
        return self._extra()

    def advance(self, moments: Moments) -> Extra:
        """Let time pass."""
        self._room()
        self._fallen = []
        self._fire(moments.last_ms, moments, np.empty(0, np.int64))
        return self._extra()

    def _extra(self) -> Extra:
        place, community, asked_ms = np.array(self._fallen, np.int64).reshape(-1, 3).T
        return Extra(place, community, asked_ms)

    def _take(self, messages: Events, arrivals: Arrivals) -> None:
        place = arrivals.of_type["message"]
        asked = _asked(messages)
        replies = messages.given("reply_to") | messages.given("reply_to_member_id")
        if len(asked) == 0 and not self._open:
            self._replies[messages.community[replies]] = True
            return
        first_reply = np.full(len(self._replies), len(arrivals))
        np.minimum.at(first_reply, messages.community[replies], place[replies])
        first_reply[self._replies] = -1
        steps: list[tuple[int, int, _Key]] = []
        ids = messages.columns.arrow("event_id")
        for at in asked.tolist():
            if arrivals.reached_ms[place[at]] - messages.occurred_at_ms[at] <= self._context.partition.lateness_ms:
                key = (int(messages.community[at]), ids[at].as_py())
                asked_ms, reached_ms = int(messages.occurred_at_ms[at]), int(arrivals.reached_ms[place[at]])
                estimated = bool(first_reply[messages.community[at]] > place[at])
                self._ask(key, int(messages.member[at]), asked_ms, reached_ms, estimated)
                steps.append((int(place[at]), _ASKED, key))
        begun = {key: at for at, _, key in steps}
        steps += self._answers(messages, place, np.flatnonzero(replies), begun)
        for at, what, key in sorted(steps):
            reached_ms = int(arrivals.reached_ms[at])
            self._fire(reached_ms, arrivals.moments, arrivals.reached_ms)
            if what == _ASKED:
                heapq.heappush(self._due, (self._open[key].due_ms, *key))
            else:
                self._answer(key, int(arrivals.occurred_at_ms[at]), reached_ms, what)
        self._replies[messages.community[replies]] = True

    def _ask(self, key: _Key, member: int, asked_ms: int, reached_ms: int, estimated: bool) -> None:
        community, _ = key
        context = self._context
        rules = context.rules_of(community).unanswered
        described = context.rules.communities.get(context.partition.directory.community_names[community])
        where = np.array([community])
        day = int(context.partition.communities.days(where, np.array([asked_ms]))[0])

        def start_of(one: int) -> int:
            return int(context.partition.communities.starts_ms(where, np.array([one]))[0])

        spans = described.service_hours if described is not None else None
        due_ms = after_service(asked_ms, rules.after_minutes, spans, day, start_of)
        # What comes late is given time for its answer to come behind it.
        due_ms = max(due_ms, asked_ms + rules.estimated_minutes * _MINUTE_MS, reached_ms + _BEHIND_MS)
        self._keep(key, _Question(member, asked_ms, due_ms, estimated))
        self._dirty.add(key)

    def _keep(self, key: _Key, one: _Question) -> None:
        self._open[key] = one
        self._of_member.setdefault(one.member, set()).add(key)
        if one.estimated and one.told_ms < 0:
            self._guessed.add(key)

    def _answers(self, messages: Events, place: Ints, replies: Ints, begun: dict[_Key, int]) -> list[_Step]:
        """The messages of a batch that answer open questions; several may answer one."""
        steps: list[_Step] = []
        if len(replies) and self._open:
            chosen = pa.array(replies)
            community, member = messages.community[replies], messages.member[replies]
            to = messages.columns.arrow("reply_to").take(chosen).to_pylist()
            names = messages.columns.arrow("reply_to_member_id").take(chosen)
            whom = self._context.partition.directory.find_members(community, names.fill_null("")).tolist()
            for at, where, author, event_id, asker in zip(
                place[replies].tolist(), community.tolist(), member.tolist(), to, whom, strict=True
            ):
                if (where, event_id) in self._open:
                    self._step(steps, (where, event_id), at, author, begun)
                for key in self._of_member.get(asker, ()):
                    self._step(steps, key, at, author, begun)
        if self._guessed:
            earliest_ms = int(messages.occurred_at_ms.min())
            for key in self._guessed:
                self._guess(steps, key, messages, place, begun, earliest_ms)
        return steps

    def _step(self, steps: list[_Step], key: _Key, at: int, author: int, begun: dict[_Key, int]) -> None:
        if author != self._open[key].member and at > begun.get(key, -1):
            steps.append((at, _ANSWERED, key))

    def _guess(
        self, steps: list[_Step], key: _Key, messages: Events, place: Ints, begun: dict[_Key, int], earliest_ms: int
    ) -> None:
        one = self._open[key]
        latest_ms = one.asked_ms + self._context.rules_of(key[0]).unanswered.estimated_minutes * _MINUTE_MS
        if earliest_ms > latest_ms:
            return
        times = messages.occurred_at_ms
        fits = (messages.community == key[0]) & (messages.member != one.member) & (place > begun.get(key, -1))
        fits &= (times >= one.asked_ms) & (times <= latest_ms)
        if fits.any():
            steps.append((int(place[fits].min()), _GUESSED, key))

    def _answer(self, key: _Key, time_ms: int, reached_ms: int, what: int) -> None:
        one = self._open.get(key)
        if one is None or (what == _GUESSED and one.told_ms >= 0):
            return
        if one.opened:
            self._context.episodes.close("unanswered", one.member, time_ms, reached_ms=reached_ms)
        self._let_go(key)

    def _let_go(self, key: _Key) -> None:
        one = self._open.pop(key)
        self._guessed.discard(key)
        mine = self._of_member[one.member]
        mine.discard(key)
        if not mine:
            del self._of_member[one.member]
        self._dirty.add(key)

    def _fire(self, now_ms: int, moments: Moments, reached_ms: Ints) -> None:
        while self._due and self._due[0][0] <= now_ms:
            due_ms, community, event_id = heapq.heappop(self._due)
            key = (community, event_id)
            one = self._open.get(key)
            if one is None or one.due_ms != due_ms:
                continue
            if one.told_ms >= 0:
                self._let_go(key)  # nobody answers any more
            elif self._feeds.says_nothing(community, due_ms):
                self._put_off(key, one, due_ms + _HOUR_MS)  # the answer may not have come through
            else:
                one.told_ms = due_ms
                self._guessed.discard(key)
                place = int(np.searchsorted(reached_ms, due_ms, "left"))
                self._tell(key, one, moments, place)
                self._fallen.append((place, community, one.asked_ms))
                rules = self._context.rules_of(community).unanswered
                self._put_off(key, one, due_ms + rules.expire_days * DAY_MS)

    def _put_off(self, key: _Key, one: _Question, due_ms: int) -> None:
        one.due_ms = due_ms
        self._dirty.add(key)
        heapq.heappush(self._due, (due_ms, *key))

    def _tell(self, key: _Key, one: _Question, moments: Moments, place: int) -> None:
        context, (community, event_id) = self._context, key
        rules = context.rules_of(community).unanswered
        if not rules.enabled:
            return
        who, where = np.array([one.member]), np.array([place])
        active_30 = context.standing.active_days_30(who, where)
        tier, worth = tiers_of(context.standing.of(who, where), active_30, context.rules.tiers)
        looked_ms = int(moments.first_at_or_after(np.array([one.told_ms]))[0])
        stale = looked_ms - one.told_ms > context.partition.lateness_ms
        opening = context.health_opening(
            "unanswered",
            community,
            place=place,
            fact=event_id,
            opened_ms=one.told_ms,
            stale=stale,
            rules=rules,
            reason=unanswered_reason(one.asked_ms, rules.after_minutes, one.estimated),
            evidence={
                "asked_at": time_text(one.asked_ms),
                "waited_hours": round((one.told_ms - one.asked_ms) / _HOUR_MS, 1),
                "estimated": one.estimated,
                "question_event_id": event_id,
            },
            worth=float(worth[0]),
            member=one.member,
            tier=int(tier[0]),
            at_once=TIERS[int(tier[0])] in rules.at_once_tiers,
        )
        one.opened = context.episodes.open(opening) and not stale

    def _room(self) -> None:
        communities = len(self._context.partition.directory.community_names)
        self._replies = grown(self._replies, communities, False)
        self._replies_written = grown(self._replies_written, communities, False)

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        rows = []
        keys, self._dirty = sorted(self._dirty), set()
        alive = [key for key in keys if key in self._open]
        gone = [_key_bytes(key) for key in keys if key not in self._open]
        if alive:
            payloads = [msgspec.msgpack.encode(self._open[key]) for key in alive]
            rows.append(StateRows("alert_questions", binary([_key_bytes(key) for key in alive]), binary(payloads)))
        if gone:
            rows.append(StateRows("alert_questions", binary(gone), binary([b""] * len(gone)), deleted=True))
        fresh = np.flatnonzero(self._replies & ~self._replies_written).tolist()
        if fresh:
            self._replies_written[fresh] = True
            numbers = [number.to_bytes(4, "big") for number in fresh]
            rows.append(StateRows("alert_replies", binary(numbers), binary([b""] * len(fresh))))
        return rows

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        self._room()
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            community = int.from_bytes(key[:4], "big")
            if name == "alert_replies":
                self._replies[community] = self._replies_written[community] = True
                continue
            one = msgspec.msgpack.decode(payload, type=_Question)
            self._keep((community, key[4:].decode()), one)
            heapq.heappush(self._due, (one.due_ms, community, key[4:].decode()))


def _asked(messages: Events) -> Ints:
    """Positions of questions of members who are not staff."""
    column = messages.columns.arrow("is_question")
    if column.null_count == len(column):
        return np.empty(0, np.int64)
    question = column.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(question & ~messages.where("sender_role", *STAFF_ROLES))


def _key_bytes(key: _Key) -> bytes:
    return key[0].to_bytes(4, "big") + key[1].encode()
