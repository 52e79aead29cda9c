"""The record of what was fed."""

import json
from pathlib import Path

import pytest

from streams.errors import InputError
from streams.sources.ledger import FeedLedger


def test_a_position_is_remembered_by_cluster_and_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "feed.json"
    ledger = FeedLedger(path)
    assert ledger.position("cluster", "hash") == 0
    ledger.advance("cluster", "hash", name="消息.ndjson", records=10, fed=4)
    ledger.advance("cluster", "hash", name="消息.ndjson", records=10, fed=7)
    ledger.save()
    again = FeedLedger(path)
    assert again.position("cluster", "hash") == 7
    assert again.position("other cluster", "hash") == 0
    assert again.position("cluster", "other hash") == 0
    assert json.loads(path.read_text())["clusters"]["cluster"]["hash"]["name"] == "消息.ndjson"
    assert [file.name for file in path.parent.iterdir()] == ["feed.json"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 1, "clusters": {"c": {"h": {"nonsense": 1}}}}'])
def test_a_damaged_record_stops_the_feed_instead_of_feeding_twice(tmp_path: Path, content: str) -> None:
    path = tmp_path / "feed.json"
    path.write_text(content)
    with pytest.raises(InputError, match="is no record of what was fed"):
        FeedLedger(path)


def test_a_record_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    path.write_text('{"version": 2, "clusters": {}}')
    with pytest.raises(InputError, match="newer qunpulse"):
        FeedLedger(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"feed\.json"):
        FeedLedger(tmp_path / "file" / "feed.json").save()
