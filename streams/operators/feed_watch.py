"""`feed_silent`: a feed (connector) is quiet far beyond its own habit. While it is, nobody's silence means anything.

A partition hears its own part of a feed. The episode stands on the UTC day on which the feed was last heard, so that
all partitions speak of one alert in an outage, and of one a day at most.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.alert_words import feed_reason, time_text
from streams.operators.arrivals import Arrivals, Moments
from streams.operators.base import Batch, Events, Ints, Mask, StateRows, binary
from streams.operators.feed_moves import FeedMoves
from streams.operators.quiet_spans import Quiet, QuietSpans

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_HABIT_DAYS = 28


class _Feed(msgspec.Struct, array_like=True):
    """``gaps``: the longest gap (ms) of each UTC day that had one of an hour or more, by the day in which it ended."""

    name: str
    community: int
    first_ms: int
    heard_ms: int
    gaps: dict[int, int]
    back_ms: int | None = None
    """While it is quiet: when the first event of its backlog came."""
    opened_ms: int | None = None
    spans: list[Quiet] = []
    asks: bool = False
    replies: bool = False
    landed_ms: int = -1

    def longest_ms(self) -> int:
        day = self.heard_ms // DAY_MS
        return max((gap for at, gap in self.gaps.items() if at > day - _HABIT_DAYS), default=0)


class FeedWatch:
    """The feeds of a partition, and which communities hang on which: that of their latest message."""

    names = ("alert_feeds", FeedMoves.name)

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._feeds: list[_Feed] = []
        self._numbers: dict[str, int] = {}
        self._feed_of = FeedMoves()
        self.quiet = QuietSpans()
        self._gaps: list[tuple[int, int, int]] = []
        self._dirty: set[int] = set()

    def apply(self, batch: Batch, arrivals: Arrivals) -> None:
        """Take a batch in; a feed without a name is not watched."""
        self._gaps = []
        self._room()
        feeds = np.full(len(arrivals), -1)
        for event_type, events in batch.by_type.items():
            mine = self._numbers_of(events)
            feeds[arrivals.of_type[event_type]] = mine
            if event_type == "message":
                reached_ms = arrivals.reached_ms[arrivals.of_type[event_type]]
                self._feed_of.take(events.community, mine, reached_ms)
                self._note_habits(events, mine)
        for number in np.flatnonzero(np.bincount(feeds + 1)[1:]).tolist():
            self._hear(number, np.flatnonzero(feeds == number), arrivals)
        self._wait(arrivals.moments)

    def advance(self, moments: Moments) -> None:
        """Let time pass."""
        self._gaps = []
        self._wait(moments)

    def release(self, community: Ints, due_ms: Ints) -> Ints:
        """When alerts on silence that fall due may be raised."""
        self._room()
        return self.quiet.release(self._feed_of.at(community, due_ms), due_ms)

    def settle(self, now_ms: int) -> None:
        """Forget what nothing that falls due from now on depends on."""
        self.quiet.settle(now_ms)
        self._feed_of.settle(now_ms)

    @property
    def endings(self) -> int:
        """How often something has ended for which alerts on silence are held back."""
        return self.quiet.endings + self._feed_of.count

    def says_nothing(self, community: int, at_ms: int) -> bool:
        """Whether a community's feed was silent at a time, or was so for half as long as it takes to be called that.

        Only for times that the last call of :meth:`apply` or :meth:`advance` passed.
        """
        number = int(self._feed_of.at(np.array([community]), np.array([at_ms]))[0])
        if number < 0:
            return False
        if self.quiet.was_quiet(number, at_ms):
            return True
        return any(of == number and from_ms <= at_ms <= until_ms for of, from_ms, until_ms in self._gaps)

    def _hear(self, number: int, at: Ints, arrivals: Arrivals) -> None:
        """Take the events of one feed in, in the order in which they were applied."""
        feed = self._feeds[number]
        reached, times = arrivals.reached_ms[at], arrivals.occurred_at_ms[at]
        if feed.first_ms < 0:
            feed.first_ms = feed.heard_ms = int(reached[0])
            feed.community = int(arrivals.community[at[0]])
            self._dirty.add(number)
        silence = np.diff(reached, prepend=feed.heard_ms)
        long = np.flatnonzero(silence >= _HOUR_MS)
        step: int | None = 0
        while step is not None:
            if self.quiet.is_quiet(number):
                step = self._come_back(number, reached, times, step)
            else:
                later = long[np.searchsorted(long, step) :]
                step = int(later[0]) if len(later) else None
                if step is not None:
                    self._end_gap(number, int(reached[step]), int(silence[step]), arrivals.moments)
                    step = step if self.quiet.is_quiet(number) else step + 1
        self._dirty.add(number)
        feed.heard_ms = int(reached[-1])

    def _end_gap(self, number: int, reached_ms: int, silence_ms: int, moments: Moments) -> None:
        """An event ends a gap: it was a silence if it lasted too long, else it belongs to the feed's habit."""
        feed = self._feeds[number]
        if silence_ms < feed.gaps.get(reached_ms // DAY_MS, 0):
            feed.heard_ms = reached_ms  # there was a longer one the same day, so this was neither a silence nor a habit
            return
        before_ms = reached_ms - silence_ms
        feed.heard_ms = before_ms
        self._dirty.add(number)
        if not self._fall_silent(number, reached_ms, reached_ms - 1, moments):
            day = reached_ms // DAY_MS
            feed.gaps[day] = max(silence_ms, feed.gaps.get(day, 0))
            feed.gaps = {at: gap for at, gap in feed.gaps.items() if at > day - _HABIT_DAYS}
        feed.heard_ms = reached_ms

    def _numbers_of(self, events: Events) -> Ints:
        """The number of each event's feed."""
        if "feed" not in set(events.columns):
            return np.full(len(events), self._number(""))
        words, codes = events.columns.words("feed")
        unnamed = self._number("") if (codes < 0).any() else -1
        numbers: Ints = np.array([*(self._number(word or "") for word in words), unnamed])[codes]
        return numbers

    def _note_habits(self, messages: Events, feeds: Ints) -> None:
        """Note which feeds say what is a question, and what is a reply."""
        if all(feed.asks and feed.replies for feed in self._feeds):
            return
        replies = messages.given("reply_to") | messages.given("reply_to_member_id")
        for given, name in ((messages.given("is_question"), "asks"), (replies, "replies")):
            for number in np.flatnonzero(np.bincount(feeds[given])).tolist():
                feed = self._feeds[number]
                if not getattr(feed, name):
                    setattr(feed, name, True)
                    feed.landed_ms = -1

    def derived(self) -> pa.Table | None:
        """Rows for ``alert_feeds``: feeds of which something changed, or that were heard again for a minute."""
        due = [
            feed for feed in self._feeds
            if feed.first_ms >= 0 and (feed.landed_ms < 0 or feed.heard_ms - feed.landed_ms >= _MINUTE_MS)
        ]  # fmt: skip
        if not due:
            return None
        for feed in due:
            feed.landed_ms = feed.heard_ms
        numbers, feed_of = [self._numbers[feed.name] for feed in due], self._feed_of.now()
        since = [self.quiet.packed(one)[-1].since_ms if self.quiet.is_quiet(one) else None for one in numbers]
        time, platforms = pa.timestamp("ms", "UTC"), self._context.platforms
        return pa.table(
            {
                "feed": pa.array([feed.name for feed in due], pa.string()),
                "partition": pa.array([self._context.partition.partition] * len(due), pa.uint16()),
                "platform": pa.array([platforms.now(feed.community) for feed in due], pa.string()),
                "last_heard_at": pa.array([feed.heard_ms for feed in due], time),
                "longest_gap_seconds": pa.array([feed.longest_ms() // 1000 for feed in due], pa.uint32()),
                "silent_since": pa.array(since, time),
                "communities": pa.array([int(np.count_nonzero(feed_of == one)) for one in numbers], pa.uint32()),
                "asks_questions": pa.array([int(feed.asks) for feed in due], pa.uint8()),
                "says_replies": pa.array([int(feed.replies) for feed in due], pa.uint8()),
            }
        )

    def _wait(self, moments: Moments) -> None:
        for number in range(len(self._feeds)):
            if not self.quiet.is_quiet(number):
                self._fall_silent(number, moments.last_ms, moments.last_ms, moments)

    def _fall_silent(self, number: int, now_ms: int, until_ms: int, moments: Moments) -> bool:
        """Call a feed silent if by ``now_ms`` it has been so for too long; it has not been heard up to ``until_ms``."""
        feed = self._feeds[number]
        rules = self._context.rules.alerts.feed_silent
        if not feed.name or not rules.enabled or feed.heard_ms - feed.first_ms < rules.min_history_days * DAY_MS:
            return False
        longest_ms = feed.longest_ms()
        patience_ms = max(rules.min_minutes * _MINUTE_MS, round(rules.factor * longest_ms))
        unusual_ms = max(patience_ms // 2, longest_ms) + 1
        if now_ms - feed.heard_ms >= unusual_ms:
            self._gaps.append((number, feed.heard_ms + unusual_ms, until_ms))
        due_ms = feed.heard_ms + patience_ms
        if due_ms > now_ms:
            return False
        self.quiet.begin(number, feed.heard_ms, due_ms)
        self._dirty.add(number)
        feed.back_ms, feed.opened_ms, feed.landed_ms = None, due_ms, -1
        looked_ms = int(moments.first_at_or_after(np.array([due_ms]))[0])
        everybody = np.arange(len(self._context.partition.directory.community_names))
        hanging = self._feed_of.at(everybody, np.full(len(everybody), due_ms)) == number
        self._context.episodes.open(
            self._context.health_opening(
                "feed_silent",
                feed.community,
                place=self._context.place(feed.community, due_ms),
                fact=feed.heard_ms // DAY_MS * DAY_MS,
                opened_ms=due_ms,
                stale=looked_ms - due_ms > self._context.partition.lateness_ms,
                rules=rules,
                reason=feed_reason(feed.name, feed.heard_ms, patience_ms, longest_ms),
                evidence={
                    "last_heard_at": time_text(feed.heard_ms),
                    "silent_hours": round(patience_ms / _HOUR_MS, 1),
                    "longest_gap_hours": round(longest_ms / _HOUR_MS, 1),
                    "communities": int(np.count_nonzero(hanging)),
                },
                feed=feed.name,
                subject=number,
            )
        )
        return True

    def _come_back(self, number: int, reached: Ints, times: Ints, start: int) -> int | None:
        """Look for the event from ``start`` on with which a silent feed has caught up; None: it has not yet."""
        feed = self._feeds[number]
        rules = self._context.rules.alerts.feed_silent
        if feed.back_ms is None:
            feed.back_ms = int(reached[start])
            self._dirty.add(number)
        fresh: Mask = reached[start:] - times[start:] <= rules.caught_up_minutes * _MINUTE_MS
        # A connector that is always behind by hours is back after a day of being heard, whatever it says of the time.
        fresh |= reached[start:] - feed.back_ms >= DAY_MS
        if not fresh.any():
            return None
        step = start + int(fresh.argmax())
        at_ms = int(reached[step])
        self.quiet.end(number, at_ms)
        self._dirty.add(number)
        feed.back_ms, feed.landed_ms = None, -1
        self._context.episodes.close("feed_silent", number, at_ms, reached_ms=at_ms)
        return step + 1

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._feeds)
            self._feeds.append(_Feed(name, 0, -1, -1, {}))
        return self._numbers[name]

    def _room(self) -> None:
        self._feed_of.room(len(self._context.partition.directory.community_names))

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        found = []
        if self._dirty:
            numbers, self._dirty = sorted(self._dirty), set()
            for number in numbers:
                self._feeds[number].spans = self.quiet.packed(number)
            payloads = [msgspec.msgpack.encode((number, self._feeds[number])) for number in numbers]
            found.append(StateRows("alert_feeds", binary([n.to_bytes(4, "big") for n in numbers]), binary(payloads)))
        return found + self._feed_of.dirty()

    def restore(self, name: str, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        self._room()
        if name == FeedMoves.name:
            self._feed_of.restore(keys, payloads)
            return
        rows = [msgspec.msgpack.decode(payload, type=tuple[int, _Feed]) for payload in payloads.to_pylist()]
        for number, feed in sorted(rows, key=lambda row: row[0]):
            while len(self._feeds) <= number:
                self._feeds.append(_Feed("", 0, -1, -1, {}))
            self._feeds[number] = feed
            self._numbers[feed.name] = number
            self.quiet.restore(number, feed.spans)
