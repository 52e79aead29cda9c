"""Person-level views recomputed from raw events and a mapping of accounts; shares nothing with their SQL."""

from collections import defaultdict
from typing import Any

import pandas as pd

from tests.oracle.view_events import RawEvents

Accounts = dict[tuple[str, str], str]


def person_members(raw: RawEvents, accounts: Accounts) -> pd.DataFrame:
    """A row per community and member: platform, person, whether it is known, and the member's own figures."""
    frame = raw.sql("select community_id, member_id, status, role, messages, interactions, orders from member")
    platforms = raw.frame.dropna(subset="platform").groupby("community_id")["platform"].min()
    frame["platform"] = frame["community_id"].map(platforms).fillna("")
    account = list(zip(frame["platform"], frame["member_id"], strict=True))
    frame["identified"] = [int(one in accounts) for one in account]
    frame["person_id"] = [accounts.get(one, f"{one[0]}:{one[1]}") for one in account]
    return frame


def persons(raw: RawEvents, accounts: Accounts) -> pd.DataFrame:
    """A row per person with sums over all accounts and communities."""
    members: dict[str, list[Any]] = defaultdict(list)
    for member in person_members(raw, accounts).itertuples():
        members[member.person_id].append(member)
    rows = [
        {
            "person_id": person,
            "identified": max(one.identified for one in mine),
            "accounts": len({(one.platform, one.member_id) for one in mine}),
            "communities": len({one.community_id for one in mine}),
            "communities_now": len({one.community_id for one in mine if one.status != "left"}),
            "is_staff": int(any(one.role in ("staff", "bot") for one in mine)),
            **{name: sum(getattr(one, name) for one in mine) for name in ("messages", "interactions", "orders")},
        }
        for person, mine in members.items()
    ]
    return pd.DataFrame(rows)


def community_persons(raw: RawEvents, accounts: Accounts) -> pd.DataFrame:
    """A row per community with a roster: accounts, persons, and who is elsewhere too."""
    there = person_members(raw, accounts).query("status != 'left'")
    homes = {person: set(group["community_id"]) for person, group in there.groupby("person_id")}
    rows = []
    for community, group in there.groupby("community_id"):
        people = set(group["person_id"])
        elsewhere = sum(len(homes[person]) > 1 for person in people)
        rows.append((community, len(group), len(people), elsewhere, elsewhere / len(people)))
    return pd.DataFrame(rows, columns=["community_id", "accounts", "persons", "elsewhere", "elsewhere_share"])


def persons_1d(raw: RawEvents, accounts: Accounts) -> pd.DataFrame:
    """A row per local date: active and buying members, accounts and persons."""
    who = person_members(raw, accounts)[["community_id", "member_id", "platform", "person_id"]]
    acts = raw.frame[raw.frame["speaks"] | raw.frame["interacts"] | raw.frame["paid"]].merge(
        who, on=["community_id", "member_id"]
    )
    days: dict[Any, list[Any]] = defaultdict(list)
    for act in acts.itertuples():
        days[act.local_date].append(act)
    rows = [
        {
            "local_date": day,
            "active_members": len({(act.community_id, act.member_id) for act in mine}),
            "active_accounts": len({(act.platform_y, act.member_id) for act in mine}),
            "active_persons": len({act.person_id for act in mine}),
            "buying_members": len({(act.community_id, act.member_id) for act in mine if act.paid}),
            "buying_persons": len({act.person_id for act in mine if act.paid}),
        }
        for day, mine in days.items()
    ]
    return pd.DataFrame(rows)
