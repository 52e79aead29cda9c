"""The tour of questions: its SQL runs, its answers and pictures are there, and it covers what communities ask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sinks.migrate import views
from streams.errors import InputError
from streams.questions.tour import Question, answer_text, draw, questions, said, with_answers
from tests.views.landed import Landed

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "questions.md").read_text(encoding="utf-8")
ASKED = questions(DOCUMENT)


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.heading)
def test_its_sql_runs_on_the_engine(landed: Landed, question: Question) -> None:
    rows = landed.clickhouse.query_arrow(question.sql).to_pylist()
    written = question.answer.splitlines()
    if rows and written[2].startswith("|"):
        assert written[:3] == said(question, rows).splitlines()[:3], "the columns of the answer"


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.heading)
def test_it_has_its_answer_and_the_picture_it_wants(question: Question) -> None:
    assert question.answer.splitlines()[2].startswith(("| ", "No rows.")), "run make questions-docs"
    if question.plot is None:
        assert "![" not in question.answer
    else:
        assert f"(images/questions/{question.picture})" in question.answer
        svg = (DOCS / "images" / "questions" / question.picture).read_text(encoding="utf-8")
        assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        assert str(question.plot["unit"]) in svg, "axes name their unit"
        assert len(svg) < 200_000


def test_only_an_answer_without_rows_has_no_picture() -> None:
    assert {question.heading for question in ASKED if question.plot is None} == {
        question.heading for question in ASKED if "No rows." in question.answer
    }


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in (DOCS / "images" / "questions").iterdir()} == {
        question.picture for question in ASKED if question.plot is not None
    }


def test_it_asks_thirty_questions_or_more_in_all_twelve_chapters_of_views_that_exist() -> None:
    assert len(ASKED) >= 30
    chapters = re.findall(r"^## (\d+)\. .*\n+(?:.*\n)*?### ", DOCUMENT, re.MULTILINE)
    assert chapters == [str(number) for number in range(1, 13)]
    named = {view for question in ASKED for view in re.findall(r"qunpulse\.(\w+)", question.sql)}
    assert named <= {script.name for script in views()}
    assert len(named) >= 30


def test_only_what_real_feeds_do_not_tell_is_asked_of_the_simulated_one() -> None:
    assert {question.feed for question in ASKED} == {"qa_load", "gitter", "online_retail", "simulated"}
    assert "**made up**" in DOCUMENT


def test_an_empty_answer_is_explained() -> None:
    empty = [question for question in ASKED if "No rows." in question.answer]
    assert [question.heading for question in empty] == ["What do touches change?"]
    assert "Touches of a replay changed nothing" in DOCUMENT


PAGE = """# Page

## Chapter

### One?

<!-- feed: a -->

Words.

```sql
SELECT 1
```

| old |

### Two?

<!-- plot: {kind: pie, x: n, y: [n], unit: n} -->

```sql
SELECT 2
```
"""


def test_answers_are_written_anew_and_twice_is_once() -> None:
    once = with_answers(PAGE, lambda question: f"| {question.feed} {question.sql[-1]} |")
    assert "| old |" not in once
    assert "| a 1 |" in once
    assert once.endswith("| a 2 |\n")
    assert with_answers(once, lambda question: f"| {question.feed} {question.sql[-1]} |") == once


def test_mistakes_in_the_page_are_told() -> None:
    with pytest.raises(InputError, match=r"'Two\?' wants a plot of kind 'pie'; there are lines"):
        draw(questions(PAGE)[1], [{"n": 1}])
    with pytest.raises(InputError, match=r"'One\?' does not say which feed"):
        questions(PAGE.replace("<!-- feed: a -->", ""))
    with pytest.raises(InputError, match="the tour asks twice: One"):
        questions(PAGE.replace("Two?", "One?"))


def drawn(rows: list[dict[str, Any]], **plot: Any) -> list[str]:
    """The letters of a plot, in the order in which they are drawn."""
    svg = draw(Question("Heading?", "feed", "SELECT 1", {"unit": "members", **plot}, ""), rows)
    return [" ".join(text.split()) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_a_legend_says_what_the_plot_calls_its_columns() -> None:
    rows = [{"month": "2024-01", "dau_mau": 0.1, "next_9": 0.2}, {"month": "2024-02", "dau_mau": 0.2, "next_9": 0.3}]
    assert drawn(rows, kind="lines", x="month", y={"dau_mau": "DAU/MAU", "next_9": "next 9 %"})[-2:] == [
        "DAU/MAU",
        "next 9 %",
    ]
    assert drawn(rows, kind="lines", x="month", y=["dau_mau", "next_9"])[-2:] == ["dau mau", "next 9"]


def test_a_bar_is_named_by_one_column_or_by_several() -> None:
    rows = [
        {"at": "wecom:门店福利一群", "weekday": 5, "hour": 9, "n": 7},
        {"at": "gitter:a/b", "weekday": 1, "hour": 16, "n": 8},
    ]
    assert drawn(rows, kind="bars", x="at", y=["n"])[:2] == ["门店福利一群", "b"]
    assert drawn(rows, kind="bars", x=["weekday", "hour"], y=["n"])[:2] == ["Fri 09:00", "Mon 16:00"]


def test_one_row_and_the_values_of_a_column_are_drawn_beside_each_other() -> None:
    assert [text for text in drawn([{"a": 8, "b": 2}], kind="steps", y={"a": "all", "b": "部分"}) if "(" in text] == [
        "8 (100%)",
        "2 (25%)",
    ]
    rows = [
        {"kind": "left", "severity": "high", "n": 4},
        {"kind": "silent", "severity": "low", "n": 9},
        {"kind": "left", "severity": "low", "n": 6},
    ]
    texts = drawn(rows, kind="steps", x="kind", by="severity", value="n", y=["low", "high"])
    assert [text for text in texts if "(" in text] == ["6 (100%)", "9 (150%)", "4 (100%)", "0 (0%)"]
    assert texts[-2:] == ["low", "high"]


def test_a_cell_says_what_it_holds() -> None:
    table = answer_text([{"名": "a|b", "n": None, "list": ["x", "y"]}, {"名": "", "n": 1.5, "list": []}])
    assert table.splitlines() == [
        "| 名 | n | list |",
        "|---|---:|---|",
        "| a\\|b | NULL | x, y |",
        "| – | 1.5 | – |",
    ]
    assert answer_text([{"n": number} for number in range(20)]).endswith("… and 8 more rows.")
