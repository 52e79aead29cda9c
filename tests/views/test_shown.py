"""Every view is shown to be right: by a recomputation, by hand, and on real feeds where they have anything to say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sinks.migrate import views
from tests.views.recomputed import RECOMPUTED
from tests.views.shown import ELSEWHERE_ON_REAL_FEEDS, NOT_OF_EVENTS, SHOWN

TESTS = Path(__file__).parents[1]
VIEWS = {script.name for script in views()}


def body(test: str) -> str:
    """The text of a test; fails when there is none of that name."""
    path, _, name = test.partition("::")
    found = re.search(rf"^def {name}\(.*?(?=^\S|\Z)", (TESTS / path).read_text(encoding="utf-8"), re.S | re.M)
    assert found, f"there is no test {test}"
    return found.group()


def test_no_view_is_left_out() -> None:
    assert SHOWN.keys() == VIEWS


@pytest.mark.parametrize("view", SHOWN)
def test_a_view_is_named_where_it_is_shown(view: str) -> None:
    for test in SHOWN[view]:
        named = body(test) + module_text(test)
        assert re.search(rf"\b{view}\b", named), f"{test} says nothing of {view}"
    assert re.search("hand|on_paper|leaves_the_window|latest_of|both_readings|is_final", SHOWN[view][1])


def module_text(test: str) -> str:
    return (TESTS / test.partition("::")[0]).read_text(encoding="utf-8")


def test_views_of_events_are_shown_on_real_feeds() -> None:
    assert RECOMPUTED.keys() | ELSEWHERE_ON_REAL_FEEDS.keys() == VIEWS - NOT_OF_EVENTS
    for test in ELSEWHERE_ON_REAL_FEEDS.values():
        assert "shared_data(" in module_text(test)
