"""Fixtures of the view tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.views.examples import RULES
from tests.views.feed import shared_feed
from tests.views.landed import Landed, landing
from tests.views.recounts import Recounts


@pytest.fixture(scope="session")
def landed_once(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """The shared feed, sent through the pipeline once."""
    with landing(stack, tmp_path_factory.mktemp("views"), shared_feed(), RULES) as landed:
        landed.keep()
        yield landed


@pytest.fixture(scope="module")
def landed(landed_once: Landed) -> Landed:
    """The landed feed, whatever the modules before did to the tables. See tests/views/landed.py."""
    landed_once.restore()
    return landed_once


@pytest.fixture(scope="session")
def recounts(landed_once: Landed) -> Recounts:
    """What the views must say of the shared feed, worked out once."""
    return Recounts(landed_once, RULES)


@pytest.fixture
def known(landed: Landed, recounts: Recounts) -> Recounts:
    """The same, when the tables are as the feed left them."""
    return recounts
