"""`qunpulse schema export|check`: the contract as files for producers in any language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.errors import InputError, QunpulseError

app = typer.Typer(help="The contract as JSON Schema and AsyncAPI.", no_args_is_help=True)


@app.command("export")
def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", file_okay=False, help="Where to. (default: schemas/ itself)")
    ] = None,
) -> None:
    """Write a JSON Schema for each event and one AsyncAPI document for all topics.

    qunpulse schema export --to ./contract
    """
    from schemas.export import HERE
    from schemas.export import export as write

    try:
        written = write(to or HERE)
    except OSError as error:
        raise InputError(f"cannot write the contract to {to or HERE}: {error.strerror}") from None
    for path in written:
        print(path)


@app.command("check")
def check() -> None:
    """Check the committed files against the models, and the models against the last release.

    The exit code is 1 when a file has drifted, or a change would break senders that follow the released contract.

      qunpulse schema check
    """
    from schemas.export import check as findings_of

    findings = findings_of()
    for finding in findings:
        print(finding)
    if findings:
        raise QunpulseError(f"the contract has {len(findings)} findings")
    print("the contract is as the models say, and nothing breaks who follows the last release")
