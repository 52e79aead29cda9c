"""The backtest: its alerts are those of the formula, its figures those of loops, and its command those of its help."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.backtest.comparing import compare, nearest_fixed
from streams.backtest.events import read_feed
from streams.backtest.replay import history_in, replay
from streams.backtest.report import curves_of
from streams.backtest.silences import CHURNED_DAYS, Calls, Silences, Span, calls_in, fixed_days, judge, silences_of
from streams.backtest.tuning import Pace, Tried, best_for_all, calls_by_rule
from streams.errors import InputError
from streams.model_fit import fit_model
from streams.operators.churn_model import shipped_model
from streams.operators.local_days import LocalDays
from streams.operators.silence import SilenceLimits
from streams.operators.silent_alerts import limits_of
from streams.return_curves import active_days
from streams.rules_model import Rules
from tests.alert_replay import buys, moves, says
from tests.batches import Event


def habits(seed: int, members: int = 40, days: int = 200) -> list[Event]:
    """Members with habits, of whom many stop for a while or for good."""
    chance = random.Random(seed)
    feed = []
    for number in range(members):
        day, often = chance.random() * 60, chance.choice([0.7, 1, 1.5, 3, 7])
        while day < days:
            feed.append(says(f"m{number}", day, 0, chance.choice(["a", "b"]) if number % 2 else "a"))
            day += often * chance.choice([1, 1, 2, 0.5, 4])
            if chance.random() < 0.03:
                day += chance.choice([15, 40, 1000])
    return feed


def write(path: Path, events: list[Event]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in events), encoding="utf-8")
    return path


def test_replayed_alerts_are_those_of_the_formula(tmp_path: Path) -> None:
    """What tuning tries on gaps alone is what the state machines do, cool-down and expiry included."""
    feed = read_feed([write(tmp_path / "feed.ndjson", habits(1))])
    rules, model = Rules(), shipped_model()
    played = replay(feed, rules, model)
    history = history_in(feed, rules)
    days = active_days(history.member, history.day, history.last_day)
    silences = silences_of(days, 4, history.last_day)
    curves, number = curves_of(model, history)
    pace = Pace(rules.alerts.silent.cool_down_days, rules.alerts.silent.expire_days)
    of = number[history.community_of[days.member]]
    by_rule = Span(0, 10**6).of(calls_by_rule(days, curves, of, limits_of(rules.alerts.silent), pace), silences)
    known = {pair: at for at, pair in enumerate(history.members)}
    names = feed.directory.community_names
    member_of = np.array(
        [known[names[c], feed.directory.member_ids[m]] for m, c in enumerate(feed.directory.community_of.tolist())]
    )
    zones = LocalDays()
    zone = np.array([zones.index("UTC") for _ in names])
    alerts = [one for one in played.alerts.values() if one.kind == "silent"]
    by_replay = calls_in(alerts, silences, feed.directory, zones, zone, member_of)

    def of_others(calls: Calls) -> list[tuple[int, int]]:
        """Without those on members who came back the same day: the formula knows no hours, and they may be first."""
        mine = silences.gap[calls.silence] != calls.after_days
        return sorted(zip(calls.silence[mine].tolist(), calls.after_days[mine].tolist(), strict=True))

    assert len(of_others(by_rule)) > 30
    assert of_others(by_replay) == of_others(by_rule)


def test_calls_are_judged_as_a_person_with_a_calendar_would() -> None:
    chance = random.Random(2)
    last_day, span = 400, Span(150, 350)
    rows = [(m, d) for m in range(30) for d in sorted(chance.sample(range(380), chance.randint(1, 30)))]
    days = active_days(np.array([m for m, _ in rows]), np.array([d for _, d in rows]), last_day)
    silences = silences_of(days, 2, last_day)
    after = np.array([chance.randint(1, 40) for _ in range(len(silences))])
    made = np.flatnonzero((silences.gap >= after) & (np.array([chance.random() < 0.6 for _ in range(len(silences))])))
    judged = judge(Calls(made, after[made]), silences, span)

    mine: dict[int, list[int]] = {m: [d for n, d in rows if n == m] for m in range(30)}
    right, known, caught, churners, leads = [], 0, 0, 0, []
    called = {int(at): int(after[at]) for at in made}
    for at in range(len(silences)):
        member, day = int(silences.member[at]), int(silences.day[at])
        nexts = [d for d in mine[member] if d > day]
        told = day + called[at] if at in called else None
        if told is not None and span.start <= told < span.end and told <= last_day and told + 30 <= last_day:
            known += 1
            right.append(not [d for d in mine[member] if told <= d < told + 30])
        long = (nexts[0] - day if nexts else 10**6) > CHURNED_DAYS and last_day - day > CHURNED_DAYS
        if long and span.start <= day < span.end:
            churners += 1
            if told is not None and span.start <= told < span.end and told <= last_day:
                caught += 1
                leads.append(told - day)
    assert (known, sum(right)) == (judged.known_30.sum(), (judged.known_30 & judged.right_30).sum())
    assert (churners, caught) == (len(judged.caught), judged.caught.sum())
    assert leads == judged.lead_days[judged.caught].tolist()


def test_fixed_days_at_equal_volume_are_nearest_and_a_rule_equals_itself() -> None:
    days = active_days(np.repeat(np.arange(50), 8), np.cumsum(np.arange(400) % 7 * 3 + 1) % 365, 400)
    silences = silences_of(days, 2, 400)
    span = Span(0, 401)
    assert nearest_fixed(silences, span, len(span.of(fixed_days(silences, 12), silences))) <= 12
    same = compare(fixed_days(silences, 12), silences, span, 50)
    assert same.precision_30_points.value == pytest.approx(0)
    assert same.lead_percent.value == pytest.approx(0, abs=35)
    assert same.rule.precision_30.low <= same.rule.precision_30.value <= same.rule.precision_30.high


def test_settings_for_all_feeds_come_early_on_each_and_lose_least_where_they_lose_most() -> None:
    late, even, uneven = (SilenceLimits(latest_days=days) for days in (10, 20, 30))
    one = [Tried(late, 9, 5.0, -90), Tried(even, 9, -3.0, -40), Tried(uneven, 9, 2.0, -50)]
    other = [Tried(late, 9, 5.0, -10), Tried(even, 9, -2.0, -34), Tried(uneven, 9, -4.0, -50)]
    assert best_for_all([one, other]) == [one[1], other[1]]
    assert best_for_all([one, other[:1]]) == []


def test_the_command_says_tables_a_picture_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from streams.cli.backtest import backtest

    feed = habits(4, members=120, days=300)
    feed += [buys(f"m{n}", day) for n in range(0, 120, 2) for day in range(n % 30, 200, 20 + n % 7)]
    feed += [moves(f"m{n}", 250, "left") for n in range(5)]
    path = write(tmp_path / "历史.ndjson", feed)
    picture = tmp_path / "out.png"
    backtest([path], tune=False, learn_share=0.5, picture=picture)
    text = capsys.readouterr().out
    assert "| `silent` |" in text
    assert "| `lapsed_buyer` |" in text
    assert "`left`: 5" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    backtest([path], tune=True, learn_share=0.5, as_json=True)
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["silent"]["replayed"]["rule"]["alerts"] > 0
    assert report["split_day"] < report["last_day"]


def test_files_without_events_and_without_enough_history_are_said_so(tmp_path: Path) -> None:
    empty = tmp_path / "broken.ndjson"
    empty.write_text('{"event_type": "message"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="no valid event"):
        read_feed([empty])
    few = read_feed([write(tmp_path / "few.ndjson", habits(1, members=2, days=20))])
    with pytest.raises(InputError, match="too little history"):
        fit_model(history_in(few, Rules()), "here")


def test_a_silence_knows_what_follows_it() -> None:
    silences = silences_of(active_days(np.array([1, 1, 1]), np.array([3, 5, 9]), 20), 1, 20)
    assert isinstance(silences, Silences)
    assert silences.gap.tolist() == [2, 4, 10**6]
    assert silences.observed.tolist() == [17, 15, 11]
