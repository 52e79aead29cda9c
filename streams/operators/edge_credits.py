"""What the forest tells others about its edges: who brought whom, and whether that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol


class EdgeCredit(NamedTuple):
    """What the forest says about an edge that is no self-referral; times in ms."""

    campaign_id: str
    edge_id: str
    referrer_id: str
    referee_id: str
    community_id: str
    occurred_ms: int
    outside: bool
    """Outside the campaign's start and end."""
    counts: bool
    """Linked, and its credit is not refused."""
    reversed_ms: int | None


class CreditSource(Protocol):
    """The forest and ledger of the partition's campaigns."""

    def changed_credits(self, wanted: Callable[[str], bool]) -> Iterable[EdgeCredit]:
        """Edges of wanted campaigns whose verdict or credit may have changed since the last flush."""

    def all_credits(self, wanted: Callable[[str], bool]) -> Iterable[EdgeCredit]:
        """All edges of wanted campaigns."""
