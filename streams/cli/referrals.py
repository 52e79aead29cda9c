"""`qunpulse referrals tree|explain`: who brought whom in a campaign, and why a member has its parent and its credit."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, Json, load_settings
from streams.errors import InputError

app = typer.Typer(help="Campaigns: who brought whom, and why somebody has a credit.", no_args_is_help=True)

CampaignId = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A campaign_id; organic:COMMUNITY is one too.")]

SHOWN_DEPTH = 5


@app.command("tree")
def tree(
    campaign: CampaignId,
    root: Annotated[
        str | None, typer.Option("--root", metavar="MEMBER", help="Only what is below this member.")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=0, help="Levels below the roots. (default: 5; all as data)"),
    ] = None,
    children: Annotated[
        int,
        typer.Option("--children", metavar="N", min=1, help="So many of each parent's, the largest subtrees first."),
    ] = 20,
    as_dot: Annotated[bool, typer.Option("--dot", help="A graph for Graphviz, of all members.")] = False,
    as_json: Json = False,
    data: DataDir = None,
    config_file: ConfigFile = None,
) -> None:
    """Show who brought whom in a campaign as a tree, the largest subtrees first.

    What does not fit is cut, and a line says how many more there are; --dot and
    --json have every member, as a flat list with the parent of each.

      qunpulse referrals tree spring --depth 3

      qunpulse referrals tree spring --root m-17 --dot > spring.dot
    """
    from streams.cli import referral_text
    from streams.cli.reach import clickhouse
    from streams.referral_trees import Campaign

    if as_dot and as_json:
        raise InputError("--dot and --json are two forms of the same; choose one")
    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        forest = Campaign(connection, campaign)
        limit = None if as_dot or as_json else children
        tops = [forest.known_node(root)] if root is not None else forest.largest_roots(limit or forest.roots)
        levels = depth if depth is not None else forest.members if limit is None else SHOWN_DEPTH
        below = forest.below(tops, levels, limit)
    if as_json:
        referral_text.print_json(campaign, tops, below, levels)
    elif as_dot:
        referral_text.print_dot(campaign, tops, below, levels)
    else:
        referral_text.print_trees(forest, tops, below, levels, whole=root is None)


@app.command("explain")
def explain(
    campaign: CampaignId,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A member_id of the campaign.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Explain why a member has this parent and this credit, edge by edge.

    Edges are listed in the order in which they are taken: the first that stands
    brought the member, every other one says why it does not.

      qunpulse referrals explain spring m-17
    """
    from streams.cli import referral_explanation
    from streams.cli.reach import clickhouse
    from streams.referral_trees import Campaign

    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        found = referral_explanation.explain(Campaign(connection, campaign), member)
    if as_json:
        referral_explanation.print_json(found)
    else:
        referral_explanation.print_text(found)
