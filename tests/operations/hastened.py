"""The committed configuration of Prometheus and Alertmanager, with every duration in it `FACTOR` times shorter.

Nothing else about rules, routes and inhibitions is touched, so that what a test sees in seconds is what happens in
minutes: scrapes every 250 ms instead of every 15 s, `for: 2m` after 2 s, a range of 10 minutes over 10 s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from infra.embedded.kafka import HOST
from tests.operations.monitoring import Alertmanager, Prometheus

INFRA = Path(__file__).parents[2] / "infra"
FACTOR = 60
_DURATION = re.compile(r"(?<![\w.])(\d+)(s|m|h|d)(?!\w)")
_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def hastened(text: str) -> str:
    """The text with its durations shorter: `2m` becomes `2000ms`."""
    return _DURATION.sub(lambda found: f"{int(found[1]) * _MILLISECONDS[found[2]] // FACTOR}ms", text)


def hastened_alertmanager(folder: Path, receiver_port: int, token: str) -> Alertmanager:
    """Calls the receivers of infra/alertmanager on this port, with the token of the file that stands beside it."""
    folder.mkdir()
    (folder / "receiver.token").write_text(token, encoding="utf-8")
    text = hastened((INFRA / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    for there, here in (
        ("http://receiver.example:8080/", f"http://{HOST}:{receiver_port}/"),
        ("/etc/alertmanager/", f"{folder}/"),
    ):
        assert there in text
        text = text.replace(there, here)
    return Alertmanager(folder, YAML(typ="safe").load(text))


def hastened_prometheus(folder: Path, services: Mapping[str, int], alertmanager: Alertmanager) -> Prometheus:
    """Scrapes the services of infra/prometheus on these ports, and tells this Alertmanager; without rules at first.

    A Prometheus looks for targets five seconds after its start, which is five minutes here: rules about what is absent
    must not speak before. `follow_rules(hastened_rules())` gives it those of infra/prometheus.
    """
    configuration: dict[str, Any] = YAML(typ="safe").load(
        hastened((INFRA / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    )
    for job in configuration["scrape_configs"]:
        (found,) = job.pop("dns_sd_configs")
        job["static_configs"] = [{"targets": [f"{HOST}:{services[name]}" for name in found["names"]]}]
    configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"{HOST}:{alertmanager.port}"]}]}]
    return Prometheus(folder, configuration)


def hastened_rules() -> str:
    """The rules of infra/prometheus."""
    return hastened((INFRA / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
