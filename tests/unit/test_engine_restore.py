"""State that this worker must not go on from: one sentence says what to do."""

from __future__ import annotations

import pytest

from streams.errors import ConfigError
from tests.alert_replay import alert_replay, says
from tests.batches import DAY_MS, Replay


def _flushed() -> Replay:
    replay = alert_replay()
    replay.send(says("王芳", 1))
    replay.drain()
    replay.flush()
    return replay


def test_a_lateness_that_was_raised_needs_a_rebuild() -> None:
    replay = _flushed()
    with pytest.raises(
        ConfigError, match=r"was raised from 86400 to 172800.* rebuild under a higher QUNPULSE_GENERATION"
    ):
        replay.restart(lateness_ms=2 * DAY_MS)


@pytest.mark.parametrize("operator", ["members", "alert_feeds", "alert_feed_of"])
def test_rows_of_another_version_are_named_with_the_way_out(operator: str) -> None:
    replay = _flushed()
    assert replay.state_rows(operator)
    replay.spoil(operator)
    with pytest.raises(ConfigError, match=r"from another version of qunpulse .*; start that version again, or rebuild"):
        replay.restart()
