"""`qunpulse config`: what is in force and where each value came from."""

from __future__ import annotations

import json
import sys

from streams.cli.options import ConfigFile, DataDir, Json, load_settings


def config(data: DataDir = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """Show every setting, its value and where the value came from; secrets are masked.

    Any of them can be set as QUNPULSE_<NAME> in the environment or as <name> in qunpulse.toml:

      QUNPULSE_PARTITIONS=8 qunpulse config
    """
    loaded = load_settings(config_file, data_dir=data)
    rows = loaded.rows()
    if as_json:
        json.dump({row.name: {"value": row.value, "origin": row.origin} for row in rows}, sys.stdout, indent=2)
        print()
        return
    from rich.table import Table

    from streams.cli.console import stdout

    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from", "what it does"):
        table.add_column(title, overflow="fold")
    for row in rows:
        style = "dim" if row.origin == "default" else ""
        table.add_row(row.name, row.value, row.origin, row.description, style=style)
    console = stdout()
    if not console.is_terminal:
        console.width = 200  # for grep: one setting a line
    console.print(table, markup=False)
