"""Settings: who wins, where a value came from, and what a mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("QUNPULSE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _rows(**flags: object) -> dict[str, tuple[str, str]]:
    return {row.name: (row.value, row.origin) for row in Settings.load(flags).rows()}


def test_flag_beats_environment_beats_file_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("qunpulse.toml").write_text('partitions = 2\ngeneration = 2\ngroup_id = "g"\n')
    monkeypatch.setenv("QUNPULSE_PARTITIONS", "3")
    monkeypatch.setenv("QUNPULSE_GENERATION", "3")
    rows = _rows(partitions=4, generation=None)
    assert rows["partitions"] == ("4", "flag --partitions")
    assert rows["generation"] == ("3", "environment QUNPULSE_GENERATION")
    assert rows["group_id"] == ("g", "file qunpulse.toml")
    assert rows["clock_mode"] == ("live", "default")


def test_the_file_may_be_named_by_flag_or_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("partitions = 5\n")
    assert Settings.load({}, tmp_path / "a.toml").settings.partitions == 5
    monkeypatch.setenv("QUNPULSE_CONFIG", "a.toml")
    assert Settings.load().settings.partitions == 5
    with pytest.raises(ConfigError, match="does not exist"):
        Settings.load({}, tmp_path / "b.toml")


def test_secrets_are_masked_everywhere_a_user_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUNPULSE_CLICKHOUSE_PASSWORD", "hunter2")
    monkeypatch.setenv("QUNPULSE_PSEUDONYM_KEY", "hunter3")
    loaded = Settings.load()
    assert "hunter" not in str(loaded.rows()) + repr(loaded)
    assert loaded.settings.environment()["QUNPULSE_CLICKHOUSE_PASSWORD"] == "hunter2"


def test_a_child_with_our_environment_has_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Settings.load({"partitions": 7, "pseudonymise": True, "pseudonym_key": "k", "data_dir": "x"}).settings
    for name, value in ours.environment().items():
        monkeypatch.setenv(name, value)
    theirs = Settings.load().settings
    assert ours.model_dump(exclude={"worker_id"}) == theirs.model_dump(exclude={"worker_id"})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "QUNPULSE_PARTITION",
            "4",
            ["unknown environment variable QUNPULSE_PARTITION", "QUNPULSE_PARTITIONS"],
        ),
        (
            "QUNPULSE_PARTITIONS",
            "four",
            ["partitions = 'four'", "environment QUNPULSE_PARTITIONS", "integer"],
        ),
        ("QUNPULSE_CLOCK_MODE", "wall", ["clock_mode = 'wall'", "'live' or 'event'"]),
        ("QUNPULSE_PSEUDONYMISE", "true", ["pseudonym_key is empty"]),
        ("QUNPULSE_BUFFER_MAX_RECORDS", "10", ["buffer_max_records (10)", "batch_max_records (20000)"]),
        ("QUNPULSE_FLUSH_INTERVAL_SECONDS", "0", ["flush_interval_seconds", "greater than 0"]),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        Settings.load()
    for word in words:
        assert word in str(caught.value)


def test_a_wrong_file_is_named_with_what_is_expected() -> None:
    for text, words in {
        "kafka_bootstrap_server = 'x'": "did you mean kafka_bootstrap_servers",
        "partitions = [": "not valid TOML",
        "partitions = 0": "from file qunpulse.toml",
    }.items():
        Path("qunpulse.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            Settings.load()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUNPULSE_PARTITIONS", "")
    monkeypatch.setenv("QUNPULSE_RULES_FILE", "")
    assert _rows()["partitions"] == ("4", "default")
    assert _rows()["rules_file"] == ("", "default")


def test_every_setting_has_a_description() -> None:
    assert all(row.description for row in Settings.load().rows())
