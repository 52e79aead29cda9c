"""Channels, routes and quiet hours of the rules file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import RulesError
from streams.quiet_hours import parse_quiet_hours, quiet_until
from streams.rules import load_rules
from tests.alerts import alert

SHANGHAI = ZoneInfo("Asia/Shanghai")
RULES = """
alerts:
  channels:
    ops:
      url: wecombot://${OPS_KEY}
      quiet_hours: 22:00-08:00, sat-sun 00:00-24:00
      timezone: Asia/Shanghai
    王芳: {url: "file:/run/secrets/wangfang"}
  routes:
    - channels: [ops]
      communities: ["wecom:*"]
      kinds: [silent, left]
      severities: [high, critical]
    - channels: [王芳]
      assignees: [王*]
      states: [opened]
      digest: true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_route_matches_where_everything_it_names_matches(tmp_path: Path) -> None:
    ops, hers = load_rules(written(tmp_path, RULES)).alerts.routes
    told = alert("silent", community_id="wecom:群", severity="high", assignee="王芳")
    assert ops.matches(told)
    assert hers.matches(told)
    for other in (
        alert("exodus", community_id="wecom:群", severity="high"),
        alert("silent", community_id="telegram:群", severity="high"),
        alert("silent", community_id="wecom:群", severity="low"),
        alert("silent", community_id="wecom:群", severity="high", state="acknowledged"),
    ):
        assert not ops.matches(other)
        assert not hers.matches(other)  # assignee ''
    assert not hers.matches(alert("silent", assignee="王芳", state="resolved"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alerts:\n  routes:\n    - channels: [ops]\n", "channel 'ops', which `channels` lacks; known are none yet"),
        (RULES.replace("[ops]", "[opps]"), "route 1 leads to the channel 'opps', which `channels` lacks; did you mean"),
        (RULES.replace("22:00-08:00", "22-8"), "cannot read '22-8'"),
        (RULES.replace("22:00-08:00", "00:00-24:00"), "never over"),
        (RULES.replace("22:00-08:00", "12:00-12:00"), "does not end after it begins"),
        (RULES.replace("Asia/Shanghai", "Asia/Shanghia"), "did you mean 'Asia/Shanghai'?"),
        (RULES.replace("[silent, left]", "[silent, lefd]"), "alerts.routes.0.kinds.1: expected"),
        (RULES.replace("ops:\n", "'o p':\n"), "alerts.channels"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RulesError) as raised:
        load_rules(written(tmp_path, text))
    assert words in str(raised.value)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2024-05-08 21:59", None),  # a Wednesday
        ("2024-05-08 22:00", "2024-05-09 08:00"),
        ("2024-05-09 07:59", "2024-05-09 08:00"),
        ("2024-05-09 08:00", None),
        ("2024-05-10 23:00", "2024-05-13 08:00"),  # Friday night: the weekend and Sunday night go on from there
    ],
)
def test_quiet_hours_go_past_midnight_and_join(now: str, until: str | None) -> None:
    spans = parse_quiet_hours("22:00-08:00, sat-sun 00:00-24:00")
    assert quiet_until(spans, "Asia/Shanghai", at(now)) == (None if until is None else at(until))


def test_quiet_hours_end_by_the_clock_on_the_wall_when_it_is_put_forward_or_back() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spans = parse_quiet_hours("22:00-08:00")
    for evening, hours in (("2024-03-30 22:00", 9), ("2024-10-26 22:00", 11), ("2024-06-01 22:00", 10)):
        began = at(evening, berlin)
        assert quiet_until(spans, "Europe/Berlin", began) == began + hours * 3_600_000


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1439), st.integers(0, 1439)), min_size=1, max_size=3),
    st.integers(0, 40_000),
)
def test_quiet_hours_equal_a_look_at_every_minute(spans: list[tuple[int, int, int]], minute: int) -> None:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    spans = [(day, start, end) for day, start, end in spans if start != end]

    def clock(m: int) -> str:
        return f"{m // 60:02d}:{m % 60:02d}"

    text = ", ".join(f"{names[day]} {clock(start)}-{clock(end)}" for day, start, end in spans)
    if not text:
        return
    quiet = set()
    for day, start, end in spans:
        length = (end - start) % 1440
        quiet |= {(day * 1440 + start + passed) % 10_080 for passed in range(length)}
    now = datetime(2024, 5, 6, tzinfo=SHANGHAI) + timedelta(minutes=minute)  # a Monday
    expected, passed = None, 0
    while (minute + passed) % 10_080 in quiet:
        passed += 1
        expected = int((now + timedelta(minutes=passed)).timestamp() * 1000)
    assert quiet_until(parse_quiet_hours(text), "Asia/Shanghai", int(now.timestamp() * 1000)) == expected
