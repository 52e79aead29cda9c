"""The edges of a forest as they are kept in the state: what a flush adds is a segment, and no segment changes again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.operators.base import StateRows, binary
from streams.operators.referral_columns import EdgeList

EDGES = "referral_edges"
_FEW = 1000


class EdgeJournal:
    """Edges that are new since the last flush, many of them as the bytes of a segment at once."""

    def __init__(self) -> None:
        self._few = EdgeList.none()
        self._segments: list[bytes] = []
        self._next_segment = 0
        self._kept = 0

    def keep(self, edges: EdgeList) -> None:
        """Remember new edges; few of them wait for the next flush as they are."""
        if edges.size < _FEW:
            self._few.extend(edges)
        else:
            self._segments.append(msgspec.msgpack.encode(edges))
        self._kept += edges.size

    def dirty_count(self) -> int:
        """Edges that the next flush will write."""
        return self._kept

    def dirty(self) -> list[StateRows]:
        """The segments of edges kept since the last call."""
        if self._few.size:
            self._segments.append(msgspec.msgpack.encode(self._few))
        segments = self._segments
        self.forget()
        if not segments:
            return []
        keys = [(self._next_segment + at).to_bytes(8, "big") for at in range(len(segments))]
        self._next_segment += len(segments)
        return [StateRows(EDGES, binary(keys), binary(segments))]

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> EdgeList:
        """Take segments back; returns all their edges."""
        edges = EdgeList.none()
        for key, payload in rows:
            self._next_segment = max(self._next_segment, int.from_bytes(key, "big") + 1)
            edges.extend(msgspec.msgpack.decode(payload, type=EdgeList))
        return edges

    def forget(self) -> None:
        """What is kept stands in the state already."""
        self._few, self._segments, self._kept = EdgeList.none(), [], 0
