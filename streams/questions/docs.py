"""Write the answers of docs/questions.md and its plots from the real event feeds: `make questions-docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from streams.cli.options import load_settings
from streams.cli.reach import clickhouse
from streams.errors import InputError, QunpulseError
from streams.questions.feeds import land
from streams.questions.tour import draw, questions, said, with_answers
from streams.reporting.drawing import standalone

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
PICTURES = PAGE.parent / "images" / "questions"
FOLDER = Path(__file__).parents[2] / "build" / "questions"


def main(arguments: list[str]) -> None:
    """Land the feeds, ask every question, write answers and plots.

    Raises:
        InputError: the folder of the feeds was not given or lacks one, or a question cannot be asked.
    """
    if len(arguments) != 1:
        raise InputError("name the folder of the real event feeds: python -m streams.questions.docs FOLDER")
    shared = Path(arguments[0])
    document = PAGE.read_text(encoding="utf-8")
    asked = questions(document)
    answers: dict[str, str] = {}  # by heading
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for feed in dict.fromkeys(question.feed for question in asked):
        print(f"{feed}: landing …", file=sys.stderr, flush=True)  # noqa: T201  # a tool of the repository, run by hand
        data = land(feed, shared, FOLDER)
        with clickhouse(load_settings(None, data_dir=data)) as connection:
            for question in asked:
                if question.feed == feed:
                    print(f"{feed}: {question.heading}", file=sys.stderr, flush=True)  # noqa: T201
                    rows = connection.query_arrow(question.sql).to_pylist()
                    answers[question.heading] = said(question, rows)
                    if question.plot is not None:
                        picture = PICTURES / question.picture
                        picture.write_text(standalone(draw(question, rows)) + "\n", encoding="utf-8")
                        answers[question.heading] += f"\n\n![{question.heading}](images/questions/{question.picture})"
    PAGE.write_text(with_answers(document, lambda question: answers[question.heading]), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except QunpulseError as error:
        sys.exit(f"error: {error}")
