"""What is known of each referee in each community, and what credit follows from it for the edge that brought it.

The definition is `infra/decisions/0006-the-final-ledger.md`. Facts only replace each other by revision, so a credit is
a function of the facts, whatever order they came in.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from schemas.facts import AlreadyMemberFact, LeftFact, OrdersFact, QualifiedFact, StaffFact
from streams.operators.referral_counts import MATURED, PENDING, REJECTED, REVERSED
from streams.operators.referral_graph import NOBODY
from streams.operators.referral_money import Totals
from streams.operators.word_list import WordList

NOT_KNOWN = -1
"""A time that no fact has said, or that one has taken back."""


class Credit(NamedTuple):
    """What became of a linked edge's credit; times in ms, NOT_KNOWN where it did not happen."""

    state: int
    reason: str = ""
    matured_ms: int = NOT_KNOWN
    reversed_ms: int = NOT_KNOWN


_JUST_PENDING = Credit(PENDING)


class Staff(NamedTuple):
    """Since when a referrer is staff in a community, and whether the campaign lets staff refer."""

    revision: int
    from_ms: int
    may_refer: bool


class CreditLedger:
    """Facts by stay: a referee node in a community. Orders and staff are few and stand in dicts."""

    def __init__(self, platforms: WordList) -> None:
        """``platforms`` has the empty word under 0."""
        self.platforms = platforms
        self._first_stay = array("i")
        self.node, self.community, self._next_stay = array("i"), array("i"), array("i")
        self.known_from_ms, self.qualified_ms, self.left_ms = array("q"), array("q"), array("q")
        self.known_revision, self.qualified_revision, self.left_revision = array("i"), array("i"), array("i")
        self.platform = array("i")
        """The platform into all of whose communities edges are concerned by `known_from_ms`; 0 for none."""
        self.orders: dict[int, dict[str, tuple[int, Totals]]] = {}
        """Revision and totals by stay and currency."""
        self.staff: dict[tuple[int, int], Staff] = {}
        """By node and community."""
        self.changed: set[int] = set()
        """Stays whose facts changed."""
        self.changed_staff: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self.node)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns; orders and staff aside."""
        return sum(len(one) * one.itemsize for one in vars(self).values() if isinstance(one, array))

    @property
    def first_stay(self) -> array[int]:
        """By node, a stay of it or NOBODY."""
        return self._first_stay

    def add_nodes(self, count: int) -> None:
        """Add nodes of which nothing is known."""
        self._first_stay.extend(array("i", [NOBODY]) * count)

    def stays_of(self, node: int) -> Iterator[int]:
        """All stays of a node."""
        stay = self._first_stay[node]
        while stay != NOBODY:
            yield stay
            stay = self._next_stay[stay]

    def stay(self, node: int, community: int) -> int:
        """The stay of a node in a community, a new one if there is none."""
        for stay in self.stays_of(node):
            if self.community[stay] == community:
                return stay
        stay = len(self.node)
        self.node.append(node)
        self.community.append(community)
        self._next_stay.append(self._first_stay[node])
        self._first_stay[node] = stay
        for times in (self.known_from_ms, self.qualified_ms, self.left_ms):
            times.append(NOT_KNOWN)
        for revisions in (self.known_revision, self.qualified_revision, self.left_revision):
            revisions.append(0)
        self.platform.append(0)
        return stay

    def take(self, stay: int, fact: AlreadyMemberFact | QualifiedFact | LeftFact | OrdersFact) -> bool:
        """Take a fact about a stay in; whether it was news."""
        if isinstance(fact, OrdersFact):
            mine = self.orders.setdefault(stay, {})
            if fact.currency in mine and mine[fact.currency][0] >= fact.revision:
                return False
            mine[fact.currency] = (fact.revision, (fact.orders, fact.paid_minor, fact.refunded_minor))
            self.changed.add(stay)
            return True
        if isinstance(fact, QualifiedFact):
            times, revisions, time_ms = self.qualified_ms, self.qualified_revision, fact.qualified_at
        elif isinstance(fact, LeftFact):
            times, revisions, time_ms = self.left_ms, self.left_revision, fact.left_at
        else:
            times, revisions, time_ms = self.known_from_ms, self.known_revision, fact.known_from
        if fact.revision <= revisions[stay]:
            return False
        revisions[stay] = fact.revision
        times[stay] = NOT_KNOWN if time_ms is None else time_ms
        if isinstance(fact, AlreadyMemberFact):
            self.platform[stay] = self.platforms.code(fact.platform)
        self.changed.add(stay)
        return True

    def _columns(self) -> tuple[array[int], ...]:
        return (
            self.known_from_ms, self.known_revision, self.qualified_ms, self.qualified_revision,
            self.left_ms, self.left_revision,
        )  # fmt: skip

    def stay_payload(self, stay: int) -> tuple[list[int], str, dict[str, tuple[int, Totals]]]:
        """All that is known of a stay."""
        platform = self.platforms.words[self.platform[stay]]
        return [column[stay] for column in self._columns()], platform, self.orders.get(stay, {})

    def restore_stay(self, stay: int, numbers: list[int], platform: str, orders: dict[str, tuple[int, Totals]]) -> None:
        """Take back what was known of a stay."""
        self.platform[stay] = self.platforms.code(platform)
        for column, number in zip(self._columns(), numbers, strict=True):
            column[stay] = number
        if orders:
            self.orders[stay] = {
                currency: (revision, (count, paid, refunded))
                for currency, (revision, (count, paid, refunded)) in orders.items()
            }

    def take_staff(self, node: int, community: int, fact: StaffFact) -> bool:
        """Take a fact about a referrer in; whether it was news."""
        before = self.staff.get((node, community))
        if before is not None and before.revision >= fact.revision:
            return False
        from_ms = NOT_KNOWN if fact.staff_from is None else fact.staff_from
        self.staff[node, community] = Staff(fact.revision, from_ms, fact.may_refer)
        self.changed_staff.add((node, community))
        return True

    def restore_staff(self, node: int, community: int, revision: int, from_ms: int, may_refer: bool) -> None:
        """Take back what was known of a referrer."""
        self.staff[node, community] = Staff(revision, from_ms, may_refer)

    def is_staff(self, referrer: int, community: int, occurred_ms: int) -> bool:
        """Whether the referrer of an edge was staff by then."""
        staff = self.staff.get((referrer, community))
        return staff is not None and NOT_KNOWN < staff.from_ms <= occurred_ms

    def credit(
        self, referrer: int, referee: int, community: int, platform: int, occurred_ms: int, outside: bool
    ) -> Credit:
        """What became of the credit of a linked edge."""
        if self._first_stay[referee] == NOBODY and not outside and (referrer, community) not in self.staff:
            return _JUST_PENDING
        here = NOBODY
        for stay in self.stays_of(referee):
            known_from_ms = self.known_from_ms[stay]
            if self.community[stay] == community:
                here = stay
            elif not platform or self.platform[stay] != platform:
                continue
            if NOT_KNOWN < known_from_ms < occurred_ms:
                return Credit(REJECTED, "already_member")
        if self.is_staff(referrer, community, occurred_ms) and not self.staff[referrer, community].may_refer:
            return Credit(REJECTED, "staff_referrer")
        if outside:
            return Credit(REJECTED, "outside_campaign")
        if here == NOBODY:
            return _JUST_PENDING
        matured_ms, reversed_ms = self.qualified_ms[here], self.left_ms[here]
        if matured_ms != NOT_KNOWN:
            matured_ms = max(matured_ms, occurred_ms)
        if reversed_ms != NOT_KNOWN:
            return Credit(REVERSED, "left", matured_ms, max(reversed_ms, occurred_ms))
        return Credit(PENDING if matured_ms == NOT_KNOWN else MATURED, "", matured_ms)

    def spent(self, referee: int, community: int) -> dict[str, Totals]:
        """What a referee spent in a community, by currency."""
        for stay in self.stays_of(referee):
            if self.community[stay] == community and stay in self.orders:
                return {currency: totals for currency, (_, totals) in self.orders[stay].items()}
        return {}
