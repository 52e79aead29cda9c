"""One person behind several accounts is counted once: the table of accounts, and the views that use it."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.embedded.stack import EmbeddedStack
from streams.errors import InputError
from streams.identities import Identities, land_identities, read_identities
from streams.pseudonyms import Pseudonyms
from tests.oracle import views_persons
from tests.oracle.views_persons import Accounts
from tests.views.examples import example, message, order
from tests.views.landed import Landed

WECHAT = example(
    "例:微信群",
    [
        message("2024-03-01 10:00", "王芳", platform="wechat"),
        order("2024-03-01 11:00", "王芳", "人1", 500, platform="wechat"),
        message("2024-03-01 12:00", "李强", platform="wechat"),
    ],
)
TELEGRAM = example(
    "例:telegram",
    [
        message("2024-03-01 10:00", "fang", platform="tg"),
        order("2024-03-01 10:30", "fang", "人2", 700, platform="tg"),
        message("2024-03-02 10:00", "other", platform="tg"),
    ],
)
# A day of their own: two accounts of one person, one of them in two groups.
LEIS = [
    example("例:微信一群", [message("2023-05-05 10:00", "李雷", platform="wechat")]),
    example("例:微信二群", [message("2023-05-05 11:00", "李雷", platform="wechat")]),
    example("例:tg群", [order("2023-05-05 12:00", "lei", "人3", 900, platform="tg")]),
]
LEI = {("wechat", "李雷"): "人-李雷", ("tg", "lei"): "人-李雷"}
FANG = {("wechat", "王芳"): "人-王芳", ("tg", "fang"): "人-王芳"}


@pytest.fixture(scope="module")
def accounts(landed: Landed) -> Accounts:
    """王芳 on two platforms, and every third member of the simulated feed shared out over some persons."""
    members = views_persons.person_members(landed.raw, {})
    some = members[members["member_id"].map(lambda member: sum(member.encode()) % 3 == 0)]
    mixed = {
        (row.platform, row.member_id): f"person-{sum(row.member_id.encode()) % 50}"
        for row in some.itertuples()
        if row.platform not in ("", "tg") and row.member_id not in ("王芳", "李强", "李雷")
    }
    accounts = mixed | FANG | LEI
    land_identities(landed.clickhouse, Identities(accounts))
    return accounts


def test_members_and_the_persons_behind_them(landed: Landed, accounts: Accounts) -> None:
    expected = views_persons.person_members(landed.raw, accounts)
    landed.check("person_members", expected, ["community_id", "member_id"])


def test_persons_over_all_communities(landed: Landed, accounts: Accounts) -> None:
    landed.check("persons", views_persons.persons(landed.raw, accounts), ["person_id"])


def test_communities_and_their_overlap(landed: Landed, accounts: Accounts) -> None:
    landed.check("community_persons", views_persons.community_persons(landed.raw, accounts), ["community_id"])


def test_days_over_all_communities(landed: Landed, accounts: Accounts) -> None:
    landed.check("persons_1d", views_persons.persons_1d(landed.raw, accounts), ["local_date"])


def test_two_accounts_of_one_person_by_hand(landed: Landed, accounts: Accounts) -> None:
    del accounts
    ask = landed.clickhouse.rows
    [fang] = ask(
        "SELECT platforms, accounts, communities, messages, orders FROM qunpulse.persons WHERE person_id = '人-王芳'"
    )
    assert fang == (["tg", "wechat"], 2, 2, 2, 2)
    assert landed.rows("community_persons", WECHAT, "accounts, persons, elsewhere, elsewhere_share") == [(2, 2, 1, 0.5)]
    named = landed.rows("person_members", TELEGRAM, "member_id, person_id, identified")
    assert named == [("fang", "人-王芳", 1), ("other", "tg:other", 0)]


def test_a_day_by_hand(landed: Landed, accounts: Accounts) -> None:
    assert accounts.keys() >= LEI.keys()
    figures = "active_members, active_accounts, active_persons, buying_members, buying_persons"
    sql = f"SELECT {figures} FROM qunpulse.persons_1d WHERE local_date = '2023-05-05'"
    assert landed.clickhouse.rows(sql) == [(3, 2, 1, 1, 1)]


def test_another_file_takes_the_place_of_the_first(landed: Landed, accounts: Accounts) -> None:
    try:
        land_identities(landed.clickhouse, Identities(FANG))
        assert landed.clickhouse.scalar("SELECT count() FROM qunpulse.persons WHERE identified") == 1
        key = Pseudonyms(b"0123456789abcdef")
        land_identities(landed.clickhouse, Identities(FANG), key)
        kept = landed.clickhouse.rows(
            "SELECT member_id, person_id FROM qunpulse_store.identities FINAL WHERE platform = 'tg'"
        )
        assert kept == [(key.of("fang"), key.of("人-王芳"))]
    finally:
        land_identities(landed.clickhouse, Identities(accounts))


def test_the_command_loads_the_file(landed: Landed, stack: EmbeddedStack, accounts: Accounts, tmp_path: Path) -> None:
    try:
        source = written(tmp_path, "platform,member_id,person_id\nwechat,李强,人-李\ntg,other,人-李\n")
        where = {"CLICKHOUSE_HOST": stack.clickhouse_host, "CLICKHOUSE_PORT": str(stack.clickhouse_port)}
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "identities", "import", str(source)],
            env=os.environ | {f"QUNPULSE_{name}": said for name, said in where.items()},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, "2 accounts of 1 persons imported\n"), done.stderr
        assert landed.rows("community_persons", TELEGRAM, "persons, elsewhere") == [(2, 1)]
    finally:
        land_identities(landed.clickhouse, Identities(accounts))


# -- the file ---------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "账号.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_spreadsheet_s_file_is_read(tmp_path: Path) -> None:
    text = "\ufeffperson_id, platform,member_id\r\n人1,wechat,王芳\r\n人1,tg,fang\r\n\r\n人1,tg,fang\r\n"
    found = read_identities(written(tmp_path, text))
    assert found.accounts == {("wechat", "王芳"): "人1", ("tg", "fang"): "人1"}
    assert found.persons == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("platform,member_id,person\n", "row 1: unknown column 'person'; did you mean 'person_id'?"),
        ("platform,member_id\n", "row 1: the column 'person_id' must be there once"),
        ("", "the column 'platform' must be there once"),
        ("platform,member_id,person_id\na,b\n", "row 2: 2 cells, but 3 columns"),
        ("platform,member_id,person_id\na,,p\n", "row 2: member_id must have 1 to 64 characters"),
        (
            "platform,member_id,person_id\na,b,p\n\na,b,q\n",
            "row 4: the account 'b' on 'a' belongs to 'q' here and to 'p' in row 2",
        ),
        ('platform,member_id,person_id\n"a,b', "not a valid CSV file"),
    ],
)
def test_a_mistake_is_named_with_its_row(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        read_identities(written(tmp_path, text))
    assert words in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_identities(tmp_path / "no.csv")


def test_the_date_of_the_example_has_one_buyer_less_than_buying_members(landed: Landed, accounts: Accounts) -> None:
    del accounts
    day = dt.date(2024, 3, 1)
    [(members, persons)] = landed.clickhouse.rows(
        "SELECT buying_members, buying_persons FROM qunpulse.persons_1d WHERE local_date = {d:Date}", {"d": day}
    )
    assert members > persons
