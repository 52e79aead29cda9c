"""`qunpulse identities`: which accounts are one person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings

app = typer.Typer(help="Accounts of one person on several platforms.", no_args_is_help=True)


@app.callback()
def _identities() -> None:
    """Accounts of one person on several platforms."""


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="CSV", help="Columns: platform, member_id, person_id.")],
    data: DataDir = None,
    config_file: ConfigFile = None,
) -> None:
    """Load the table of accounts; what was loaded before is replaced.

      qunpulse identities import accounts.csv

    Views `persons`, `person_members`, `community_persons` and `persons_1d` count each person once from then on.
    With `pseudonymise` set the file has the platforms' own ids, and pseudonyms are stored.
    """
    from sinks.migrate import migrate
    from streams.cli.reach import clickhouse
    from streams.identities import land_identities, read_identities
    from streams.pseudonyms import Pseudonyms

    identities = read_identities(source)
    loaded = load_settings(config_file, data_dir=data)
    key = loaded.settings.pseudonym_key if loaded.settings.pseudonymise else None
    pseudonyms = Pseudonyms(key.get_secret_value().encode()) if key is not None else None
    with clickhouse(loaded) as connection:
        migrate(connection)
        land_identities(connection, identities, pseudonyms)
    print(f"{len(identities.accounts):,} accounts of {identities.persons:,} persons imported")
