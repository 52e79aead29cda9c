"""The tour of questions: its SQL runs, its answers and pictures are there, and it covers what communities ask."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_a_cell_says_what_it_holds() -> None:
    table = answer_text([{"名": "a|b", "n": None, "list": ["x", "y"]}, {"名": "", "n": 1.5, "list": []}])
    assert table.splitlines() == [
        "| 名 | n | list |",
        "|---|---:|---|",
        "| a\\|b | NULL | x, y |",
        "| – | 1.5 | – |",
    ]
    assert answer_text([{"n": number} for number in range(20)]).endswith("… and 8 more rows.")
