"""`silent`: a member is silent beyond its own rhythm. Who is expected back by when, what is said if nobody comes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.alerts import AlertState
from streams.operators.alert_context import AlertContext
from streams.operators.alert_words import day_text, silent_reason
from streams.operators.arrivals import Arrivals, Moments, turns
from streams.operators.base import Ints, Mask
from streams.operators.churn_model import kind_of_member
from streams.operators.overdue import Fallen, Overdue, Release
from streams.operators.silence import NO_THRESHOLD, SilenceLimits, stay_away_chances, threshold_days
from streams.operators.tiers import are_staff, tiers_of
from streams.operators.timers import NO_DUE
from streams.rules_churn import SilentRules

_DAY_BITS = 16
_PLACE_BITS = 31


class SilentAlerts:
    """Watches the rhythms of members; owns them, since nobody else takes days in turn."""

    def __init__(self, context: AlertContext, release: Release) -> None:
        self._context = context
        self._rhythms = context.rhythms
        self.overdue = Overdue(context.partition.lateness_ms, release, context.standing.places)

    def apply(self, arrivals: Arrivals) -> None:
        """Take the active days of a batch in, each member's one after the other as they arrived."""
        # Leaving ends the wait: it is taken in turn like an active day.
        days = arrivals.active.copy()
        days[arrivals.leaves] = True
        at = np.flatnonzero(days)
        member = arrivals.member[at]
        self._rhythms.room(len(self._context.partition.directory.member_ids))
        day = self._context.partition.communities.days(arrivals.community[at], arrivals.occurred_at_ms[at])
        active = arrivals.active[at]
        fresh = ~active | (day != self._rhythms.last_day(member))
        at, member, day, active = at[fresh], member[fresh], day[fresh], active[fresh]
        if len(at) == 0:
            return
        # Of the events of one day the first counts, and the first after each leaving.
        order = np.argsort((member << _DAY_BITS) | np.where(active, day, 0), kind="stable")
        same = (member[order][1:] == member[order][:-1]) & (day[order][1:] == day[order][:-1])
        same &= active[order][1:] & active[order][:-1]
        if len(arrivals.leaves):
            left_before = np.searchsorted(arrivals.leaves, at[order])
            same &= left_before[1:] == left_before[:-1]
        first = order[np.concatenate(([True], ~same))]
        first = first[np.argsort((member[first] << _PLACE_BITS) | at[first])]
        at, member, day, active = at[first], member[first], day[first], active[first]
        in_time = self._in_time(member, day, active, at, arrivals)
        heads = np.flatnonzero(~in_time)
        followers = np.diff(np.append(heads, len(at))) - 1
        turn = turns(member[heads])
        for number in range(int(turn.max()) + 1):
            mine = np.flatnonzero(turn == number)
            here = mine[active[heads[mine]]]
            if len(here):
                row = heads[here]
                new = self._come_back(member[row], day[row], at[row], arrivals)
                new |= self._follow(row, followers[here], member, day, arrivals.community[at])
                places = at[row + followers[here]][new]
                self.expect(member[row[new]], places, arrivals.reached_ms[places])
            row = heads[mine[~active[heads[mine]]]]
            if len(row):
                self._leave(member[row], at[row], arrivals)

    def _in_time(self, member: Ints, day: Ints, active: Mask, at: Ints, arrivals: Arrivals) -> Mask:
        """Which days come so soon after their member's day before, in the same batch, that nothing can be overdue.

        Nobody is expected back before `min_silent_days` days are over, so what the day before leads one to expect need
        not be worked out. Those who come daily make nearly all days of a batch that spans months.
        """
        highest = np.maximum.accumulate((member << _DAY_BITS) | np.where(active, day, 0))
        before = np.concatenate(([-1], highest[:-1]))
        forward = active & (((member << _DAY_BITS) | day) > before) & (day > self._rhythms.last_day(member))
        in_time = np.zeros(len(at), np.bool_)
        row = np.flatnonzero(forward[1:] & forward[:-1] & (member[1:] == member[:-1])) + 1
        community = arrivals.community[at[row]]
        soonest = np.empty(len(row), np.int64)
        for mine, profile in self._context.by_profile(community):
            soonest[mine] = day[row[mine] - 1] + profile.rules.silent.min_silent_days + 1
        in_time[row] = arrivals.reached_ms[at[row]] < self._context.hours_into(community, soonest, 0)
        return in_time

    def _come_back(self, member: Ints, day: Ints, at: Ints, arrivals: Arrivals) -> Mask:
        """Take a day of each (distinct) member in; whose next absence has to be worked out."""
        last = self._rhythms.last_day(member)
        community = arrivals.community[at]
        back = (day > last) & (last > 0)
        told = self._end(member, at, back, arrivals, "resolved")
        new = self._rhythms.note(member, day, self._gap(community, last, day))
        return new & ~(told & ~back)

    def _follow(self, row: Ints, followers: Ints, member: Ints, day: Ints, community: Ints) -> Mask:
        """Take in the days that follow each of these rows in time; which rows have some."""
        some = followers > 0
        if some.any():
            first, count = row[some] + 1, followers[some]
            rows = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
            gaps = self._gap(community[rows], day[rows - 1], day[rows])
            self._rhythms.note_run(member[row[some]], count, day[rows], gaps)
        return some

    def _leave(self, member: Ints, at: Ints, arrivals: Arrivals) -> None:
        known = self._rhythms.last_day(member) > 0
        self._end(member, at, known, arrivals, "expired")
        self._rhythms.tell(member[known])
        self.overdue.expect(member[known], np.full(np.count_nonzero(known), NO_DUE))

    def _end(self, member: Ints, at: Ints, ends: Mask, arrivals: Arrivals, state: AlertState) -> Mask:
        """What was overdue by then opens, and where a silence ends here (``ends``), what is open is over.

        Returns:
            Whose silence had been looked at by then.
        """
        told = self._rhythms.told(member)
        unseen = np.flatnonzero(~told)
        fallen = self.overdue.had_fallen(
            member[unseen],
            arrivals.community[at[unseen]],
            at[unseen],
            arrivals.reached_ms[at[unseen]],
            arrivals.moments,
        )
        late = unseen[fallen.subjects]
        if len(late):
            self._open(member[late], fallen)
            self._rhythms.tell(member[late])
            self.overdue.expect(member[late], np.full(len(late), NO_DUE))
            told[late] = True
        for one in np.flatnonzero(ends & told).tolist():
            time_ms, reached_ms = int(arrivals.occurred_at_ms[at[one]]), int(arrivals.reached_ms[at[one]])
            self._context.episodes.close("silent", int(member[one]), time_ms, state, reached_ms)
        return told

    def _gap(self, community: Ints, last: Ints, day: Ints) -> Ints:
        """Days between two active days, without holidays."""
        gap = np.empty(len(day), np.int64)
        for mine, profile in self._context.by_profile(community):
            gap[mine] = profile.holidays.counted(day[mine]) - profile.holidays.counted(last[mine])
        return gap

    def expect(self, members: Ints, places: Ints | None = None, reached_ms: Ints | None = None) -> None:
        """Work out by when members must be back; ``places`` and ``reached_ms`` as `Overdue.expect` takes them."""
        community = self._context.community_of(members)
        last = self._rhythms.last_day(members)
        due_ms = np.full(len(members), NO_DUE)
        for mine, profile in self._context.by_profile(community):
            rules = profile.rules.silent
            who = members[mine]
            days = threshold_days(
                self._rhythms.gaps(who),
                self._rhythms.kept(who),
                self._rhythms.active_days(who),
                self._kind(who),
                profile.curves,
                limits_of(rules),
            )
            ends = (days != NO_THRESHOLD) & rules.enabled
            who = np.flatnonzero(mine)[ends]
            counted = profile.holidays.counted(last[who])
            due_day = profile.holidays.day_of(counted + days[ends] + 1)
            at_ms = self._context.hours_into(community[who], due_day, rules.at_hour)
            at_ms = self._context.rested("silent", members[who], community[who], at_ms, rules.at_hour)
            day = self._context.partition.communities.days(community[who], at_ms)
            in_time = profile.holidays.counted(day - 1) - counted <= rules.latest_days
            due_ms[who] = np.where(in_time, at_ms, NO_DUE)
        self.overdue.expect(members, due_ms, places, reached_ms)

    def fire(self, moments: Moments, now_ms: Ints, clock_ms: Ints) -> None:
        """Open alerts on those who are overdue now."""
        fallen = self.overdue.fall(self._context.community_of, moments, now_ms, clock_ms)
        if len(fallen.subjects):
            self._rhythms.tell(fallen.subjects)
            self._open(fallen.subjects, fallen)

    def restored(self, members: Ints) -> None:
        """Work out anew who is expected, after a restart."""
        self.expect(members[~self._rhythms.told(members)])

    def _kind(self, members: Ints) -> Ints:
        return kind_of_member(self._rhythms.active_days_30(members), self._rhythms.active_days(members))

    def _open(self, members: Ints, fallen: Fallen) -> None:
        standing = self._context.standing.of(members, fallen.places)
        due_ms, stale, places = fallen.due_ms, fallen.stale, fallen.places
        community = self._context.community_of(members)
        last = self._rhythms.last_day(members)
        active_30 = self._rhythms.active_days_30(members)
        tier, worth = tiers_of(standing, active_30, self._context.rules.tiers)
        staff = are_staff(standing)
        silent = self._context.partition.communities.days(community, due_ms) - last - 1
        start_ms = self._context.hours_into(community, last, 0)
        active_days = self._rhythms.active_days(members)
        for mine, profile in self._context.by_profile(community):
            rules = profile.rules.silent
            who = members[mine]
            gaps, kept = self._rhythms.gaps(who), self._rhythms.kept(who)
            chances = stay_away_chances(gaps, kept, self._kind(who), profile.curves, rules.strength, rules.latest_days)
            typical, longest = typical_and_longest(gaps, kept)
            counted = profile.holidays.counted(last[mine] + silent[mine]) - profile.holidays.counted(last[mine])
            for row, one in enumerate(np.flatnonzero(mine).tolist()):
                if staff[one] or counted[row] > rules.latest_days:
                    continue  # it was held back until it came too late
                chance, last_day = float(chances[row, counted[row]]), int(last[one])
                usual, most = float(typical[row]), int(longest[row])
                opening = self._context.opening(
                    "silent",
                    int(members[one]),
                    place=int(places[one]),
                    fact=int(start_ms[one]),
                    opened_ms=int(due_ms[one]),
                    stale=bool(stale[one]),
                    rules=rules,
                    reason=silent_reason(last_day, int(active_30[one]), usual, most, int(silent[one]), chance),
                    evidence={
                        "silent_days": int(silent[one]),
                        "typical_gap_days": usual,
                        "longest_gap_days": most,
                        "active_days_30": int(active_30[one]),
                        "active_days": int(active_days[one]),
                        "stay_away_chance": round(chance, 3),
                        "last_active_day": day_text(last_day),
                    },
                    tier=int(tier[one]),
                    worth=float(worth[one]),
                )
                self._context.episodes.open(opening)


def typical_and_longest(gaps: npt.NDArray[np.uint8], kept: Ints) -> tuple[npt.NDArray[np.float64], Ints]:
    """Median and largest of each member's kept gaps; 0 for who has none."""
    inside = np.arange(gaps.shape[1]) < kept[:, None]
    ordered = np.sort(np.where(inside, gaps.astype(np.int64), 1 << 20), axis=1)
    row, last = np.arange(len(gaps)), np.maximum(kept - 1, 0)
    median = (ordered[row, last // 2] + ordered[row, (last + 1) // 2]) / 2
    return np.where(kept > 0, median, 0.0), np.where(kept > 0, ordered[row, last], 0)


def limits_of(rules: SilentRules) -> SilenceLimits:
    """The thresholds of the rules as the formula takes them."""
    return SilenceLimits(
        min_active_days=rules.min_active_days,
        min_silent_days=rules.min_silent_days,
        stay_away_chance=rules.stay_away_chance,
        latest_days=rules.latest_days,
        strength=rules.strength,
        surprise_factor=rules.surprise_factor,
        surprise_days=rules.surprise_days,
    )
