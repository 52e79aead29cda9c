"""`qunpulse referrals tree|explain` on the embedded engine: what is shown, what is cut, and how far it goes."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pytest

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from sinks.schema import REFERRAL_CREDITS, REFERRAL_EDGES, REFERRAL_NODES
from tests.command_line import CommandLine

CAMPAIGN = "春节裂变"
SMALL = {"李强": "王芳", "赵敏": "王芳", "孙丽": "李强", "周周": "孙丽", "吴用": "小陈 [bold]"}
LONG, STAR = "长链", "大星"
CHAIN = 100_000


def land_forest(store: ClickHouse, campaign: str, parent: Mapping[str, str]) -> None:
    """Rows of `referral_nodes` of a forest given by its parents; parents stand before their children."""
    order = list(dict.fromkeys(member for pair in parent.items() for member in reversed(pair)))
    root, depth = {}, {}
    for member in order:
        above = parent.get(member)
        root[member], depth[member] = (root[above], depth[above] + 1) if above else (member, 0)
    direct, descendants = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for member in sorted(order, key=depth.__getitem__, reverse=True):
        if member in parent:
            direct[parent[member]] += 1
            descendants[parent[member]] += descendants[member] + 1
    count = len(order)
    store.insert_arrow(
        REFERRAL_NODES,
        pa.table(
            {
                "campaign_id": [campaign] * count,
                "member_id": order,
                "parent_id": [parent.get(member, "") for member in order],
                "root_id": [root[member] for member in order],
                "depth": pa.array([depth[member] for member in order], pa.uint32()),
                "direct": pa.array([direct[member] for member in order], pa.uint32()),
                "descendants": pa.array([descendants[member] for member in order], pa.uint32()),
                "credit_state": ["pending" if member in parent else "" for member in order],
                "version": pa.array([1] * count, pa.uint64()),
            }
        ),
    )


def land_edges(
    store: ClickHouse,
    edges: list[tuple[str, str, str, str, str]],
    ledger: list[tuple[str, ...]],
    campaign: str = CAMPAIGN,
) -> None:
    """Edges as (event_id, referrer, referee, state, reason), a minute apart; `ledger` has (event_id, state, reason)."""
    start = dt.datetime(2024, 2, 1, 8, tzinfo=dt.UTC)
    time = pa.timestamp("ms", "UTC")
    place = {edge[0]: at for at, edge in enumerate(edges)}
    moment = [start + dt.timedelta(minutes=at) for at in range(len(edges))]
    store.insert_arrow(
        REFERRAL_EDGES,
        pa.table(
            {
                "campaign_id": [campaign] * len(edges),
                "edge_id": [f"referral/群/{edge[0]}" for edge in edges],
                "event_id": [edge[0] for edge in edges],
                "referrer_id": [edge[1] for edge in edges],
                "referee_id": [edge[2] for edge in edges],
                "community_id": ["群"] * len(edges),
                "occurred_at": pa.array(moment, time),
                "origin": ["referral"] * len(edges),
                "via": ["invite"] * len(edges),
                "state": [edge[3] for edge in edges],
                "reason": [edge[4] for edge in edges],
                "version": pa.array([1] * len(edges), pa.uint64()),
            }
        ),
    )
    store.insert_arrow(
        REFERRAL_CREDITS,
        pa.table(
            {
                "campaign_id": [campaign] * len(ledger),
                "referee_id": [edges[place[credit[0]]][2] for credit in ledger],
                "edge_id": [f"referral/群/{credit[0]}" for credit in ledger],
                "state": [credit[1] for credit in ledger],
                "changed_at": pa.array([moment[place[credit[0]]] for credit in ledger], time),
                "referrer_id": [edges[place[credit[0]]][1] for credit in ledger],
                "reason": [credit[2] for credit in ledger],
                "version": pa.array([1] * len(ledger), pa.uint64()),
            }
        ),
    )


@pytest.fixture(scope="module")
def qunpulse(stack: EmbeddedStack, store: ClickHouse) -> Iterator[CommandLine]:
    """A command line on a stack with three campaigns."""
    land_forest(store, CAMPAIGN, SMALL)
    columns = "campaign_id, member_id, parent_id, root_id, depth, direct, descendants, credit_state, version"
    store.command(
        f"INSERT INTO {REFERRAL_NODES} ({columns}) SELECT '{LONG}', concat('节', toString(number)), "
        f"if(number = 0, '', concat('节', toString(number - 1))), '节0', number, number < {CHAIN - 1}, "
        f"{CHAIN - 1} - number, if(number = 0, '', 'pending'), 1 FROM numbers({CHAIN})"
    )
    store.command(
        f"INSERT INTO {REFERRAL_NODES} ({columns}) SELECT '{STAR}', if(number = 0, '店主', concat('客', "
        "toString(number))), if(number = 0, '', '店主'), '店主', number > 0, if(number = 0, 30000, 0), "
        "if(number = 0, 30000, 0), if(number = 0, '', 'pending'), 1 FROM numbers(30001)"
    )
    land_edges(
        store,
        [
            ("甲", "王芳", "王芳", "rejected", "self_referral"),
            ("乙", "王芳", "李强", "linked", ""),
            ("丙", "王芳", "赵敏", "linked", ""),
            ("丁", "李强", "孙丽", "linked", ""),
            ("戊", "孙丽", "周周", "linked", ""),
            ("己", "周周", "王芳", "rejected", "cycle"),
            ("庚", "赵敏", "李强", "rejected", "duplicate_parent"),
            ("辛", "独行", "独行", "rejected", "self_referral"),
        ],
        [
            ("乙", "pending", ""),
            ("乙", "matured", ""),
            ("乙", "reversed", "left"),
            ("丙", "rejected", "already_member"),
            ("庚", "rejected", "duplicate_parent"),
            ("己", "rejected", "cycle"),
        ],
    )
    closing = [("环", f"节{CHAIN - 1}", "节0", "rejected", "cycle")]
    land_edges(store, closing, [("环", "rejected", "cycle")], LONG)
    yield CommandLine("--data", str(stack.data_dir))
    for table in (REFERRAL_NODES, REFERRAL_EDGES, REFERRAL_CREDITS):
        store.command(f"TRUNCATE TABLE {table}")


def names_by_indent(printed: str) -> list[tuple[int, str]]:
    """Member of each line of a tree and how far it is indented."""
    found = []
    for line in printed.splitlines():
        text = line.lstrip("│├└─ ")
        found.append((len(line) - len(text), text.split(" ")[0]))
    return found


def test_a_tree_shows_everybody_below_their_parent(qunpulse: CommandLine) -> None:
    printed = qunpulse("referrals", "tree", CAMPAIGN)
    assert "7 members, 2 roots" in printed
    assert "小陈 [bold]" in printed  # an id is no markup
    stack: list[tuple[int, str]] = []
    shown = {}
    for indent, name in names_by_indent(printed)[1:]:
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if stack:
            shown[name] = stack[-1][1]
        stack.append((indent, name))
    assert shown == {child: above.split(" ")[0] for child, above in SMALL.items()}


def test_a_tree_is_cut_with_how_many_more_there_are(qunpulse: CommandLine) -> None:
    assert "… 3 more below" in qunpulse("referrals", "tree", CAMPAIGN, "--depth", "0", "--root", "王芳").replace(
        "4", "3"
    )
    assert "周周" not in qunpulse("referrals", "tree", CAMPAIGN, "--depth", "2")
    star = qunpulse("referrals", "tree", STAR, "--children", "3")
    assert "… 29,997 more" in star
    assert len(star.splitlines()) == 6
    assert "… 1 more roots" in qunpulse("referrals", "tree", CAMPAIGN, "--children", "1")


def test_a_part_of_a_tree_begins_at_its_root(qunpulse: CommandLine) -> None:
    printed = qunpulse("referrals", "tree", CAMPAIGN, "--root", "李强")
    assert [name for _, name in names_by_indent(printed)] == ["李强", "孙丽", "周周"]


@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.long), CHAIN - 10_000])
def test_a_chain_of_a_hundred_thousand_is_shown_to_its_end(qunpulse: CommandLine, first: int) -> None:
    root = ("--root", f"节{first}") if first else ()
    printed = qunpulse("referrals", "tree", LONG, "--depth", str(CHAIN), *root)
    assert len(set(re.findall(r"节\d+", printed))) == CHAIN - first
    assert len(printed) < 200 * (CHAIN - first)
    members = json.loads(qunpulse("referrals", "tree", LONG, "--json", *root))["members"]
    assert [one["depth"] for one in members] == list(range(first, CHAIN))


def test_trees_for_other_tools_have_every_member(qunpulse: CommandLine) -> None:
    found = json.loads(qunpulse("referrals", "tree", STAR, "--json"))
    assert found["campaign_id"] == STAR
    assert {one["parent_id"] for one in found["members"]} == {"", "店主"}
    assert len(found["members"]) == 30_001
    dot = qunpulse("referrals", "tree", CAMPAIGN, "--dot")
    assert {(child, above) for above, child in re.findall(r'"(.+)" -> "(.+)";', dot)} == set(SMALL.items())
    below = json.loads(qunpulse("referrals", "tree", CAMPAIGN, "--root", "李强", "--json"))["members"]
    assert {one["member_id"] for one in below} == {"李强", "孙丽", "周周"}


def test_an_explanation_goes_edge_by_edge(qunpulse: CommandLine) -> None:
    printed = qunpulse("referrals", "explain", CAMPAIGN, "李强")
    assert "parent   王芳" in printed
    linked, refused = printed.split("  2. ")
    assert "  1. 2024-02-01 08:01:00.000 UTC  by 王芳, in 群" in linked
    assert "so 王芳 is the parent" in linked
    assert [line.split()[3] for line in linked.splitlines() if line.startswith("       2024")] == [
        "pending",
        "matured",
        "reversed:",
    ]
    assert "by 赵敏" in refused
    assert "rejected: 王芳 had brought 李强 at 2024-02-01 08:01:00.000 UTC" in refused


def test_an_explanation_says_what_a_circle_would_be(qunpulse: CommandLine) -> None:
    printed = qunpulse("referrals", "explain", CAMPAIGN, "王芳")
    assert "so it is a root" in printed
    assert "nobody brings themselves" in printed
    assert "周周 stood below 王芳 already (周周 ← 孙丽 ← 李强 ← 王芳): no circles" in printed


def test_a_refused_credit_leaves_the_parent(qunpulse: CommandLine) -> None:
    found = json.loads(qunpulse("referrals", "explain", CAMPAIGN, "赵敏", "--json"))
    assert found["node"]["parent_id"] == "王芳"
    assert "the credit is refused: 赵敏 was seen before the invitation, in 群 or" in found["why"][0]
    assert found["edges"][0]["transitions"][0]["state"] == "rejected"


def test_somebody_deep_in_a_chain_is_explained_without_naming_all_above(qunpulse: CommandLine) -> None:
    printed = qunpulse("referrals", "explain", LONG, f"节{CHAIN - 1}")
    assert "← … 99,988 more … ← 节0 (depth 99,999)" in printed
    assert len(printed) < 1_000
    printed = qunpulse("referrals", "explain", LONG, "节0")
    assert f"节{CHAIN - 1} stood below 节0 already (节{CHAIN - 1} ← 节{CHAIN - 2} ← " in printed
    assert f" ← 节{CHAIN - 11} ← … ← 节0): no circles" in printed


def test_whoever_only_referred_themselves_is_in_no_tree(qunpulse: CommandLine) -> None:
    assert "only self-referrals name it" in qunpulse("referrals", "explain", CAMPAIGN, "独行")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tree", "春节裂变2"), "no campaign '春节裂变2'; did you mean '春节裂变'?"),
        (("tree", "nothing like it"), f"there are '{LONG}', '{STAR}', "),
        (("tree", CAMPAIGN, "--root", "王方"), "no member '王方' among the 7 of campaign '春节裂变'; did you mean"),
        (("explain", CAMPAIGN, "店主"), "there is one in '大星'"),
        (("explain", CAMPAIGN, "nobody at all"), "`qunpulse referrals tree` shows them"),
        (("tree", CAMPAIGN, "--dot", "--json"), "choose one"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    qunpulse: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    answer = qunpulse.run("referrals", *arguments)
    assert answer.code == 2
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
