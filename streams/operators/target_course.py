"""When a target is reached, and whether that lasts: a function of what counts from when to when, and of nothing else.

Definition. Something counts in spans of time `[from, until)`, for ever where `until` is missing. The target opens at
`opened`; its span is `[opened, deadline)`, without end where there is no deadline. What began before it opened counts
from its opening; what happens at the deadline or later changes nothing. The count at a time is the number of spans
that hold it, so what begins and what ends at the same millisecond meet in one step. A *rise* is a step from below the
wanted number to it or above, a *fall* a step back. They take turns, and the last of them says how it stands:

* a rise: reached then, and standing;
* a fall: reached at the rise before it, and taken back then (a later rise would reach it again);
* neither: not reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

Span = tuple[int, int | None]
"""From when to when something counts, ms; None without an end."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a campaign asks for: so many of a kind, in a span that begins when it opens."""

    kind: str
    """``accepted_invitations`` of a member, or ``group_buy_orders`` of a group."""
    count: int
    within_ms: int | None = None
    end_ms: int | None = None
    """End of the campaign."""

    def deadline_ms(self, opened_ms: int) -> int | None:
        """When it can be reached or lost no more: after the days it gives, at the campaign's end at the latest."""
        ends = [opened_ms + self.within_ms] if self.within_ms is not None else []
        ends += [self.end_ms] if self.end_ms is not None else []
        return min(ends, default=None)

    @property
    def words(self) -> str:
        """As people say it: ``3 accepted_invitations within 3 days``."""
        within = "" if self.within_ms is None else f" within {self.within_ms // DAY_MS} days"
        return f"{self.count} {self.kind}{within}"


class Course(NamedTuple):
    """How a target stands: how many count in the end, and the last time it was reached and taken back, ms."""

    total: int
    reached_ms: int | None
    taken_back_ms: int | None

    @property
    def stands(self) -> bool:
        """Whether it is reached and was not taken back."""
        return self.reached_ms is not None and self.taken_back_ms is None


def course(spans: Iterable[Span], wanted: int, opened_ms: int, deadline_ms: int | None) -> Course:
    """How a target stands, given in any order what counts for it."""
    steps: list[tuple[int, int]] = []
    for begin_ms, end_ms in spans:
        begin = max(begin_ms, opened_ms)
        if (deadline_ms is not None and begin >= deadline_ms) or (end_ms is not None and end_ms <= begin):
            continue
        steps.append((begin, 1))
        if end_ms is not None and (deadline_ms is None or end_ms < deadline_ms):
            steps.append((end_ms, -1))
    steps.sort()
    count = 0
    reached_ms = taken_back_ms = None
    for at_ms, together in groupby(steps, itemgetter(0)):
        before, count = count, count + sum(step for _, step in together)
        if before < wanted <= count:
            reached_ms, taken_back_ms = at_ms, None
        elif count < wanted <= before:
            taken_back_ms = at_ms
    return Course(count, reached_ms, taken_back_ms)


def spans_of_order(events: Iterable[tuple[int, str, int]]) -> list[Span]:
    """When an order counts, given its events as (time in ms, status, amount in minor units), in any order.

    It counts from being paid until it is cancelled or wholly refunded: until the sum of its refunds reaches the largest
    amount it was ever said to be paid with (one order told twice is one order). Paid again after a cancellation it
    counts again. Of events at the same time a payment comes first, then refunds, then a cancellation.
    """
    ordered = sorted(events, key=lambda event: (event[0], ("paid", "refunded", "cancelled").index(event[1])))
    price = max((amount for _, status, amount in ordered if status == "paid"), default=0)
    spans: list[Span] = []
    since: int | None = None
    refunded, refunds = 0, 0
    for at_ms, status, amount in ordered:
        if status == "refunded":
            refunded, refunds = refunded + amount, refunds + 1
        gone = status == "cancelled" or (refunds > 0 and refunded >= price)
        if since is not None and gone:
            spans += [(since, at_ms)] if at_ms > since else []
            since = None
        elif since is None and status == "paid" and not gone:
            since = at_ms
    return spans if since is None else [*spans, (since, None)]


def merged(spans: list[Span]) -> list[Span]:
    """Spans that overlap or touch made one."""
    whole: list[Span] = []
    for begin, end in sorted(spans, key=lambda span: span[0]):
        last = whole[-1] if whole else None
        if last is not None and (last[1] is None or begin <= last[1]):
            whole[-1] = (last[0], None if last[1] is None or end is None else max(last[1], end))
        else:
            whole.append((begin, end))
    return whole
