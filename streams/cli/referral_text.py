"""Referral forests as text: trees for the terminal, Graphviz, JSON. Nothing here recurses: chains may be long.

Trees are drawn here, not by rich: it cuts lines at the terminal's width, and took 24 s for a chain of 100,000.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from streams.cli.deadletters import printable

if TYPE_CHECKING:
    from streams.referral_trees import Campaign, Node

LEVELS_A_TREE = 30  # deeper branches go on in a tree of their own: indented for ever, a long chain would fill a disk

Below = Mapping[str, Sequence["Node"]]
"""Children by parent, as far as they are shown."""


def print_trees(forest: Campaign, tops: Sequence[Node], below: Below, levels: int, *, whole: bool) -> None:
    """The forest as trees, cut where it does not fit."""
    if whole:
        print(f"{_plain(forest.campaign_id)}: {forest.members:,} members, {forest.roots:,} roots")
    waiting = [(top, levels) for top in reversed(tops)]
    while waiting:
        top, left = waiting.pop()
        deeper: list[tuple[Node, int]] = []
        sys.stdout.writelines(f"{line}\n" for line in _one_tree(top, below, left, deeper))
        waiting += reversed(deeper)
    hidden = forest.roots - len(tops) if whole else 0
    if hidden:
        print(f"… {hidden:,} more roots")


def _one_tree(top: Node, below: Below, levels: int, deeper: list[tuple[Node, int]]) -> Iterator[str]:
    """Lines of a tree of at most LEVELS_A_TREE levels; `deeper` gets those below whom it goes on, and levels left."""
    yield _line(top)
    # (node or the text of a remark, what its line begins with, what lines below it begin with, levels left)
    waiting: list[tuple[Node | str, str, str, int]] = _branches(top, below, "", levels, levels, deeper)
    while waiting:
        one, begin, inside, left = waiting.pop()
        if isinstance(one, str):
            yield begin + one
        else:
            yield begin + _line(one)
            waiting += _branches(one, below, inside, left, levels, deeper)


def _branches(
    node: Node, below: Below, inside: str, left: int, levels: int, deeper: list[tuple[Node, int]]
) -> list[tuple[Node | str, str, str, int]]:
    """What stands below a member's line, the last first."""
    found: list[Node | str] = []
    if node.direct and left == 0:
        found.append(f"… {node.descendants:,} more below; see them with --depth or --root")
    elif node.direct and levels - left == LEVELS_A_TREE:
        found.append(f"… goes on below, from {_plain(node.member_id)} on")
        deeper.append((node, left))
    elif node.direct:
        children = below.get(node.member_id, ())
        found += children
        if node.direct > len(children):
            rest = node.descendants - sum(1 + child.descendants for child in children)
            found.append(f"… {node.direct - len(children):,} more, {rest:,} with all below them; see --children")
    shown = [(one, f"{inside}├── ", f"{inside}│   ", left - 1) for one in found[:-1]]
    shown += [(one, f"{inside}└── ", f"{inside}    ", left - 1) for one in found[-1:]]
    return shown[::-1]


def _line(node: Node) -> str:
    parts = [_plain(node.member_id)]
    if node.credit_state:
        parts.append(node.credit_state)
    if node.direct:
        counts = f"{node.matured_direct:,} matured, {node.reversed_direct:,} reversed"
        parts.append(f"· {node.direct:,} direct ({counts}), {node.descendants:,} below")
    return " ".join(parts)


def _plain(text: str) -> str:
    return text if text.isprintable() else printable(text.encode()).replace("\n", "\\n")


def nodes_of(tops: Sequence[Node], below: Below, levels: int) -> Iterator[Node]:
    """All members of the trees, parents first."""
    level = list(tops)
    for _ in range(levels + 1):
        yield from level
        level = [child for node in level for child in below.get(node.member_id, ())]
        if not level:
            return


def print_json(campaign_id: str, tops: Sequence[Node], below: Below, levels: int) -> None:
    """One JSON object: a flat list of members, since a chain nested in itself is more than readers of JSON take."""
    from dataclasses import asdict

    write = sys.stdout.write
    write(f'{{"campaign_id": {json.dumps(campaign_id, ensure_ascii=False)}, "members": [')
    for number, node in enumerate(nodes_of(tops, below, levels)):
        write(f"{',' if number else ''}\n{json.dumps(asdict(node), ensure_ascii=False)}")
    write("\n]}\n")


def print_dot(campaign_id: str, tops: Sequence[Node], below: Below, levels: int) -> None:
    """A directed graph from referrers to referees."""
    write = sys.stdout.write
    write(f"digraph {_quoted(campaign_id)} {{\n")
    shown: set[str] = set()
    for node in nodes_of(tops, below, levels):
        credit = f" [tooltip={_quoted(node.credit_state)}]" if node.credit_state else ""
        write(f"  {_quoted(node.member_id)}{credit};\n")
        if node.parent_id in shown:
            write(f"  {_quoted(node.parent_id)} -> {_quoted(node.member_id)};\n")
        shown.add(node.member_id)
    write("}\n")


def _quoted(text: str) -> str:
    """A quoted id of the DOT language, in which a backslash before a quote is the only escape."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
