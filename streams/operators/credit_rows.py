"""Rows of `referral_credits`, transitions as they stand and the ends of those that are no more; and of money."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from streams.operators.base import Ints, Mask
from streams.operators.credit_ledger import NOT_KNOWN, Credit
from streams.operators.referral_columns import EdgeColumns, NodeColumns, flags
from streams.operators.referral_counts import CREDIT_STATES, MATURED, PENDING, REJECTED, REVERSED
from streams.operators.referral_graph import LINKED, REASONS, ReferralGraph
from streams.operators.referral_money import NONE, ReferralMoney
from streams.operators.referral_rows import edge_names, member_names, times, words

_MOST_MINOR = int(np.iinfo(np.int64).max)

Transition = tuple[int, int, str]
"""State, time in ms, reason."""


def transitions(credit: Credit, occurred_ms: int) -> list[Transition]:
    """All transitions of the credit of a linked edge, in their order."""
    if credit.state == REJECTED:
        return [(REJECTED, occurred_ms, credit.reason)]
    found = [(PENDING, occurred_ms, "")]
    if credit.matured_ms != NOT_KNOWN:
        found.append((MATURED, credit.matured_ms, ""))
    if credit.reversed_ms != NOT_KNOWN:
        found.append((REVERSED, credit.reversed_ms, credit.reason))
    return found


def credit_rows(
    tree: ReferralGraph,
    names: NodeColumns,
    said: EdgeColumns,
    edges: Ints,
    plain: Mask,
    credit_of: Callable[[int], Credit],
) -> pa.Table:
    """Rows of `referral_credits` for edges; ``plain`` ones are pending and nothing else if they are linked."""
    verdict, time_ms = flags(tree.verdict)[edges], np.frombuffer(tree.time_ms, np.int64)[edges]
    landed = flags(said.landed)
    linked = verdict == LINKED
    # Edges with one transition in columns, the others one by one.
    simple = np.flatnonzero(plain | ~linked)
    states = np.where(linked, PENDING, REJECTED)[simple]
    now = np.zeros(len(edges), np.int8)
    now[simple] = 1 << states
    columns = [edges[simple], states, time_ms[simple], np.zeros(len(simple), np.int64)]
    reasons = words(REASONS, verdict[simple])
    found: list[tuple[int, int, int, int]] = []  # edge, state, time, not withdrawn
    more_reasons: list[str] = []
    for at in np.flatnonzero(~plain & linked).tolist():
        edge = int(edges[at])
        for state, at_ms, reason in transitions(credit_of(edge), int(time_ms[at])):
            now[at] |= 1 << state
            found.append((edge, state, at_ms, 0))
            more_reasons.append(reason)
    if found:
        columns = [np.concatenate(pair) for pair in zip(columns, np.array(found, np.int64).T, strict=True)]
        reasons = pa.concat_arrays([reasons, pa.array(more_reasons, pa.string())])
    gone = landed[edges] & ~now
    landed[edges] = now
    for state in range(PENDING, REJECTED + 1) if gone.any() else ():
        ended = np.flatnonzero(gone >> state & 1)
        more = (edges[ended], np.full(len(ended), state), time_ms[ended], np.ones(len(ended), np.int64))
        columns = [np.concatenate(pair) for pair in zip(columns, more, strict=True)]
        reasons = pa.concat_arrays([reasons, pa.repeat("", len(ended))])
    of, states, changed_ms, withdrawn = columns
    return pa.table(
        {
            **edge_names(tree, names, said, of),
            "state": words(CREDIT_STATES, states),
            "changed_at": times(changed_ms),
            "reason": reasons,
            "withdrawn": pa.array(withdrawn.astype(np.uint8)),
        }
    )


def money_rows(money: ReferralMoney, names: NodeColumns, places: list[tuple[int, str]]) -> pa.Table:
    """Rows of `referral_revenue` for nodes and currencies; sums stop at the largest 64-bit number."""
    columns = member_names(names, np.array([node for node, _ in places], np.int64))
    columns["currency"] = pa.array([currency for _, currency in places], pa.string())
    for name, of_kind in (("own", money.own), ("subtree", money.subtree)):
        totals = [of_kind.get(node, {}).get(currency, NONE) for node, currency in places]
        columns[f"{name}_orders"] = pa.array([one[0] for one in totals], pa.uint64())
        columns[f"{name}_paid_minor"] = pa.array([min(one[1], _MOST_MINOR) for one in totals], pa.int64())
        columns[f"{name}_refunded_minor"] = pa.array([min(one[2], _MOST_MINOR) for one in totals], pa.int64())
    return pa.table(columns)
