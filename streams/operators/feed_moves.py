"""On which feed each community hung when: that of its latest message, hour by hour.

What falls due is held back while its community's feed is silent, and may be looked at long after that, with the
community on another feed by then. So the feed that counts is the one at the due time, whenever that is asked: that of
the latest message before the hour of it. Hours, because a community that two connectors feed by turns would move with
every message.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pyarrow as pa

from streams.operators.base import Ints, StateRows, binary, distinct, grown

_HOUR_MS = 3_600_000
_KEPT_HOURS = 60 * 24
_NONE = -1
_MOVE = np.dtype([("hour", "<i4"), ("feed", "<i4")])


class FeedMoves:
    """Feeds by community number; 9 bytes a community, and the moves of 60 days."""

    name = "alert_feed_of"

    def __init__(self) -> None:
        self._latest = np.empty(0, _MOVE)
        self._earlier: dict[int, list[tuple[int, int]]] = {}
        """Hours and feeds before the latest, of communities that have moved."""
        self._dirty = np.empty(0, np.bool_)
        self.count = 0
        """How many moves there were so far in this process."""

    def room(self, communities: int) -> None:
        """Make room for so many communities."""
        self._latest = grown(self._latest, communities, np.array((0, _NONE), _MOVE))
        self._dirty = grown(self._dirty, communities, False)

    def take(self, community: Ints, feed: Ints, reached_ms: Ints) -> None:
        """Take messages in, in the order of the merge: whose, by which feed, and what *now* was there."""
        moved = feed != self._latest["feed"][community]
        if not moved.any():
            return
        for number in distinct(community[moved]).tolist():
            mine = np.flatnonzero(community == number)
            hour = reached_ms[mine] // _HOUR_MS
            last = np.flatnonzero(np.append(hour[1:] != hour[:-1], True))
            for at, by in zip(hour[last].tolist(), feed[mine[last]].tolist(), strict=True):
                self._note(number, at, by)

    def _note(self, number: int, hour: int, feed: int) -> None:
        """The latest message of an hour came by a feed."""
        before_hour, before = self._latest[number].tolist()
        if feed == before:
            return
        earlier = self._earlier.setdefault(number, [])
        if before_hour != hour and before != _NONE:
            earlier.append((before_hour, before))
        if earlier and earlier[-1][1] == feed and before_hour == hour:
            self._latest[number] = earlier.pop()  # there and back within the hour
        else:
            self._latest[number] = (hour, feed)
        self._dirty[number] = True
        self.count += 1

    def now(self) -> Ints:
        """The feed of every community as things stand, -1 where it has none."""
        return self._latest["feed"].astype(np.int64)

    def at(self, community: Ints, time_ms: Ints) -> Ints:
        """The feed of each community at a time that *now* has reached, -1 where it had none."""
        hour, latest = time_ms // _HOUR_MS, self._latest[community]
        found = latest["feed"].astype(np.int64)
        for at in np.flatnonzero(hour <= latest["hour"]).tolist():
            earlier = self._earlier.get(int(community[at]), [])
            before = bisect_left(earlier, (int(hour[at]), _NONE))
            found[at] = earlier[before - 1][1] if before else _NONE
        return found

    def settle(self, now_ms: int) -> None:
        """Forget moves of long ago; all that fell due in their times has been looked at, or is put off."""
        oldest = now_ms // _HOUR_MS - _KEPT_HOURS
        for earlier in self._earlier.values():
            del earlier[: max(bisect_left(earlier, (oldest, _NONE)) - 1, 0)]

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        numbers = np.flatnonzero(self._dirty).tolist()
        if not numbers:
            return []
        self._dirty[:] = False
        moves = [[*self._earlier.get(number, ()), self._latest[number].tolist()] for number in numbers]
        payloads = [np.array([tuple(move) for move in mine], _MOVE).tobytes() for mine in moves]
        return [StateRows(self.name, binary([number.to_bytes(4, "big") for number in numbers]), binary(payloads))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back; there is room for their communities."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            number, moves = int.from_bytes(key, "big"), np.frombuffer(payload, _MOVE)
            self._latest[number] = moves[-1]
            if len(moves) > 1:
                self._earlier[number] = [(int(hour), int(feed)) for hour, feed in moves[:-1].tolist()]
