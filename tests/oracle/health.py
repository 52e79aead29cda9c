"""Alerts on communities, recomputed at every event from all events before it, straight from their definitions.

For events that come in order, each at a time of its own, in UTC. Nothing is incremental but what the definitions
themselves remember: which condition is on, when an episode ended, what a feed's habit is and who waits for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.oracle.health_days import Day, members, quits
from tests.oracle.health_waits import DAY, HOUR, MINUTE, Chain, Event, Feed, Question, Rules, due_at, is_staff


class HealthOracle:
    """Openings as (kind, community, member, opened ms), for `feed_silent` the feed in place of the community.

    ``rules`` by kind, all thresholds given.
    """

    def __init__(self, rules: dict[str, Rules], check_hour: int = 9) -> None:
        self._rules = rules
        self._hour = check_hour * HOUR
        self._events: dict[str, list[Event]] = {}
        self._on: dict[tuple[str, str], bool] = {}
        self._rests: dict[tuple[str, str], int] = {}
        self._expires: dict[tuple[str, str], int] = {}
        self._calm: dict[str, tuple[float, int]] = {}
        self._facts: dict[tuple[str, str], int] = {}
        self._feeds: dict[str, Feed] = {}
        self._feed_of: dict[str, Feed] = {}
        self._questions: list[Question] = []
        self._fallen: list[Question] = []
        self._replies: set[str] = set()
        self._chains: dict[str, Chain] = {}
        self._now: int | None = None
        self.opened: set[tuple[str, str, str, int]] = set()

    def take(self, events: Iterable[Event]) -> None:
        """All events, in the order of their times; ``at`` is the time in ms."""
        for one in events:
            self._pass(one["at"])
            community = one["community_id"]
            mine = self._events.setdefault(community, [])
            if one.get("action") == "left":
                self._leave(community, mine, one)
            mine.append(one)
            self._hear(one)
            if one["event_type"] == "message":
                self._violate(community, mine, one)
                self._answer(one)
                self._ask(one)
            elif one.get("roster_version_after"):
                self._change(community, one)
            self._now = one["at"]

    def _pass(self, now: int) -> None:
        """Time comes to ``now``; what became due since the event before is found with this one."""
        if self._now is None:
            return
        for name, feed in self._feeds.items():
            if not feed.silent and feed.due(self._rules["feed_silent"]) <= now:
                feed.silent = True
                due = feed.due(self._rules["feed_silent"])
                self._open("feed_silent", name, "", due, fact=feed.last // DAY, now=now)
        self._checks(now)
        self._wait(now)
        for community, chain in self._chains.items():
            due = chain.broken_at + self._rules["resync_needed"]["grace_minutes"] * MINUTE
            if chain.broken and not chain.told and due <= now:
                chain.told = True
                self._open("resync_needed", community, "", due, now=now)

    def _silent(self, community: str, at: int) -> bool:
        """Whether the community's feed is quieter than it ever was, so that nothing is judged."""
        feed = self._feed_of.get(community)
        return feed is not None and feed.unusual(self._rules["feed_silent"]) <= at

    # -- once a day ---------------------------------------------------------------------------------------------------

    def _checks(self, now: int) -> None:
        first = ((self._now or 0) - self._hour) // DAY + 1
        for day in range(first, (now - self._hour) // DAY + 1):
            at = day * DAY + self._hour
            for community, mine in self._events.items():
                # A community is looked at from the end of the pane on in which its first event was.
                if not self._silent(community, at):
                    self._check(community, mine, at, now)

    def _check(self, community: str, mine: list[Event], at: int, now: int) -> None:
        # An alert says what was found before; a question that fell due since the last event is found with the next.
        fallen = [one for one in self._fallen if one.community == community]
        first = (mine[0]["at"] - self._hour) // DAY * DAY + self._hour
        for kind, (on, off) in Day(self._rules, mine, fallen, at, at - first).judged().items():
            if self._on.get((kind, community)) and off:
                self._on[kind, community] = False
                self._end((kind, community), at)
            elif on and not self._on.get((kind, community)):
                self._on[kind, community] = True
                self._open(kind, community, "", at, now=now)

    def _open(self, kind: str, community: str, member: str, at: int, *, now: int, fact: int | None = None) -> bool:
        """Open an episode unless one is open or its subject rests; whether one stands open then.

        ``now`` is when it was found: what fell due more than a day before is history, shown and over at once.
        """
        key = (kind, community + member)
        if at >= self._expires.get(key, at + 1):
            self._end(key, at)
        if key in self._expires or at < self._rests.get(key, 0) or (fact is not None and self._facts.get(key) == fact):
            return False
        self.opened.add((kind, community, member, at))
        if now - at > DAY:
            return False
        self._expires[key] = at + self._rules[kind]["expire_days"] * DAY
        if fact is not None:
            self._facts[key] = fact
        return True

    def _end(self, key: tuple[str, str], at: int) -> None:
        """End an episode that may be open; one that had expired by then rests from that time on."""
        if key in self._expires:
            ended = min(at, self._expires.pop(key))
            self._rests[key] = ended + self._rules[key[0]]["cool_down_days"] * DAY

    # -- what waits ---------------------------------------------------------------------------------------------------

    def _hear(self, one: Event) -> None:
        name = one.get("feed", "")
        if name:
            feed = self._feeds.setdefault(name, Feed(one["at"], one["at"]))
            if feed.silent:
                self._end(("feed_silent", name), one["at"])
            feed.hear(one["at"])
            if one["event_type"] == "message":
                self._feed_of[one["community_id"]] = feed

    def _wait(self, now: int) -> None:
        """Questions that nobody has answered by now."""
        rules = self._rules["unanswered"]
        while soon := [one for one in self._questions if one.due <= now]:
            one = min(soon, key=lambda question: question.due)
            if one.told:
                self._questions.remove(one)
            elif self._silent(one.community, one.due):
                one.due += HOUR  # the answer may not have come through
            else:
                one.told = True
                self._fallen.append(one)
                one.opened = self._open("unanswered", one.community, one.member, one.due, now=now)
                one.due += rules["expire_days"] * DAY

    def _answer(self, one: Event) -> None:
        for asked in [question for question in self._questions if question.answered_by(one, self._rules["unanswered"])]:
            self._questions.remove(asked)
            if asked.opened:
                self._end(("unanswered", asked.community + asked.member), one["at"])

    def _ask(self, one: Event) -> None:
        if one.get("reply_to") or one.get("reply_to_member_id"):
            self._replies.add(one["community_id"])
        if one.get("is_question") and not is_staff(one):
            estimated = one["community_id"] not in self._replies
            due = due_at(one["at"], self._rules["unanswered"])
            self._questions.append(
                Question(one["community_id"], one["member_id"], one["event_id"], one["at"], due, estimated)
            )

    def _change(self, community: str, one: Event) -> None:
        chain = self._chains.setdefault(community, Chain())
        was = chain.broken
        chain.changes.append((one["roster_version_before"], one["roster_version_after"]))
        if chain.broken and not was:
            chain.broken_at, chain.told = one["at"], False
        elif was and not chain.broken:
            self._end(("resync_needed", community), one["at"])

    # -- at the event -------------------------------------------------------------------------------------------------

    def _leave(self, community: str, mine: list[Event], quitter: Event) -> None:
        rules, now = self._rules["exodus"], quitter["at"]
        times = [one["at"] for one in mine if quits(one) and one["at"] > now - DAY] + [now]
        if community in self._calm:
            calm, opened = self._calm[community]
            everybody = [one["at"] for one in mine if quits(one)]
            moments = sorted(at + DAY for at in everybody if opened < at + DAY <= now)
            for moment in moments:  # with each one whose day is over, fewer have left in a day
                if sum(moment - DAY < at <= moment for at in everybody) < calm:
                    del self._calm[community]
                    self._end(("exodus", community), moment)
                    break
        start = (now - self._hour) // DAY * DAY + self._hour
        first = (mine[0]["at"] - self._hour) // DAY * DAY + self._hour if mine else start
        gone = sum(1 for one in mine if quits(one) and start - 28 * DAY <= one["at"] < start)
        usual = round(gone / min(28, max((start - first) // DAY, 1)), 2)
        size = len(members(mine))
        least = max(rules["min_leaves"], rules["min_roster_share"] * size, rules["factor"] * usual)
        if community not in self._calm and len(times) >= least:
            self._calm[community] = (least / 2, now)
            self._open("exodus", community, "", now, now=now)

    def _violate(self, community: str, mine: list[Event], one: Event) -> None:
        if is_staff(one) or one.get("sender_role") in ("owner", "admin"):
            return
        rules, who, at = self._rules["rule_violation"], one["member_id"], one["at"]
        start = (at - self._hour) // DAY * DAY + self._hour
        theirs = [other for other in mine if other["event_type"] == "message" and other["member_id"] == who]
        today = [other for other in theirs if other["at"] >= start]
        broken = [sum(other["at"] // MINUTE == at // MINUTE for other in theirs) == rules["flood_messages"]]
        if one.get("kind") == "link":
            broken.append(sum(other.get("kind") == "link" for other in today) == rules["links_a_day"])
        if one.get("is_promotion"):
            broken.append(sum(bool(other.get("is_promotion")) for other in today) == rules["promotions_a_day"])
        if any(broken):
            self._open("rule_violation", community, who, at, now=at)
