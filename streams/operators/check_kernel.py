"""Counting for alerts on communities, event by event in the order of the merge, in machine code.

Rolling figures of `activity` are those after a whole batch; whoever judges a community at nine must see it as it was at
nine, wherever the batch was cut. So what these alerts count is counted here, beside it, in a ring of panes. They
begin at the hour of the check: a pane is a day from check to check, its number the local date on which it begins.
"""

from __future__ import annotations

from numba import njit

SLOTS = 64
"""Panes kept of a community; a power of two above WINDOW."""

FIGURES = ("active", "spoken", "promotions", "joins", "quits", "quits_after", "questions", "unanswered", "speakers")
ACTIVE, SPOKEN, PROMOTIONS, JOINS, QUITS, QUITS_AFTER, QUESTIONS, UNANSWERED, SPEAKERS = range(len(FIGURES))
COUNTED = SPEAKERS
"""Figures before this one are sums; speakers are where each member spoke last."""

# What an event is, as bits.
IS_ACTIVE, IS_SPOKEN, IS_PROMOTION, IS_JOIN, IS_QUIT, IS_IN, IS_OUT, IS_QUESTION, IS_UNANSWERED, IS_SPEAKER = (
    1 << bit for bit in range(10)
)

CHECK = (
    "community", "pane", "loading", "history_days", "members",
    "active_day", "expected_day", "lowest_day", "active_week", "expected_week", "lowest_week",
    "spoken_30", "promotions_30", "speakers_30", "questions_30", "unanswered_30",
    "promotions_7", "quits_7", "quits_after_7", "joins_28", "joins_before",
)  # fmt: skip
"""Columns of a check: a community as it was at the end of a pane."""

QUIT = ("place", "members", "quits_before", "days_before", "promotions_2", "promotions_before", "after_promotion")
"""Columns of a member that left of its own accord: its place in the batch, and its community as it was then."""

_BITS = 10
_COUNTS = IS_ACTIVE | IS_SPOKEN | IS_PROMOTION | IS_JOIN | IS_QUIT | IS_QUESTION | IS_UNANSWERED
_FEWEST = 7
"""Counts (an event may be several) below which no condition can go on, by what rules files may say at least: five
promotions by staff, and one who quits after them. With more, whether a pane was looked at would depend on the batch."""
_DAY_MS = 86_400_000

# mypy: disable-error-code="no-untyped-def"


@njit(cache=True, nogil=True)
def _open_pane(ring, total, head, c, pane):
    """Begin a pane; what stood in its slot is too old for any window."""
    slot = pane & (SLOTS - 1)
    for figure in range(COUNTED):
        total[c] -= ring[c, slot, figure]
    for figure in range(ring.shape[2]):
        ring[c, slot, figure] = 0
    head[c] = pane


@njit(cache=True, nogil=True)
def _left_out(left_out, first_day, c_calendar, pane):
    at = pane - first_day
    return 0 <= at < left_out.shape[1] and left_out[c_calendar, at]


@njit(cache=True, nogil=True)
def _expected(ring, left_out, first_day, calendar, c, pane):
    """Median and lowest of a pane's figures one to four weeks before, without days left out; -1 for fewer than two."""
    kept, lowest, highest, total = 0, 1 << 60, -1, 0
    for week in range(1, 5):
        before = pane - 7 * week
        if not _left_out(left_out, first_day, calendar, before):
            value = ring[c, before & (SLOTS - 1), ACTIVE]
            kept += 1
            total += value
            lowest, highest = min(lowest, value), max(highest, value)
    if kept < 2:
        return -1.0, -1.0
    # Of four values the median is the mean of the middle two, of three the middle one, of two their mean.
    middle = total - lowest - highest if kept > 2 else total
    return middle / (1.0 if kept == 3 else 2.0), float(lowest)


@njit(cache=True, nogil=True)
def _sum(ring, c, last, panes, figure):
    found = 0
    for back in range(panes):
        found += ring[c, (last - back) & (SLOTS - 1), figure]
    return found


@njit(cache=True, nogil=True)
def _check(ring, left_out, first_day, calendar, c, pane, row):
    for week, panes in ((False, 1), (True, 7)):
        active, expected, lowest = 0.0, 0.0, 0.0
        for back in range(panes):
            day = pane - back
            usual, least = _expected(ring, left_out, first_day, calendar, c, day)
            if usual < 0 or _left_out(left_out, first_day, calendar, day):
                continue
            active += ring[c, day & (SLOTS - 1), ACTIVE]
            expected += usual
            lowest += least
        at = 8 if week else 5
        row[at], row[at + 1], row[at + 2] = active, expected, lowest
    row[11] = _sum(ring, c, pane, 30, SPOKEN)
    row[12] = _sum(ring, c, pane, 30, PROMOTIONS)
    row[13] = _sum(ring, c, pane, 30, SPEAKERS)
    row[14] = _sum(ring, c, pane, 30, QUESTIONS)
    row[15] = _sum(ring, c, pane, 30, UNANSWERED)
    row[16] = _sum(ring, c, pane, 7, PROMOTIONS)
    row[17] = _sum(ring, c, pane, 7, QUITS)
    row[18] = _sum(ring, c, pane, 7, QUITS_AFTER)
    row[19] = _sum(ring, c, pane, 28, JOINS)
    row[20] = _sum(ring, c, pane - 28, 28, JOINS)


@njit(cache=True, nogil=True)
def _pass(until, c, ring, total, head, first, loading, size, watched, calendar, left_out, first_day, checks, count):
    """Let panes of a community end up to ``until``, checking it at the end of each; how many checks there are now.

    -1 when there is no room for one more.
    """
    while head[c] < until:
        pane = head[c]
        if total[c] < _FEWEST and not watched[c]:
            if until - pane > SLOTS:  # nothing to see for so long: all slots are emptied at once
                ring[c] = 0
                total[c] = 0
                head[c] = until
                return count
        else:
            if count == len(checks):
                return -1
            watched[c] = True  # until whoever judges it says otherwise: it may have to be told that all is well again
            row = checks[count]
            row[0], row[1], row[2] = c, pane, loading[c] >= pane
            row[3], row[4] = pane - first[c] + 1, size[c]
            _check(ring, left_out, first_day, calendar[c], c, pane, row)
            count += 1
        _open_pane(ring, total, head, c, pane + 1)
    return count


@njit(cache=True, nogil=True)
def take(
    start, community, member, time_ms, pane, reached, kinds, ends,
    ring, total, head, first, loading, last_promotion_ms, size, watched, calendar, changed,
    inside, spoke, left_out, first_day, checks, quits,
):  # fmt: skip
    """Take events in from ``start`` on, then let panes end up to ``ends`` (by community).

    ``pane`` is that of an event's time, ``reached`` that of *now* when it was applied.

    Returns:
        Where to go on (len + 1 when all is done), and how many rows of ``checks`` and ``quits`` were filled. Whoever is
        not done calls again once these are taken out.
    """
    found, left = 0, 0
    for at in range(start, len(community)):
        c, m, day, kind = community[at], member[at], pane[at], kinds[at]
        if left == len(quits):
            return at, found, left
        if head[c] < 0:
            head[c] = reached[at]
        if head[c] < reached[at]:  # most events call nothing: handing over so many arrays costs more than the rest
            more = _pass(
                reached[at], c, ring, total, head, first, loading, size, watched, calendar, left_out, first_day,
                checks, found,
            )  # fmt: skip
            if more < 0:
                return at, found, left
            found = more
        first[c] = min(first[c], day)
        before = size[c]
        if kind & IS_IN or (kind & IS_OUT == 0 and m >= 0 and inside[m] != 1):
            if inside[m] != 1:
                inside[m] = 1
                size[c] += 1
        elif kind & IS_OUT:
            if inside[m] == 1:
                size[c] -= 1
            inside[m] = 2
        if reached[at] - day > 1:
            loading[c] = reached[at]
        if kind & IS_PROMOTION:
            last_promotion_ms[c] = max(last_promotion_ms[c], time_ms[at])
        live = day > head[c] - SLOTS
        if kind & IS_QUIT:
            row = quits[left]
            row[0], row[1] = at, before
            row[2] = _sum(ring, c, head[c] - 1, 28, QUITS)
            row[3] = min(28, max(head[c] - first[c], 1))
            row[4] = _sum(ring, c, head[c], 2, PROMOTIONS)
            row[5] = _sum(ring, c, head[c] - 2, 28, PROMOTIONS)
            left += 1
            after_ms = time_ms[at] - last_promotion_ms[c]
            row[6] = 0 <= after_ms < _DAY_MS
            if live and row[6]:
                ring[c, day & (SLOTS - 1), QUITS_AFTER] += 1
                total[c] += 1
        if live:
            slot = day & (SLOTS - 1)
            # One by one: a loop over pairs is not unrolled, and costs as much as everything else together.
            if kind & IS_ACTIVE:
                ring[c, slot, ACTIVE] += 1
            if kind & IS_SPOKEN:
                ring[c, slot, SPOKEN] += 1
            if kind & IS_PROMOTION:
                ring[c, slot, PROMOTIONS] += 1
            if kind & IS_JOIN:
                ring[c, slot, JOINS] += 1
            if kind & IS_QUIT:
                ring[c, slot, QUITS] += 1
            if kind & IS_QUESTION:
                ring[c, slot, QUESTIONS] += 1
            if kind & IS_UNANSWERED:
                ring[c, slot, UNANSWERED] += 1
            if kind & _COUNTS:
                changed[c, slot] = True
                for bit in range(_BITS):
                    total[c] += (kind & _COUNTS) >> bit & 1
        if kind & IS_SPEAKER and day > spoke[m]:
            if spoke[m] > head[c] - SLOTS:
                ring[c, spoke[m] & (SLOTS - 1), SPEAKERS] -= 1
            if live:
                ring[c, day & (SLOTS - 1), SPEAKERS] += 1
            spoke[m] = day
    for c in range(len(ends)):
        if head[c] >= 0 and head[c] < ends[c]:
            more = _pass(
                ends[c], c, ring, total, head, first, loading, size, watched, calendar, left_out, first_day, checks,
                found,
            )  # fmt: skip
            if more < 0:
                return len(community), found, left
            found = more
    return len(community) + 1, found, left
