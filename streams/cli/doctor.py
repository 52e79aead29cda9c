"""`qunpulse doctor`: is everything around the workers as it must be, and if not, what to do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from streams.cli.options import ConfigFile, DataDir, Json, load_settings

if TYPE_CHECKING:
    from streams.doctor.findings import Finding

_MARKS = {"ok": "OK", "warning": "LOOK", "wrong": "WRONG", "skipped": "--"}


def doctor(data: DataDir = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """Look at Kafka, topics, ClickHouse, migrations, clocks, claims and disks; change nothing.

    Each line says OK, or what to do. The exit code is 1 when something is
    wrong; LOOK is not wrong yet.

      qunpulse doctor --json
    """
    from streams.cli.reach import running
    from streams.doctor.examination import examine, look_at_folder
    from streams.doctor.findings import wrong

    loaded = load_settings(config_file, data_dir=data)
    settings = running(loaded)
    folder = loaded.settings.data_dir
    if settings is None:
        advice = f"start it with `qunpulse up --data {folder}`, or set the addresses of your Kafka and ClickHouse"
        findings = [look_at_folder(folder), wrong("embedded stack", f"nothing runs in {folder}", advice)]
        shown = [_show(finding, as_json) for finding in findings]
    else:
        embedded = settings is not loaded.settings
        shown = [_show(finding, as_json) for finding in examine(settings, embedded)]
    healthy = all(finding.state != "wrong" for finding in shown)
    if as_json:
        json.dump({"healthy": healthy, "findings": [asdict(finding) for finding in shown]}, sys.stdout)
        print()
    if not healthy:
        raise typer.Exit(1)


def _show(finding: Finding, as_json: bool) -> Finding:
    if not as_json:
        print(f"{_MARKS[finding.state]:<6} {finding.check}: {finding.says}", flush=True)
        if finding.advice:
            print(f"       → {finding.advice}", flush=True)
    return finding
