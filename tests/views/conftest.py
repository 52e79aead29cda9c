"""Fixtures of the view tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.embedded.stack import EmbeddedStack
from tests.views.landed import Landed, landing


@pytest.fixture(scope="session")
def landed_once(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """The shared feed, sent through the pipeline once."""
    with landing(stack, tmp_path_factory.mktemp("views")) as landed:
        yield landed


@pytest.fixture(scope="module")
def landed(landed_once: Landed) -> Landed:
    """The landed feed, whatever the modules before did to the tables. See tests/views/landed.py."""
    landed_once.restore()
    return landed_once
