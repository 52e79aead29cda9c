"""The rules file: what it may say, and that every mistake is named with its line and the way out."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.errors import RulesError
from streams.rules import Rules, RulesFile, load_rules

EXAMPLE = Path(__file__).parents[2] / "docs" / "rules.example.yaml"


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_without_a_file_everything_is_default() -> None:
    assert load_rules(None) == Rules()
    assert load_rules(None).timezone_of("any", "wecom") == "UTC"


def test_the_example_is_valid_and_says_what_it_says() -> None:
    rules = load_rules(EXAMPLE)
    shanghai = rules.communities["wecom:grp-shanghai-01"]
    assert (shanghai.name, shanghai.capacity, shanghai.assignee) == ("上海读书会 1 群", 500, "王芳")
    assert shanghai.opened_ms() == ms(2024, 4, 30, 16)  # midnight in Shanghai
    assert rules.timezone_of("wecom:grp-chengdu-07", "wecom") == "Asia/Shanghai"  # by its platform
    assert rules.timezone_of("telegram:qa_load", "telegram") == "Asia/Tbilisi"  # its own
    assert rules.timezone_of("telegram:other", "telegram") == "UTC"


def test_a_campaign_has_defaults_for_what_it_does_not_say(tmp_path: Path) -> None:
    text = (
        "campaigns:\n  春季拉新:\n    start: 2026-03-01\n    end: 2026-04-01T00:00:00+08:00\n    require: paid_order\n"
    )
    rules = load_rules(written(tmp_path, text))
    spring, organic = rules.campaign("春季拉新"), rules.campaign("organic:wecom:上海")
    assert (spring.start_ms(), spring.end_ms()) == (ms(2026, 3, 1), ms(2026, 3, 31, 16))
    assert (spring.require, spring.days_to_maturity) == ("paid_order", 7)
    assert (organic.require, organic.days_to_maturity, organic.new_to) == ("activity", 7, "community")
    assert (organic.staff_may_refer, organic.target, organic.start_ms()) == (False, None, None)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "communities:\nplatforms:\n", "\ufeffplatforms: {}\n"])
def test_empty_files_and_sections_are_defaults(tmp_path: Path, text: str) -> None:
    assert load_rules(written(tmp_path, text)) == Rules()


def test_ids_are_texts_whatever_yaml_thinks_of_them(tmp_path: Path) -> None:
    rules = load_rules(written(tmp_path, "communities:\n  12345: {name: a}\n  yes: {name: b}\n  1e3: {name: c}\n"))
    assert set(rules.communities) == {"12345", "yes", "1e3"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("communites: {}", 1, "unknown section; did you mean 'communities'? known are communities, platforms"),
        ("tariffs: {}", 1, "unknown section; known are communities, platforms"),
        ("communities:\n  a:\n    nam: x", 3, "communities.a.nam: unknown field; did you mean 'name'?"),
        ("platforms:\n  a:\n    zone: x", 3, "a.zone: unknown field; did you mean 'timezone'? known are name"),
        ("communities:\n  a:\n    timezone: Asia/Shanghia", 3, "did you mean 'Asia/Shanghai'?"),
        ("communities:\n  a:\n    timezone: utc", 3, "did you mean 'UTC'?"),
        ("communities:\n  a:\n    name: x\n    capacity: many", 4, "capacity: expected an integer"),
        ("communities:\n  a:\n    capacity: 0", 3, "expected 1 or more, found 0"),
        ("communities:\n  a:\n    name: 2024", 3, "put it in quotes"),
        ("communities:\n  a:\n    opened_at: May", 3, "expected a day like 2024-05-01"),
        ("communities:\n  a:\n    opened_at: 2024-05-02\n    closed_at: 2024-05-01", 2, "closed_at lies before"),
        ("communities:\n  a:\n    service_hours: mon-fri 9-5", 3, "cannot read 'mon-fri 9-5'"),
        ("campaigns:\n  春:\n    require: order", 3, "'nothing', 'activity' or 'paid_order'"),
        ("campaigns:\n  春:\n    days_to_maturity: 0", 3, "expected 1 or more, found 0"),
        ("campaigns:\n  春:\n    start: 2026-03-02\n    end: 2026-03-02", 2, "end does not lie after start"),
        ("campaigns:\n  春:\n    target: {kind: likes, count: 3}", 3, "'accepted_invitations' or 'group_buy_orders'"),
        ("communities:\n  a: 5", 2, "expected fields below it"),
        ("communities: 5", 1, "expected fields below it"),
        ("- a", 1, "expected sections: communities, platforms"),
        ("communities:\n  a: {}\n  a: {}", 3, "'a' stands here twice, first in line 2"),
        ("communities: [", 1, "not valid YAML"),
        ("communities: &a\n  x: *a", 2, "contains itself"),
    ],
)  # fmt: skip
def test_mistakes_name_line_field_and_way_out(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as raised:
        load_rules(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert words in str(raised.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RulesError) as raised:
        load_rules(written(tmp_path, "x: 1\ncommunities:\n  a: {capacity: -1}\n  b: {tmezone: UTC}\n"))
    assert len(str(raised.value).splitlines()) == 3


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="there is no such rules file"):
        load_rules(tmp_path / "none.yaml")
    (tmp_path / "gbk.yaml").write_bytes("communities:\n  a: {name: 读书会}\n".encode("gbk"))
    with pytest.raises(RulesError, match="save the file as UTF-8"):
        load_rules(tmp_path / "gbk.yaml")
    with pytest.raises(RulesError, match="cannot be read"):
        load_rules(tmp_path)


def test_communities_come_from_a_table_and_from_the_file_together(tmp_path: Path) -> None:
    table = "community_id,name,capacity,timezone,opened_at\ng1,读书会,500,Asia/Shanghai,2024-05-01\n\ng2,,,,\n"
    (tmp_path / "c.csv").write_text("\ufeff" + table, encoding="utf-8")  # as a spreadsheet writes it
    rules = load_rules(written(tmp_path, "communities:\n  csv: c.csv\n  g3: {name: c}\nplatforms: {}\n"))
    assert list(rules.communities) == ["g3", "g1", "g2"]
    assert rules.communities["g1"].capacity == 500
    assert rules.communities["g1"].opened_ms() == ms(2024, 4, 30, 16)
    assert rules.communities["g2"] == rules.communities["g2"].model_validate({})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("community_id,nam\n", "row 1, column 2: unknown column 'nam'; did you mean 'name'?"),
        ("name\n", "the column 'community_id' is missing"),
        ("", "the column 'community_id' is missing"),
        ("community_id,name,name\n", "there twice"),
        ("community_id,capacity\na,1\nb,many\n", "row 3, column capacity: expected"),
        ("community_id,timezone\na,Asia/Shanghia\n", "row 2, column timezone: no time zone"),
        ("community_id,name\n,x\n", "row 2, column community_id: is empty"),
        ("community_id,name\na,x\na,y\n", "row 3: 'a' is there twice, first in row 2"),
        ("community_id,name\na\n", "row 2: 1 cells, but 2 columns"),
        ("community_id,name\ng3,x\n", "'g3' is in"),
        ('community_id,name\na,"x\n', "not a valid CSV file"),
    ],
)
def test_mistakes_in_a_table_name_row_and_column(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "c.csv").write_text(table, encoding="utf-8")
    with pytest.raises(RulesError) as raised:
        load_rules(written(tmp_path, "communities:\n  csv: c.csv\n  g3: {}\n"))
    assert words in str(raised.value)
    assert "c.csv" in str(raised.value)


def test_a_missing_table_and_one_in_another_encoding_are_named(tmp_path: Path) -> None:
    rules = written(tmp_path, "communities:\n  csv: c.csv\n")
    with pytest.raises(RulesError, match=r"c\.csv: there is no such file"):
        load_rules(rules)
    (tmp_path / "c.csv").write_bytes("community_id,name\na,读书会\n".encode("gbk"))
    with pytest.raises(RulesError, match="CSV UTF-8"):
        load_rules(rules)


def edit(path: Path, text: str, clock: list[int]) -> None:
    path.write_text(text, encoding="utf-8")
    clock[0] += 1_000_000_000  # the file system's own clock may be too coarse for two edits in a row
    os.utime(path, ns=(clock[0], clock[0]))


def test_an_edit_is_read_without_restart_and_a_broken_one_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "streams.rules")
    path, clock = tmp_path / "rules.yaml", [1_700_000_000_000_000_000]
    edit(path, "communities:\n  a: {name: one}\n", clock)
    rules = RulesFile(path)
    assert rules.current() is rules.current()
    edit(path, "communities:\n  a: {name: two}\n", clock)
    assert rules.current().communities["a"].name == "two"
    edit(path, "communities:\n  a: {nam: three}\n", clock)
    for _ in range(3):
        assert rules.current().communities["a"].name == "two"
    assert rules.problem is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    path.unlink()
    assert rules.current().communities["a"].name == "two"
    edit(path, "communities:\n  a: {name: four}\n", clock)
    assert rules.current().communities["a"].name == "four"
    assert rules.problem is None


def test_an_edit_of_the_table_is_read_too(tmp_path: Path) -> None:
    path, table, clock = tmp_path / "rules.yaml", tmp_path / "c.csv", [1_700_000_000_000_000_000]
    edit(table, "community_id,name\na,one\n", clock)
    edit(path, "communities:\n  csv: c.csv\n", clock)
    rules = RulesFile(path)
    edit(table, "community_id,nam\na,two\n", clock)
    assert rules.current().communities["a"].name == "one"
    edit(table, "community_id,name\na,three\n", clock)
    assert rules.current().communities["a"].name == "three"


def test_a_file_that_is_broken_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RulesError):
        RulesFile(written(tmp_path, "x: 1"))
    assert RulesFile(None).current() == Rules()


def test_the_rules_shown_for_campaigns_are_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "referrals.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    rules = tmp_path / "rules.yaml"
    rules.write_text(shown, encoding="utf-8")
    targets = {name: one.target for name, one in load_rules(rules).campaigns.items()}
    assert {name: one.kind for name, one in targets.items() if one} == {
        "春节裂变": "accepted_invitations",
        "三人拼团": "group_buy_orders",
    }
