"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.settings import LoadedSettings

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", file_okay=False, help="Folder of the embedded Kafka and ClickHouse. (default: data)"
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (TOML). (default: qunpulse.toml, if there is one)"),
]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="Rules file (YAML): communities, platforms, …")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]


def load_settings(config_file: Path | None = None, **flags: Any) -> LoadedSettings:
    """Settings in force; a flag that is None was not given. Raises ConfigError."""
    from streams.settings import Settings

    return Settings.load(flags, config_file)
