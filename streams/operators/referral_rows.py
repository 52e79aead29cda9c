"""Rows of the tables `referral_nodes` and `referral_edges` from the columns of a forest."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streams.operators.base import Ints
from streams.operators.referral_columns import ORIGINS, EdgeColumns, NodeColumns, column, flags
from streams.operators.referral_counts import CREDIT_STATES, ReferralCounts
from streams.operators.referral_graph import LINKED, NOBODY, REASONS, ReferralGraph
from streams.operators.text_column import TextColumn

TIME = pa.timestamp("ms", "UTC")


def words(known: Sequence[str], codes: npt.NDArray[Any]) -> pa.Array:
    """A column of words from their codes."""
    return pa.array(known, pa.string()).take(pa.array(codes.astype(np.int64)))


def times(milliseconds: Ints) -> pa.Array:
    """A column of times."""
    return pa.array(milliseconds).cast(TIME)


def member_names(nodes: NodeColumns, numbers: npt.NDArray[Any]) -> dict[str, pa.Array]:
    """Campaign and member of nodes."""
    return {
        "campaign_id": words(nodes.campaigns.words, column(nodes.campaign_of)[numbers]),
        "member_id": _texts(nodes.member_ids, numbers),
    }


def node_rows(tree: ReferralGraph, counts: ReferralCounts, names: NodeColumns, nodes: Ints) -> pa.Table:
    """Rows of `referral_nodes`; the counts must be settled."""
    roots, depth = tree.tops(nodes)
    parent_edge = column(tree.parent_edge)[nodes]
    has_parent = parent_edge != NOBODY
    parents = column(tree.referrer)[np.where(has_parent, parent_edge, 0)]
    parent_ids = _texts(names.member_ids, np.where(has_parent, parents, 0))
    return pa.table(
        {
            **member_names(names, nodes),
            "parent_id": pc.if_else(pa.array(has_parent), parent_ids, ""),
            "root_id": _texts(names.member_ids, roots),
            "depth": pa.array(depth.astype(np.uint32)),
            "direct": _counted(tree.direct, nodes),
            "descendants": _counted(counts.descendants, nodes),
            "credit_state": words(CREDIT_STATES, flags(counts.credit)[nodes]),
            "matured_direct": _counted(counts.matured_direct, nodes),
            "matured_descendants": _counted(counts.matured_descendants, nodes),
            "reversed_direct": _counted(counts.reversed_direct, nodes),
            "reversed_descendants": _counted(counts.reversed_descendants, nodes),
            "staff": pa.array(flags(names.refers_as_staff)[nodes].astype(np.uint8)),
        }
    )


def edge_names(tree: ReferralGraph, names: NodeColumns, said: EdgeColumns, edges: Ints) -> dict[str, pa.Array]:
    """Campaign, id, members and community of edges."""
    referrer, referee = column(tree.referrer)[edges], column(tree.referee)[edges]
    communities = words(said.communities.words, column(said.community_of)[edges])
    origins = words(ORIGINS, flags(said.origin)[edges])
    escaped = [
        pc.replace_substring(pc.replace_substring(part, "%", "%25"), "/", "%2F")
        for part in (communities, _texts(said.event_ids, edges))
    ]
    return {
        "campaign_id": words(names.campaigns.words, column(names.campaign_of)[referrer]),
        "edge_id": pc.binary_join_element_wise(origins, *escaped, "/"),  # as schemas.facts.edge_id gives one by one
        "referrer_id": _texts(names.member_ids, referrer),
        "referee_id": _texts(names.member_ids, referee),
        "community_id": communities,
    }


def edge_rows(
    tree: ReferralGraph, names: NodeColumns, said: EdgeColumns, edges: Ints, by_staff: list[bool]
) -> pa.Table:
    """Rows of `referral_edges`."""
    verdict = flags(tree.verdict)[edges]
    return pa.table(
        {
            **edge_names(tree, names, said, edges),
            "event_id": _texts(said.event_ids, edges),
            "occurred_at": times(np.frombuffer(tree.time_ms, np.int64)[edges]),
            "origin": words(ORIGINS, flags(said.origin)[edges]),
            "via": words(said.words.words, column(said.via)[edges]),
            "source": words(said.words.words, column(said.source)[edges]),
            "state": words(("linked", "rejected"), (verdict != LINKED).astype(np.int64)),
            "reason": words(REASONS, verdict),
            "staff": pa.array(np.array(by_staff, np.uint8)),
        }
    )


def _texts(column_of_texts: TextColumn, rows: npt.NDArray[Any]) -> pa.Array:
    return column_of_texts.take(rows.astype(np.int64)).cast(pa.string())


def _counted(numbers: array[int], nodes: Ints) -> pa.Array:
    return pa.array(column(numbers)[nodes].astype(np.uint32))
