"""The report: one page that needs nothing, whose every figure is a view's, whatever the community is like."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streams.errors import InputError
from streams.reporting.page import report
from streams.reporting.scope import choose_month, find_community
from streams.reporting.sections import SECTIONS
from tests.views.examples import example, join, message, order
from tests.views.feed import EMPTY
from tests.views.landed import Landed
from tests.views.report_page import Page
from tests.views.simulated import milliseconds, put

HOME = "wechat:宝妈育儿交流"

TURN = example(
    '报告:月底<b>&"群"',
    [
        join("2024-03-31 15:00", "张伟"),
        message("2024-03-31 15:30", "张伟"),  # 23:30 on March 31 in Shanghai
        message("2024-03-31 16:30", "张伟"),  # 00:30 on April 1
        order("2024-04-30 15:59", "张伟", "turn-1", 1234, currency="CNY", coupon_codes=["<i>"]),  # 23:59 on April 30
        message("2024-04-30 16:00", "<script>alert(1)</script>"),  # 00:00 on May 1
    ],
    "Asia/Shanghai",
    name="月底群<img src=x>",
)


@pytest.fixture(scope="module")
def page(landed: Landed) -> Page:
    """A year-old shop's September."""
    return Page(report(landed.clickhouse, HOME, "2024-09"))


@pytest.fixture(scope="module")
def may(landed: Landed) -> Page:
    """The first day of May in a small community; of its three touches only the last one falls into it in Shanghai."""
    decided = milliseconds(np.array([1_714_400_000_000, 1_714_492_799_000, 1_714_492_800_000]))
    columns = {"community_id": [TURN] * 3, "kind": ["thanks"] * 3, "member_id": ["张伟", "王芳", "李娜"]}
    put(
        landed.clickhouse,
        "touches",
        columns
        | {"touch_id": ["1", "2", "3"], "occasion_at": decided, "due_at": decided, "decided_at": decided}
        | {"held_out": np.array([0, 0, 1], "uint8"), "replay": np.zeros(3, "uint8")},
    )
    return Page(report(landed.clickhouse, TURN, "2024-05"))


def test_every_section_is_there_and_shows_something(page: Page) -> None:
    names = [read.__name__ for read in SECTIONS]
    assert list(page.sections) == names
    assert len(names) == 14
    silent = [name for name in names if not page.plots.get(name) and f"{name}." not in " ".join(page.tables)]
    assert silent == ["touches"]  # the feed's rules do not ask for any
    assert "No touches were decided in this month" in page.sections["touches"]
    drawn = {"activity", "participation", "growth", "funnel", "retention", "revenue", "lifecycle", "timing", "fatigue"}
    assert drawn <= set(page.plots)


def test_the_page_needs_nothing_from_elsewhere(page: Page) -> None:
    assert "://" not in page.html  # not even the names of SVG's own vocabulary
    assert page.tags & {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "form"} == set()
    assert [link for link in page.links if not link.startswith(("#", "data:image/png;base64,"))] == []
    assert set(re.findall(r"url\((.)", page.html)) <= {"#"}
    assert "@import" not in page.html


def test_nothing_of_one_plot_is_taken_for_another_plots(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    targets = {link[1:] for link in page.links if link.startswith("#")} | set(re.findall(r"url\(#(.+?)\)", page.html))
    assert targets <= set(page.ids)


FIGURES = {
    "activity.mean_dau": "SELECT avg(dau) FROM qunpulse.active_members_daily WHERE {c} AND local_date {in_month}",
    "activity.last_mau": "SELECT mau FROM qunpulse.active_members_daily WHERE {c} AND local_date = '2024-09-30'",
    "activity.mean_dau_mau": "SELECT avg(dau_mau) FROM qunpulse.active_members_daily "
    "WHERE {c} AND local_date {in_month}",
    "activity.messages": "SELECT sum(messages) FROM qunpulse.activity_1d "
    "WHERE {c} AND toDate(window_start, 'Asia/Shanghai') {in_month}",
    "participation.participation_rate": "SELECT avg(participation_rate) FROM qunpulse.participation_daily "
    "WHERE {c} AND local_date {in_month}",
    "participation.gini": "SELECT gini FROM qunpulse.participation_inequality WHERE {c} AND month = '2024-09-01'",
    "growth.joins": "SELECT sum(joins) FROM qunpulse.activity_1d "
    "WHERE {c} AND toDate(window_start, 'Asia/Shanghai') {in_month}",
    "funnel.activated": "SELECT sum(activated) FROM qunpulse.funnel_aarrr "
    "WHERE {c} AND join_week >= '2024-07-01' AND join_week < '2024-10-01'",
    "revenue.net_gmv_minor.CNY": "SELECT net_gmv_minor FROM qunpulse.revenue_monthly "
    "WHERE {c} AND month = '2024-09-01' AND currency = 'CNY'",
    "revenue.arpu_minor.CNY": "SELECT arpu_minor FROM qunpulse.revenue_monthly "
    "WHERE {c} AND month = '2024-09-01' AND currency = 'CNY'",
    "revenue.repurchase_rate.90d": "SELECT repurchase_rate FROM qunpulse.repurchase_window "
    "WHERE {c} AND window = '90d'",
    "revenue.cycle_median_days": "SELECT median_days FROM qunpulse.repurchase_cycle WHERE {c}",
    "lifecycle.dormant": "SELECT sum(members) FROM qunpulse.lifecycle_stages WHERE {c} AND stage = 'dormant'",
    "fatigue.member_days": "SELECT member_days FROM qunpulse.promotion_fatigue_dose WHERE {c}",
    "health.zombie_score": "SELECT zombie_score FROM qunpulse.group_health WHERE {c}",
    "alerts.opened_in_month": "SELECT count() FROM qunpulse.alerts "
    "WHERE {c} AND toDate(opened_at, 'Asia/Shanghai') {in_month}",
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_views(landed: Landed, page: Page, name: str) -> None:
    sql = FIGURES[name].format(c="community_id = {c:String}", in_month="BETWEEN '2024-09-01' AND '2024-09-30'")
    expected = landed.clickhouse.scalar(sql, {"c": HOME})
    assert expected is not None
    assert float(page.figures[name]) == pytest.approx(float(expected), rel=1e-9)


def test_boards_and_their_winners_are_the_views(landed: Landed, page: Page) -> None:
    sql = (
        "SELECT rank, member_id, score FROM qunpulse.leaderboards WHERE community_id = {c:String} "
        "AND period = 'month' AND period_start = '2024-09-01' AND board = 'most_active' ORDER BY rank, member_id"
    )
    rows = landed.clickhouse.rows(sql, {"c": HOME})[:10]
    won = (
        "SELECT member_id FROM qunpulse.month_winners WHERE community_id = {c:String} AND month = '2024-09-01' "
        "AND board = 'most_active'"
    )
    winners = {member for (member,) in landed.clickhouse.rows(won, {"c": HOME})}
    assert len(winners) >= 3
    shown = page.tables["leaderboards.most_active"]
    assert [[cell.strip() for cell in row] for row in shown] == [
        ["★ " * (member in winners) + f"{rank}", member, f"{score:,}"] for rank, member, score in rows
    ]
    assert re.search(r"[\u4e00-\u9fff]", shown[0][1]), "members of this platform have Chinese names"


def test_the_diagnosis_stands_at_the_top_in_words(landed: Landed, page: Page) -> None:
    words = landed.clickhouse.scalar("SELECT diagnosis FROM qunpulse.diagnosis WHERE community_id = {c:String}",
                                     {"c": HOME})  # fmt: skip
    assert page.text.index(words) < page.text.index("Active members: distinct")


def test_a_month_begins_and_ends_with_the_communitys_own_days(may: Page) -> None:
    messages = {row[0]: row[6] for row in may.tables["activity.months"]}
    assert messages == {"2024-03": "1", "2024-04": "1", "2024-05": "1"}
    assert {row[0]: row[6] for row in may.tables["revenue.months"]} == {"2024-04": "12.34 CNY"}
    assert may.figures["revenue.net_gmv_minor.CNY"] == "0"
    assert may.text.lstrip().startswith("月底群<img src=x>: May 2024")


def test_touches_of_the_month_and_who_was_left_alone(may: Page) -> None:
    assert may.figures["touches.decided"] == "1"
    assert may.tables["touches.kinds"] == [["thanks", "1", "1", "0", "1", "0"]]


def test_an_unfinished_month_says_so(may: Page) -> None:
    assert "May 2024 is not complete: the community has figures up to 2024-05-01." in may.text


def test_a_community_of_two_gets_figures_or_words_but_no_nonsense(may: Page) -> None:
    assert len(may.sections) == len(SECTIONS)
    assert re.search(r"\b(nan|inf|None|NULL)\b", may.text, re.IGNORECASE) is None
    assert {value for value in may.figures.values() if not re.fullmatch(r"-?[\d.e-]*", value)} == set()


def test_names_are_text_and_never_markup(may: Page) -> None:
    assert may.tags & {"script", "img", "b", "i"} == set()
    assert "<script>alert(1)</script>" in {row[1] for row in may.tables["leaderboards.most_active"]}
    assert TURN in may.text


def test_without_a_month_it_is_the_last_complete_one_and_names_do_as_well_as_ids(landed: Landed) -> None:
    community = find_community(landed.clickhouse, "月底群<img src=x>")
    assert community.last_date == dt.date(2024, 5, 1)
    scope = choose_month(community, None)
    assert scope is not None
    assert (scope.title, scope.complete) == ("April 2024", True)
    assert scope.instant(scope.start) == dt.datetime(2024, 3, 31, 16, tzinfo=dt.UTC)
    whole = choose_month(replace(community, last_date=dt.date(2024, 5, 31)), None)
    assert whole is not None
    assert whole.title == "May 2024"


def test_a_community_without_events_gets_a_page_that_says_so(landed: Landed) -> None:
    empty = Page(report(landed.clickhouse, EMPTY, None))
    assert "Nothing has happened in this community yet" in empty.text
    assert empty.figures == {}


def test_an_unknown_community_is_answered_with_the_nearest_names(landed: Landed) -> None:
    with pytest.raises(
        InputError, match="there is no community '宝妈育儿'; the nearest names are 'wechat:宝妈育儿交流'"
    ):
        report(landed.clickhouse, "宝妈育儿", None)
    with pytest.raises(InputError, match=r"nearest names are.*'telegram:DevOps Berlin'"):
        report(landed.clickhouse, "telegram:devops berlim", None)


def test_a_month_without_figures_is_answered_with_those_that_have_some(landed: Landed) -> None:
    with pytest.raises(
        InputError, match=r"月底群<img src=x> has no figures of 2024-06.*choose a month from 2024-03 to 2024-05"
    ):
        report(landed.clickhouse, TURN, "2024-06")
    with pytest.raises(InputError, match="has no figures of 2024-02"):
        report(landed.clickhouse, TURN, "2024-02")


@pytest.mark.parametrize("word", ["june", "2024-13", "2024-6", "2024-06-01"])
def test_a_word_that_is_no_month_is_told(landed: Landed, word: str) -> None:
    with pytest.raises(InputError, match=f"'{word}' is no month; write it like 2024-06"):
        report(landed.clickhouse, TURN, word)


def test_a_browser_draws_the_page(page: Page, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: the page is looked at by its parser only")
    html, picture = tmp_path / "report.html", tmp_path / "report.png"
    html.write_text(page.html, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --window-size=1000,2000"
    )
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", html.as_uri()],
        capture_output=True,
        timeout=120,
    )
    assert picture.exists(), done.stderr.decode(errors="replace")[-2000:]
    from PIL import Image

    with Image.open(picture) as drawn:
        assert drawn.size == (1000, 2000)
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(maxcolors=1 << 20) or []}
    assert (0x00, 0x72, 0xB2) in colours, "the first line of the plots"
    assert (0xEE, 0xF3, 0xF8) in colours, "the shaded month"
