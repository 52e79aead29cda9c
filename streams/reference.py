"""Write docs/settings.md and docs/metrics.md from the settings model and the metrics file: `make reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streams.metrics import DeliveryMetrics, WorkerMetrics
from streams.settings import Settings
from streams.settings_secrets import ENV_PREFIX, SECRETS

DOCS: Final = Path(__file__).parents[1] / "docs"
_WRITTEN = "<!-- written by `make reference` from {source}; edit that, not this -->"
_ABOUT_SETTINGS: Final = """\
A flag wins over the environment, the environment over the settings file (`--config`, `QUNPULSE_CONFIG`, else
`qunpulse.toml` in the working directory), the file over the default. `qunpulse config` shows what is in force and where
it came from. A name that does not exist is an error, never ignored. In the file they have the names of the first
column."""
_ABOUT_METRICS: Final = """\
Counters count since the process began; the truth since the beginning is view `accounting`. Labels are bounded: a topic,
a partition number, a table, a channel, a code of a closed list; never a community or a person. Workers also serve what
Prometheus' client says of any process, under `qunpulse_process_…`."""
_SUFFIXES: Final = {"counter": "_total", "info": "_info"}
_COMPUTED: Final = {"worker_id": "host-pid"}


def pages() -> Mapping[str, str]:
    """Text of each page, by its name in docs/."""
    return {"settings.md": settings_page(), "metrics.md": metrics_page()}


def settings_page() -> str:
    """Every setting with its variable, default, legal values and meaning."""
    lines = [
        "# Settings",
        "",
        _WRITTEN.format(source="streams/settings.py"),
        "",
        _ABOUT_SETTINGS,
        "",
        "| setting | variable | default | values | what it does |",
        "|---|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        cells = (f"`{name}`", f"`{ENV_PREFIX}{name.upper()}`", _default(name, field), _values(name, field))
        lines.append(f"| {' | '.join(cells)} | {_cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric with its type, labels and meaning, by the process that serves it."""
    lines = [
        "# Metrics",
        "",
        _WRITTEN.format(source="streams/metrics.py"),
        "",
        _ABOUT_METRICS,
    ]
    for title, registry in (
        ("A worker (port 9108)", WorkerMetrics(CollectorRegistry()).registry),
        ("Alert delivery (port 9109)", DeliveryMetrics(CollectorRegistry()).registry),
    ):
        lines += ["", f"## {title}", "", "| metric | type | labels | what it means |", "|---|---|---|---|"]
        lines += sorted(_metric_rows(registry))
    return "\n".join(lines) + "\n"


def _metric_rows(registry: CollectorRegistry) -> Iterator[str]:
    for metric in list(registry._collector_to_names):  # no public way leads to labels before there are samples
        if isinstance(metric, MetricWrapperBase):  # those of the process itself differ from system to system
            name = f"{metric._name}{_SUFFIXES.get(metric._type or '', '')}"
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            yield f"| `{name}` | {metric._type} | {labels} | {_cell(metric._documentation)} |"


def _default(name: str, field: FieldInfo) -> str:
    if name in _COMPUTED:
        return _COMPUTED[name]
    default = field.default
    if isinstance(default, SecretStr) or default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _values(name: str, field: FieldInfo) -> str:
    if name in SECRETS:
        return "secret"
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    bounds = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=bound):
                bounds.append(f"≥ {bound}")
            case Gt(gt=bound):
                bounds.append(f"> {bound}")
            case Le(le=bound):
                bounds.append(f"≤ {bound}")
            case Lt(lt=bound):
                bounds.append(f"< {bound}")
            case MinLen():
                bounds.append("not empty")
    words = {int: "whole number", float: "number", str: "text"}
    return ", ".join([words.get(kind, "path") if isinstance(kind, type) else "path", *bounds])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
