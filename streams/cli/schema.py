"""`qunpulse schema export|check`."""

from __future__ import annotations

import typer

app = typer.Typer(help="The contract as JSON Schema and AsyncAPI.", no_args_is_help=True)


@app.command("export")
def export() -> None:
    """Write them."""
    raise NotImplementedError


@app.command("check")
def check() -> None:
    """Check them."""
    raise NotImplementedError
