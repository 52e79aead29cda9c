"""Person-level views recomputed from raw events and a mapping of accounts; shares nothing with their SQL."""

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
    rows = []
    for person, group in person_members(raw, accounts).groupby("person_id"):
        rows.append(
            {
                "person_id": person,
                "identified": group["identified"].max(),
                "accounts": len(set(zip(group["platform"], group["member_id"], strict=True))),
                "communities": group["community_id"].nunique(),
                "communities_now": group.loc[group["status"] != "left", "community_id"].nunique(),
                "is_staff": int(group["role"].isin(["staff", "bot"]).any()),
                "messages": group["messages"].sum(),
                "interactions": group["interactions"].sum(),
                "orders": group["orders"].sum(),
            }
        )
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
    rows = []
    for day, group in acts.groupby("local_date"):
        buys = group[group["paid"]]
        rows.append(
            {
                "local_date": day,
                "active_members": group.groupby(["community_id", "member_id"]).ngroups,
                "active_accounts": group.groupby(["platform_y", "member_id"]).ngroups,
                "active_persons": group["person_id"].nunique(),
                "buying_members": buys.groupby(["community_id", "member_id"]).ngroups,
                "buying_persons": buys["person_id"].nunique(),
            }
        )
    return pd.DataFrame(rows)
