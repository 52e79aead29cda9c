"""When targets are reached and taken back, against looking at every millisecond."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.operators.target_course import Course, Span, Target, course, spans_of_order

TIMES = st.integers(0, 12)
SPANS = st.lists(st.tuples(TIMES, st.none() | TIMES), max_size=8)
HORIZON = 20


def every_millisecond(spans: list[Span], wanted: int, opened: int, deadline: int | None) -> Course:
    """The definition, one millisecond after the other."""
    count, reached, lost = 0, None, None
    for now in range(opened, HORIZON if deadline is None else deadline):
        before = count
        count = sum(begin <= now and (end is None or end > now) for begin, end in spans)
        if before < wanted <= count:
            reached, lost = now, None
        if count < wanted <= before:
            lost = now
    return Course(count, reached, lost)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(SPANS, st.integers(1, 4), TIMES, st.none() | TIMES, st.randoms(use_true_random=False))
@example([(1, None), (1, 3), (3, None)], 2, 0, None, None)  # one goes as another comes: it stands
@example([(1, 3), (2, None)], 2, 0, 3, None)  # lost at the deadline is not lost
def test_a_course_is_what_every_millisecond_shows(
    spans: list[Span], wanted: int, opened: int, deadline: int | None, chance: object
) -> None:
    expected = every_millisecond(spans, wanted, opened, deadline)
    assert course(spans, wanted, opened, deadline) == expected
    shuffled = sorted(spans, key=lambda _: chance.random()) if chance else spans[::-1]  # type: ignore[attr-defined]
    assert course(shuffled, wanted, opened, deadline) == expected


def order_at(events: list[tuple[int, str, int]], now: int) -> bool:
    """Whether an order counts at a time, asked of all its events up to then."""
    until_now = [event for event in events if event[0] <= now]
    price = max((amount for _, status, amount in events if status == "paid"), default=0)
    refunds = [amount for _, status, amount in until_now if status == "refunded"]
    paid = [at for at, status, _ in until_now if status == "paid"]
    cancelled = [at for at, status, _ in until_now if status == "cancelled"]
    wholly_refunded = bool(refunds) and sum(refunds) >= price
    return bool(paid) and not wholly_refunded and (not cancelled or max(paid) > max(cancelled))


@settings(deadline=None)  # a busy machine is no fault of the code
@given(
    st.lists(
        st.tuples(TIMES, st.sampled_from(("paid", "refunded", "cancelled")), st.sampled_from((0, 50, 100))), max_size=6
    ),
    st.randoms(use_true_random=False),
)
def test_an_order_counts_while_it_is_paid_and_neither_cancelled_nor_wholly_refunded(
    events: list[tuple[int, str, int]], chance: object
) -> None:
    spans = spans_of_order(events)
    for now in range(HORIZON):
        inside = [span for span in spans if span[0] <= now and (span[1] is None or now < span[1])]
        assert len(inside) == order_at(events, now), (now, spans)
    assert spans_of_order(sorted(events, key=lambda _: chance.random())) == spans  # type: ignore[attr-defined]


def test_a_target_ends_after_its_days_or_with_the_campaign() -> None:
    day = 86_400_000
    target = Target("accepted_invitations", 3, within_ms=3 * day, end_ms=10 * day)
    assert [target.deadline_ms(opened * day) for opened in (0, 8)] == [3 * day, 10 * day]
    assert Target("accepted_invitations", 3).deadline_ms(5) is None
    assert target.words == "3 accepted_invitations within 3 days"
