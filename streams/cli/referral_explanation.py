"""Why a member has its parent and its credit, in words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from streams.cli.deadletters import printable
from streams.errors import InputError

if TYPE_CHECKING:
    from streams.referral_trees import Campaign, Edge, Node

_WAY: Final = 10  # members of a way up that are named

_REFUSED: Final = {
    "already_member": "the credit is refused: {referee} was seen before the invitation, in {community} or, where the "
    "campaign says `new_to: platform`, anywhere on its platform",
    "staff_referrer": "the credit is refused: {referrer} referred as staff",
    "outside_campaign": "the credit is refused: it lies outside the campaign's start and end",
}
"""Reasons that refuse the credit and leave the edge."""


@dataclass(frozen=True)
class Explanation:
    """A member, its node (None when only self-referrals name it), the way up, and every edge that names it as referee.

    `why` has a sentence for each edge; `way_up` begins with the parent and holds at most the first few.
    """

    campaign_id: str
    member_id: str
    node: Node | None
    way_up: list[str]
    edges: list[Edge]
    why: list[str]


def explain(forest: Campaign, member_id: str) -> Explanation:
    """Collect what explains a member. Raises InputError when the campaign does not know it."""
    node = forest.node(member_id)
    edges = forest.edges_of(member_id)
    if node is None and not edges:
        raise InputError(forest.unknown_member(member_id))
    parent = next((edge for edge in edges if edge.state == "linked"), None)
    why = [_why(forest, member_id, edge, parent) for edge in edges]
    return Explanation(forest.campaign_id, member_id, node, _way_up(forest, member_id), edges, why)


def _why(forest: Campaign, referee: str, edge: Edge, parent: Edge | None) -> str:
    referrer = edge.referrer_id
    if edge.reason == "self_referral":
        return "rejected: nobody brings themselves"
    if edge.reason == "duplicate_parent":
        before = f"{parent.referrer_id} had brought {referee} at {_time(parent.occurred_at)}" if parent else "taken"
        return f"rejected: {before}"
    if edge.reason == "cycle":
        way = _way_up(forest, referrer, until=referee)
        if way and way[-1] != referee:
            way += ["…", referee]
        return f"rejected: {referrer} stood below {referee} already ({_arrows([referrer, *way])}): no circles"
    refused = next((one.reason for one in edge.transitions if one.state == "rejected"), "")
    linked = f"linked: the first edge that names {referee} and can stand, so {referrer} is the parent"
    if not refused:
        return linked
    words = _REFUSED.get(refused, f"the credit is refused: {refused}")
    return f"{linked}; {words.format(referee=referee, referrer=referrer, community=edge.community_id)}"


def _way_up(forest: Campaign, member_id: str, until: str | None = None) -> list[str]:
    """Parents of a member, nearest first, up to `until` or to the root; at most _WAY, for chains may be long."""
    way: list[str] = []
    node = forest.node(member_id)
    while node is not None and node.parent_id and len(way) < _WAY and (not way or way[-1] != until):
        way.append(node.parent_id)
        node = forest.node(node.parent_id)
    return way


def print_text(found: Explanation) -> None:
    """The explanation for people."""
    for line in lines(found):
        print(printable(line.encode()))


def lines(found: Explanation) -> list[str]:
    """The explanation, line by line."""
    node = found.node
    said = [f"{found.member_id} in campaign {found.campaign_id}"]
    if node is None:
        said.append("is in no tree: only self-referrals name it")
    elif not node.parent_id:
        said.append("parent   none: no edge that names it as referee stands, so it is a root")
    else:
        said.append(f"parent   {node.parent_id}")
        more = node.depth - len(found.way_up)
        to_root = [f"… {more - 1:,} more …", node.root_id] if more > 1 else [node.root_id] if more else []
        said.append(f"way up   {_arrows([found.member_id, *found.way_up, *to_root])} (depth {node.depth:,})")
        said.append(f"credit   {node.credit_state}")
    if node is not None and node.direct:
        said.append(
            f"brought  {node.direct:,} directly ({node.matured_direct:,} matured, {node.reversed_direct:,} reversed), "
            f"{node.descendants:,} in all"
        )
    said.append(f"edges that name it as referee, in the order in which they are taken: {len(found.edges) or 'none'}")
    for number, (edge, why) in enumerate(zip(found.edges, found.why, strict=True), start=1):
        origin = {"join": "a join with an inviter", "referral": "a referral event"}.get(edge.origin, edge.origin)
        by = "".join(f", {name} {value}" for name, value in (("via", edge.via), ("source", edge.source)) if value)
        said.append(f"{number:>3}. {_time(edge.occurred_at)}  by {edge.referrer_id}, in {edge.community_id}")
        said.append(f"     {origin}{by} ({edge.edge_id})")
        said.append(f"     {why}")
        said += [
            f"       {_time(one.changed_at)}  {one.state}{f': {one.reason}' if one.reason else ''}"
            for one in edge.transitions
        ]
    return said


def print_json(found: Explanation) -> None:
    """The explanation as one JSON object."""
    print(json.dumps(asdict(found), ensure_ascii=False, default=lambda moment: moment.isoformat()))


def _arrows(members: list[str]) -> str:
    return " ← ".join(members)


def _time(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
