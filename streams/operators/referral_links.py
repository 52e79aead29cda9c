"""Links of a forest worked on a batch at a time: ways up, what closes no cycle, and chains of what hangs together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints, Mask

Column = npt.NDArray[np.int32]

_ROUNDS = 64


def ways_up(above: Column, steps: Column, nodes: Ints) -> Ints:
    """Let nodes point to their roots, with their depth in ``steps``; returns those with too long a way for that.

    ``above`` is a node above each one (a root's is itself), ``steps`` how far above it is.
    """
    nodes = nodes[above[above[nodes]] != above[nodes]]
    if not len(nodes):
        return nodes
    nodes = np.unique(nodes)
    top, walked = above[nodes], steps[nodes]
    going = np.arange(len(nodes))
    for _ in range(_ROUNDS):
        going = going[above[top[going]] != top[going]]
        if not len(going):
            break
        walked[going] += steps[top[going]]
        top[going] = above[top[going]]
    above[nodes], steps[nodes] = top, walked
    return nodes[going] if len(going) else nodes[:0]


def lasting(roots: Ints, top: Ints, steps: Ints) -> tuple[Mask, Ints, Ints]:
    """Which links of distinct roots to other trees close no cycle among themselves, and where they lead in the end.

    Args:
        roots: root of a tree each, to be linked.
        top: root of the tree it is linked into.
        steps: how far below that root it comes.

    Returns:
        A mask of the links that lead to a root which stays one; their final root; their depth.
    """
    order = np.argsort(roots)
    place = np.searchsorted(roots, top, sorter=order)
    link = order[np.minimum(place, max(len(roots) - 1, 0))] if len(roots) else order
    onward = np.where(roots[link] == top, link, -1) if len(roots) else link
    top, steps = top.copy(), steps.copy()
    for _ in range(len(roots).bit_length() + 1):
        going = np.flatnonzero(onward >= 0)
        if not len(going):
            break
        ahead = onward[going]  # all of them double their way at once, from the values before
        steps[going], top[going], onward[going] = steps[going] + steps[ahead], top[ahead], onward[ahead]
    return onward < 0, top, steps


def chains_of(owner: Ints, items: Ints) -> tuple[Ints, Ints, Mask]:
    """Items of the same owner hung one on the other.

    Returns:
        The order by owner; in that order the item after each one (−1 after an owner's last), and which are the first.
    """
    order = np.argsort(owner, kind="stable")
    ordered, owners = items[order], owner[order]
    same = owners[1:] == owners[:-1]
    following = np.full(len(items), -1, np.int64)
    following[:-1][same] = ordered[1:][same]
    return order, following, np.concatenate(([True], ~same)) if len(items) else np.empty(0, np.bool_)
