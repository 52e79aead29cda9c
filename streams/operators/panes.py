"""Tumbling panes of one size: the figures of each (community, pane) that can still change or still be summed up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.figures import FIGURES
from streams.operators.base import Ints, Keys, Mask
from streams.operators.keyed_rows import KeyedRows

FIGURE = {name: position for position, name in enumerate(FIGURES)}
DISTINCT = (FIGURE["speakers"], FIGURE["active_members"], FIGURE["buyers"])
"""The figures that count distinct members, in the order of the flags SPEAKER, ACTIVE, BUYER."""

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def pane_keys(community: Ints, pane: Ints) -> Keys:
    """One key a (community, pane number); sorted keys are sorted by community, then time."""
    return (community.astype(np.uint64) << _SHIFT) | pane.astype(np.uint64)


def split_keys(keys: Keys) -> tuple[Ints, Ints]:
    """Community and pane number of each key."""
    return (keys >> _SHIFT).astype(np.int64), (keys & _LOW).astype(np.int64)


_FRESH = np.zeros((), np.dtype([("figures", "<u4", len(FIGURES))]))


class PaneTable(KeyedRows):
    """Rows of figures by (community, pane)."""

    def __init__(self, name: str, pane_ms: int) -> None:
        super().__init__(name, _FRESH)
        self.pane_ms = pane_ms

    @property
    def figures(self) -> npt.NDArray[np.uint32]:
        """Figures by row, one column each in the order of FIGURES."""
        figures: npt.NDArray[np.uint32] = self.rows["figures"]
        return figures

    def settle(self, oldest_ms: Ints) -> None:
        """Let panes go that ended at or before ``oldest_ms`` of their community."""

        def keep(keys: Keys) -> Mask:
            community, pane = split_keys(keys)
            return (pane + 1) * self.pane_ms > oldest_ms[community]

        self.forget(keep)


def summed(keys: Keys, figures: npt.NDArray[np.int64]) -> tuple[Keys, npt.NDArray[np.int64]]:
    """Distinct keys, ascending, and the sums of their rows of figures."""
    if len(keys) == 0:
        return keys, figures
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[starts], np.add.reduceat(figures[order], starts, axis=0)
