"""Commands that need no server: simulate, validate, schema, config."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from schemas.export import export
from tests.command_line import CommandLine

qunpulse = CommandLine()


def test_a_simulated_feed_comes_with_its_truth_and_is_refused_exactly_where_it_is_broken(tmp_path: Path) -> None:
    out = tmp_path / "feed.ndjson"
    asked = ("--events", "3000", "--seed", "4", "--communities", "3", "--days", "120")
    disorder = ("--duplicates", "0.02", "--out-of-order", "0.1", "--broken", "0.01")
    said = qunpulse("simulate", "--out", str(out), *asked, *disorder)
    found = re.match(rf"{out}: ([\d,]+) lines, ([\d,]+) duplicates, ([\d,]+) broken\n", said)
    assert found is not None, said
    total, duplicates, broken = (int(number.replace(",", "")) for number in found.groups())
    assert total == 3_000 + duplicates + broken
    assert min(duplicates, broken) > 0
    lines = [json.loads(line) for line in Path(f"{out}.truth.ndjson").read_text(encoding="utf-8").splitlines()]
    truths = Counter(line["truth"] for line in lines)
    assert truths["broken"] == broken
    assert {"churn", "buyer"} <= set(truths), truths

    refused = qunpulse.run("validate", str(out), "--json")
    assert refused.code == 1
    assert f"{broken} of {total:,} lines would be refused" in refused.stderr
    (report,) = json.loads(refused.stdout)["files"]
    assert (report["valid"], report["refused"]) == (total - broken, broken)

    again = tmp_path / "again.ndjson"
    qunpulse("simulate", "--out", str(again), *asked, *disorder)
    assert again.read_bytes() == out.read_bytes()
    clean = tmp_path / "clean.ndjson"
    qunpulse("simulate", "--out", str(clean), *asked)
    assert f"{clean}: 3,000 valid" in qunpulse("validate", str(clean))


def test_validate_explains_each_field_of_a_line(tmp_path: Path) -> None:
    line = {"event_type": "message", "schema_version": 1, "event_id": "", "occurred_at": "yesterday", "kind": "text"}
    path = tmp_path / "群.ndjson"
    path.write_text(json.dumps(line | {"community_id": "群", "member_id": 5}) + "\n", encoding="utf-8")
    refused = qunpulse.run("validate", str(path))
    assert refused.code == 1
    assert "line 1: invalid_field: " in refused.stdout
    for name in ("event_id", "occurred_at", "member_id"):
        assert f"{name}: " in refused.stdout
        assert f"{name} 1" in refused.stdout.partition("by field: ")[2]


def test_the_contract_is_exported_and_checked_for_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert qunpulse("schema", "check").startswith("the contract is as the models say")
    written = qunpulse("schema", "export", "--to", str(tmp_path)).splitlines()
    assert f"{tmp_path}/jsonschema/message.json" in written
    assert f"{tmp_path}/asyncapi.yaml" in written
    (tmp_path / "jsonschema" / "join.json").write_text("{}")
    monkeypatch.setattr("schemas.export.HERE", tmp_path)
    drifted = qunpulse.run("schema", "check")
    assert drifted.code == 1
    assert drifted.stdout.startswith("jsonschema/join.json: ")


def test_a_change_that_breaks_senders_of_the_last_release_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path / "v1")
    released = tmp_path / "v1" / "message.json"
    document = json.loads((tmp_path / "v1" / "jsonschema" / "message.json").read_text(encoding="utf-8"))
    document["properties"]["kind"]["maxLength"] = 10_000  # what the release took is refused now
    released.write_text(json.dumps(document))
    monkeypatch.setattr("schemas.export.RELEASED", tmp_path)
    broken = qunpulse.run("schema", "check")
    assert broken.code == 1
    assert "message" in broken.stdout
    assert "kind" in broken.stdout


def test_config_says_where_each_value_came_from_and_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("qunpulse.toml").write_text('partitions = 2\nkafka_password = "Kiebitz-77"\n')
    shown = json.loads(qunpulse("config", "--json", "--data", "mine"))
    assert shown["partitions"] == {"value": "2", "origin": "file qunpulse.toml"}
    assert shown["data_dir"] == {"value": "mine", "origin": "flag --data"}
    assert shown["clock_mode"] == {"value": "live", "origin": "default"}
    assert shown["kafka_password"] == {"value": "********", "origin": "file qunpulse.toml"}
    assert "Kiebitz" not in qunpulse("config")
