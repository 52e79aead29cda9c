"""What people read, where names come from, and that no secret gets into any of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import ALERT_KINDS
from sinks.alert_deliveries import Delivery
from streams.alert_words import MEANINGS, TITLES, explain
from streams.delivery.channel_queue import Message
from streams.delivery.channels import open_channels
from streams.delivery.names import Names
from streams.delivery.secrets import Mask, resolve
from streams.delivery.wording import Text, Wording, people_in
from streams.errors import ConfigError, RulesError
from streams.logs import JsonLines, TextLines
from streams.rules_delivery import ChannelRules, NamesRules
from streams.rules_model import Rules
from tests.alerts import alert

RULES = Rules.model_validate({"communities": {"wecom:上海读书会": {"name": "上海读书会 1 群"}}})


def message(*alerts: object, form: str = "single") -> Message:
    owed = [Delivery(alert=one, channel="ops", form="single", planned_at=0, due_at=0) for one in alerts]  # type: ignore[arg-type]
    return Message("m", form, tuple(owed))  # type: ignore[arg-type]


def text(*alerts: object, form: str = "single", names: dict[str, str] | None = None, max_bytes: int = 2000) -> Text:
    return Wording(RULES, names or {}, "Asia/Shanghai").of(message(*alerts, form=form), max_bytes)


def test_every_kind_has_words() -> None:
    assert set(TITLES) == set(MEANINGS) == set(ALERT_KINDS)


def test_a_message_says_who_where_why_and_what_to_do() -> None:
    found = text(alert(assignee="wangfang"), names={"wm-王小明": "王小明", "wangfang": "王芳"})
    assert found.title == "[medium] member fell silent: 王小明, 上海读书会 1 群"
    for words in (
        "active every 2 days until now, silent for 9.",
        "silent: 9 days, typical gap: 2 days",
        "What to do: Write to them in private.",
        "For: 王芳",
        "Opened 2024-05-01 02:00 Asia/Shanghai",
        f"qunpulse alerts show {alert().alert_id}",
    ):
        assert words in found.body


def test_without_a_name_the_id_stands_there() -> None:
    assert "wm-王小明" in text(alert()).title


def test_a_digest_has_a_line_an_alert_in_the_state_it_is_in_now() -> None:
    back = alert(fact=2, member_id="wm-李强")
    found = text(alert(), back, alert(fact=2, member_id="wm-李强", state="resolved"), form="digest")
    assert found.title == "2 alerts in 上海读书会 1 群"
    lines = found.body.splitlines()
    assert len(lines) == 3
    assert "wm-李强 (resolved)" in lines[1]
    assert lines[2] == "qunpulse alerts list --community 'wecom:上海读书会'"


@given(st.integers(1, 300), st.integers(200, 4000))
def test_a_text_fits_the_receiver_in_bytes_and_says_how_much_it_left_out(count: int, max_bytes: int) -> None:
    many = [alert(fact=n, member_id=f"成员{n}") for n in range(count)]
    found = text(*many, form="digest", max_bytes=max_bytes)
    assert len(found.title.encode()) + len(found.body.encode()) <= max_bytes
    lines = found.body.splitlines()
    shown = sum(line.startswith("•") for line in lines)
    left_out = [line for line in lines if line.startswith("… and ")]
    assert shown + sum(int(line.split()[2]) for line in left_out) == count
    assert "qunpulse alerts list" in lines[-1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("silent_days", 9.0, ("silent", "9 days")),
        ("silent_days", 1, ("silent", "1 day")),
        ("p_alive_probability", 0.123, ("probability alive probability", "12.3 %")),
        ("speaker_share", 0.05, ("speaker share", "5.0 %")),
        ("spent_minor", 123456, ("spent", "123,456 minor units")),
        ("last_seen_at", 1_714_500_000_000, ("last seen", "2024-05-01 02:00 Asia/Shanghai")),
        ("leaves", 12, ("leaves", "12")),
        ("expected", 20.25, ("expected", "20.25")),
        ("estimated", True, ("estimated", "yes")),
        ("tier", "key_opinion", ("tier", "key_opinion")),
        ("typical_gap_days", None, ("typical gap", "not known")),
    ],
)
def test_evidence_is_said_with_its_unit(name: str, value: object, said: tuple[str, str]) -> None:
    assert explain({name: value}, "Asia/Shanghai") == [said]  # type: ignore[dict-item]


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_come_from_a_table_and_follow_its_changes(tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("\ufeffmember_id, name,phone\nwm-1,王\t小明,555\nwm-2,,\n", encoding="utf-8")
    names = Names(NamesRules(csv="names.csv"), tmp_path, None)
    assert names.of(["wm-1", "wm-2", ""]) == {"wm-1": "王 小明"}
    table.write_text("member_id,name\nwm-1,王大明先生\n", encoding="utf-8")
    assert names.of(["wm-1"]) == {"wm-1": "王大明先生"}
    table.unlink()
    assert names.of(["wm-1"]) == {"wm-1": "王大明先生"}  # a message with an older name is better than none


def test_names_of_pseudonymised_members_are_found_by_their_pseudonym(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("member_id,name\nwm-1,王小明\n", encoding="utf-8")
    names = Names(NamesRules(csv="names.csv"), tmp_path, None, stored_as=lambda member_id: f"hash of {member_id}")
    assert names.of(["hash of wm-1", "wm-1"]) == {"hash of wm-1": "王小明"}


@pytest.mark.parametrize(
    ("table", "words"), [("id,name\n", "'member_id' is missing"), ("", "is missing"), (None, "cannot be read")]
)
def test_a_table_of_names_that_cannot_be_used_is_named(tmp_path: Path, table: str | None, words: str) -> None:
    if table is not None:
        (tmp_path / "names.csv").write_text(table)
    with pytest.raises(RulesError, match=words):
        Names(NamesRules(csv="names.csv"), tmp_path, None)


def test_people_in_a_message_are_members_and_assignees() -> None:
    assert people_in(message(alert(assignee="a"), alert("exodus"))) == {"wm-王小明", "a"}


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRET = "s3cr3t/密码+tok"


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    quoted = "s3cr3t%2F%E5%AF%86%E7%A0%81%2Btok"
    for template in ("mailtos://me:${PW}@example.com", "mailtos://me:${file:key}@example.com"):
        assert resolve("ops", template, {"PW": SECRET}, tmp_path).url == f"mailtos://me:{quoted}@example.com"
    (tmp_path / "url").write_text("json://example.com/a-token\n")
    for template in ("${URL}", "file:url", "${file:url}"):
        found = resolve("ops", template, {"URL": "json://example.com/a-token"}, tmp_path)
        assert found.url == "json://example.com/a-token"
        assert "a-token" in found.secrets
        assert "a-token" not in repr(found)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("json://${NOPE}", "channel ops: the environment variable NOPE is not set"),
        ("json://${}", "names no environment variable"),
        ("file:nope", "cannot be read: No such file"),
        ("json://${file:empty}", "is empty"),
    ],
)
def test_a_missing_secret_is_named_by_channel_and_place(tmp_path: Path, template: str, words: str) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError) as raised:
        resolve("ops", template, {}, tmp_path)
    assert words in str(raised.value)


def test_a_secret_in_the_rules_file_itself_is_refused_and_not_repeated(tmp_path: Path) -> None:
    channels = {"ops": ChannelRules(url="wecombot://abcdef-0123456789")}
    with pytest.raises(ConfigError, match="channel ops: its url holds a secret") as raised:
        open_channels(channels, tmp_path, {}, Mask())
    assert "abcdef" not in str(raised.value)


def test_an_address_without_secrets_may_stand_in_the_rules_file(tmp_path: Path) -> None:
    channels = {
        "hook": ChannelRules(url="json://localhost:8080/alerts"),
        "mail": ChannelRules(url="mailto://localhost:2525?from=alerts@example.com&to=ops@example.com"),
    }
    assert set(open_channels(channels, tmp_path, {}, Mask())) == {"hook", "mail"}


@pytest.mark.parametrize("lines", [TextLines, JsonLines])
def test_no_log_line_shows_a_secret_in_any_spelling_or_traceback(lines: type[TextLines | JsonLines]) -> None:
    mask = Mask()
    mask.hide(resolve("ops", "json://${TOKEN}", {"TOKEN": SECRET}, Path()).secrets)
    mask.hide(resolve("hook", "${URL}", {"URL": "json://me:pa55word@h.example/api/v1/long-token"}, Path()).secrets)
    formatter = lines(mask)
    try:
        int(f"{SECRET}?x=s3cr3t%2F%E5%AF%86%E7%A0%81%2Btok with pa55word")  # its error quotes what it was given
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "key %s, long-token", (SECRET,), (type(error), error, error.__traceback__)
        )
    line = formatter.format(record)
    assert "****" in line
    assert "Traceback" in line
    for hidden in (SECRET, "s3cr3t", "pa55word", "long-token"):
        assert hidden not in line
